// Open models and what their runs share.
#ifndef ONAGER_RUNTIME_CORE_SESSION_H
#define ONAGER_RUNTIME_CORE_SESSION_H

#include "runtime/core/gang.h"
#include "runtime/core/model.h"
#include "runtime/core/operators.h"
#include "runtime/core/strings.h"
#include "runtime/core/variants.h"
#include "runtime/recompile/recompiler.h"
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
  ~Session();
  /// REQUIRES: the options were checked and `threads` is at least 1. `shared`: the threads of a pool, null for the session's own.
  Session(const onager_options &options, std::shared_ptr<Pool> shared, int threads);
  /// Finishes opening: describes the signature, finds the custom operators and gets variants ready; fails where an operator is not registered.
  Outcome finish(RecompileSettings settings);
  /// Takes the model and its variants of another session.
  void share(const Session &other);
  /// Keeps to the variants of the moment, whatever comes to the model or goes, and makes no more. May be called by any thread.
  void freeze();
  bool isFrozen() const { return frozen.load(std::memory_order_acquire); }
  /// Changes with what getTable returns; whoever reads both reads this first.
  uint64_t generation() const { return isFrozen() ? kFrozenGeneration : variants->generation(); }
  /// The variants that runs take.
  std::shared_ptr<const VariantTable> getTable() const { return isFrozen() ? frozenTable : variants->get(); }
  /// How many threads a run may have.
  int threads() const { return threadCount; }
  /// Gives a line to the caller's log.
  [[gnu::format(printf, 3, 4)]] void log(onager_level level, const char *format, ...) const;

  std::shared_ptr<Model> model = std::make_shared<Model>();
  std::shared_ptr<VariantSet> variants = std::make_shared<VariantSet>(); ///< of the model
  std::shared_ptr<Pool> pool;  ///< null where runs use the executor
  onager_executor executor{};  ///< zero where runs use the pool
  onager_allocator allocator{};
  std::vector<Description> inputs, outputs;
  std::vector<std::unique_ptr<OperatorNode>> operators; ///< by the number of their nodes
  std::unique_ptr<Recompiler> recompiler;              ///< null where the model has no symbols, or recompilation is off
  std::atomic<uint64_t> hits{0}, misses{0};            ///< runs of variants, and of the generic form

private:
  static constexpr uint64_t kFrozenGeneration = 0; ///< none of a VariantSet's
  void describe();
  Outcome findOperators();
  std::atomic<bool> frozen{false};
  std::mutex freezing;
  std::shared_ptr<const VariantTable> frozenTable; ///< does not change once `frozen` is set
  int threadCount;
  void (*logLine)(void *user, int32_t level, const char *line) = nullptr;
  void *logUser = nullptr;
};

} // namespace onager::rt

#endif
