// What a run costs before and after the model's own code: 60 inputs of four dims each, bound to four symbols, and a choice between variants. The code
// of all forms is empty. Repeated runs have equal shapes; alternating ones change a symbol each time, so that nothing is known from the run before.
#include "runtime/core/context.h"
#include <benchmark/benchmark.h>

using namespace onager::rt;

namespace {

constexpr int64_t kInputs = 60;

int32_t doNothing(onager_run *, int32_t) { return 0; }

Manifest makeManifest() {
  Manifest manifest;
  manifest.name = "dispatch";
  manifest.work.tokens = {{Expr::Const, 1}};
  manifest.symbols = {"batch", "seq", "past", "width"};
  for (int64_t k = 0; k < kInputs; ++k) {
    TensorInfo info;
    info.name = "input" + std::to_string(k);
    info.dtype = ONAGER_F32;
    for (int64_t symbol = 0; symbol < 4; ++symbol) {
      Expr dim;
      dim.tokens = {{Expr::Symbol, symbol}};
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

/// Arguments: the number of variants, and how many of them the runs take turns between.
void runDispatch(benchmark::State &state) {
  Manifest manifest = makeManifest();
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
  int64_t dims[] = {1, 100 + std::max<int64_t>(state.range(0) - 1, 0), 6, 5};
  std::vector<float> data(static_cast<size_t>(dims[1] * 30));
  std::vector<onager_tensor> inputs(kInputs, {sizeof(onager_tensor), ONAGER_F32, 4, 0, data.data(), dims, data.size() * sizeof(float)});
  int64_t longest = dims[1], turns = state.range(1), turn = 0;
  for (auto _ : state) {
    dims[1] = longest - turn;
    turn = turn + 1 < turns ? turn + 1 : 0;
    if (!context.run(inputs.data(), inputs.size(), nullptr, 0))
      return state.SkipWithError("a run was refused");
  }
  if (state.range(0) && session.hits.load() == 0)
    state.SkipWithError("no variant was chosen");
}

} // namespace

BENCHMARK(runDispatch)->ArgNames({"variants", "turns"})->Args({0, 1})->Args({1, 1})->Args({32, 1})->Args({0, 2})->Args({32, 2})->Args({32, 8});
BENCHMARK_MAIN();
