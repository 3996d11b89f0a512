// Sessions and the contexts that run them.
#ifndef ONAGER_RUNTIME_CORE_SESSION_H
#define ONAGER_RUNTIME_CORE_SESSION_H

#include "runtime/core/gang.h"
#include "runtime/core/model.h"
#include <vector>

namespace onager::rt {

/// A tensor of the signature as the C API describes it.
struct Description {
  std::vector<int64_t> dims; ///< -1 where not fixed
  std::vector<std::string> texts;
  std::vector<const char *> names;
};

class Session {
public:
  explicit Session(int threads) : gang(threads) {}
  /// Finishes opening: descriptions of the signature.
  void describe();

  Model model;
  Gang gang;
  std::vector<Description> inputs, outputs;
};

/// Memory that grows and is kept; aligned to 64 bytes.
class Block {
public:
  Block() = default;
  Block(Block &&other) noexcept : address(other.address), size(other.size) { other.address = nullptr; }
  Block(const Block &) = delete;
  ~Block();
  /// Makes room for `bytes`; false where there is no memory. Contents stay where `keep` is set.
  bool reserve(uint64_t bytes, bool keep);
  char *get() const { return static_cast<char *>(address); }
  uint64_t bytes() const { return size; }

private:
  void *address = nullptr;
  uint64_t size = 0;
};

/// The memory of one run. Everything is allocated for a bucket of shapes (each symbol rounded up) and reused inside it.
class Context {
public:
  explicit Context(Session &session);
  Outcome prepare(const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t outputCount);
  Outcome run(const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t outputCount);
  uint64_t memory() const;
  size_t launches() const { return manifest.launches.size(); }
  void setProfiling(bool on);
  Outcome launchAt(size_t index, int thread, onager_launch &launch) const;

private:
  struct HostRun : onager_run {
    Context *context;
  };
  static void waitAtBarrier(onager_run *run, int32_t thread);
  static int32_t growBlock(onager_run *run, int32_t block, int64_t bytes);
  static void *allocate(onager_run *run, size_t bytes);
  static void release(onager_run *run, void *memory);

  Outcome bindInputs(const onager_tensor *inputs, size_t count);
  Outcome bindDim(const TensorInfo &info, size_t dim, int64_t extent, std::vector<std::pair<size_t, size_t>> &later);
  Outcome checkLater(const onager_tensor *inputs, const std::vector<std::pair<size_t, size_t>> &later);
  Outcome describeOutputs(onager_tensor *outputs, size_t count);
  Outcome planArena();
  Outcome placeOutputs(onager_tensor *outputs);
  Outcome finishOutputs(onager_tensor *outputs);
  Outcome fail() const;
  int chooseThreads();

  Session &session;
  const Manifest &manifest;
  HostRun state{};
  onager_host host{};
  Barrier barrier;
  std::vector<int64_t> symbols, plannedSymbols;
  std::vector<bool> bound;
  std::vector<std::pair<size_t, size_t>> later; ///< (input, dim) pairs whose expression is checked once all symbols are bound
  std::vector<int64_t> offsets;
  std::vector<uint64_t> capacities; ///< bytes each slot was planned for
  std::vector<uint64_t> sizes;
  Block arena;
  std::vector<Block> blocks, owned;
  std::vector<void *> blockPointers;
  std::vector<const void *> inputPointers;
  std::vector<void *> outputPointers;
  std::vector<std::vector<int64_t>> outputDims;
  std::vector<uint64_t> profile;
  bool isOutOfMemory = false;
  int lastThreads = 1;
  alignas(64) char nothing[64] = {}; ///< stands for empty inputs
};

/// Places slots in an arena so that slots that live at the same time do not overlap; returns the arena's size.
uint64_t packSlots(const std::vector<Slot> &slots, const std::vector<uint64_t> &sizes, std::vector<int64_t> &offsets);

} // namespace onager::rt

#endif
