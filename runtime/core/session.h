// Sessions and the contexts that run them.
#ifndef ONAGER_RUNTIME_CORE_SESSION_H
#define ONAGER_RUNTIME_CORE_SESSION_H

#include "runtime/core/gang.h"
#include "runtime/core/model.h"
#include "runtime/core/operators.h"
#include "runtime/core/strings.h"
#include <vector>

namespace onager::rt {

/// A tensor of the signature as the C API describes it.
struct Description {
  std::vector<int64_t> dims; ///< -1 where not fixed
  std::vector<std::string> texts;
  std::vector<const char *> names;
};

/// An open model and what its runs use. The model is shared by sessions that were opened on one another.
class Session {
public:
  /// REQUIRES: the options were checked and `threads` is at least 1. `shared`: the threads of a pool, null for the session's own.
  Session(const onager_options &options, std::shared_ptr<Pool> shared, int threads);
  /// Finishes opening: describes the signature and finds the custom operators; fails where one is not registered.
  Outcome finish();
  /// How many threads a run may have.
  int threads() const { return threadCount; }
  /// Gives a line to the caller's log.
  [[gnu::format(printf, 3, 4)]] void log(onager_level level, const char *format, ...) const;

  std::shared_ptr<Model> model = std::make_shared<Model>();
  std::shared_ptr<Pool> pool;  ///< null where runs use the executor
  onager_executor executor{};  ///< zero where runs use the pool
  onager_allocator allocator{};
  std::vector<Description> inputs, outputs;
  std::vector<std::unique_ptr<OperatorNode>> operators; ///< by the number of their nodes

private:
  void describe();
  Outcome findOperators();
  int threadCount;
  void (*logLine)(void *user, int32_t level, const char *line) = nullptr;
  void *logUser = nullptr;
};

/// What `status` of a run holds where the runtime, not the model, has ended it.
enum Ending : int32_t { kOutOfMemory = INT32_MAX, kCancelled = INT32_MAX - 1, kTooLate = INT32_MAX - 2, kOperatorFailed = INT32_MAX - 3 };

/// Ends a run with a status, unless it has one.
void setEnding(onager_run *run, int32_t ending);

/// The memory of one run. Everything is allocated for a bucket of shapes (each symbol rounded up) and reused inside it.
class Context {
public:
  explicit Context(Session &session);
  Outcome prepare(const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t outputCount);
  Outcome run(const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t outputCount);
  uint64_t memory() const;
  /// May be called by any thread.
  void cancel() { isCancelled.store(true); }
  void setDeadline(double seconds) { allowedSeconds = seconds; }
  Outcome queryMemory(const onager_tensor *inputs, size_t count, uint64_t &bytes);
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
  static int64_t intern(onager_run *run, const char *text, int64_t bytes);
  static const char *findText(onager_run *run, int64_t number, int64_t *bytes);
  static int64_t changeCase(onager_run *run, int64_t number, int32_t isUpper);
  static int64_t print(onager_run *run, int32_t dtype, const void *value);
  static int32_t parse(onager_run *run, int64_t number, int32_t dtype, void *value);
  static int32_t inferCustom(onager_run *run, int64_t node, const onager_view *in, int64_t *extents);
  static int32_t callCustom(onager_run *run, int64_t node, const onager_view *in, const onager_view *out);
  /// Begins the table of texts and gives the code the numbers of the inputs' strings.
  Outcome internInputs(const onager_tensor *inputs, size_t count);
  /// Writes the texts of numbers to an output's memory: what was given, or the context's own.
  Outcome writeTexts(size_t index, const int64_t *numbers, void *given);

  enum class Data { needed, ignored };
  Outcome bindInputs(const onager_tensor *inputs, size_t count, Data data);
  Outcome bindDim(const TensorInfo &info, size_t dim, int64_t extent, std::vector<std::pair<size_t, size_t>> &later);
  Outcome checkLater(const onager_tensor *inputs, const std::vector<std::pair<size_t, size_t>> &later);
  Outcome measureOutputs(size_t count);
  void describeOutputs(onager_tensor *outputs) const;
  bool measureSlots(const int64_t *values, std::vector<uint64_t> &bytes) const;
  void measureBucket(std::vector<uint64_t> &bytes);
  Outcome planArena();
  /// As planArena for sanitized code: no slot shares memory with another.
  Outcome planZones();
  /// Gives blocks their memory: the caller's for outputs that it offers memory for, as long as they fit.
  Outcome makeBlocks(const onager_tensor *outputs);
  void execute();
  static void checkTime(void *context);
  Outcome placeOutputs(onager_tensor *outputs);
  Outcome finishOutputs(onager_tensor *outputs);
  Outcome fail() const;
  int chooseThreads() const;

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
  StringTable strings;
  OperatorCalls calls;
  std::vector<Block> blocks, owned;
  std::vector<Block> inputNumbers, outputNumbers; ///< of texts, where an input or output has strings
  std::vector<void *> blockPointers;
  struct Loan {
    void *data;
    uint64_t bytes;
  };
  std::vector<Loan> loans; ///< per block, memory of the caller's that it may use; none where data is null
  std::vector<const void *> inputPointers;
  std::vector<void *> outputPointers;
  std::vector<std::vector<int64_t>> outputDims;
  std::vector<uint64_t> outputBytes;
  std::vector<uint64_t> profile;
  std::atomic<bool> isCancelled{false};
  double allowedSeconds = 0;
  int64_t deadline = 0; ///< of the run in progress, in nanoseconds of the monotonic clock; 0: none
  alignas(64) char nothing[64] = {}; ///< stands for empty inputs and outputs
};

/// Counts the bytes of a tensor whose dims are given; false where a dim is negative or the product overflows.
bool countBytes(uint64_t dtype, const std::vector<int64_t> &dims, uint64_t &bytes);

/// Places slots in an arena so that slots that live at the same time do not overlap; returns the arena's size.
uint64_t packSlots(const std::vector<Slot> &slots, const std::vector<uint64_t> &sizes, std::vector<int64_t> &offsets);

} // namespace onager::rt

#endif
