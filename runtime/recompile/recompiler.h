// Decides which shapes of a session get variants, has them made on a thread of its own, and publishes them.
#ifndef ONAGER_RUNTIME_RECOMPILE_RECOMPILER_H
#define ONAGER_RUNTIME_RECOMPILE_RECOMPILER_H

#include "runtime/cache/variantcache.h"
#include "runtime/core/variants.h"
#include "runtime/recompile/process.h"
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

/// A lock for the length of a scope.
struct Guarded {
  explicit Guarded(pthread_mutex_t &mutex) : mutex(mutex) { pthread_mutex_lock(&mutex); }
  Guarded(const Guarded &) = delete;
  ~Guarded() { pthread_mutex_unlock(&mutex); }
  pthread_mutex_t &mutex;
};

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
  /// Publishes and evicts nothing from here on, and answers all who wait for a variant. May be called by any thread.
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
  static constexpr char kFrozen[] = "the session is frozen";

  static void *runThread(void *self);
  void work();
  /// Makes one variant; false where none is wanted.
  bool serve();
  /// REQUIRES: the lock is held.
  void refuseAll(const char *reason);
  /// In a forked child: forgets the parent's thread.
  void leaveParent();
  bool startThread();
  void wake();
  bool isHot(uint64_t runs, double seconds) const;
  Guard makeGuard(const Shape &shape) const;
  Shape getShape(const Guard &guard) const;
  Outcome make(const Shape &shape, double secondsPerRun, bool isBackground);
  Outcome findCompiler();
  /// Finds out what stands for the model in the cache. It costs a walk over all of the form: only sessions with a cache need it.
  void identify();
  /// Takes out a variant that was slower than the generic form; false where it stays.
  bool removeSlow(Variant &variant);
  /// Tells of such variants, and takes them out of the cache, so that no later session starts with them.
  void discardSlow();
  /// Opens the cache for writing where it is not, or says once why that fails.
  void openCache();
  /// Gets the code of a variant from the cache, with `isFound`, or the compiler.
  Outcome compile(const std::string &guard, bool isBackground, std::string &payload, bool &isFound);
  Outcome runCompiler(const std::string &guard, const ProcessOptions &options, std::string &payload);
  Outcome publish(const std::string &payload, double secondsPerRun, std::string &text);
  /// Adds a variant to those of the model; `gone` tells what made room for it.
  Outcome insert(std::shared_ptr<Variant> variant, std::vector<Guard> &gone);
  /// REQUIRES: the lock is held.
  void makeRoom(uint64_t bytes, std::vector<Guard> &gone);
  void tellRoomMade(const std::vector<Guard> &gone);
  void remember(const Shape &failure);
  bool isFailed(const Shape &shape) const;
  void tell(onager_event_kind kind, const std::string &guard, const std::string &message, double seconds) const;

  Session &session;
  RecompileSettings settings;
  std::string compiler, cacheFolder; ///< compiler: the program or, in this process, the library
  std::string group, surroundings;   ///< of the cache's entries, see identify()
  VariantCache cache;
  bool isCacheRefused = false; ///< it could not be opened, and that was said
  ShapeCounter shapes;
  std::atomic<bool> counting{false}, isFrozen{false}, isStopping{false}, isFull{false}; ///< isFull: the limits were reached, and it was said
  std::atomic<uint64_t> compiled{0}, loaded{0}, failed{0}, evicted{0};
  std::atomic<uint64_t> compileNanoseconds{0};
  std::atomic<double> expectedGain, expectedCost; ///< share of a run's time that variants save; seconds that one takes
  std::string avoided;                            ///< cores of the session, for background compilations
  mutable pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
  bool hasWork = false;
  std::atomic<pid_t> threadOwner{0}; ///< the process that has the thread; it does not survive a fork
  std::vector<Request *> requests;
  std::vector<Shape> failures; ///< shapes that are not tried again
  std::vector<Guard> slow;     ///< of variants that were slower than the generic form: the cache need not keep them
  pthread_t thread{};
};

} // namespace onager::rt

#endif
