// What decides a variant's code, as the cache keeps it.
#ifndef ONAGER_RUNTIME_RECOMPILE_IDENTITY_H
#define ONAGER_RUNTIME_RECOMPILE_IDENTITY_H

#include <string>
#include <string_view>

namespace onager::rt {

/// What the variants of a model have in common: its generic form, and the recipes of the level that runs.
struct ModelIdentity {
  std::string lines; ///< of a preimage
  std::string group; ///< of the cache: the first 32 hex digits of the SHA-256 of the lines
};
ModelIdentity describeModel(std::string_view form, std::string_view recipes);

/// What the processor tells of itself: model and features, as hex digits.
std::string describeProcessor();

/// The lines of a preimage that do not name the compiler or the guard: the interface, the model and the processor.
std::string describeSurroundings(const ModelIdentity &model, const std::string &processor);

/// A whole preimage; `surroundings` is what describeSurroundings says and `compiler` what describeCompiler does, `guard` has symbols by number.
std::string makePreimage(const std::string &surroundings, const std::string &compiler, const std::string &guard);

/// Returns the line of a preimage that names the compiler, as `\ncompiler=...\n`.
std::string makeCompilerLine(const std::string &compiler);

/// Returns the guard of a preimage, "" where there is none.
std::string readGuardLine(const std::string &preimage);

} // namespace onager::rt

#endif
