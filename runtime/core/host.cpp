// What compiled code calls while it runs: barriers, memory, texts.
#include "runtime/core/frame.h"
#include "runtime/core/shares.h"
#include <cstring>

namespace onager::rt {

void Frame::waitAtBarrier(onager_run *run, int32_t) {
  Frame &frame = *static_cast<HostRun *>(run)->frame;
  frame.barrier.wait(checkTime, &frame);
}

int32_t Frame::shareLaunch(onager_run *run, int32_t thread, int64_t launch, int64_t items, int64_t grain, onager_unit unit, void **arguments) {
  Frame &frame = *static_cast<HostRun *>(run)->frame;
  return runShares({items, grain, run->threads, &frame.takenShares[static_cast<size_t>(launch * run->threads)]}, run, thread, unit, arguments);
}

int32_t Frame::growBlock(onager_run *run, int32_t block, int64_t bytes) {
  Frame &frame = *static_cast<HostRun *>(run)->frame;
  Block &target = frame.work.blocks[static_cast<size_t>(block)];
  Loan &loan = frame.loans[static_cast<size_t>(block)];
  bool isLent = frame.blockPointers[static_cast<size_t>(block)] == loan.data;
  if (loan.data && bytes >= 0 && static_cast<uint64_t>(bytes) <= loan.bytes) {
    frame.blockPointers[static_cast<size_t>(block)] = loan.data;
    return 0;
  }
  if (bytes < 0 || !target.reserve(bytes ? static_cast<uint64_t>(bytes) : ONAGER_ALIGNMENT, true)) {
    // Nobody may write beyond the old size: a negative or impossible size ends the run before the launch that needs it. It may follow from what a
    // kernel left that failed: then that error stays.
    int32_t none = 0;
    __atomic_compare_exchange_n(&run->status, &none, kOutOfMemory, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    return 1;
  }
  if (isLent && loan.data)
    std::memcpy(target.get(), loan.data, loan.bytes);
  loan = {};
  frame.blockPointers[static_cast<size_t>(block)] = target.get();
  return 0;
}

/// The size goes before the memory, since allocators want it back.
void *Frame::allocate(onager_run *run, size_t bytes) {
  const onager_allocator &allocator = static_cast<HostRun *>(run)->frame->session.allocator;
  size_t total;
  if (__builtin_add_overflow(bytes, size_t(ONAGER_ALIGNMENT), &total))
    return nullptr;
  char *memory = static_cast<char *>(allocator.allocate(allocator.user, total, ONAGER_ALIGNMENT));
  if (!memory)
    return nullptr;
  std::memcpy(memory, &total, sizeof total);
  return memory + ONAGER_ALIGNMENT;
}

void Frame::release(onager_run *run, void *memory) {
  if (!memory)
    return;
  const onager_allocator &allocator = static_cast<HostRun *>(run)->frame->session.allocator;
  char *start = static_cast<char *>(memory) - ONAGER_ALIGNMENT;
  size_t total;
  std::memcpy(&total, start, sizeof total);
  allocator.release(allocator.user, start, total, ONAGER_ALIGNMENT);
}

int64_t Frame::intern(onager_run *run, const char *text, int64_t bytes) {
  return static_cast<HostRun *>(run)->frame->work.strings.intern(text, static_cast<uint64_t>(bytes));
}

const char *Frame::findText(onager_run *run, int64_t number, int64_t *bytes) {
  const char *text = nullptr;
  uint64_t size = 0;
  if (!static_cast<HostRun *>(run)->frame->work.strings.find(number, text, size))
    return nullptr;
  *bytes = static_cast<int64_t>(size);
  return text;
}

int64_t Frame::changeCase(onager_run *run, int64_t number, int32_t isUpper) {
  int64_t bytes = 0;
  const char *text = findText(run, number, &bytes);
  if (!text)
    return -1;
  std::string changed = rt::changeCase(text, static_cast<uint64_t>(bytes), isUpper != 0);
  return intern(run, changed.data(), static_cast<int64_t>(changed.size()));
}

int64_t Frame::print(onager_run *run, int32_t dtype, const void *value) {
  std::string text = printNumber(dtype, value);
  return intern(run, text.data(), static_cast<int64_t>(text.size()));
}

int32_t Frame::parse(onager_run *run, int64_t number, int32_t dtype, void *value) {
  int64_t bytes = 0;
  const char *text = findText(run, number, &bytes);
  return !text || !parseNumber(text, static_cast<uint64_t>(bytes), dtype, value);
}

int32_t Frame::inferCustom(onager_run *run, int64_t node, const onager_view *in, int64_t *extents) {
  Frame &frame = *static_cast<HostRun *>(run)->frame;
  if (frame.work.calls.infer(*frame.session.operators[static_cast<size_t>(node)], in, extents))
    return 0;
  setEnding(run, kOperatorFailed);
  return 1;
}

int32_t Frame::callCustom(onager_run *run, int64_t node, const onager_view *in, const onager_view *out) {
  Frame &frame = *static_cast<HostRun *>(run)->frame;
  if (frame.work.calls.run(*frame.session.operators[static_cast<size_t>(node)], in, out))
    return 0;
  setEnding(run, kOperatorFailed);
  return 1;
}

Outcome Frame::internInputs(const onager_tensor *inputs) {
  if (!work.strings.reset(manifest.strings))
    return failure(ONAGER_OUT_OF_MEMORY, "no memory for the model's strings");
  for (size_t k : textInputs) {
    uint64_t elements = 1;
    for (int32_t d = 0; d < inputs[k].rank; ++d)
      elements *= static_cast<uint64_t>(inputs[k].dims[d]);
    if (!work.inputNumbers[k].reserve(elements ? elements * sizeof(int64_t) : ONAGER_ALIGNMENT, false))
      return failure(ONAGER_OUT_OF_MEMORY, "no memory for input '" + manifest.inputs[k].name + "'");
    auto *texts = static_cast<const onager_string *>(inputs[k].data);
    auto *numbers = reinterpret_cast<int64_t *>(work.inputNumbers[k].get());
    for (uint64_t n = 0; n < elements; ++n) {
      if (!texts[n].data && texts[n].bytes)
        return failure(ONAGER_BAD_ARGUMENT, "input '" + manifest.inputs[k].name + "': element " + std::to_string(n) + " has no data");
      numbers[n] = work.strings.intern(texts[n].data ? texts[n].data : "", texts[n].bytes);
      if (numbers[n] < 0)
        return failure(ONAGER_OUT_OF_MEMORY, "no memory for the strings of input '" + manifest.inputs[k].name + "'");
    }
    inputPointers[k] = numbers;
  }
  return {};
}

Outcome Frame::writeTexts(size_t index, const int64_t *numbers, void *given) {
  const std::string &name = manifest.outputs[index].name;
  if (!given && !work.owned[index].reserve(outputBytes[index], false))
    return failure(ONAGER_OUT_OF_MEMORY, "no memory for the strings of output '" + name + "'");
  auto *texts = reinterpret_cast<onager_string *>(given ? given : work.owned[index].get());
  for (uint64_t n = 0, count = outputBytes[index] / sizeof(onager_string); n < count; ++n)
    if (!work.strings.find(numbers[n], texts[n].data, texts[n].bytes))
      return failure(ONAGER_RUN_FAILED, "output '" + name + "': element " + std::to_string(n) + " is no text");
  return {};
}

} // namespace onager::rt
