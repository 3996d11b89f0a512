// Decides which shapes of a session get variants, has them made on a thread of its own, and publishes them.
#ifndef ONAGER_RUNTIME_RECOMPILE_RECOMPILER_H
#define ONAGER_RUNTIME_RECOMPILE_RECOMPILER_H

#include "runtime/cache/variantcache.h"
#include "runtime/core/variants.h"
#include "runtime/recompile/shapes.h"
#include <pthread.h>
#include <sys/types.h>

namespace onager::rt {

class Session;

/// onager_recompilation with its defaults filled in.
struct RecompileSettings {
  onager_recompile mode = ONAGER_RECOMPILE_OFF;
  size_t maxVariants = 8;
  uint64_t maxBytes = uint64_t(256) << 20;
  double maxSeconds = 600;
  bool isChecked = false, hasCompiler = false, hasCache = false; ///< hasX: `compiler`, `cache` name it
  std::string compiler, cache;
  bool isInProcess = false; ///< compilations run in this process, by `library`
  std::string library;
  void (*event)(void *user, const onager_event *event) = nullptr;
  void *eventUser = nullptr;
};

/// Fills in defaults and what the environment says; fails for unknown modes.
Outcome readSettings(const onager_recompilation *given, RecompileSettings &settings);

/// The variants that one session has made. Runs call `count`, which never waits; all else may be called by any thread.
class Recompiler {
public:
  /// REQUIRES: the session outlives it and its model has a generic form.
  Recompiler(Session &session, RecompileSettings settings);
  Recompiler(const Recompiler &) = delete;
  /// Ends a compilation that is running.
  ~Recompiler();

  /// Loads what the cache holds for the model.
  void load();
  /// True where runs of the generic form are to be counted.
  bool isCounting() const { return counting.load(std::memory_order_relaxed); }
  /// Counts a run of the generic form, whose symbols had these values.
  void count(const int64_t *symbols, int64_t nanoseconds);
  /// Takes the time of a variant's run; the first ones tell whether it is faster.
  void judge(Variant &variant, int64_t nanoseconds);
  /// Has a variant made for the shape of these symbols; returns at once, or when it runs.
  Outcome warmUp(const int64_t *symbols, bool wait);
  void freeze();
  void fill(onager_stats &stats) const;
  /// The compiler that the session was told to use; null where it was told of none.
  const char *getNamedCompiler() const { return settings.hasCompiler ? settings.compiler.c_str() : nullptr; }

private:
  /// What is asked of the thread. The asker keeps it until `isDone`.
  struct Request {
    Shape shape;
    bool isDone = false;
    Outcome outcome;
  };
  static void *runThread(void *self);
  void work();
  bool serve();
  void refuseAll();
  bool startThread();
  void wake();
  bool isHot(uint64_t runs, double seconds) const;
  Guard makeGuard(const Shape &shape) const;
  Shape getShape(const Guard &guard) const;
  Outcome make(const Shape &shape, double secondsPerRun, bool isBackground);
  Outcome findCompiler();
  void discardSlow();
  Outcome compile(const std::string &guard, bool isBackground, std::string &payload);
  Outcome publish(const std::string &payload, double secondsPerRun, std::string &text);
  void makeRoom(uint64_t bytes);
  void remember(const Shape &failure);
  bool isFailed(const Shape &shape) const;
  void tell(onager_event_kind kind, const std::string &guard, const std::string &message, double seconds) const;

  Session &session;
  RecompileSettings settings;
  std::string compiler, group, cacheFolder; ///< compiler: the program or, in this process, the library
  VariantCache cache;
  ShapeCounter shapes;
  std::atomic<bool> counting{false}, isFrozen{false}, isStopping{false};
  std::atomic<uint64_t> compiled{0}, loaded{0}, failed{0}, evicted{0};
  std::atomic<uint64_t> compileNanoseconds{0};
  std::atomic<double> expectedGain, expectedCost; ///< share of a run's time that variants save; seconds that one takes
  std::string avoided;                            ///< cores of the session, for background compilations
  mutable pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
  bool hasWork = false;
  pid_t threadOwner = 0; ///< the process that has the thread; it does not survive a fork
  std::vector<Request *> requests;
  std::vector<Shape> failures; ///< shapes that are not tried again
  std::vector<Guard> slow;     ///< of variants that were slower than the generic form: the cache need not keep them
  pthread_t thread{};
};

} // namespace onager::rt

#endif
