// What a crash of the compiler leaves behind.
#ifndef ONAGER_TOOLS_CRASHREPORT_H
#define ONAGER_TOOLS_CRASHREPORT_H

#include <string_view>

namespace onager::cli {

/// Arranges that a crash writes a script that repeats the command, says so on standard error and ends the process with the status of internal
/// errors. To be called once, before threads start.
void installCrashReport(int argc, char **argv);

/// Keeps what was read from standard input, so that the script can feed it again. The bytes must stay valid.
void rememberInput(std::string_view bytes);

} // namespace onager::cli

#endif
