// Hot shapes become variants: counting, publication, eviction.
#include "runtime/recompile/recompiler.h"
#include "runtime/core/frame.h"
#include "runtime/recompile/check.h"
#include "runtime/recompile/compilerfile.h"
#include "runtime/recompile/identity.h"
#include <algorithm>

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

namespace {

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

Recompiler::Recompiler(Session &session, RecompileSettings given)
    : session(session), settings(std::move(given)), shapes(findSymbols(session.model->generic.manifest), makeFilters(session.model->generic.manifest, settings.mode)),
      expectedGain(kExpectedGain), expectedCost(kExpectedCost) {
  cacheFolder = settings.hasCache ? settings.cache : VariantCache::findFolder();
  counting.store(settings.mode == ONAGER_RECOMPILE_LAZY || settings.mode == ONAGER_RECOMPILE_EAGER);
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

void Recompiler::identify() {
  if (!group.empty())
    return;
  const Model &model = *session.model;
  ModelIdentity identity = describeModel({model.form, model.formBytes}, {model.recipes, model.recipeBytes});
  group = identity.group;
  surroundings = describeSurroundings(identity, describeProcessor());
}

void Recompiler::load() {
  // Made when the first variant is stored: sessions that have none leave no folder.
  if (cacheFolder.empty() || !cache.open(cacheFolder, VariantCache::kDefaultBytes, /*write=*/true, /*make=*/false))
    return;
  compiler = settings.isInProcess ? findCompilerLibrary(settings.library) : rt::findCompiler(getNamedCompiler());
  std::string described = describeCompiler(compiler), made = makeCompilerLine(described);
  if (!compiler.empty() && described.empty())
    return;
  identify();
  for (const Preimage &preimage : cache.listPreimages(group)) {
    // Without a compiler what any of them made is welcome.
    if (preimage.compare(0, surroundings.size(), surroundings) || (!compiler.empty() && preimage.find(made) == std::string::npos))
      continue;
    uint64_t bytes = 0;
    if (session.variants->count(bytes) >= settings.maxVariants)
      return;
    std::string payload, guard;
    int64_t start = nowNanoseconds();
    if (!cache.find(group, preimage, payload) || bytes + payload.size() > settings.maxBytes || !publish(payload, 0, guard))
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
  if (runs >= kJudgedRuns || variant.genericSeconds <= 0 || isFrozen.load(std::memory_order_relaxed))
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
  // The file and the event are the thread's: a run waits for no disk, and calls nobody.
  if (gain < -kNoise && removeSlow(variant) && startThread())
    wake();
}

bool Recompiler::removeSlow(Variant &variant) {
  leaveParent();
  Guarded guarded(lock);
  if (isFrozen.load() || !session.variants->remove(variant))
    return false;
  ++evicted;
  failures.push_back(getShape(variant.guard()));
  slow.push_back(variant.guard());
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

/// The fewest hits of a variant that could make room.
static uint64_t findLeastHits(const VariantTable &table) {
  uint64_t least = UINT64_MAX;
  for (const std::shared_ptr<Variant> &variant : table.variants)
    if (variant->owner)
      least = std::min(least, variant->hits.load());
  return least == UINT64_MAX ? 0 : least;
}

void Recompiler::makeRoom(uint64_t bytes, std::vector<Guard> &gone) {
  Guard guard;
  for (uint64_t taken = 0;;) {
    size_t count = session.variants->count(taken);
    if ((count < settings.maxVariants && taken + bytes <= settings.maxBytes) || !session.variants->evict(guard))
      return;
    ++evicted;
    // It may become hot again, once it has been met as often as those that stay.
    shapes.demote(getShape(guard), std::max(kFewestRuns, findLeastHits(*session.variants->get())));
    gone.push_back(guard);
  }
}

Outcome Recompiler::insert(std::shared_ptr<Variant> variant, std::vector<Guard> &gone) {
  Guarded guarded(lock);
  if (isFrozen.load())
    return failure(ONAGER_CANCELLED, kFrozen);
  makeRoom(variant->bytes, gone);
  session.variants->publish(std::move(variant));
  return {};
}

void Recompiler::tellRoomMade(const std::vector<Guard> &gone) {
  const std::vector<std::string> &symbols = session.model->generic.manifest.symbols;
  for (const Guard &guard : gone)
    tell(ONAGER_EVENT_EVICTED, print(guard, symbols), "it was run least", 0);
  if (gone.empty() || isFull.exchange(true))
    return;
  session.log(ONAGER_LOG_WARNING, "shapes make room for each other: no more than %zu variants of %llu bytes are kept; of those without one %s was met most", settings.maxVariants,
              static_cast<unsigned long long>(settings.maxBytes), print(makeGuard(shapes.findMostMet()), symbols).c_str());
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
  std::vector<Guard> gone;
  Outcome outcome = insert(std::move(variant), gone);
  tellRoomMade(gone);
  return outcome;
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
    shapes.want(request.shape);
    wake();
    return {};
  }
  {
    Guarded guarded(lock);
    if (isFrozen.load())
      return failure(ONAGER_CANCELLED, kFrozen);
    requests.push_back(&request);
  }
  wake();
  Guarded guarded(lock);
  while (!request.isDone)
    pthread_cond_wait(&changed, &lock);
  return request.outcome;
}

void Recompiler::freeze() {
  leaveParent();
  Guarded guarded(lock);
  isFrozen.store(true);
  counting.store(false);
  refuseAll(kFrozen);
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
