// Decodes with a compiled GPT-2 whose past grows by one position per run, and counts what each run allocates.
//
// Usage: onager-decode-allocations MODEL.so STEPS
//
// Two passes over the same lengths, one token at a time, with the caller's buffers for all outputs: presents of one run are pasts of the next. Prints one
// line per pass: how many runs allocated, and how many allocations there were. malloc and mmap are stood before in Interpose.cpp.
#include "onager-rt/api.h"
#include "test/unit/Support.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

/// Ends the program with the runtime's message.
void check(onager_status status) {
  if (status == ONAGER_OK)
    return;
  std::fprintf(stderr, "%s\n", onager_last_error());
  std::exit(1);
}

/// An input or output whose memory is large enough for the last step.
struct Buffer {
  std::string name;
  int32_t dtype;
  std::vector<int64_t> dims; ///< -1 where a symbol stands
  std::vector<char> memory;
};

class Decoder {
public:
  Decoder(const char *path, int64_t steps) : steps(steps) {
    onager_options options{sizeof options, 2};
    check(onager_session_open(path, &options, &session));
    check(onager_context_create(session, &context));
    for (size_t k = 0; k < onager_session_inputs(session); ++k)
      inputs.push_back(makeBuffer(k, onager_session_input));
    for (size_t k = 0; k < onager_session_outputs(session); ++k)
      outputs.push_back(makeBuffer(k, onager_session_output));
    inputViews.resize(inputs.size());
    outputViews.resize(outputs.size());
    inputDims.resize(inputs.size());
  }
  Decoder(const Decoder &) = delete;
  ~Decoder() {
    onager_context_destroy(context);
    onager_session_close(session);
  }

  /// Runs all steps and prints what they allocated.
  void decode() {
    uint64_t total = 0, allocating = 0;
    for (int64_t past = 0; past < steps; ++past) {
      describe(past);
      uint64_t before = onager::test::countAllocations();
      onager_status status = onager_context_run(context, inputViews.data(), inputViews.size(), outputViews.data(), outputViews.size());
      uint64_t used = onager::test::countAllocations() - before;
      check(status);
      total += used;
      allocating += used > 0;
      handOver();
    }
    std::printf("runs %lld allocating %llu allocations %llu\n", static_cast<long long>(steps), static_cast<unsigned long long>(allocating),
                static_cast<unsigned long long>(total));
  }

private:
  template <typename Describe> Buffer makeBuffer(size_t index, Describe one) {
    onager_info info{};
    info.size = sizeof info;
    check(one(session, index, &info));
    Buffer buffer{info.name, info.dtype, {info.dims, info.dims + info.rank}, {}};
    uint64_t bytes = onager_dtype_bytes(info.dtype);
    for (int64_t extent : buffer.dims)
      bytes *= static_cast<uint64_t>(extent < 0 ? steps + 1 : extent);
    buffer.memory.resize(bytes);
    return buffer;
  }

  /// Fills the descriptors for one token behind `past` positions: of two open dims the first is the batch, the second the past or the token.
  void describe(int64_t past) {
    for (size_t k = 0; k < inputs.size(); ++k) {
      Buffer &buffer = inputs[k];
      inputDims[k] = buffer.dims;
      inputDims[k][0] = 1;
      if (buffer.dims.size() == 2)
        inputDims[k][1] = 1;
      else
        inputDims[k][2] = past;
      inputViews[k] = {sizeof(onager_tensor), buffer.dtype, static_cast<int32_t>(buffer.dims.size()), 0, buffer.memory.data(), inputDims[k].data(), buffer.memory.size()};
    }
    for (size_t k = 0; k < outputs.size(); ++k)
      outputViews[k] = {sizeof(onager_tensor), 0, 0, 0, outputs[k].memory.data(), nullptr, outputs[k].memory.size()};
  }

  /// Presents become pasts: "present_key.0" belongs to "past_key.0".
  void handOver() {
    for (Buffer &output : outputs)
      for (Buffer &input : inputs)
        if (output.name.rfind("present", 0) == 0 && "past" + output.name.substr(7) == input.name)
          output.memory.swap(input.memory);
  }

  int64_t steps;
  onager_session *session = nullptr;
  onager_context *context = nullptr;
  std::vector<Buffer> inputs, outputs;
  std::vector<onager_tensor> inputViews, outputViews;
  std::vector<std::vector<int64_t>> inputDims;
};

} // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: onager-decode-allocations MODEL.so STEPS\n");
    return 2;
  }
  if (!onager::test::canCountAllocations()) {
    std::printf("the sanitiser owns the allocator\n");
    return 0;
  }
  Decoder decoder(argv[1], std::atoll(argv[2]));
  decoder.decode();
  decoder.decode();
  return 0;
}
