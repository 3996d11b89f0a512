// Which form of a model's code runs on a processor, and what is said where none does.
#include "runtime/core/manifest.h"
#include "runtime/core/model.h"
#include <cstddef>
#include <gtest/gtest.h>

using namespace onager::rt;

namespace {

template <int number> int32_t runForm(onager_run *, int32_t) { return number; }

/// A linked model of forms that each need one feature.
struct Forms {
  std::vector<std::string> manifests;
  std::vector<onager_code_level> levels;
  onager_model model{};

  explicit Forms(const std::vector<std::vector<std::string>> &features) {
    static constexpr onager_main mains[] = {runForm<0>, runForm<1>, runForm<2>};
    for (const auto &needed : features) {
      Manifest manifest;
      manifest.name = "form" + std::to_string(manifests.size());
      manifest.features = needed;
      manifest.work.tokens = {{Expr::Const, 1}};
      manifests.push_back(encode(manifest));
    }
    for (size_t k = 0; k < manifests.size(); ++k)
      levels.push_back({sizeof(onager_code_level), 0, reinterpret_cast<const uint8_t *>(manifests[k].data()), manifests[k].size(), mains[k], 64 * k, nullptr, 0, nullptr, 0});
    model = {sizeof model, ONAGER_ABI_VERSION, levels[0].manifest, levels[0].manifest_bytes, mains[0], nullptr, levels.data(), levels.size(), nullptr, 0};
  }
  /// The number of the form that is chosen; -1 and a message where none is.
  int choose(std::string *message = nullptr, onager_status *status = nullptr) const {
    static const char weights[256] = {};
    Model opened;
    Outcome outcome = opened.openLinked(&model, weights, nullptr);
    if (message)
      *message = outcome.message;
    if (status)
      *status = outcome.status;
    if (!outcome)
      return -1;
    int form = opened.generic.main(nullptr, 0);
    EXPECT_EQ(opened.generic.manifest.name, "form" + std::to_string(form));
    EXPECT_EQ(opened.generic.weights, weights + 64 * form);
    return form;
  }
};

} // namespace

TEST(Levels, TheLastThatTheProcessorCanRunIsChosen) {
  EXPECT_EQ(Forms({{}, {}, {}}).choose(), 2);
  EXPECT_EQ(Forms({{}, {}, {"teleportation"}}).choose(), 1);
  EXPECT_EQ(Forms({{}, {"telepathy"}, {"teleportation"}}).choose(), 0);
  EXPECT_EQ(Forms({{"sse4.2"}, {"sse4.2", "telepathy"}}).choose(), 0);
}

TEST(Levels, NoneThatFitsIsAnErrorThatNamesTheFeature) {
  std::string message;
  onager_status status;
  EXPECT_EQ(Forms({{"telepathy"}, {"teleportation"}}).choose(&message, &status), -1);
  EXPECT_EQ(status, ONAGER_BAD_MACHINE);
  EXPECT_NE(message.find("needs a processor with telepathy"), std::string::npos) << message;
  EXPECT_EQ(message.find("--target=portable"), std::string::npos) << "it is portable already: " << message;
  EXPECT_EQ(Forms({{"telepathy"}}).choose(&message, &status), -1);
  EXPECT_NE(message.find("--target=portable"), std::string::npos) << message;
}

TEST(Levels, VariantsThatTheProcessorCannotRunAreLeftOut) {
  Forms forms({{}, {"telepathy"}, {"sse4.2"}});
  std::vector<onager_variant> variants;
  for (size_t k : {1, 2})
    variants.push_back({sizeof(onager_variant), 0, forms.levels[k].manifest, forms.levels[k].manifest_bytes, forms.levels[k].main, 0});
  forms.levels.resize(1);
  forms.levels[0].variants = variants.data();
  forms.levels[0].variant_count = variants.size();
  forms.model.levels = forms.levels.data();
  forms.model.level_count = 1;
  Model opened;
  static const char weights[256] = {};
  ASSERT_TRUE(opened.openLinked(&forms.model, weights, nullptr));
  ASSERT_EQ(opened.variants.size(), 1u);
  EXPECT_EQ(opened.variants[0].manifest.name, "form2");
}

TEST(Levels, ModelsFromBeforeHaveOneForm) {
  Forms forms({{}, {}});
  forms.model.size = offsetof(onager_model, levels);
  EXPECT_EQ(forms.choose(), 0);
  forms.model.size -= 8;
  std::string message;
  EXPECT_EQ(forms.choose(&message), -1);
}
