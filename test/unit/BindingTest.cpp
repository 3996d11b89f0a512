// Binding of inputs to a signature and the search for a variant, each beside its meaning written out, on random signatures, shapes and guards.
#include "test/unit/LinkedModel.h"
#include "test/unit/Support.h"

using namespace onager::rt;
using onager::test::LinkedModel;

namespace {

constexpr size_t kSymbols = 3;
using Values = std::array<int64_t, kSymbols + 1>; // the last is never used

int64_t draw(std::mt19937_64 &generator, int64_t count) { return static_cast<int64_t>(generator() % static_cast<uint64_t>(count)); }

/// A symbol, now and then a number, seldom a symbol and one.
Expr drawDim(std::mt19937_64 &generator) {
  Expr::Token symbol{Expr::Symbol, draw(generator, kSymbols)};
  Expr dim;
  switch (draw(generator, 6)) {
  case 0: dim.tokens = {{Expr::Const, draw(generator, 4)}}; break;
  case 1: dim.tokens = {symbol, {Expr::Const, 1}, {Expr::Add, 0}}; break;
  default: dim.tokens = {symbol}; break;
  }
  return dim;
}

/// A model of up to six inputs, whose output has the symbols.
void drawSignature(std::mt19937_64 &generator, LinkedModel &linked) {
  linked.manifest.symbols = {"a", "b", "c"};
  linked.manifest.work.tokens = {{Expr::Const, 1}};
  for (int64_t k = 0, count = 1 + draw(generator, 6); k < count; ++k) {
    TensorInfo info{"x" + std::to_string(k), draw(generator, 2) ? ONAGER_F32 : ONAGER_F64, {}, -1, "", ""};
    for (int64_t rank = draw(generator, 4); rank > 0; --rank)
      info.dims.push_back(drawDim(generator));
    linked.manifest.inputs.push_back(info);
  }
  linked.manifest.outputs = {{"y", ONAGER_I64, {{{{Expr::Const, kSymbols}}}}, -1, "", ""}};
  linked.model.main = [](onager_run *run, int32_t) -> int32_t {
    std::copy_n(run->symbols, kSymbols, static_cast<int64_t *>(run->outputs[0]));
    return 0;
  };
  linked.open();
}

/// Returns the symbols that a signature gives to shapes, 0 for those that no dim is; false where no values fit.
bool solve(const Manifest &manifest, const std::vector<std::vector<int64_t>> &shapes, Values &values) {
  std::array<bool, kSymbols> isKnown{};
  values = {};
  for (bool isPlain : {true, false})
    for (size_t k = 0; k < shapes.size(); ++k)
      for (size_t d = 0; d < shapes[k].size(); ++d) {
        const Expr &dim = manifest.inputs[k].dims[d];
        int64_t symbol;
        if (dim.isSymbol(symbol) && !std::exchange(isKnown[static_cast<size_t>(symbol)], true))
          values[static_cast<size_t>(symbol)] = shapes[k][d];
        bool bad = false;
        if (shapes[k][d] < 0 || ((dim.tokens.size() == 1) == isPlain && dim.evaluate(values.data(), bad) != shapes[k][d]))
          return false;
      }
  return true;
}

std::vector<std::vector<int64_t>> drawShapes(std::mt19937_64 &generator, const Manifest &manifest) {
  Values values{};
  for (int64_t &value : values)
    value = draw(generator, 3);
  std::vector<std::vector<int64_t>> shapes;
  for (const TensorInfo &info : manifest.inputs) {
    shapes.emplace_back();
    for (const Expr &dim : info.dims) {
      bool bad = false;
      shapes.back().push_back(dim.evaluate(values.data(), bad) + (draw(generator, 25) == 0 ? draw(generator, 3) - 1 : 0));
    }
  }
  return shapes;
}

/// Runs on a shape; checks that it is accepted exactly where values fit, and that the code sees these.
void checkRun(Context &context, const Manifest &manifest, std::vector<std::vector<int64_t>> shapes) {
  static const double data[64] = {};
  std::vector<onager_tensor> inputs;
  for (size_t k = 0; k < shapes.size(); ++k)
    inputs.push_back({sizeof(onager_tensor), static_cast<int32_t>(manifest.inputs[k].dtype), static_cast<int32_t>(shapes[k].size()), 0, const_cast<double *>(data),
                      shapes[k].data(), sizeof data});
  int64_t y[kSymbols] = {-1, -1, -1};
  onager_tensor output{sizeof output, 0, 0, 0, y, nullptr, sizeof y};
  Outcome outcome = context.run(inputs.data(), inputs.size(), &output, 1);
  Values expected;
  ASSERT_EQ(bool(outcome), solve(manifest, shapes, expected)) << outcome.message;
  if (!outcome) {
    EXPECT_EQ(outcome.status, ONAGER_BAD_ARGUMENT);
    EXPECT_EQ(outcome.message.rfind("input 'x", 0), 0u) << outcome.message;
    return;
  }
  EXPECT_TRUE(std::equal(y, y + kSymbols, expected.begin())) << y[0] << " " << y[1] << " " << y[2];
}

Atom drawAtom(std::mt19937_64 &generator) {
  auto symbol = static_cast<uint64_t>(draw(generator, kSymbols));
  int64_t a = draw(generator, 6);
  switch (draw(generator, 4)) {
  case 0: return {Atom::Range, symbol, a, draw(generator, 4) ? a + draw(generator, 4) : INT64_MAX};
  case 1: return {Atom::Divisible, symbol, a + 1, 0};
  case 2: return {Atom::Same, symbol, static_cast<int64_t>((symbol + 1) % kSymbols), draw(generator, 3) - 1};
  default: return {Atom::Equal, symbol, a, 0};
  }
}

} // namespace

TEST(Binding, ShapesAreAcceptedWhereTheirSymbolsFit) {
  auto generator = onager::test::makeGenerator();
  for (int round = 0; round < 200; ++round) {
    LinkedModel linked;
    drawSignature(generator, linked);
    Context context(linked.session);
    std::vector<std::vector<std::vector<int64_t>>> seen;
    for (int run = 0; run < 30; ++run) {
      // Shapes come again, at once and later.
      if (seen.empty() || draw(generator, 2))
        seen.push_back(drawShapes(generator, linked.manifest));
      size_t last = seen.size() - 1;
      checkRun(context, linked.manifest, seen[draw(generator, 2) ? last : static_cast<size_t>(draw(generator, static_cast<int64_t>(last) + 1))]);
      if (HasFatalFailure())
        return;
    }
  }
}

TEST(Binding, TheFirstVariantWhoseGuardHoldsIsFound) {
  auto generator = onager::test::makeGenerator();
  for (int round = 0; round < 300; ++round) {
    std::vector<std::shared_ptr<Variant>> variants;
    for (int64_t k = 0, count = draw(generator, 8); k < count; ++k) {
      variants.push_back(std::make_shared<Variant>());
      for (int64_t atoms = draw(generator, 4); atoms > 0; --atoms)
        variants.back()->code.manifest.guard.push_back(drawAtom(generator));
    }
    VariantTable table(variants);
    for (int run = 0; run < 50; ++run) {
      Values values{};
      for (size_t k = 0; k < kSymbols; ++k)
        values[k] = draw(generator, 20) ? draw(generator, 8) : kUnknownValue;
      auto expected = std::find_if(variants.begin(), variants.end(), [&](const auto &variant) { return holds(variant->guard(), values.data()); });
      ASSERT_EQ(table.find(values.data()), expected == variants.end() ? nullptr : expected->get());
    }
  }
}
