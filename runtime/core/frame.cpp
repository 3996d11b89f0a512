// Runs: binding symbols, entering the gang, handing out outputs.
#include "runtime/core/frame.h"
#include "runtime/core/hostmath.h"
#include <algorithm>
#include <cstring>
#include <ctime>
#include <span>
#include <utility>

namespace onager::rt {

/// A symbol's value before an input has given it one.
static constexpr int64_t kUnbound = -1;
/// Scalar operations of a run below which a second thread costs more than it brings, and how many more for each launch, where threads may wait for each other.
static constexpr int64_t kFewestOperations = 100'000, kFewestPerLaunch = 20'000;

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

Workspace::Workspace(const Session &session, size_t inputs, size_t outputs) : arena(session.allocator), strings(session.allocator), calls(session.allocator, strings) {
  auto fill = [&](std::vector<Block> &list, size_t count) {
    for (size_t k = 0; k < count; ++k)
      list.emplace_back(session.allocator);
  };
  fill(inputNumbers, inputs);
  fill(owned, outputs);
  fill(outputNumbers, outputs);
  if (!session.model->generic.isSanitized)
    return;
  arena.makeExact();
  for (auto *list : {&owned, &inputNumbers, &outputNumbers})
    for (Block &block : *list)
      block.makeExact();
}

void Workspace::makeBlocks(const Session &session, size_t count) {
  while (blocks.size() < count) {
    blocks.emplace_back(session.allocator);
    if (session.model->generic.isSanitized)
      blocks.back().makeExact();
  }
}

uint64_t Workspace::bytes() const {
  uint64_t total = arena.bytes();
  for (const auto *list : {&blocks, &owned, &inputNumbers, &outputNumbers})
    for (const Block &block : *list)
      total += block.bytes();
  return total + strings.memory();
}

Frame::Frame(Session &session, const Code &code, Workspace &work) : session(session), code(code), manifest(code.manifest), work(work) {
  host = {sizeof host, ONAGER_ABI_VERSION, kHostMath, kHostMath2, waitAtBarrier, growBlock, allocate, release, intern, findText, changeCase, print, parse, inferCustom, callCustom, shareLaunch};
  symbols.resize(manifest.symbols.size() + 1);
  offsets.resize(manifest.slots.size());
  sizes.resize(manifest.slots.size());
  work.makeBlocks(session, manifest.blocks);
  blockPointers.resize(manifest.blocks + 1);
  loans.resize(manifest.blocks + 1);
  inputPointers.resize(manifest.inputs.size() + 1);
  outputPointers.resize(manifest.outputs.size() + 1);
  outputDims.resize(manifest.outputs.size());
  outputBytes.resize(manifest.outputs.size());
  takenShares.resize(session.threads() > 1 ? manifest.launches.size() * static_cast<size_t>(session.threads()) : 0);
  for (size_t k = 0; k < manifest.outputs.size(); ++k)
    outputDims[k].resize(manifest.outputs[k].dims.size());
  state.size = sizeof(onager_run);
  state.host = &host;
  state.inputs = inputPointers.data();
  state.outputs = outputPointers.data();
  state.offsets = offsets.data();
  state.blocks = blockPointers.data();
  state.weights = code.weights;
  state.own_weights = code.ownWeights;
  state.symbols = symbols.data();
  state.frame = this;
  flattenSignature();
}

int64_t nowNanoseconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

void setEnding(onager_run *run, int32_t ending) {
  int32_t none = 0;
  __atomic_compare_exchange_n(&run->status, &none, ending, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/// Runs while all threads are in the barrier, so that they see the same status when they leave it.
void Frame::checkTime(void *argument) {
  auto &frame = *static_cast<Frame *>(argument);
  if (frame.work.isCancelled.load(std::memory_order_relaxed))
    setEnding(&frame.state, kCancelled);
  else if (frame.deadline && nowNanoseconds() > frame.deadline)
    setEnding(&frame.state, kTooLate);
}

Outcome Frame::bindDim(const TensorInfo &info, size_t dim, int64_t extent) {
  int64_t expected = 0;
  const Expr &expr = info.dims[dim];
  bool fixed = expr.isConstant(expected);
  if (!fixed && expr.isSymbol(expected)) {
    auto symbol = static_cast<size_t>(expected);
    if (symbols[symbol] == kUnbound) {
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

static Outcome checkInput(const TensorInfo &info, const Description &description, const onager_tensor &tensor, bool needsData) {
  // Text is made on failure alone: a run that is fine allocates nothing.
  auto refuse = [&](const std::string &what) { return failure(ONAGER_BAD_ARGUMENT, "input '" + info.name + "': " + what); };
  if (static_cast<uint64_t>(tensor.dtype) != info.dtype)
    return refuse(std::string("expected type ") + describeType(info.dtype) + ", found " + describeType(static_cast<uint64_t>(tensor.dtype)));
  if (tensor.rank < 0 || static_cast<size_t>(tensor.rank) != info.dims.size())
    return refuse("expected rank " + std::to_string(info.dims.size()) + " " + describeDims(description.dims.data(), info.dims.size()) + ", found rank " +
                  std::to_string(tensor.rank));
  uint64_t bytes = onager_dtype_bytes(tensor.dtype);
  for (int32_t k = 0; k < tensor.rank; ++k)
    if (tensor.dims[k] < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(tensor.dims[k]), &bytes))
      return refuse("dim " + std::to_string(k) + " is " + std::to_string(tensor.dims[k]));
  if (needsData && (tensor.bytes < bytes || (bytes && !tensor.data)))
    return refuse("expected " + std::to_string(bytes) + " bytes, found " + std::to_string(tensor.data ? tensor.bytes : 0));
  return {};
}

/// Returns the number of a dim's extent, a new one unless another dim has the same symbol or fixed extent.
uint32_t Frame::flattenDim(size_t input, size_t dim) {
  const Expr &expr = manifest.inputs[input].dims[dim];
  auto next = static_cast<uint32_t>(extents.size());
  int64_t value, *symbol = nullptr;
  if (expr.isConstant(value)) {
    auto known = static_cast<uint32_t>(std::find(extents.begin(), extents.end(), value) - extents.begin());
    if (known == next)
      extents.push_back(value);
    return known;
  }
  if (expr.isSymbol(value)) {
    symbol = &symbols[static_cast<size_t>(value)];
    for (const Origin &origin : origins)
      if (origin.symbol == symbol)
        return origin.extent;
  } else {
    later.emplace_back(input, dim);
  }
  origins.push_back({input, dim, next, symbol});
  extents.push_back(kUnbound);
  return next;
}

/// The signature without its texts and expressions, for the inputs that fit, which nearly all do.
void Frame::flattenSignature() {
  std::vector<size_t> numbers; // of the inputs' shapes
  for (size_t k = 0; k < manifest.inputs.size(); ++k) {
    const TensorInfo &info = manifest.inputs[k];
    if (info.dtype == ONAGER_STRING)
      textInputs.push_back(k);
    FlatShape shape{onager_dtype_bytes(static_cast<int32_t>(info.dtype)), 0, nullptr, shapeDims.size(), info.dims.size()};
    for (size_t d = 0; d < info.dims.size(); ++d)
      shapeDims.push_back(flattenDim(k, d));
    auto row = [&](const FlatShape &of) { return std::span(shapeDims).subspan(of.first, of.rank); };
    auto known = std::find_if(flatShapes.begin(), flatShapes.end(), [&](const FlatShape &other) {
      return other.elementBytes == shape.elementBytes && std::equal(row(other).begin(), row(other).end(), row(shape).begin(), row(shape).end());
    });
    numbers.push_back(static_cast<size_t>(known - flatShapes.begin()));
    if (known == flatShapes.end())
      flatShapes.push_back(shape);
    else
      shapeDims.resize(shape.first);
  }
  shapeExtents.resize(shapeDims.size());
  for (FlatShape &shape : flatShapes)
    shape.dims = shapeExtents.data() + shape.first;
  for (size_t k = 0; k < manifest.inputs.size(); ++k)
    flatInputs.push_back({static_cast<int32_t>(manifest.inputs[k].dtype), static_cast<int32_t>(manifest.inputs[k].dims.size()), &flatShapes[numbers[k]]});
  for (size_t k = 0; k < symbols.size(); ++k)
    if (std::none_of(origins.begin(), origins.end(), [&](const Origin &origin) { return origin.symbol == &symbols[k]; }))
      unbound.push_back(k);
}

/// Takes the extents from the dims that tell them, and gives symbols theirs; false where there is no such dim, or it is negative.
bool Frame::findExtents(const onager_tensor *inputs, bool &isNew) {
  int64_t difference = 0, signs = 0;
  for (const Origin &origin : origins) {
    const onager_tensor &tensor = inputs[origin.input];
    if (tensor.rank != flatInputs[origin.input].rank)
      return false;
    int64_t extent = tensor.dims[origin.dim];
    difference |= extent ^ extents[origin.extent];
    signs |= extent;
    extents[origin.extent] = extent;
    if (origin.symbol)
      *origin.symbol = extent;
  }
  isNew = difference != 0;
  return signs >= 0;
}

/// Writes the inputs' shapes at the present extents and counts their bytes; false where there are too many.
bool Frame::measureShapes() {
  bool overflows = false;
  for (FlatShape &shape : flatShapes) {
    uint64_t bytes = shape.elementBytes;
    for (size_t d = 0; d < shape.rank; ++d) {
      shape.dims[d] = extents[shapeDims[shape.first + d]];
      overflows |= __builtin_mul_overflow(bytes, static_cast<uint64_t>(shape.dims[d]), &bytes);
    }
    shape.bytes = bytes;
  }
  return !overflows;
}

/// Binds symbols as bindSlowly does; false where something does not fit, whatever that is.
bool Frame::bindQuickly(const onager_tensor *inputs, Data data) {
  bool isNew = true, wasBound = std::exchange(isBound, false);
  if (!findExtents(inputs, isNew))
    return false;
  repeats = wasBound && !isNew && data == Data::needed && manifest.values.empty();
  if (!repeats && !measureShapes())
    return false;
  const void **pointer = inputPointers.data();
  for (const FlatInput &flat : flatInputs) {
    const onager_tensor &tensor = *inputs++;
    if (tensor.dtype != flat.dtype || tensor.rank != flat.rank)
      return false;
    const FlatShape &shape = *flat.shape;
    for (int32_t d = 0; d < flat.rank; ++d)
      if (tensor.dims[d] != shape.dims[d])
        return false;
    if (data == Data::needed && (tensor.bytes < shape.bytes || (shape.bytes && !tensor.data)))
      return false;
    // What an empty input's address points to is read where positions are clamped.
    *pointer++ = tensor.data && shape.bytes ? tensor.data : nothing;
  }
  return true;
}

/// Finds out what does not fit.
Outcome Frame::bindSlowly(const onager_tensor *inputs, Data data) {
  std::fill(symbols.begin(), symbols.end(), kUnbound);
  for (size_t k = 0; k < manifest.inputs.size(); ++k) {
    const TensorInfo &info = manifest.inputs[k];
    if (Outcome outcome = checkInput(info, session.inputs[k], inputs[k], data == Data::needed); !outcome)
      return outcome;
    int64_t plain;
    for (size_t d = 0; d < info.dims.size(); ++d)
      if (info.dims[d].isConstant(plain) || info.dims[d].isSymbol(plain))
        if (Outcome outcome = bindDim(info, d, inputs[k].dims[d]); !outcome)
          return outcome;
  }
  return failure(ONAGER_BAD_ARGUMENT, "the inputs do not fit the signature");
}

Outcome Frame::bindInputs(const onager_tensor *inputs, size_t count, Data data) {
  if (count != manifest.inputs.size())
    return failure(ONAGER_BAD_ARGUMENT, "expected " + std::to_string(manifest.inputs.size()) + " inputs, found " + std::to_string(count));
  repeats = false;
  if (!bindQuickly(inputs, data))
    return bindSlowly(inputs, data);
  for (size_t symbol : unbound)
    symbols[symbol] = 0;
  if (!manifest.values.empty())
    bindValues(inputs);
  if (!repeats)
    if (Outcome outcome = checkLater(inputs); !outcome)
      return outcome;
  Outcome outcome = derive();
  isBound = static_cast<bool>(outcome);
  return outcome;
}

Outcome Frame::checkLater(const onager_tensor *inputs) {
  for (auto [input, dim] : later) {
    const TensorInfo &info = manifest.inputs[input];
    bool bad = false;
    int64_t expected = info.dims[dim].evaluate(symbols.data(), bad), found = inputs[input].dims[dim];
    if (bad || expected != found)
      return failure(ONAGER_BAD_ARGUMENT, "input '" + info.name + "': dim " + std::to_string(dim) + " (" + info.dims[dim].print(manifest.symbols) +
                                              "): expected " + std::to_string(expected) + ", found " + std::to_string(found));
  }
  return checkLimits();
}

/// Checks what the model was compiled for. Dims of inputs give the error its place: the first that has the symbol.
Outcome Frame::checkLimits() const {
  for (const Atom &atom : manifest.guard) {
    if (holds(atom, symbols.data()))
      continue;
    for (const TensorInfo &info : manifest.inputs)
      for (size_t d = 0; d < info.dims.size(); ++d) {
        int64_t symbol;
        if (!info.dims[d].isSymbol(symbol) || static_cast<uint64_t>(symbol) != atom.symbol)
          continue;
        Guard whole;
        for (const Atom &other : manifest.guard)
          if (other.symbol == atom.symbol)
            whole.push_back(other);
        return failure(ONAGER_BAD_ARGUMENT, "input '" + info.name + "': dim " + std::to_string(d) + " (" + info.dims[d].print(manifest.symbols) + "): expected " +
                                                rt::print(whole, manifest.symbols) + ", found " + std::to_string(symbols[atom.symbol]));
      }
  }
  return {};
}

bool Frame::hasOneForm() const {
  int64_t extent;
  return manifest.values.empty() && std::all_of(manifest.inputs.begin(), manifest.inputs.end(), [&](const TensorInfo &info) {
    return std::all_of(info.dims.begin(), info.dims.end(), [&](const Expr &dim) { return dim.isConstant(extent); });
  });
}

/// Reads an element of an integer or bool type.
static int64_t readElement(const void *data, uint64_t dtype, uint64_t index) {
  auto read = [&](auto sample) {
    std::memcpy(&sample, static_cast<const char *>(data) + index * sizeof sample, sizeof sample);
    return static_cast<int64_t>(sample);
  };
  switch (dtype) {
  case ONAGER_U8:
    return read(uint8_t());
  case ONAGER_I8:
    return read(int8_t());
  case ONAGER_U16:
    return read(uint16_t());
  case ONAGER_I16:
    return read(int16_t());
  case ONAGER_I32:
    return read(int32_t());
  case ONAGER_U32:
    return read(uint32_t());
  case ONAGER_BOOL:
    return read(uint8_t()) != 0;
  default:
    return read(int64_t());
  }
}

void Frame::bindValues(const onager_tensor *inputs) {
  for (const ValueInfo &value : manifest.values) {
    const onager_tensor &tensor = inputs[value.input];
    uint64_t end = (value.element + 1) * flatInputs[value.input].shape->elementBytes;
    symbols[value.symbol] = tensor.data && tensor.bytes >= end ? readElement(tensor.data, manifest.inputs[value.input].dtype, value.element) : kUnknownValue;
  }
}

Outcome Frame::adoptInputs(const Frame &generic) {
  std::copy(generic.symbols.begin(), generic.symbols.end() - 1, symbols.begin());
  std::copy(generic.inputPointers.begin(), generic.inputPointers.end(), inputPointers.begin());
  return derive();
}

Outcome Frame::derive() {
  bool bad = false;
  for (const Derived &derived : manifest.derived)
    symbols[derived.symbol] = derived.expr.evaluate(symbols.data(), bad);
  return bad ? failure(ONAGER_BAD_ARGUMENT, "the inputs' shapes lead to sizes beyond 64 bits") : Outcome();
}

Outcome Frame::measureOutputs(size_t count) {
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
  }
  return {};
}

void Frame::describeOutputs(onager_tensor *outputs) const {
  for (size_t k = 0; k < manifest.outputs.size(); ++k) {
    outputs[k].dtype = static_cast<int32_t>(manifest.outputs[k].dtype);
    outputs[k].rank = static_cast<int32_t>(outputDims[k].size());
    outputs[k].dims = outputDims[k].data();
  }
}

Outcome Frame::prepare(onager_tensor *outputs, size_t outputCount) {
  if (Outcome outcome = measureOutputs(outputCount); !outcome)
    return outcome;
  describeOutputs(outputs);
  return {};
}

Outcome Frame::placeOutputs(onager_tensor *outputs) {
  for (size_t k = 0; k < manifest.outputs.size(); ++k) {
    outputPointers[k] = nullptr;
    if (manifest.outputs[k].block >= 0)
      continue;
    uint64_t bytes = 0;
    if (!countBytes(manifest.outputs[k].dtype, outputDims[k], bytes))
      return failure(ONAGER_BAD_ARGUMENT, "output '" + manifest.outputs[k].name + "' would have shape " + describeDims(outputDims[k].data(), outputDims[k].size()));
    // A form whose output's shape depends on values takes offers; this one may know the shape beforehand.
    bool isTooSmall = outputs[k].is_offer && outputs[k].bytes < bytes;
    if (outputs[k].data && !isTooSmall) {
      if (outputs[k].bytes < bytes)
        return failure(ONAGER_BAD_ARGUMENT, "output '" + manifest.outputs[k].name + "': expected room for " + std::to_string(bytes) + " bytes, found " +
                                                std::to_string(outputs[k].bytes));
      outputPointers[k] = bytes ? outputs[k].data : nothing;
    }
    if (manifest.outputs[k].dtype == ONAGER_STRING) {
      if (!work.outputNumbers[k].reserve(bytes / sizeof(onager_string) * sizeof(int64_t), false))
        return failure(ONAGER_OUT_OF_MEMORY, "no memory for output '" + manifest.outputs[k].name + "'");
      outputPointers[k] = work.outputNumbers[k].get();
      continue;
    }
    if (outputPointers[k])
      continue;
    if (!bytes) {
      outputPointers[k] = nothing;
      continue;
    }
    if (!work.owned[k].reserve(bytes, false))
      return failure(ONAGER_OUT_OF_MEMORY, "no memory for " + std::to_string(bytes) + " bytes of output '" + manifest.outputs[k].name + "'");
    outputPointers[k] = work.owned[k].get();
  }
  return {};
}

int Frame::chooseThreads() const {
  if (session.threads() == 1)
    return 1;
  bool bad = false;
  int64_t operations = manifest.work.evaluate(symbols.data(), bad);
  int64_t fewest = kFewestOperations + static_cast<int64_t>(manifest.launches.size()) * kFewestPerLaunch;
  return bad || operations < 0 || operations >= fewest ? session.threads() : 1;
}

Outcome Frame::fail() const {
  if (state.status == kOutOfMemory)
    return failure(ONAGER_OUT_OF_MEMORY, "no memory for a tensor whose size was found while running, or its size is negative");
  if (state.status == kCancelled)
    return failure(ONAGER_CANCELLED, "the run was cancelled");
  if (state.status == kTooLate)
    return failure(ONAGER_TOO_LATE, "the run took longer than " + std::to_string(work.allowedSeconds) + " s");
  if (state.status == kOperatorFailed)
    return failure(ONAGER_RUN_FAILED, work.calls.message());
  auto index = static_cast<size_t>(state.status) - 1;
  std::string text = index < manifest.errors.size() ? manifest.errors[index] : "error " + std::to_string(state.status);
  return failure(ONAGER_RUN_FAILED, text);
}

Outcome Frame::finishOutputs(onager_tensor *outputs) {
  // All that can fail comes before the first descriptor changes.
  for (size_t k = 0; k < manifest.outputs.size(); ++k) {
    const TensorInfo &info = manifest.outputs[k];
    bool bad = false;
    for (size_t d = 0; d < info.dims.size(); ++d)
      outputDims[k][d] = info.dims[d].evaluate(symbols.data(), bad);
    if (bad || !countBytes(info.dtype, outputDims[k], outputBytes[k]))
      return failure(ONAGER_RUN_FAILED, "output '" + info.name + "' has shape " + describeDims(outputDims[k].data(), outputDims[k].size()));
    if (info.block >= 0 && outputs[k].data && outputs[k].bytes < outputBytes[k] && !outputs[k].is_offer)
      return failure(ONAGER_BAD_ARGUMENT, "output '" + info.name + "': expected room for " + std::to_string(outputBytes[k]) + " bytes, found " +
                                              std::to_string(outputs[k].bytes));
  }
  auto findData = [&](size_t k) -> const void * {
    int64_t block = manifest.outputs[k].block;
    return block < 0 ? outputPointers[k] : blockPointers[static_cast<size_t>(block)];
  };
  // Memory that turned out too small is as none.
  auto findRoom = [&](size_t k) { return (manifest.outputs[k].block >= 0 || outputs[k].is_offer) && outputs[k].bytes < outputBytes[k] ? nullptr : outputs[k].data; };
  auto isText = [&](size_t k) { return manifest.outputs[k].dtype == ONAGER_STRING; };
  for (size_t k = 0; k < manifest.outputs.size(); ++k)
    if (isText(k))
      if (Outcome outcome = writeTexts(k, static_cast<const int64_t *>(findData(k)), findRoom(k)); !outcome)
        return outcome;
  describeOutputs(outputs);
  for (size_t k = 0; k < manifest.outputs.size(); ++k) {
    outputs[k].data = findRoom(k);
    if (!outputs[k].data) {
      outputs[k].data = isText(k) ? work.owned[k].get() : const_cast<void *>(findData(k));
      outputs[k].bytes = outputBytes[k];
    } else if (manifest.outputs[k].block >= 0 && outputBytes[k] && !isText(k) && outputs[k].data != findData(k)) {
      std::memcpy(outputs[k].data, findData(k), outputBytes[k]);
    }
  }
  return {};
}

Outcome Frame::run(const onager_tensor *inputs, onager_tensor *outputs, size_t outputCount) {
  if (Outcome outcome = measureOutputs(outputCount); !outcome)
    return outcome;
  if (Outcome outcome = planArena(); !outcome)
    return outcome;
  if (Outcome outcome = placeOutputs(outputs); !outcome)
    return outcome;
  if (Outcome outcome = makeBlocks(outputs); !outcome)
    return outcome;
  if (Outcome outcome = internInputs(inputs); !outcome)
    return outcome;
  state.status = work.isCancelled.load() ? kCancelled : 0;
  state.profile = profile.empty() ? nullptr : profile.data();
  deadline = work.allowedSeconds > 0 ? nowNanoseconds() + static_cast<int64_t>(work.allowedSeconds * 1e9) : 0;
  if (!state.status)
    execute();
  work.isCancelled.store(false);
  if (state.status)
    return fail();
  return finishOutputs(outputs);
}

Outcome Frame::makeBlocks(const onager_tensor *outputs) {
  std::fill(loans.begin(), loans.end(), Loan{});
  for (size_t k = 0; k < manifest.outputs.size(); ++k)
    if (int64_t block = manifest.outputs[k].block; block >= 0 && manifest.outputs[k].dtype != ONAGER_STRING && !code.isSanitized)
      loans[static_cast<size_t>(block)] = {outputs[k].data, outputs[k].data ? outputs[k].bytes : 0};
  for (size_t k = 0; k < manifest.blocks; ++k) {
    if (!work.blocks[k].reserve(ONAGER_ALIGNMENT, true))
      return failure(ONAGER_OUT_OF_MEMORY, "no memory for the values whose size is found while running");
    blockPointers[k] = work.blocks[k].get();
  }
  return {};
}

void Frame::execute() {
  auto share = [](void *argument, int32_t thread) {
    FloatEnvironment environment;
    auto *run = static_cast<HostRun *>(argument);
    run->frame->code.main(run, thread);
  };
  state.threads = chooseThreads();
  if (state.threads > 1)
    std::fill(takenShares.begin(), takenShares.end(), 0);
  if (session.pool && state.threads > 1) {
    Gang gang(*session.pool, state.threads);
    if (gang.lacksThreads())
      session.log(ONAGER_LOG_WARNING, "cannot start %d threads; the run has %d", state.threads - 1, gang.size());
    state.threads = gang.size();
    barrier.reset(state.threads);
    gang.run(share, &state);
    return;
  }
  barrier.reset(state.threads);
  if (state.threads > 1)
    session.executor.run(session.executor.user, state.threads, share, &state);
  else
    share(&state, 0);
}

void Frame::setProfiling(bool on) { profile.assign(on ? manifest.launches.size() * 2 * static_cast<size_t>(session.threads()) : 0, 0); }

Outcome Frame::launchAt(size_t index, int thread, onager_launch &launch) const {
  if (profile.empty() || index >= manifest.launches.size() || thread < 0 || thread >= session.threads())
    return failure(ONAGER_BAD_ARGUMENT, "no profile, or no such launch or thread");
  size_t count = manifest.launches.size();
  uint64_t origin = UINT64_MAX;
  for (size_t k = 0; k < profile.size(); k += 2) // of any thread: the first to begin need not be thread 0
    if (profile[k] && profile[k] < origin)
      origin = profile[k];
  const uint64_t *stamps = &profile[2 * (static_cast<size_t>(thread) * count + index)];
  bool bad = false;
  launch.nodes = manifest.launches[index].name.c_str();
  launch.hero = manifest.launches[index].hero.c_str();
  double second = ticksPerSecond();
  launch.begin = stamps[0] ? static_cast<double>(stamps[0] - origin) / second : 0;
  launch.end = stamps[1] ? static_cast<double>(stamps[1] - origin) / second : 0;
  launch.flops = static_cast<double>(manifest.launches[index].flops.evaluate(symbols.data(), bad));
  launch.bytes = static_cast<double>(manifest.launches[index].bytes.evaluate(symbols.data(), bad));
  return {};
}

} // namespace onager::rt
