// What a run costs before and after the model's own code: 60 inputs of four dims each, bound to four symbols, and a choice between variants. The code
// of all forms is empty. Repeated runs have equal shapes; alternating ones change a symbol each time, so that nothing is known from the run before.
// The inputs have one shape, as the parts of a language model's past have, or a shape each in 24 of the orders of the symbols.
#include "runtime/core/context.h"
#include <algorithm>
#include <array>
#include <benchmark/benchmark.h>

using namespace onager::rt;

namespace {

constexpr int64_t kInputs = 60;
constexpr size_t kSymbols = 4;
using Order = std::array<size_t, kSymbols>;

int32_t doNothing(onager_run *, int32_t) { return 0; }

/// Returns the order of the symbols in each input.
std::vector<Order> makeOrders(bool isMixed) {
  std::vector<Order> orders;
  Order order = {0, 1, 2, 3};
  for (int64_t k = 0; k < kInputs; ++k) {
    orders.push_back(order);
    if (isMixed)
      std::next_permutation(order.begin(), order.end());
  }
  return orders;
}

Manifest makeManifest(const std::vector<Order> &orders) {
  Manifest manifest;
  manifest.name = "dispatch";
  manifest.work.tokens = {{Expr::Const, 1}};
  manifest.symbols = {"batch", "seq", "past", "width"};
  for (const Order &order : orders) {
    TensorInfo info;
    info.name = "input" + std::to_string(manifest.inputs.size());
    info.dtype = ONAGER_F32;
    for (size_t symbol : order) {
      Expr dim;
      dim.tokens = {{Expr::Symbol, static_cast<int64_t>(symbol)}};
      info.dims.push_back(dim);
    }
    manifest.inputs.push_back(info);
  }
  return manifest;
}

/// A session whose variants demand a `seq` each, from 100 on, and a batch.
void publishVariants(Session &session, const Manifest &manifest, int64_t count) {
  for (int64_t k = 0; k < count; ++k) {
    auto variant = std::make_shared<Variant>();
    variant->code.manifest = manifest;
    variant->code.manifest.guard = {{Atom::Equal, 0, 1, 0}, {Atom::Equal, 1, 100 + k, 0}};
    variant->code.main = doNothing;
    session.variants->publish(std::move(variant));
  }
}

/// Arguments: the number of variants, how many of them the runs take turns between, and whether the inputs' shapes are mixed.
void runDispatch(benchmark::State &state) {
  std::vector<Order> orders = makeOrders(state.range(2) != 0);
  Manifest manifest = makeManifest(orders);
  std::string bytes = encode(manifest);
  onager_model model{};
  model.size = offsetof(onager_model, levels);
  model.abi = ONAGER_ABI_VERSION;
  model.manifest = reinterpret_cast<const uint8_t *>(bytes.data());
  model.manifest_bytes = bytes.size();
  model.main = doNothing;
  model.weights = "";
  onager_options options{};
  options.size = sizeof options;
  options.threads = 1;
  Session session(options, nullptr, 1);
  if (!session.model->openLinked(&model, nullptr, nullptr) || !session.finish({}))
    return state.SkipWithError("the session was refused");
  publishVariants(session, manifest, state.range(0));

  Context context(session);
  // The last variants of the table are looked at last.
  int64_t longest = 100 + std::max<int64_t>(state.range(0) - 1, 0), turns = state.range(1), turn = 0;
  std::vector<float> data(static_cast<size_t>(longest * 30));
  // For each turn, descriptors and dims of their own, so that a run alone is timed.
  std::vector<std::array<int64_t, kSymbols>> dims;
  for (int64_t k = 0; k < turns; ++k)
    for (const Order &order : orders) {
      std::array<int64_t, kSymbols> symbols = {1, longest - k, 6, 5};
      dims.push_back({symbols[order[0]], symbols[order[1]], symbols[order[2]], symbols[order[3]]});
    }
  std::vector<onager_tensor> inputs;
  for (auto &entry : dims)
    inputs.push_back({sizeof(onager_tensor), ONAGER_F32, kSymbols, 0, data.data(), entry.data(), data.size() * sizeof(float)});
  for (auto _ : state) {
    if (!context.run(&inputs[static_cast<size_t>(turn * kInputs)], kInputs, nullptr, 0))
      return state.SkipWithError("a run was refused");
    turn = turn + 1 < turns ? turn + 1 : 0;
  }
  if (state.range(0) && session.hits.load() == 0)
    state.SkipWithError("no variant was chosen");
}

} // namespace

BENCHMARK(runDispatch)->ArgNames({"variants", "turns", "mixed"})->ArgsProduct({{0, 32}, {1, 2, 8}, {0, 1}});
BENCHMARK_MAIN();
