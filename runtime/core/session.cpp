// Runs: binding symbols, planning memory, entering the gang.
#include "runtime/core/session.h"
#include "runtime/core/hostmath.h"
#include <cstdlib>
#include <cstring>

namespace onager::rt {

/// Scalar operations below which a second thread costs more than it brings.
static constexpr int64_t kFewestOperations = 100'000;

static std::string describeDims(const int64_t *dims, size_t rank) {
  std::string text = "[";
  for (size_t k = 0; k < rank; ++k)
    text += (k ? ", " : "") + (dims[k] < 0 ? std::string("?") : std::to_string(dims[k]));
  return text + "]";
}

const char *describeType(uint64_t dtype) {
  static const char *const names[] = {"undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "float64", "uint32",
                                      "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz",
                                      "uint4", "int4", "float4e2m1", "float8e8m0", "uint2", "int2"};
  return dtype < sizeof names / sizeof *names ? names[dtype] : "unknown";
}

void Session::describe() {
  auto fill = [&](const std::vector<TensorInfo> &tensors, std::vector<Description> &out) {
    for (const TensorInfo &tensor : tensors) {
      Description description;
      for (const Expr &dim : tensor.dims) {
        int64_t extent = -1;
        bool fixed = dim.isConstant(extent);
        description.dims.push_back(fixed ? extent : -1);
        description.texts.push_back(fixed ? "" : dim.print(model.manifest.symbols));
      }
      out.push_back(std::move(description));
      for (const std::string &text : out.back().texts)
        out.back().names.push_back(text.c_str());
    }
  };
  fill(model.manifest.inputs, inputs);
  fill(model.manifest.outputs, outputs);
  // The vectors are final now; strings may have moved with them.
  for (auto *list : {&inputs, &outputs})
    for (Description &description : *list)
      for (size_t k = 0; k < description.texts.size(); ++k)
        description.names[k] = description.texts[k].c_str();
}

Context::Context(Session &session) : session(session), manifest(session.model.manifest) {
  host = {sizeof host, ONAGER_ABI_VERSION, kHostMath, kHostMath2, waitAtBarrier, growBlock, allocate, release};
  symbols.resize(manifest.symbols.size() + 1);
  bound.resize(manifest.symbols.size());
  offsets.resize(manifest.slots.size());
  sizes.resize(manifest.slots.size());
  blocks.resize(manifest.blocks);
  blockPointers.resize(manifest.blocks + 1);
  inputPointers.resize(manifest.inputs.size() + 1);
  outputPointers.resize(manifest.outputs.size() + 1);
  owned.resize(manifest.outputs.size());
  outputDims.resize(manifest.outputs.size());
  for (size_t k = 0; k < manifest.outputs.size(); ++k)
    outputDims[k].resize(manifest.outputs[k].dims.size());
  state.size = sizeof(onager_run);
  state.host = &host;
  state.inputs = inputPointers.data();
  state.outputs = outputPointers.data();
  state.offsets = offsets.data();
  state.blocks = blockPointers.data();
  state.weights = session.model.weights;
  state.symbols = symbols.data();
  state.context = this;
}

void Context::waitAtBarrier(onager_run *run, int32_t) { static_cast<HostRun *>(run)->context->barrier.wait(); }

int32_t Context::growBlock(onager_run *run, int32_t block, int64_t bytes) {
  Context &context = *static_cast<HostRun *>(run)->context;
  Block &target = context.blocks[static_cast<size_t>(block)];
  if (bytes < 0 || !target.reserve(static_cast<uint64_t>(bytes), true)) {
    // Nobody may write beyond the old size: a negative or impossible size ends the run before the launch that needs it.
    context.isOutOfMemory = true;
    __atomic_store_n(&run->status, INT32_MAX, __ATOMIC_RELEASE);
    return 1;
  }
  context.blockPointers[static_cast<size_t>(block)] = target.get();
  return 0;
}

void *Context::allocate(onager_run *, size_t bytes) { return malloc(bytes); }
void Context::release(onager_run *, void *memory) { free(memory); }

Outcome Context::bindDim(const TensorInfo &info, size_t dim, int64_t extent, std::vector<std::pair<size_t, size_t>> &) {
  int64_t expected = 0;
  const Expr &expr = info.dims[dim];
  bool fixed = expr.isConstant(expected);
  if (!fixed && expr.isSymbol(expected)) {
    auto symbol = static_cast<size_t>(expected);
    if (!bound[symbol]) {
      bound[symbol] = true;
      symbols[symbol] = extent;
      return {};
    }
    expected = symbols[symbol];
  }
  if (extent == expected)
    return {};
  return failure(ONAGER_BAD_ARGUMENT, "input '" + info.name + "': dim " + std::to_string(dim) + " (" + expr.print(manifest.symbols) + "): expected " +
                                          std::to_string(expected) + ", found " + std::to_string(extent));
}

static Outcome checkInput(const TensorInfo &info, const Description &description, const onager_tensor &tensor) {
  std::string who = "input '" + info.name + "': ";
  if (static_cast<uint64_t>(tensor.dtype) != info.dtype)
    return failure(ONAGER_BAD_ARGUMENT, who + "expected type " + describeType(info.dtype) + ", found " + describeType(static_cast<uint64_t>(tensor.dtype)));
  if (tensor.rank < 0 || static_cast<size_t>(tensor.rank) != info.dims.size())
    return failure(ONAGER_BAD_ARGUMENT, who + "expected rank " + std::to_string(info.dims.size()) + " " + describeDims(description.dims.data(), info.dims.size()) +
                                            ", found rank " + std::to_string(tensor.rank));
  uint64_t bytes = onager_dtype_bytes(tensor.dtype);
  for (int32_t k = 0; k < tensor.rank; ++k)
    if (tensor.dims[k] < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(tensor.dims[k]), &bytes))
      return failure(ONAGER_BAD_ARGUMENT, who + "dim " + std::to_string(k) + " is " + std::to_string(tensor.dims[k]));
  if (tensor.bytes < bytes || (bytes && !tensor.data))
    return failure(ONAGER_BAD_ARGUMENT, who + "expected " + std::to_string(bytes) + " bytes, found " + std::to_string(tensor.data ? tensor.bytes : 0));
  return {};
}

Outcome Context::bindInputs(const onager_tensor *inputs, size_t count) {
  if (count != manifest.inputs.size())
    return failure(ONAGER_BAD_ARGUMENT, "expected " + std::to_string(manifest.inputs.size()) + " inputs, found " + std::to_string(count));
  std::fill(symbols.begin(), symbols.end(), 0);
  std::fill(bound.begin(), bound.end(), false);
  later.clear();
  for (size_t k = 0; k < count; ++k) {
    const TensorInfo &info = manifest.inputs[k];
    if (Outcome outcome = checkInput(info, session.inputs[k], inputs[k]); !outcome)
      return outcome;
    for (size_t d = 0; d < info.dims.size(); ++d) {
      int64_t plain;
      if (!info.dims[d].isConstant(plain) && !info.dims[d].isSymbol(plain))
        later.emplace_back(k, d);
      else if (Outcome outcome = bindDim(info, d, inputs[k].dims[d], later); !outcome)
        return outcome;
    }
    // A copy of no bytes still needs a valid address.
    inputPointers[k] = inputs[k].data ? inputs[k].data : nothing;
  }
  return checkLater(inputs, later);
}

Outcome Context::checkLater(const onager_tensor *inputs, const std::vector<std::pair<size_t, size_t>> &pairs) {
  for (auto [input, dim] : pairs) {
    const TensorInfo &info = manifest.inputs[input];
    bool bad = false;
    int64_t expected = info.dims[dim].evaluate(symbols.data(), bad), found = inputs[input].dims[dim];
    if (bad || expected != found)
      return failure(ONAGER_BAD_ARGUMENT, "input '" + info.name + "': dim " + std::to_string(dim) + " (" + info.dims[dim].print(manifest.symbols) +
                                              "): expected " + std::to_string(expected) + ", found " + std::to_string(found));
  }
  bool bad = false;
  for (const Derived &derived : manifest.derived)
    symbols[derived.symbol] = derived.expr.evaluate(symbols.data(), bad);
  return bad ? failure(ONAGER_BAD_ARGUMENT, "the inputs' shapes lead to sizes beyond 64 bits") : Outcome();
}

/// Bytes of a tensor whose dims are given; false where a dim is negative or the product overflows.
static bool countBytes(uint64_t dtype, const std::vector<int64_t> &dims, uint64_t &bytes) {
  bytes = onager_dtype_bytes(static_cast<int32_t>(dtype));
  for (int64_t extent : dims)
    if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes))
      return false;
  return true;
}

Outcome Context::describeOutputs(onager_tensor *outputs, size_t count) {
  if (count != manifest.outputs.size())
    return failure(ONAGER_BAD_ARGUMENT, "expected " + std::to_string(manifest.outputs.size()) + " outputs, found " + std::to_string(count));
  for (size_t k = 0; k < count; ++k) {
    const TensorInfo &info = manifest.outputs[k];
    for (size_t d = 0; d < info.dims.size(); ++d) {
      bool bad = false;
      int64_t extent = info.dims[d].evaluate(symbols.data(), bad);
      if (bad || (info.block < 0 && extent < 0))
        return failure(ONAGER_BAD_ARGUMENT, "output '" + info.name + "': dim " + std::to_string(d) + " would be " + std::to_string(extent));
      outputDims[k][d] = info.block < 0 || info.dims[d].isConstant(extent) ? extent : -1;
    }
    outputs[k].dtype = static_cast<int32_t>(info.dtype);
    outputs[k].rank = static_cast<int32_t>(info.dims.size());
    outputs[k].dims = outputDims[k].data();
  }
  return {};
}

Outcome Context::prepare(const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t outputCount) {
  if (Outcome outcome = bindInputs(inputs, count); !outcome)
    return outcome;
  return describeOutputs(outputs, outputCount);
}

/// Rounds an extent up to the next of eight steps per power of two, so that growing shapes change the plan rarely.
static int64_t roundUp(int64_t extent) {
  if (extent <= 16)
    return extent;
  int64_t step = int64_t(1) << (63 - __builtin_clzll(static_cast<uint64_t>(extent)) - 3);
  return (extent + step - 1) / step * step;
}

Outcome Context::planArena() {
  auto evaluate = [&](const Slot &slot, const int64_t *values, uint64_t &bytes) {
    bool bad = false;
    int64_t size = slot.bytes.evaluate(values, bad);
    if (bad || size < 0 || size > (int64_t(1) << 46))
      return false;
    bytes = (static_cast<uint64_t>(size) + ONAGER_ALIGNMENT - 1) / ONAGER_ALIGNMENT * ONAGER_ALIGNMENT;
    if (slot.perThread)
      bytes *= static_cast<uint64_t>(session.gang.size());
    return true;
  };
  bool fits = capacities.size() == sizes.size() && (arena.get() || sizes.empty());
  for (size_t k = 0; k < sizes.size(); ++k) {
    if (!evaluate(manifest.slots[k], symbols.data(), sizes[k]))
      return failure(ONAGER_BAD_ARGUMENT, "the inputs' shapes lead to an intermediate tensor of negative or impossible size");
    fits = fits && sizes[k] <= capacities[k];
  }
  if (fits)
    return {};
  plannedSymbols.resize(symbols.size());
  for (size_t k = 0; k < symbols.size(); ++k)
    plannedSymbols[k] = roundUp(symbols[k]);
  bool bad = false;
  for (const Derived &derived : manifest.derived)
    plannedSymbols[derived.symbol] = derived.expr.evaluate(plannedSymbols.data(), bad);
  capacities.resize(sizes.size());
  for (size_t k = 0; k < sizes.size(); ++k) {
    uint64_t rounded = 0;
    capacities[k] = !bad && evaluate(manifest.slots[k], plannedSymbols.data(), rounded) && rounded > sizes[k] ? rounded : sizes[k];
  }
  uint64_t total = packSlots(manifest.slots, capacities, offsets);
  if (!arena.reserve(total, false)) {
    capacities.clear();
    return failure(ONAGER_OUT_OF_MEMORY, "no memory for " + std::to_string(total) + " bytes of intermediate tensors");
  }
  state.arena = arena.get();
  return {};
}

Outcome Context::placeOutputs(onager_tensor *outputs) {
  for (size_t k = 0; k < manifest.outputs.size(); ++k) {
    outputPointers[k] = nullptr;
    if (manifest.outputs[k].block >= 0)
      continue;
    uint64_t bytes = 0;
    if (!countBytes(manifest.outputs[k].dtype, outputDims[k], bytes))
      return failure(ONAGER_BAD_ARGUMENT, "output '" + manifest.outputs[k].name + "' would have shape " + describeDims(outputDims[k].data(), outputDims[k].size()));
    if (outputs[k].data) {
      if (outputs[k].bytes < bytes)
        return failure(ONAGER_BAD_ARGUMENT, "output '" + manifest.outputs[k].name + "': expected room for " + std::to_string(bytes) + " bytes, found " +
                                                std::to_string(outputs[k].bytes));
      outputPointers[k] = outputs[k].data;
      continue;
    }
    if (!owned[k].reserve(bytes, false))
      return failure(ONAGER_OUT_OF_MEMORY, "no memory for " + std::to_string(bytes) + " bytes of output '" + manifest.outputs[k].name + "'");
    outputPointers[k] = owned[k].get();
  }
  return {};
}

int Context::chooseThreads() {
  if (session.gang.size() == 1)
    return 1;
  bool bad = false;
  int64_t operations = manifest.work.evaluate(symbols.data(), bad);
  return bad || operations < 0 || operations >= kFewestOperations ? session.gang.size() : 1;
}

Outcome Context::fail() const {
  if (isOutOfMemory)
    return failure(ONAGER_OUT_OF_MEMORY, "no memory for a tensor whose size was found while running, or its size is negative");
  auto index = static_cast<size_t>(state.status) - 1;
  std::string text = index < manifest.errors.size() ? manifest.errors[index] : "error " + std::to_string(state.status);
  return failure(ONAGER_RUN_FAILED, text);
}

Outcome Context::finishOutputs(onager_tensor *outputs) {
  for (size_t k = 0; k < manifest.outputs.size(); ++k) {
    const TensorInfo &info = manifest.outputs[k];
    bool bad = false;
    for (size_t d = 0; d < info.dims.size(); ++d)
      outputDims[k][d] = info.dims[d].evaluate(symbols.data(), bad);
    uint64_t bytes = 0;
    if (bad || !countBytes(info.dtype, outputDims[k], bytes))
      return failure(ONAGER_RUN_FAILED, "output '" + info.name + "' has shape " + describeDims(outputDims[k].data(), outputDims[k].size()));
    const void *from = info.block < 0 ? outputPointers[k] : blockPointers[static_cast<size_t>(info.block)];
    outputs[k].dims = outputDims[k].data();
    if (!outputs[k].data) {
      outputs[k].data = const_cast<void *>(from);
      outputs[k].bytes = bytes;
    } else if (info.block >= 0) {
      if (outputs[k].bytes < bytes)
        return failure(ONAGER_BAD_ARGUMENT, "output '" + info.name + "': expected room for " + std::to_string(bytes) + " bytes, found " + std::to_string(outputs[k].bytes));
      if (bytes)
        std::memcpy(outputs[k].data, from, bytes);
    }
  }
  return {};
}

Outcome Context::run(const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t outputCount) {
  if (Outcome outcome = prepare(inputs, count, outputs, outputCount); !outcome)
    return outcome;
  if (Outcome outcome = planArena(); !outcome)
    return outcome;
  if (Outcome outcome = placeOutputs(outputs); !outcome)
    return outcome;
  for (size_t k = 0; k < blocks.size(); ++k) {
    if (!blocks[k].reserve(ONAGER_ALIGNMENT, true))
      return failure(ONAGER_OUT_OF_MEMORY, "no memory");
    blockPointers[k] = blocks[k].get();
  }
  isOutOfMemory = false;
  state.status = 0;
  state.profile = profile.empty() ? nullptr : profile.data();
  bool isTaken = session.gang.tryTake();
  lastThreads = isTaken ? chooseThreads() : 1;
  state.threads = lastThreads;
  barrier.reset(lastThreads);
  auto share = [](void *argument, int thread) {
    auto *run = static_cast<HostRun *>(argument);
    run->context->session.model.main(run, thread);
  };
  if (isTaken) {
    session.gang.run(share, &state, lastThreads);
  } else {
    FloatEnvironment environment;
    share(&state, 0);
  }
  if (state.status)
    return fail();
  return finishOutputs(outputs);
}

uint64_t Context::memory() const {
  uint64_t total = arena.bytes();
  for (const auto *list : {&blocks, &owned})
    for (const Block &block : *list)
      total += block.bytes();
  return total;
}

void Context::setProfiling(bool on) { profile.assign(on ? manifest.launches.size() * 2 * static_cast<size_t>(session.gang.size()) : 0, 0); }

Outcome Context::launchAt(size_t index, int thread, onager_launch &launch) const {
  if (profile.empty() || index >= manifest.launches.size() || thread < 0 || thread >= session.gang.size())
    return failure(ONAGER_BAD_ARGUMENT, "no profile, or no such launch or thread");
  size_t count = manifest.launches.size();
  uint64_t origin = UINT64_MAX;
  for (size_t k = 0; k < count; ++k)
    if (profile[2 * k] && profile[2 * k] < origin)
      origin = profile[2 * k];
  const uint64_t *stamps = &profile[2 * (static_cast<size_t>(thread) * count + index)];
  bool bad = false;
  launch.nodes = manifest.launches[index].name.c_str();
  launch.hero = manifest.launches[index].hero.c_str();
  double second = ticksPerSecond();
  launch.begin = stamps[0] ? static_cast<double>(stamps[0] - origin) / second : 0;
  launch.end = stamps[1] ? static_cast<double>(stamps[1] - origin) / second : 0;
  launch.flops = static_cast<double>(manifest.launches[index].flops.evaluate(symbols.data(), bad));
  return {};
}

} // namespace onager::rt
