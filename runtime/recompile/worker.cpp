// The thread of a session that has variants made.
#include "runtime/core/frame.h"
#include "runtime/recompile/compilerfile.h"
#include "runtime/recompile/corelist.h"
#include "runtime/recompile/identity.h"
#include "runtime/recompile/plugin.h"
#include "runtime/recompile/recompiler.h"
#include <algorithm>
#include <csignal>
#include <sched.h>
#include <unistd.h>
#include <utility>

namespace onager::rt {

/// Time between two looks at whether the session is being closed, while another process compiles the same.
static constexpr double kLockStep = 0.1;
/// A compilation that takes longer than this hangs.
static constexpr double kLongestCompile = 300;
/// Stands for the owner of the thread while a forked child forgets the parent's.
static constexpr pid_t kLeaving = -1;

Recompiler::~Recompiler() {
  if (threadOwner.load() != getpid())
    return;
  isStopping.store(true);
  wake();
  pthread_join(thread, nullptr);
  pthread_mutex_destroy(&lock);
  pthread_cond_destroy(&changed);
}

void Recompiler::wake() {
  {
    Guarded guarded(lock);
    hasWork = true;
  }
  pthread_cond_broadcast(&changed);
}

void Recompiler::leaveParent() {
  pid_t self = getpid();
  for (pid_t owner = threadOwner.load(std::memory_order_acquire); owner && owner != self; owner = threadOwner.load(std::memory_order_acquire)) {
    if (owner == kLeaving) {
      sched_yield();
      continue;
    }
    if (!threadOwner.compare_exchange_strong(owner, kLeaving))
      continue;
    // What the lock and the condition remember of the parent's thread would be waited for in vain.
    lock = PTHREAD_MUTEX_INITIALIZER;
    changed = PTHREAD_COND_INITIALIZER;
    requests.clear();
    hasWork = false;
    threadOwner.store(0, std::memory_order_release);
  }
}

bool Recompiler::startThread() {
  leaveParent();
  Guarded guarded(lock);
  if (threadOwner.load() == getpid())
    return true;
  avoided = listCores();
  sigset_t all, before;
  sigfillset(&all);
  // Signals are the application's.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool isStarted = pthread_create(&thread, nullptr, runThread, this) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (isStarted)
    threadOwner.store(getpid());
  else
    session.log(ONAGER_LOG_WARNING, "cannot start a thread for variants");
  return isStarted;
}

void *Recompiler::runThread(void *self) {
  static_cast<Recompiler *>(self)->work();
  return nullptr;
}

void Recompiler::work() {
  for (;;) {
    {
      Guarded guarded(lock);
      while (!hasWork)
        pthread_cond_wait(&changed, &lock);
      hasWork = false;
    }
    while (!isStopping.load() && serve())
      ;
    if (!isStopping.load())
      continue;
    Guarded guarded(lock);
    return refuseAll("the session is closed");
  }
}

void Recompiler::refuseAll(const char *reason) {
  for (Request *request : requests) {
    request->outcome = failure(ONAGER_CANCELLED, reason);
    request->isDone = true;
  }
  requests.clear();
  pthread_cond_broadcast(&changed);
}

void Recompiler::discardSlow() {
  std::vector<Guard> guards;
  {
    Guarded guarded(lock);
    guards.swap(slow);
  }
  if (guards.empty())
    return;
  for (const Guard &guard : guards)
    tell(ONAGER_EVENT_EVICTED, print(guard, session.model->generic.manifest.symbols), "it was slower than the generic form", 0);
  if (cacheFolder.empty())
    return;
  identify();
  auto isSlow = [&](const std::string &line) { return std::any_of(guards.begin(), guards.end(), [&](const Guard &guard) { return print(guard, {}) == line; }); };
  for (const Preimage &preimage : cache.listPreimages(group))
    if (preimage.compare(0, surroundings.size(), surroundings) == 0 && isSlow(readGuardLine(preimage)))
      cache.remove(group, preimage);
}

bool Recompiler::serve() {
  discardSlow();
  Request *request = nullptr;
  {
    Guarded guarded(lock);
    if (!requests.empty()) {
      request = requests.front();
      requests.erase(requests.begin());
    }
  }
  if (request) {
    Outcome outcome = make(request->shape, 0, /*isBackground=*/false);
    Guarded guarded(lock);
    request->outcome = std::move(outcome);
    request->isDone = true;
    pthread_cond_broadcast(&changed);
    return true;
  }
  Shape shape;
  double secondsPerRun = 0;
  if (isFrozen.load() || !shapes.take(shape, secondsPerRun))
    return false;
  make(shape, secondsPerRun, /*isBackground=*/true);
  return true;
}

void Recompiler::remember(const Shape &shape) {
  Guarded guarded(lock);
  failures.push_back(shape);
}

bool Recompiler::isFailed(const Shape &shape) const {
  Guarded guarded(lock);
  return std::find(failures.begin(), failures.end(), shape) != failures.end();
}

Outcome Recompiler::make(const Shape &shape, double secondsPerRun, bool isBackground) {
  Guard wanted = makeGuard(shape);
  std::string numbered = print(wanted, {}), shown = print(wanted, session.model->generic.manifest.symbols);
  if (isFrozen.load())
    return failure(ONAGER_CANCELLED, kFrozen);
  if (isFailed(shape))
    return failure(ONAGER_RUN_FAILED, "the variant for " + shown + " failed before");
  // Held by name: a run that sees a newer table may give up the last other hold of this one.
  std::shared_ptr<const VariantTable> table = session.variants->get();
  for (const auto &variant : table->variants)
    if (variant->guard() == wanted)
      return {};
  table.reset();
  int64_t start = nowNanoseconds();
  std::string payload, published;
  bool isFound = false;
  Outcome outcome = compile(numbered, isBackground, payload, isFound);
  if (outcome && !isStopping.load())
    outcome = publish(payload, secondsPerRun, published);
  double seconds = static_cast<double>(nowNanoseconds() - start) * 1e-9;
  if (isStopping.load())
    return failure(ONAGER_CANCELLED, "the session is closed");
  if (outcome) {
    ++(isFound ? loaded : compiled);
    tell(isFound ? ONAGER_EVENT_LOADED : ONAGER_EVENT_COMPILED, shown, "", seconds);
  }
  if (outcome || outcome.status == ONAGER_CANCELLED)
    return outcome;
  ++failed;
  remember(shape);
  tell(ONAGER_EVENT_FAILED, shown, outcome.message, seconds);
  return outcome;
}

Outcome Recompiler::findCompiler() {
  if (!compiler.empty())
    return {};
  if (settings.isInProcess) {
    compiler = findCompilerLibrary(settings.library);
    return {};
  }
  Outcome outcome = requireCompiler(getNamedCompiler(), compiler);
  if (!outcome)
    counting.store(false);
  return outcome;
}

void Recompiler::openCache() {
  if (cacheFolder.empty() || cache.isWritable())
    return;
  if (Outcome outcome = cache.open(cacheFolder, VariantCache::kDefaultBytes); !outcome && !std::exchange(isCacheRefused, true))
    session.log(ONAGER_LOG_WARNING, "%s: variants last as long as the session", outcome.message.c_str());
}

Outcome Recompiler::compile(const std::string &guard, bool isBackground, std::string &payload, bool &isFound) {
  if (Outcome outcome = findCompiler(); !outcome)
    return outcome;
  double spent = static_cast<double>(compileNanoseconds.load()) * 1e-9;
  if (spent >= settings.maxSeconds) {
    counting.store(false);
    return failure(ONAGER_RUN_FAILED, "compilations have taken " + std::to_string(spent) + " s, more than " + std::to_string(settings.maxSeconds));
  }
  ProcessOptions options{std::min(kLongestCompile, settings.maxSeconds - spent), isBackground, avoided};
  std::string described = describeCompiler(compiler);
  // Code of a compiler that cannot be told from others is not for the cache.
  if (described.empty())
    return runCompiler(guard, options, payload);
  openCache();
  identify();
  std::string preimage = makePreimage(surroundings, described, guard);
  VariantCache::Lock held;
  for (double waited = 0; !held && waited < kLongestCompile && !isStopping.load(); waited += kLockStep)
    if (held = cache.lock(group, preimage, kLockStep); !held.isBusy())
      break;
  isFound = cache.find(group, preimage, payload);
  if (isFound)
    return {};
  if (Outcome outcome = runCompiler(guard, options, payload); !outcome)
    return outcome;
  // A cache that cannot be written is no failure of the variant.
  if (Outcome stored = cache.store(group, preimage, payload.data(), payload.size()); !stored && cache.isWritable())
    session.log(ONAGER_LOG_WARNING, "the cache keeps no variant: %s", stored.message.c_str());
  return {};
}

Outcome Recompiler::runCompiler(const std::string &guard, const ProcessOptions &options, std::string &payload) {
  int64_t start = nowNanoseconds();
  Outcome outcome = settings.isInProcess ? compileInProcess(compiler, *session.model, guard, options, payload)
                                         : compileVariant(compiler, *session.model, guard, options, isStopping, payload);
  int64_t took = nowNanoseconds() - start;
  compileNanoseconds.fetch_add(static_cast<uint64_t>(took));
  expectedCost.store(0.5 * (expectedCost.load() + static_cast<double>(took) * 1e-9));
  return outcome;
}

} // namespace onager::rt
