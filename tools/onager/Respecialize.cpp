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
  for (const ArtifactDescription::Level &level : artifact.levels)
    for (const rt::VariantCache::Entry &entry : cache.findAll(rt::describeModel(view(artifact.form), view(level.recipes))))
      if (std::string guard = rt::readGuardLine(entry.preimage); !guard.empty() && std::find(guards.begin(), guards.end(), guard) == guards.end())
        guards.push_back(guard);
  return guards;
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
  if (!arguments.isWithoutFormer)
    for (const rt::Manifest &variant : artifact.levels[0].variants)
      options.guards.push_back(rt::print(variant.guard, {}));
  options.guards.insert(options.guards.end(), arguments.variants.begin(), arguments.variants.end());
  if (arguments.isFromCache)
    for (const std::string &guard : listCached(artifact, arguments.cache))
      options.guards.push_back(guard);
  // Guards may come twice, as text and from the cache.
  std::vector<rt::Guard> known;
  std::vector<std::string> distinct;
  for (const std::string &text : options.guards) {
    rt::Guard guard;
    std::string error;
    if (!rt::parseGuard(text, artifact.levels[0].generic.symbols, guard, error))
      throw Failure(Status::badOption, "option '--variant': '" + text + "': " + error);
    if (std::find(known.begin(), known.end(), guard) != known.end())
      continue;
    known.push_back(guard);
    distinct.push_back(text);
  }
  options.guards = std::move(distinct);
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
