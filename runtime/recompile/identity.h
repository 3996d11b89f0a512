// What decides a variant's code, as the cache keeps it.
#ifndef ONAGER_RUNTIME_RECOMPILE_IDENTITY_H
#define ONAGER_RUNTIME_RECOMPILE_IDENTITY_H

#include <string>
#include <string_view>

namespace onager::rt {

/// The cache's group of a model: 32 hex digits of its generic form and of the recipes of the level that runs.
std::string describeModel(std::string_view form, std::string_view recipes);

/// The lines of a preimage that do not name the compiler or the guard: the interface, the model and the processor.
std::string describeSurroundings(const std::string &group);

/// A whole preimage; `compiler` is what describeCompiler says, `guard` has symbols by number.
std::string makePreimage(const std::string &group, const std::string &compiler, const std::string &guard);

/// Returns the line of a preimage that names the compiler, as `\ncompiler=...\n`.
std::string makeCompilerLine(const std::string &compiler);

/// Returns the guard of a preimage, "" where there is none.
std::string readGuardLine(const std::string &preimage);

} // namespace onager::rt

#endif
