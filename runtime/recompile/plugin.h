// The compiler in the runtime's own process: its shared library, loaded when the first variant is wanted, and never unloaded.
#ifndef ONAGER_RUNTIME_RECOMPILE_PLUGIN_H
#define ONAGER_RUNTIME_RECOMPILE_PLUGIN_H

#include "runtime/recompile/process.h"

namespace onager::rt {

/// Compiles a variant of a model by a library of the compiler and returns the artifact's bytes. Runs on a thread of its own, with the priority and cores of
/// `options`, whose time does not count: nothing ends a compilation but its end. A fault in the compiler is one of the application.
Outcome compileInProcess(const std::string &library, const Model &model, const std::string &guard, const ProcessOptions &options, std::string &payload);

} // namespace onager::rt

#endif
