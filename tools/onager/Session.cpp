// Opening, binding, running.
#include "Session.h"
#include "Choice.h"
#include "Cli.h"
#include <cstdlib>
#include <cstring>
#include <map>

namespace onager::cli {

void checkCall(onager_status status) {
  if (status == ONAGER_OK)
    return;
  throw Failure(status == ONAGER_OUT_OF_MEMORY ? Status::internal : Status::badFile, onager_last_error());
}

static constexpr const char *kVariable = "ONAGER_RECOMPILE";
static const char *const kModes[] = {"", "off", "lazy", "eager", "frozen"};

/// The mode that the environment names, off without one, or -1.
static int readEnvironment() {
  const char *word = std::getenv(kVariable);
  if (!word || !*word)
    return ONAGER_RECOMPILE_OFF;
  for (int mode = ONAGER_RECOMPILE_OFF; mode <= ONAGER_RECOMPILE_FROZEN; ++mode)
    if (!std::strcmp(word, kModes[mode]))
      return mode;
  return -1;
}

void Recompilation::checkEnvironment() const {
  if (mode == ONAGER_RECOMPILE_DEFAULT && readEnvironment() < 0)
    throw Failure(Status::badOption, std::string(kVariable) + ": expected off, lazy, eager or frozen, found '" + std::getenv(kVariable) + "'");
}

Session::Session(const std::string &path, int threads, Recompilation asked) : recompilation(asked) {
  asked.checkEnvironment();
  onager_recompilation settings{};
  settings.size = sizeof settings;
  settings.mode = asked.mode == ONAGER_RECOMPILE_DEFAULT ? readEnvironment() : asked.mode;
  settings.check = asked.isChecked;
  onager_options options{};
  options.size = sizeof options;
  options.threads = threads;
  options.recompilation = &settings;
  checkCall(onager_session_open(path.c_str(), &options, &session));
  onager_status status = onager_context_create(session, &context);
  if (status != ONAGER_OK)
    onager_session_close(session);
  checkCall(status);
  outputs.resize(onager_session_outputs(session));
}

static onager_stats readStats(const onager_session *session) {
  onager_stats stats{};
  stats.size = sizeof stats;
  checkCall(onager_session_stats(session, &stats));
  return stats;
}

Session::~Session() {
  onager_context_destroy(context);
  onager_session_close(session);
}

void Session::bind(std::vector<Tensor> &tensors) {
  inputs.clear();
  for (Tensor &tensor : tensors)
    inputs.push_back(formats::toRuntime(tensor));
}

void Session::warmUp() {
  bool isAsked = recompilation.mode != ONAGER_RECOMPILE_DEFAULT;
  int mode = isAsked ? recompilation.mode : readStats(session).mode;
  if (mode != ONAGER_RECOMPILE_LAZY && mode != ONAGER_RECOMPILE_EAGER)
    return;
  onager_status status = onager_session_warm_up(session, inputs.data(), inputs.size(), /*wait=*/1);
  if (isAsked || status == ONAGER_BAD_ARGUMENT)
    return checkCall(status);
  if (status)
    std::fprintf(stderr, "onager: warning: %s\n", onager_last_error());
}

std::optional<onager_stats> Session::getStats() const {
  onager_stats stats = readStats(session);
  return stats.mode == ONAGER_RECOMPILE_OFF ? std::nullopt : std::optional(stats);
}

std::string formatStats(const onager_stats &stats) {
  char line[400];
  auto number = [](uint64_t count) { return static_cast<unsigned long long>(count); };
  std::snprintf(line, sizeof line, "recompilation %s: %llu runs of variants, %llu of the generic form; %llu compiled in %.2f s, %llu loaded, %llu failed, %llu evicted; %llu variants, %.1f KiB\n",
                kModes[stats.mode], number(stats.hits), number(stats.misses), number(stats.compiled), stats.compile_seconds, number(stats.loaded), number(stats.failed),
                number(stats.evicted), number(stats.variants), static_cast<double>(stats.variant_bytes) / 1024);
  return line;
}

llvm::json::Value describeStats(const onager_stats &stats) {
  llvm::json::Object object{{"mode", kModes[stats.mode]}, {"compile_seconds", stats.compile_seconds}};
  const std::pair<const char *, uint64_t> counts[] = {{"hits", stats.hits}, {"misses", stats.misses}, {"compiled", stats.compiled}, {"loaded", stats.loaded},
                                                      {"failed", stats.failed}, {"evicted", stats.evicted}, {"variants", stats.variants}, {"variant_bytes", stats.variant_bytes}};
  for (const auto &[name, count] : counts)
    object[name] = static_cast<int64_t>(count);
  return object;
}

void Recompilation::addTo(CLI::App &app) {
  mode = ONAGER_RECOMPILE_DEFAULT;
  std::map<std::string, int> modes{{"off", ONAGER_RECOMPILE_OFF}, {"lazy", ONAGER_RECOMPILE_LAZY}, {"eager", ONAGER_RECOMPILE_EAGER}, {"frozen", ONAGER_RECOMPILE_FROZEN}};
  app.add_option("--recompile", mode, "off: the code of the artifact; lazy, eager: code for the inputs' shapes, made first; frozen: what the cache has. By default what ONAGER_RECOMPILE says, else off")
      ->transform(CLI::CheckedTransformer(modes, CLI::ignore_case).description(""))
      ->transform(oneOf({"off", "lazy", "eager", "frozen"}).description("")) // before the one above
      ->type_name("MODE");
  app.add_flag("--check-variants", isChecked, "Run no new variant that gives other results than the generic form on inputs that are drawn for it");
}

void Session::run() {
  // Outputs are the context's own memory each time.
  for (onager_tensor &output : outputs)
    output = {sizeof(onager_tensor), 0, 0, 0, nullptr, nullptr, 0};
  checkCall(onager_context_run(context, inputs.data(), inputs.size(), outputs.data(), outputs.size()));
}

std::vector<Tensor> Session::copyOutputs() const {
  std::vector<Tensor> copies;
  for (const onager_tensor &output : outputs)
    copies.push_back(formats::fromRuntime(output));
  return copies;
}

std::string Session::getInputName(size_t index) const {
  onager_info info{};
  info.size = sizeof info;
  checkCall(onager_session_input(session, index, &info));
  return info.name;
}

std::string Session::getOutputName(size_t index) const {
  onager_info info{};
  info.size = sizeof info;
  checkCall(onager_session_output(session, index, &info));
  return info.name;
}

} // namespace onager::cli
