// Finding the compiler, and telling compilers apart.
#ifndef ONAGER_RUNTIME_RECOMPILE_COMPILERFILE_H
#define ONAGER_RUNTIME_RECOMPILE_COMPILERFILE_H

#include "runtime/core/model.h"

namespace onager::rt {

/// Returns the path of the compiler: `named`, else what ONAGER_COMPILER names, else `onager` beside this library, in a folder `bin` beside it, beside its folder or one further
/// up, or on PATH; "" where there is none that may be executed.
std::string findCompiler(const char *named);

/// The same, which fails where there is none.
Outcome requireCompiler(const char *named, std::string &path);

/// Returns the path of the compiler's shared library: `named`, or, if that is "", libonager-specialize.so.0 beside this library or in a folder `lib` beside its
/// folder. A name without folder is looked for on LD_LIBRARY_PATH and in the system's folders; one that is in none of them stays as it is, for the loader to
/// look.
std::string findCompilerLibrary(const std::string &named);

/// What tells compilers apart: size, time and the linker's name for the build of the program or library, and of LLVM's and MLIR's shared libraries that the
/// loader would give it. "" where there is no such file: nothing is known of the compiler then, and the cache is not for it.
std::string describeCompiler(const std::string &path);

} // namespace onager::rt

#endif
