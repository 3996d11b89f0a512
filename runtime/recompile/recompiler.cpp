// Hot shapes become variants: counting, the thread that has them made, publication.
#include "runtime/recompile/recompiler.h"
#include "runtime/core/frame.h"
#include "runtime/recompile/check.h"
#include "runtime/recompile/compilerfile.h"
#include "runtime/recompile/corelist.h"
#include "runtime/recompile/identity.h"
#include "runtime/recompile/plugin.h"
#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace onager::rt {

/// Runs before which a shape is not hot, whatever they took.
static constexpr uint64_t kFewestRuns = 16;
/// What a variant saves and costs before any was measured: a share of a run, and seconds.
static constexpr double kExpectedGain = 0.1, kExpectedCost = 1;
/// A shape is hot when variants would have saved this share of what one costs, had it been there all the time.
static constexpr double kWorth = 0.25;
/// Runs that tell whether a variant is faster, and the loss that is taken for noise.
static constexpr uint64_t kJudgedRuns = 16;
static constexpr double kNoise = 0.05;
/// Runs after which a value of an input is told from others. Few: what decides is mostly the same from the first run on.
static constexpr uint64_t kFewestValueRuns = 4;
/// Time between two looks at whether the session is being closed, while another process compiles the same.
static constexpr double kLockStep = 0.1;
/// A compilation that takes longer than this hangs.
static constexpr double kLongestCompile = 300;

namespace {

struct Guarded {
  explicit Guarded(pthread_mutex_t &mutex) : mutex(mutex) { pthread_mutex_lock(&mutex); }
  Guarded(const Guarded &) = delete;
  ~Guarded() { pthread_mutex_unlock(&mutex); }
  pthread_mutex_t &mutex;
};

/// The symbols that make a shape: those of the inputs' dims, then those of values.
std::vector<uint64_t> findSymbols(const Manifest &manifest) {
  std::vector<uint64_t> symbols;
  for (const TensorInfo &input : manifest.inputs)
    for (const Expr &dim : input.dims)
      for (const Expr::Token &token : dim.tokens)
        if (token.op == Expr::Symbol)
          symbols.push_back(static_cast<uint64_t>(token.value));
  std::sort(symbols.begin(), symbols.end());
  symbols.erase(std::unique(symbols.begin(), symbols.end()), symbols.end());
  for (const ValueInfo &value : manifest.values)
    symbols.push_back(value.symbol);
  return symbols;
}

/// One filter for each input whose values decide.
std::vector<ValueFilter> makeFilters(const Manifest &manifest, onager_recompile mode) {
  std::vector<ValueFilter> filters;
  size_t start = findSymbols(manifest).size() - manifest.values.size();
  for (size_t first = 0, end = 0; first < manifest.values.size(); first = end) {
    while (end < manifest.values.size() && manifest.values[end].input == manifest.values[first].input)
      ++end;
    filters.emplace_back(start + first, end - first, mode == ONAGER_RECOMPILE_EAGER ? 1 : kFewestValueRuns);
  }
  return filters;
}

} // namespace

Outcome readSettings(const onager_recompilation *given, RecompileSettings &settings) {
  onager_recompilation read{};
  if (given && given->size < offsetof(onager_recompilation, max_variants))
    return failure(ONAGER_BAD_ARGUMENT, "recompilation: its size field is not set");
  if (given)
    std::memcpy(&read, given, std::min<size_t>(given->size, sizeof read));
  if (read.mode < ONAGER_RECOMPILE_DEFAULT || read.mode > ONAGER_RECOMPILE_FROZEN || read.max_variants < 0 || !(read.max_seconds >= 0))
    return failure(ONAGER_BAD_ARGUMENT, "recompilation: unknown mode, or a limit is negative");
  static const char *const modes[] = {"", "off", "lazy", "eager", "frozen"};
  const char *word = getenv("ONAGER_RECOMPILE");
  int named = ONAGER_RECOMPILE_LAZY;
  if (word && *word)
    for (named = ONAGER_RECOMPILE_OFF; named <= ONAGER_RECOMPILE_FROZEN && strcmp(word, modes[named]);)
      ++named;
  if (!read.mode && named > ONAGER_RECOMPILE_FROZEN)
    return failure(ONAGER_BAD_ARGUMENT, std::string("ONAGER_RECOMPILE: expected off, lazy, eager or frozen, found '") + word + "'");
  settings.mode = static_cast<onager_recompile>(read.mode ? read.mode : named);
  settings.maxVariants = read.max_variants ? static_cast<size_t>(read.max_variants) : settings.maxVariants;
  settings.maxBytes = read.max_bytes ? read.max_bytes : settings.maxBytes;
  settings.maxSeconds = read.max_seconds > 0 ? read.max_seconds : settings.maxSeconds;
  settings.isChecked = read.check != 0;
  settings.hasCompiler = read.compiler != nullptr;
  settings.compiler = read.compiler ? read.compiler : "";
  settings.hasCache = read.cache != nullptr;
  settings.cache = read.cache ? read.cache : "";
  const char *library = read.library ? read.library : getenv("ONAGER_COMPILER_LIBRARY");
  settings.isInProcess = library != nullptr;
  settings.library = library ? library : "";
  settings.event = read.event;
  settings.eventUser = read.event_user;
  return {};
}

Recompiler::Recompiler(Session &session, RecompileSettings given)
    : session(session), settings(std::move(given)), shapes(findSymbols(session.model->generic.manifest), makeFilters(session.model->generic.manifest, settings.mode)),
       expectedGain(kExpectedGain), expectedCost(kExpectedCost) {
  const Model &model = *session.model;
  cacheFolder = settings.hasCache ? settings.cache : VariantCache::findFolder();
  group = describeModel({model.form, model.formBytes}, {model.recipes, model.recipeBytes});
  counting.store(settings.mode == ONAGER_RECOMPILE_LAZY || settings.mode == ONAGER_RECOMPILE_EAGER);
}

Recompiler::~Recompiler() {
  if (threadOwner != getpid())
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

void Recompiler::tell(onager_event_kind kind, const std::string &guard, const std::string &message, double seconds) const {
  static const char *const words[] = {"", "compiled", "loaded", "failed to compile", "gave up"};
  session.log(kind == ONAGER_EVENT_FAILED ? ONAGER_LOG_WARNING : ONAGER_LOG_INFO, "%s the variant for %s%s%s", words[kind], guard.c_str(), message.empty() ? "" : ": ",
              message.c_str());
  if (!settings.event)
    return;
  onager_event event{sizeof event, kind, guard.c_str(), message.c_str(), seconds};
  settings.event(settings.eventUser, &event);
}

void Recompiler::load() {
  // Made when the first variant is stored: sessions that have none leave no folder.
  if (cacheFolder.empty() || !cache.open(cacheFolder, VariantCache::kDefaultBytes, /*write=*/true, /*make=*/false))
    return;
  compiler = settings.isInProcess ? findCompilerLibrary(settings.library) : rt::findCompiler(getNamedCompiler());
  std::string surroundings = describeSurroundings(group), made = makeCompilerLine(describeCompiler(compiler));
  for (VariantCache::Entry &entry : cache.findAll(group)) {
    // Without a compiler what any of them made is welcome.
    if (entry.preimage.compare(0, surroundings.size(), surroundings) || (!compiler.empty() && entry.preimage.find(made) == std::string::npos))
      continue;
    uint64_t bytes = 0;
    if (session.variants->count(bytes) >= settings.maxVariants)
      return;
    std::string guard;
    int64_t start = nowNanoseconds();
    if (!publish(entry.payload, 0, guard))
      continue;
    ++loaded;
    tell(ONAGER_EVENT_LOADED, guard, "", static_cast<double>(nowNanoseconds() - start) * 1e-9);
  }
}

bool Recompiler::isHot(uint64_t runs, double seconds) const {
  if (settings.mode == ONAGER_RECOMPILE_EAGER)
    return true;
  return runs >= kFewestRuns && seconds * expectedGain.load(std::memory_order_relaxed) >= kWorth * expectedCost.load(std::memory_order_relaxed);
}

void Recompiler::count(const int64_t *symbols, int64_t nanoseconds) {
  // The caller's floating-point flags are not for us.
  FloatEnvironment environment;
  if (!shapes.count(symbols, static_cast<double>(nanoseconds) * 1e-9, [this](uint64_t runs, double spent) { return isHot(runs, spent); }))
    return;
  // Rare, and short: the thread holds the lock for a moment only.
  if (startThread())
    wake();
}

void Recompiler::judge(Variant &variant, int64_t nanoseconds) {
  uint64_t runs = variant.judged.load(std::memory_order_relaxed);
  if (runs >= kJudgedRuns || variant.genericSeconds <= 0)
    return;
  FloatEnvironment environment;
  double seconds = static_cast<double>(nanoseconds) * 1e-9;
  // The fastest of a few runs: the first have cold caches, others were disturbed.
  double fastest = variant.fastest.load(std::memory_order_relaxed);
  if (fastest == 0 || seconds < fastest)
    variant.fastest.store(seconds, std::memory_order_relaxed);
  if (variant.judged.fetch_add(1, std::memory_order_relaxed) + 1 != kJudgedRuns)
    return;
  double gain = 1 - variant.fastest.load(std::memory_order_relaxed) / variant.genericSeconds;
  expectedGain.store(std::max(0.02, 0.5 * (expectedGain.load() + gain)));
  if (gain >= -kNoise || !session.variants->remove(variant))
    return;
  ++evicted;
  {
    Guarded guarded(lock);
    failures.push_back(getShape(variant.guard()));
    slow.push_back(variant.guard());
  }
  // The file is the thread's to remove: a run waits for no disk.
  if (startThread())
    wake();
  tell(ONAGER_EVENT_EVICTED, print(variant.guard(), session.model->generic.manifest.symbols), "it was slower than the generic form", 0);
}

void Recompiler::remember(const Shape &shape) {
  Guarded guarded(lock);
  failures.push_back(shape);
}

bool Recompiler::startThread() {
  if (threadOwner && threadOwner != getpid()) {
    // A forked child: what the lock and the condition remember of the parent's thread would be waited for in vain.
    lock = PTHREAD_MUTEX_INITIALIZER;
    changed = PTHREAD_COND_INITIALIZER;
    requests.clear();
    hasWork = false;
    threadOwner = 0;
  }
  Guarded guarded(lock);
  if (threadOwner == getpid())
    return true;
  avoided = listCores();
  sigset_t all, before;
  sigfillset(&all);
  // Signals are the application's.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool isStarted = pthread_create(&thread, nullptr, runThread, this) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (isStarted)
    threadOwner = getpid();
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
    if (isStopping.load())
      return refuseAll();
  }
}

void Recompiler::refuseAll() {
  Guarded guarded(lock);
  for (Request *request : requests) {
    request->outcome = failure(ONAGER_CANCELLED, "the session is closed");
    request->isDone = true;
  }
  pthread_cond_broadcast(&changed);
}

/// Takes variants that were slower than the generic form out of the cache, so that no later session starts with them.
void Recompiler::discardSlow() {
  std::vector<Guard> guards;
  {
    Guarded guarded(lock);
    guards.swap(slow);
  }
  if (guards.empty())
    return;
  std::string surroundings = describeSurroundings(group);
  auto isSlow = [&](const std::string &line) { return std::any_of(guards.begin(), guards.end(), [&](const Guard &guard) { return print(guard, {}) == line; }); };
  for (const VariantCache::Entry &entry : cache.findAll(group))
    if (entry.preimage.compare(0, surroundings.size(), surroundings) == 0 && isSlow(readGuardLine(entry.preimage)))
      cache.remove(group, entry.preimage);
}

/// Makes one variant; false where none is wanted.
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

Guard Recompiler::makeGuard(const Shape &shape) const {
  Guard guard;
  for (size_t k = 0; k < shape.size(); ++k)
    if (shape[k] != kUnknownValue)
      guard.push_back({Atom::Equal, shapes.symbols()[k], shape[k], 0});
  return guard;
}

/// The shape that a guard of makeGuard's is for.
Shape Recompiler::getShape(const Guard &guard) const {
  Shape shape;
  for (uint64_t symbol : shapes.symbols()) {
    auto atom = std::find_if(guard.begin(), guard.end(), [&](const Atom &one) { return one.symbol == symbol && one.kind == Atom::Equal; });
    shape.push_back(atom == guard.end() ? kUnknownValue : atom->a);
  }
  return shape;
}

bool Recompiler::isFailed(const Shape &shape) const {
  Guarded guarded(lock);
  return std::find(failures.begin(), failures.end(), shape) != failures.end();
}

Outcome Recompiler::make(const Shape &shape, double secondsPerRun, bool isBackground) {
  Guard wanted = makeGuard(shape);
  std::string numbered = print(wanted, {}), shown = print(wanted, session.model->generic.manifest.symbols);
  if (isFailed(shape))
    return failure(ONAGER_RUN_FAILED, "the variant for " + shown + " failed before");
  for (const auto &variant : session.variants->get()->variants)
    if (variant->guard() == wanted)
      return {};
  int64_t start = nowNanoseconds();
  std::string payload, published;
  Outcome outcome = compile(numbered, isBackground, payload);
  if (outcome && !isStopping.load())
    outcome = publish(payload, secondsPerRun, published);
  double seconds = static_cast<double>(nowNanoseconds() - start) * 1e-9;
  if (isStopping.load())
    return failure(ONAGER_CANCELLED, "the session is closed");
  if (outcome) {
    ++compiled;
    tell(ONAGER_EVENT_COMPILED, shown, "", seconds);
    return outcome;
  }
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

Outcome Recompiler::compile(const std::string &guard, bool isBackground, std::string &payload) {
  if (Outcome outcome = findCompiler(); !outcome)
    return outcome;
  double spent = static_cast<double>(compileNanoseconds.load()) * 1e-9;
  if (spent >= settings.maxSeconds) {
    counting.store(false);
    return failure(ONAGER_RUN_FAILED, "compilations have taken " + std::to_string(spent) + " s, more than " + std::to_string(settings.maxSeconds));
  }
  if (!cacheFolder.empty() && !cache.isWritable())
    cache.open(cacheFolder, VariantCache::kDefaultBytes);
  std::string preimage = makePreimage(group, describeCompiler(compiler), guard);
  VariantCache::Lock held;
  for (double waited = 0; !held && waited < kLongestCompile && !isStopping.load(); waited += kLockStep)
    if (held = cache.lock(group, preimage, kLockStep); !held.isBusy())
      break;
  if (cache.find(group, preimage, payload))
    return {};
  int64_t start = nowNanoseconds();
  ProcessOptions options{std::min(kLongestCompile, settings.maxSeconds - spent), isBackground, avoided};
  Outcome outcome = settings.isInProcess ? compileInProcess(compiler, *session.model, guard, options, payload)
                                         : compileVariant(compiler, *session.model, guard, options, isStopping, payload);
  int64_t took = nowNanoseconds() - start;
  compileNanoseconds.fetch_add(static_cast<uint64_t>(took));
  expectedCost.store(0.5 * (expectedCost.load() + static_cast<double>(took) * 1e-9));
  if (!outcome)
    return outcome;
  // A cache that cannot be written is no failure of the variant.
  if (Outcome stored = cache.store(group, preimage, payload.data(), payload.size()); !stored && cache.isWritable())
    session.log(ONAGER_LOG_WARNING, "the cache keeps no variant: %s", stored.message.c_str());
  return {};
}

void Recompiler::makeRoom(uint64_t bytes) {
  Guard guard;
  for (uint64_t taken = 0;;) {
    size_t count = session.variants->count(taken);
    if ((count < settings.maxVariants && taken + bytes <= settings.maxBytes) || !session.variants->evict(guard))
      return;
    ++evicted;
    // It may become hot again.
    shapes.set(getShape(guard), ShapeCounter::State::counted);
    tell(ONAGER_EVENT_EVICTED, print(guard, session.model->generic.manifest.symbols), "it was run least", 0);
  }
}

Outcome Recompiler::publish(const std::string &payload, double secondsPerRun, std::string &text) {
  auto file = std::make_shared<Model>();
  std::shared_ptr<Variant> variant;
  if (Outcome outcome = file->openMemory(payload.data(), payload.size(), nullptr); !outcome)
    return outcome;
  if (Outcome outcome = makeVariant(*session.model, std::move(file), variant); !outcome)
    return outcome;
  text = print(variant->guard(), session.model->generic.manifest.symbols);
  variant->genericSeconds = secondsPerRun;
  if (settings.isChecked)
    if (Outcome outcome = checkVariant(session, *variant); !outcome)
      return outcome;
  if (variant->bytes > settings.maxBytes)
    return failure(ONAGER_OUT_OF_MEMORY, "it takes " + std::to_string(variant->bytes) + " bytes, more than all variants may");
  makeRoom(variant->bytes);
  session.variants->publish(std::move(variant));
  return {};
}

Outcome Recompiler::warmUp(const int64_t *symbols, bool wait) {
  if (settings.mode == ONAGER_RECOMPILE_OFF || settings.mode == ONAGER_RECOMPILE_FROZEN || isFrozen.load())
    return failure(ONAGER_BAD_ARGUMENT, "the session makes no variants: recompilation is off or frozen");
  Request request;
  request.shape = shapes.getShape(symbols);
  if (request.shape.empty())
    return failure(ONAGER_RUN_FAILED, "the model's shapes are fixed, and the values of its inputs that decide are not given, or were too many to make variants for more of them");
  if (!startThread())
    return failure(ONAGER_OUT_OF_MEMORY, "cannot start a thread for variants");
  if (!wait) {
    shapes.set(request.shape, ShapeCounter::State::wanted);
    wake();
    return {};
  }
  {
    Guarded guarded(lock);
    requests.push_back(&request);
  }
  wake();
  Guarded guarded(lock);
  while (!request.isDone)
    pthread_cond_wait(&changed, &lock);
  return request.outcome;
}

void Recompiler::freeze() {
  isFrozen.store(true);
  counting.store(false);
}

void Recompiler::fill(onager_stats &stats) const {
  stats.mode = isFrozen.load() ? ONAGER_RECOMPILE_FROZEN : settings.mode;
  stats.compiled = compiled.load();
  stats.loaded = loaded.load();
  stats.failed = failed.load();
  stats.evicted = evicted.load();
  stats.compile_seconds = static_cast<double>(compileNanoseconds.load()) * 1e-9;
}

} // namespace onager::rt
