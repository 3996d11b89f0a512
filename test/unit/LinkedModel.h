// A model whose code is linked into the tests, and a session on it.
#ifndef ONAGER_TEST_UNIT_LINKEDMODEL_H
#define ONAGER_TEST_UNIT_LINKEDMODEL_H

#include "runtime/core/context.h"
#include <cstddef>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <utility>

namespace onager::test {

/// Writes a number and, where it should, the only symbol.
template <int number> int32_t runForm(onager_run *run, int32_t) {
  auto *out = static_cast<int64_t *>(run->outputs[0]);
  out[0] = number;
  out[1] = run->symbols[0];
  return 0;
}

/// A session over a model that is linked into the program.
struct LinkedModel {
  /// Opens what `manifest` says by now.
  void open() {
    bytes = rt::encode(manifest);
    model.size = offsetof(onager_model, levels);
    model.abi = ONAGER_ABI_VERSION;
    model.manifest = reinterpret_cast<const uint8_t *>(bytes.data());
    model.manifest_bytes = bytes.size();
    if (!model.main)
      model.main = runForm<0>;
    model.weights = "";
    options.size = sizeof options;
    options.threads = 1;
    EXPECT_TRUE(bool(session.model->openLinked(&model, nullptr, nullptr)));
    EXPECT_TRUE(bool(session.finish({})));
  }
  std::shared_ptr<rt::Variant> makeVariant(rt::Guard guard) const {
    auto variant = std::make_shared<rt::Variant>();
    variant->code.manifest = manifest;
    variant->code.manifest.guard = std::move(guard);
    variant->code.main = runForm<1>;
    variant->owner = std::make_shared<rt::Model>();
    return variant;
  }
  rt::Manifest manifest;
  std::string bytes;
  onager_model model{};
  onager_options options{};
  rt::Session session{options, nullptr, 1};
};

} // namespace onager::test

#endif
