// LD_PRELOAD and a new start: the runtime must come before every other library.
#include "Sanitizer.h"
#include "Cli.h"
#include "runtime/core/sanitizer.h"
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace onager::cli {

static char **commandLine = nullptr;

void keepCommandLine(char **argv) { commandLine = argv; }

/// Puts bytes that were read back in front of standard input.
static void restoreInput(const std::string &input) {
  int fd = memfd_create("input", 0);
  if (fd < 0 || write(fd, input.data(), input.size()) != static_cast<ssize_t>(input.size()) || lseek(fd, 0, SEEK_SET) || dup2(fd, STDIN_FILENO) < 0)
    throw Failure(Status::internal, std::string("cannot keep standard input: ") + std::strerror(errno));
}

void enterSanitizer(const std::string &input) {
  if (rt::hasSanitizer())
    return;
  const char *named = std::getenv("ONAGER_ASAN_RUNTIME");
  std::string runtime = named && *named ? named : ONAGER_ASAN_RUNTIME;
  if (runtime.empty() || access(runtime.c_str(), R_OK))
    throw Failure(Status::badOption, "sanitized code needs AddressSanitizer's runtime, " + (runtime.empty() ? "" : "'" + runtime + "', ") +
                                         "which is not there; install it or name it in ONAGER_ASAN_RUNTIME");
  if (!input.empty())
    restoreInput(input);
  const char *before = std::getenv("LD_PRELOAD");
  setenv("LD_PRELOAD", before && *before ? (runtime + ":" + before).c_str() : runtime.c_str(), 1);
  // LLVM's library is not instrumented: what it allocates and keeps until the end is no leak of the model's code.
  setenv("ASAN_OPTIONS", "detect_leaks=0:alloc_dealloc_mismatch=0", /*overwrite=*/0);
  execv("/proc/self/exe", commandLine);
  throw Failure(Status::internal, std::string("cannot start again with AddressSanitizer's runtime: ") + std::strerror(errno));
}

} // namespace onager::cli
