// onager respecialize: an artifact with other variants, from what it carries.
#include "Artifact.h"
#include "Files.h"
#include "onager/Specialize.h"
#include "runtime/cache/variantcache.h"
#include "runtime/recompile/identity.h"
#include "llvm/Support/MemoryBuffer.h"
#include <CLI/CLI.hpp>
#include <memory>

namespace onager::cli {

namespace {

struct RespecializeArguments {
  std::string artifact, output, cache;
  std::vector<std::string> variants;
  bool isFromCache = false, isWithoutFormer = false;
};

} // namespace

static std::string_view view(llvm::StringRef bytes) { return {bytes.data(), bytes.size()}; }

/// The guards of the variants that the cache holds for an artifact's levels.
static std::vector<std::string> listCached(const ArtifactDescription &artifact, const std::string &folder) {
  rt::VariantCache cache;
  std::string place = folder.empty() ? rt::VariantCache::findFolder() : folder;
  if (rt::Outcome outcome = cache.open(place, rt::VariantCache::kDefaultBytes, /*write=*/false); !outcome)
    throw Failure(Status::badFile, outcome.message);
  std::vector<std::string> guards;
  for (const ArtifactDescription::Level &level : artifact.levels) {
    rt::ModelIdentity model = rt::describeModel(view(artifact.form), view(level.recipes));
    for (const rt::Preimage &preimage : cache.listPreimages(model.group))
      if (std::string guard = rt::readGuardLine(preimage); !guard.empty() && preimage.find(model.lines) != std::string::npos && std::find(guards.begin(), guards.end(), guard) == guards.end())
        guards.push_back(guard);
  }
  return guards;
}

/// Adds guards that are not `known` yet, within the limits of the generic form. One that is asked for must tell some runs from others.
static void addGuards(const std::vector<std::string> &texts, const rt::Manifest &generic, bool isAsked, std::vector<rt::Guard> &known, std::vector<std::string> &guards) {
  for (const std::string &text : texts) {
    rt::Guard read, guard;
    std::string error;
    bool isRead = rt::parseGuard(text, generic.symbols, read, error) && rt::clip(guard = read, generic.guard, generic.symbols, error);
    if (isRead && guard.empty())
      error = "every run fulfils it" + (generic.guard.empty() ? "" : ", within the limits " + rt::print(generic.guard, generic.symbols));
    if (isAsked && !error.empty())
      throw Failure(Status::badOption, "option '--variant': '" + text + "': " + error);
    if (!error.empty() || std::find(known.begin(), known.end(), guard) != known.end())
      continue;
    guards.push_back(guard == read ? text : rt::print(guard, {}));
    known.push_back(std::move(guard));
  }
}

static Status runRespecialize(const RespecializeArguments &arguments) {
  ArtifactFile file(arguments.artifact);
  const ArtifactDescription &artifact = file.description;
  if (artifact.form.empty())
    throw Failure(Status::badFile, "'" + arguments.artifact + "' does not carry what variants are made of");
  RespecializeOptions options;
  options.generic = view(artifact.form);
  options.output = arguments.output;
  options.emit = artifact.isProgram ? "exe" : "so";
  for (const ArtifactDescription::Level &level : artifact.levels) {
    if (level.weights.size() < level.generic.weightBytes)
      throw Failure(Status::badFile, "'" + arguments.artifact + "' has its weights in another file; compile the model again");
    options.levels.push_back({view(level.recipes), view(level.weights)});
  }
  std::vector<std::string> former, cached;
  if (!arguments.isWithoutFormer)
    for (const rt::Manifest &variant : artifact.levels[0].variants)
      former.push_back(rt::print(variant.guard, {}));
  if (arguments.isFromCache)
    cached = listCached(artifact, arguments.cache);
  const rt::Manifest &generic = artifact.levels[0].generic;
  std::vector<rt::Guard> known;
  addGuards(former, generic, /*isAsked=*/false, known, options.guards);
  addGuards(arguments.variants, generic, /*isAsked=*/true, known, options.guards);
  addGuards(cached, generic, /*isAsked=*/false, known, options.guards);
  showProgress("compiling " + std::to_string(options.guards.size()) + " variants");
  CompileResult result = respecialize(options);
  if (result.status != Status::ok)
    throw Failure(result.status, result.error);
  return Status::ok;
}

Command addRespecialize(CLI::App &app) {
  auto arguments = std::make_shared<RespecializeArguments>();
  app.add_option("artifact", arguments->artifact, "A compiled model")->required()->type_name("M.so");
  app.add_option("-o,--output", arguments->output, "Where the new one goes")->required()->type_name("FILE");
  app.add_option("--variant,--variants", arguments->variants, "What another variant is for, as batch=1,seq=128; may be repeated")->allow_extra_args(false)->type_name("GUARD");
  app.add_flag("--from-cache", arguments->isFromCache, "Also all variants that sessions of the model have had made");
  app.add_option("--dir", arguments->cache, "With --from-cache: the folder of the cache; the user's by default")->type_name("DIR");
  app.add_flag("--drop", arguments->isWithoutFormer, "Without the variants that the artifact has");
  return [arguments] { return runRespecialize(*arguments); };
}

} // namespace onager::cli
