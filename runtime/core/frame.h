// One run at a time of one form of a model's code.
#ifndef ONAGER_RUNTIME_CORE_FRAME_H
#define ONAGER_RUNTIME_CORE_FRAME_H

#include "runtime/core/session.h"

namespace onager::rt {

/// What `status` of a run holds where the runtime, not the model, has ended it.
enum Ending : int32_t { kOutOfMemory = INT32_MAX, kCancelled = INT32_MAX - 1, kTooLate = INT32_MAX - 2, kOperatorFailed = INT32_MAX - 3 };

/// Ends a run with a status, unless it has one.
void setEnding(onager_run *run, int32_t ending);

/// The memory that the frames of a context share: one of them runs at a time.
struct Workspace {
  Workspace(const Session &session, size_t inputs, size_t outputs);
  /// Makes blocks up to a count.
  void makeBlocks(const Session &session, size_t count);
  uint64_t bytes() const;

  Block arena;
  StringTable strings;
  OperatorCalls calls;
  std::vector<Block> blocks, owned;            ///< values whose size depends on values; outputs of the context's own
  std::vector<Block> inputNumbers, outputNumbers; ///< of texts, where an input or output has strings
  std::atomic<bool> isCancelled{false};
  double allowedSeconds = 0;
};

/// What runs of one form of the code need. Everything is allocated for a bucket of shapes (each symbol rounded up) and reused inside it.
class Frame {
public:
  /// `code` and `work` outlive the frame.
  Frame(Session &session, const Code &code, Workspace &work);

  enum class Data { needed, ignored };
  /// Checks the inputs against the signature and gives the symbols their values.
  Outcome bindInputs(const onager_tensor *inputs, size_t count, Data data);
  /// True where the inputs that were bound last have the shapes of those before, and no value of theirs decides anything: the symbols are what they were.
  bool isRepeated() const { return repeats; }
  /// Takes the inputs that a generic form's frame has bound. REQUIRES: the code's guard holds for its symbols.
  Outcome adoptInputs(const Frame &generic);
  Outcome prepare(onager_tensor *outputs, size_t outputCount);
  /// Runs the code on the inputs that were bound last.
  Outcome run(const onager_tensor *inputs, onager_tensor *outputs, size_t outputCount);
  /// Counts the bytes of a run on the inputs that were bound last.
  Outcome queryMemory(uint64_t &bytes);
  /// True where nothing distinguishes one run's inputs from another's: no shape has a symbol, and no value decides.
  bool hasOneForm() const;
  const int64_t *getSymbols() const { return symbols.data(); }
  size_t launches() const { return manifest.launches.size(); }
  void setProfiling(bool on);
  Outcome launchAt(size_t index, int thread, onager_launch &launch) const;

private:
  struct HostRun : onager_run {
    Frame *frame;
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
  static int32_t shareLaunch(onager_run *run, int32_t thread, int64_t launch, int64_t items, int64_t grain, onager_unit unit, void **arguments);
  static int32_t callCustom(onager_run *run, int64_t node, const onager_view *in, const onager_view *out);
  /// Begins the table of texts and gives the code the numbers of the inputs' strings.
  Outcome internInputs(const onager_tensor *inputs);
  /// Writes the texts of numbers to an output's memory: what was given, or the context's own.
  Outcome writeTexts(size_t index, const int64_t *numbers, void *given);

  void flattenSignature();
  uint32_t flattenDim(size_t input, size_t dim);
  bool findExtents(const onager_tensor *inputs, bool &isNew);
  bool measureShapes();
  bool bindQuickly(const onager_tensor *inputs, Data data);
  Outcome bindSlowly(const onager_tensor *inputs, Data data);
  Outcome bindDim(const TensorInfo &info, size_t dim, int64_t extent);
  Outcome checkLater(const onager_tensor *inputs);
  Outcome checkLimits() const;
  Outcome derive();
  /// Gives the symbols of inputs' values what the inputs hold; kUnknownValue where an input has no data.
  void bindValues(const onager_tensor *inputs);
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
  static void checkTime(void *frame);
  Outcome placeOutputs(onager_tensor *outputs);
  Outcome finishOutputs(onager_tensor *outputs);
  Outcome fail() const;
  int chooseThreads() const;

  Session &session;
  const Code &code;
  const Manifest &manifest;
  Workspace &work;
  HostRun state{};
  onager_host host{};
  Barrier barrier;
  std::vector<int64_t> symbols, plannedSymbols;
  /// What inputs of equal shapes and element types share, at the extents that were bound last.
  struct FlatShape {
    uint64_t elementBytes, bytes; ///< of an element and of an input
    int64_t *dims;                ///< in shapeExtents
    size_t first, rank;           ///< of shapeDims
  };
  struct FlatInput {
    int32_t dtype, rank;
    const FlatShape *shape;
  };
  /// The dim that tells an extent: the first that has a symbol, and each that is an expression, which has no symbol here.
  struct Origin {
    size_t input, dim;
    uint32_t extent;
    int64_t *symbol;
  };
  std::vector<FlatInput> flatInputs;
  std::vector<FlatShape> flatShapes;
  std::vector<Origin> origins;
  std::vector<int64_t> extents;      ///< of the inputs' distinct dims, that were bound last or are fixed
  std::vector<uint32_t> shapeDims;   ///< of all flatShapes in a row: the numbers of their extents
  std::vector<int64_t> shapeExtents; ///< the same row with the extents themselves
  std::vector<size_t> textInputs; ///< that have strings
  std::vector<size_t> unbound;    ///< symbols that no input has: they are 0 until the run gives them a value
  bool isBound = false, repeats = false; ///< `extents` and the symbols are those of inputs that fit; the inputs that were bound last have the same
  std::vector<std::pair<size_t, size_t>> later; ///< (input, dim) pairs whose expression is checked once all symbols are bound
  std::vector<int64_t> offsets;
  std::vector<uint64_t> capacities; ///< bytes each slot was planned for
  std::vector<uint64_t> sizes;
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
  std::vector<int64_t> takenShares; ///< by launch and thread, see SharedItems
  int64_t deadline = 0; ///< of the run in progress, in nanoseconds of the monotonic clock; 0: none
  alignas(64) char nothing[64] = {}; ///< stands for empty inputs and outputs
};

/// Counts the bytes of a tensor whose dims are given; false where a dim is negative or the product overflows.
bool countBytes(uint64_t dtype, const std::vector<int64_t> &dims, uint64_t &bytes);

/// Places slots in an arena so that slots that live at the same time do not overlap; returns the arena's size. Small, or, where it is larger than caches and
/// costs an eighth at most, such that what is written was in use shortly before.
uint64_t packSlots(const std::vector<Slot> &slots, const std::vector<uint64_t> &sizes, std::vector<int64_t> &offsets);

/// Returns the monotonic clock in nanoseconds.
int64_t nowNanoseconds();

} // namespace onager::rt

#endif
