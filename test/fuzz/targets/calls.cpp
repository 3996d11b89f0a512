// Calls of the C API as a program might get them wrong: types, ranks, dims, sizes, null pointers, orders, memory that runs out. Every call ends with
// a documented status; a refused one leaves descriptors alone and says why; what a successful one describes can be read.
//
// input := model:u8, call*      call := kind:u8, operands      The models are in the folder that ONAGER_FUZZ_MODELS names.
#include "onager-rt/api.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace {

/// What one allocation may take: sanitized code fills it.
constexpr size_t kMostBytes = 1 << 20;
/// A loop may be told to go on for years; every other run takes microseconds.
constexpr double kSeconds = 0.001;

void expect(bool holds) {
  if (!holds)
    std::abort();
}

/// Takes numbers from the input; zeros behind its end.
struct Source {
  const uint8_t *at, *end;
  uint8_t byte() { return at == end ? 0 : *at++; }
  /// A small extent mostly, sometimes one at a border of the arithmetic.
  int64_t extent() {
    static const int64_t edges[] = {-1, INT64_MAX, INT64_MIN, int64_t(1) << 31, int64_t(1) << 32, int64_t(1) << 46, int64_t(1) << 62, 4096};
    uint8_t drawn = byte();
    return drawn < 248 ? drawn % 9 : edges[drawn - 248];
  }
};

/// Fails allocations once `left` of them were made; negative: never.
struct Memory {
  int left = -1;
  uint64_t held = 0;
  static void *allocate(void *user, size_t bytes, size_t alignment) {
    auto &memory = *static_cast<Memory *>(user);
    void *address = nullptr;
    if (memory.left == 0 || bytes > kMostBytes || posix_memalign(&address, alignment, bytes))
      return nullptr;
    memory.left -= memory.left > 0;
    memory.held += bytes;
    return address;
  }
  static void release(void *user, void *address, size_t bytes, size_t) {
    static_cast<Memory *>(user)->held -= bytes;
    free(address);
  }
};

/// A tensor in memory of exactly its size, so that a read beyond it is seen.
struct Argument {
  onager_tensor tensor{};
  std::vector<int64_t> dims;
  std::unique_ptr<char[]> data;
  std::vector<std::string> texts;
};

/// An open model and what is passed to it.
struct Caller {
  Memory memory;
  onager_allocator allocator{sizeof allocator, 0, &memory, Memory::allocate, Memory::release};
  onager_session *session = nullptr;
  onager_context *contexts[2] = {};
  std::vector<Argument> inputs, outputs;
};

/// Open until the process ends, so that what they hold is no leak.
std::vector<onager_session *> &sessions = *new std::vector<onager_session *>;

void check(onager_status status) {
  expect(status >= ONAGER_OK && status <= ONAGER_TOO_LATE);
  if (status)
    expect(*onager_last_error() && !std::strchr(onager_last_error(), '\n'));
}

/// Gives an argument data for its type and dims, drawn from the input; none for sizes beyond what a caller could have.
void fillData(Argument &argument, Source &source) {
  uint64_t bytes = onager_dtype_bytes(argument.tensor.dtype);
  for (int64_t extent : argument.dims)
    if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes) || bytes > (1 << 16)) {
      bytes = 0;
      break;
    }
  argument.data.reset(new char[bytes]);
  for (uint64_t k = 0; argument.tensor.dtype != ONAGER_I64 && k < bytes; ++k)
    argument.data[k] = static_cast<char>(source.byte());
  // Integers mostly are counts and indices that make sense.
  for (uint64_t k = 0; argument.tensor.dtype == ONAGER_I64 && k + 8 <= bytes; k += 8) {
    int64_t value = source.extent();
    std::memcpy(argument.data.get() + k, &value, 8);
  }
  argument.texts.assign(argument.tensor.dtype == ONAGER_STRING ? bytes / sizeof(onager_string) : 0, "");
  for (size_t k = 0; k < argument.texts.size(); ++k) {
    for (unsigned count = source.byte() % 12; count > 0; --count)
      argument.texts[k] += static_cast<char>(source.byte());
    onager_string text{argument.texts[k].data(), argument.texts[k].size()};
    std::memcpy(argument.data.get() + k * sizeof text, &text, sizeof text);
  }
  for (uint64_t k = 0; argument.tensor.dtype == ONAGER_BOOL && k < bytes; ++k)
    argument.data[k] &= 1;
  argument.tensor.data = argument.data.get();
  argument.tensor.bytes = bytes;
}

void describe(Argument &argument, const onager_info &info, Source &source) {
  argument.dims.clear();
  for (int32_t d = 0; d < info.rank; ++d)
    argument.dims.push_back(info.dims[d] < 0 ? source.byte() % 6 : info.dims[d]);
  argument.tensor = {sizeof(onager_tensor), info.dtype, info.rank, 0, nullptr, argument.dims.data(), 0};
}

/// Changes one thing about an input.
void spoil(Argument &argument, Source &source) {
  switch (source.byte() % 8) {
  case 0: argument.tensor.dtype = static_cast<int32_t>(source.byte()) - 1; break;
  case 1: argument.dims.resize(source.byte() % 10, 1); break;
  case 2: argument.tensor.data = nullptr; return;
  case 3: argument.tensor.bytes /= 2; return;
  case 4: argument.tensor.size = source.byte(); return;
  case 5: argument.tensor.dims = nullptr; return;
  default:
    if (!argument.dims.empty())
      argument.dims[source.byte() % argument.dims.size()] = source.extent();
  }
  argument.tensor.rank = static_cast<int32_t>(argument.dims.size());
  argument.tensor.dims = argument.dims.data();
  fillData(argument, source);
}

std::vector<onager_tensor> gather(std::vector<Argument> &arguments) {
  std::vector<onager_tensor> tensors;
  for (Argument &argument : arguments)
    tensors.push_back(argument.tensor);
  return tensors;
}

/// Reads all bytes. Inputs whose hash is 1 do not happen.
uint64_t hashBytes(const void *data, uint64_t size) {
  uint64_t hash = 0;
  for (uint64_t k = 0; k < size; ++k)
    hash = hash * 31 + static_cast<const uint8_t *>(data)[k] + 2;
  return hash;
}

/// Reads all of what an output describes.
void readOutput(const onager_tensor &output) {
  uint64_t bytes = onager_dtype_bytes(output.dtype);
  for (int32_t d = 0; d < output.rank; ++d)
    bytes *= static_cast<uint64_t>(output.dims[d]);
  expect(bytes <= output.bytes && (!bytes || output.data));
  expect(hashBytes(output.data, bytes) != 1);
  auto *texts = static_cast<const onager_string *>(output.data);
  for (uint64_t k = 0; output.dtype == ONAGER_STRING && k < bytes / sizeof *texts; ++k)
    expect(hashBytes(texts[k].data, texts[k].bytes) != 1);
}

/// A count that is mostly the right one.
size_t drawCount(size_t right, Source &source) {
  uint8_t drawn = source.byte();
  return drawn < 240 ? right : std::min<size_t>(drawn - 240u, right);
}

void runOrPrepare(Caller &caller, onager_context *context, Source &source, bool isRun) {
  std::vector<onager_tensor> inputs = gather(caller.inputs), outputs = gather(caller.outputs), before = outputs;
  size_t count = drawCount(inputs.size(), source), outputCount = drawCount(outputs.size(), source);
  onager_status status = (isRun ? onager_context_run : onager_context_prepare)(context, inputs.data(), count, outputs.data(), outputCount);
  check(status);
  if (status)
    expect(std::memcmp(outputs.data(), before.data(), outputs.size() * sizeof(onager_tensor)) == 0);
  for (size_t k = 0; isRun && !status && k < outputs.size(); ++k)
    readOutput(outputs[k]);
}

/// Gives an output memory of the caller's, or asks for the context's.
void chooseOutput(Argument &output, Source &source) {
  uint64_t bytes = source.byte() * (source.byte() % 2 ? 1u : 16u);
  bool isOwn = source.byte() % 3 == 0;
  output.data.reset(isOwn ? nullptr : new char[bytes]);
  output.tensor.data = output.data.get();
  output.tensor.bytes = isOwn ? 0 : bytes;
  output.tensor.is_offer = source.byte() % 2;
}

void queryMemory(Caller &caller, onager_context *context, Source &source) {
  std::vector<onager_tensor> inputs = gather(caller.inputs);
  uint64_t bytes = 0;
  check(onager_context_query_memory(context, inputs.data(), drawCount(inputs.size(), source), &bytes));
  expect(onager_context_memory(context) >= 0 && onager_context_query_memory(context, inputs.data(), inputs.size(), nullptr) == ONAGER_BAD_ARGUMENT);
}

void profile(onager_context *context, Source &source) {
  check(onager_context_profile(context, source.byte() % 2));
  onager_launch launch{};
  launch.size = source.byte() % 4 ? sizeof launch : 0;
  check(onager_context_launch(context, source.byte(), static_cast<int8_t>(source.byte()), &launch));
}

void callNull(Caller &caller, Source &source) {
  onager_session *none = nullptr;
  onager_context *context = nullptr;
  onager_options options{};
  options.size = source.byte();
  options.threads = source.byte() % 2 ? 0 : -1;
  expect(onager_session_open(nullptr, nullptr, &none) == ONAGER_BAD_ARGUMENT && onager_session_open_memory(nullptr, 0, nullptr, &none) == ONAGER_BAD_ARGUMENT);
  expect(onager_session_share(nullptr, nullptr, &none) == ONAGER_BAD_ARGUMENT && onager_session_share(caller.session, nullptr, nullptr) == ONAGER_BAD_ARGUMENT);
  expect(onager_context_create(nullptr, &context) == ONAGER_BAD_ARGUMENT && onager_context_create(caller.session, nullptr) == ONAGER_BAD_ARGUMENT);
  expect(onager_context_run(nullptr, nullptr, 0, nullptr, 0) == ONAGER_BAD_ARGUMENT);
  expect(onager_context_run(caller.contexts[0], nullptr, 1, nullptr, 0) == ONAGER_BAD_ARGUMENT);
  onager_info info{};
  info.size = source.byte();
  check(onager_session_input(caller.session, source.byte(), &info));
  check(onager_session_output(caller.session, source.byte(), &info));
  if (options.size <= 8 && onager_session_share(caller.session, &options, &none) == ONAGER_OK)
    onager_session_close(none);
}

void call(Caller &caller, Source &source) {
  uint8_t kind = source.byte();
  onager_context *context = caller.contexts[kind >> 7];
  size_t input = caller.inputs.empty() ? 0 : source.byte() % caller.inputs.size();
  switch (kind % 12) {
  case 0: case 1: runOrPrepare(caller, context, source, true); break;
  case 2: runOrPrepare(caller, context, source, false); break;
  case 3: queryMemory(caller, context, source); break;
  case 4: case 5: {
    onager_info info{};
    info.size = sizeof info;
    if (onager_session_input(caller.session, input, &info) == ONAGER_OK) {
      describe(caller.inputs[input], info, source);
      fillData(caller.inputs[input], source);
    }
    break;
  }
  case 6: if (!caller.inputs.empty()) spoil(caller.inputs[input], source); break;
  case 7: chooseOutput(caller.outputs[source.byte() % caller.outputs.size()], source); break;
  case 8: caller.memory.left = static_cast<int>(source.byte() % 8) - 1; break;
  case 9: source.byte() % 2 ? onager_context_cancel(context) : check(onager_context_set_deadline(context, source.byte() % 2 ? 1e-9 : kSeconds)); break;
  case 10: profile(context, source); break;
  default: callNull(caller, source);
  }
}

void open(Caller &caller, onager_session *shared) {
  onager_options options{};
  options.size = sizeof options;
  options.threads = 1;
  options.allocator = &caller.allocator;
  expect(onager_session_share(shared, &options, &caller.session) == ONAGER_OK);
  for (onager_context *&context : caller.contexts)
    expect(onager_context_create(caller.session, &context) == ONAGER_OK && onager_context_set_deadline(context, kSeconds) == ONAGER_OK);
  caller.inputs.resize(onager_session_inputs(caller.session));
  caller.outputs.resize(onager_session_outputs(caller.session));
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  const char *folder = std::getenv("ONAGER_FUZZ_MODELS");
  std::vector<std::string> paths;
  if (folder)
    for (const auto &entry : std::filesystem::directory_iterator(folder))
      if (entry.path().extension() == ".so")
        paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  for (const std::string &path : paths) {
    sessions.emplace_back();
    if (onager_session_open(path.c_str(), nullptr, &sessions.back()) != ONAGER_OK)
      std::fprintf(stderr, "%s\n", onager_last_error()), std::exit(1);
  }
  if (sessions.empty())
    std::fputs("ONAGER_FUZZ_MODELS names no folder of compiled models\n", stderr), std::exit(1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Source source{data, data + size};
  Caller caller;
  open(caller, sessions[source.byte() % sessions.size()]);
  onager_info info{};
  info.size = sizeof info;
  for (size_t k = 0; k < caller.inputs.size(); ++k) {
    onager_session_input(caller.session, k, &info);
    describe(caller.inputs[k], info, source);
    fillData(caller.inputs[k], source);
  }
  for (Argument &output : caller.outputs)
    output.tensor.size = sizeof(onager_tensor);
  for (int k = 0; k < 16 && source.at != source.end; ++k)
    call(caller, source);
  for (onager_context *context : caller.contexts)
    onager_context_destroy(context);
  onager_session_close(caller.session);
  expect(caller.memory.held == 0);
  return 0;
}
