// Starting the tool again with AddressSanitizer's runtime, which sanitized code needs in its process.
#ifndef ONAGER_TOOLS_SANITIZER_H
#define ONAGER_TOOLS_SANITIZER_H

#include <string>

namespace onager::cli {

/// Keeps the command line for `enterSanitizer`; valid as long as main runs.
void keepCommandLine(char **argv);

/// Returns where AddressSanitizer's runtime is in the process. Else starts the process again with it, `input` being what standard input gave so
/// far. The runtime is the file that ONAGER_ASAN_RUNTIME names, or that of the compiler that built the tool; fails where there is none.
void enterSanitizer(const std::string &input);

} // namespace onager::cli

#endif
