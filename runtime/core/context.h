// What a caller runs a session's model with: the choice of the form of its code, and a frame for each that was used.
#ifndef ONAGER_RUNTIME_CORE_CONTEXT_H
#define ONAGER_RUNTIME_CORE_CONTEXT_H

#include "runtime/core/frame.h"
#include "runtime/core/variants.h"

namespace onager::rt {

/// The memory of one run at a time.
class Context {
public:
  explicit Context(Session &session);
  Outcome prepare(const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t outputCount);
  Outcome run(const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t outputCount);
  /// Keeps to the variants that are there now, so that equal shapes give equal bits from here on; false: takes new ones again.
  void pin(bool on);
  /// Keeps to the variants that `other` keeps to; fails where that one is not pinned, or of another model.
  Outcome pinLike(const Context &other);
  uint64_t memory() const { return work.bytes(); }
  /// May be called by any thread.
  void cancel() { work.isCancelled.store(true); }
  void setDeadline(double seconds) { work.allowedSeconds = seconds; }
  Outcome queryMemory(const onager_tensor *inputs, size_t count, uint64_t &bytes);
  /// Has a variant made for inputs of these shapes. Nothing is to be done for a model of fixed shapes, or where a variant is there.
  Outcome warmUp(const onager_tensor *inputs, size_t count, bool wait);
  /// Of the form that ran last.
  size_t launches() const { return last->launches(); }
  void setProfiling(bool on);
  Outcome launchAt(size_t index, int thread, onager_launch &launch) const { return last->launchAt(index, thread, launch); }

private:
  struct VariantFrame {
    std::shared_ptr<Variant> variant;
    std::unique_ptr<Frame> frame;
  };
  /// Takes the present table of variants.
  void refresh();
  /// Takes a table of variants and gives up frames of those that are not in it.
  void adopt(std::shared_ptr<const VariantTable> given, uint64_t generation);
  /// Binds the generic frame's inputs, which every choice is made by.
  Outcome bind(const onager_tensor *inputs, size_t count, Frame::Data data);
  /// Returns the variant for the symbols that the generic frame has bound, or null.
  Variant *findVariant();
  /// The same, and makes its frame, or the generic one, the last.
  Variant *choose();
  Frame &findFrame(Variant &variant);
  Outcome runGeneric(const onager_tensor *inputs, onager_tensor *outputs, size_t outputCount);

  Session &session;
  Workspace work;
  Frame generic;
  std::vector<VariantFrame> frames;
  std::shared_ptr<const VariantTable> table;
  uint64_t seen = 0;   ///< the generation of `table`
  bool isPinned = false, isProfiling = false;
  bool isChosen = false;     ///< `chosen` and `last` are those for the inputs that are bound and the present table
  Variant *chosen = nullptr;
  Frame *last;
};

} // namespace onager::rt

#endif
