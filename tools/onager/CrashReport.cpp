// A shell script onager-crash-PID.sh in the present folder, or in that of temporary files: the command, where it crashed, and its standard input
// beside it. All text is made beforehand: in a signal handler nothing but write and its like is safe.
#include "CrashReport.h"
#include "Cli.h"
#include "onager-rt/api.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Signals.h"
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace onager::cli {

namespace {

struct Report {
  std::string places[2];      ///< the script's path without its ending, by preference
  std::string head, tail;     ///< the script around the name of the stage
  std::string_view input;
};
Report report;

void put(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = write(fd, text.data(), text.size());
    if (written <= 0)
      return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

/// Appends an ending to a path in a buffer that needs no allocation.
const char *join(const std::string &path, const char *ending, char (&buffer)[4200]) {
  size_t length = std::min(path.size(), sizeof buffer - 16);
  std::memcpy(buffer, path.data(), length);
  std::strcpy(buffer + length, ending);
  return buffer;
}

/// Runs in a signal handler.
void writeReport(void *) {
  char name[4200];
  for (const std::string &place : report.places) {
    int fd = open(join(place, ".sh", name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (fd < 0)
      continue;
    put(fd, report.head);
    put(fd, getStage());
    put(fd, report.tail);
    if (!report.input.empty()) {
      put(fd, " < ");
      put(fd, "\"$(dirname \"$0\")/$(basename \"$0\" .sh).onnx\"");
    }
    put(fd, "\n");
    close(fd);
    put(STDERR_FILENO, "onager: error: the compiler crashed in stage '");
    put(STDERR_FILENO, getStage());
    put(STDERR_FILENO, "'; ");
    put(STDERR_FILENO, name);
    put(STDERR_FILENO, " repeats the command\n");
    if (!report.input.empty() && (fd = open(join(place, ".onnx", name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) >= 0) {
      put(fd, report.input);
      close(fd);
    }
    break;
  }
  _exit(static_cast<int>(Status::internal));
}

/// Quotes a word for the shell.
std::string quote(const std::string &word) {
  std::string quoted = "'";
  for (char c : word)
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

} // namespace

void installCrashReport(int argc, char **argv) {
  char folder[4096];
  std::string here = getcwd(folder, sizeof folder) ? folder : ".", name = "/onager-crash-" + std::to_string(getpid());
  const char *temporary = std::getenv("TMPDIR");
  report.places[0] = here + name;
  report.places[1] = (temporary && *temporary ? temporary : "/tmp") + name;
  report.head = std::string("#!/bin/sh\n# onager ") + onager_version() + " crashed here, in stage '";
  report.tail = "'.\ncd " + quote(here) + " && exec";
  for (int k = 0; k < argc; ++k)
    report.tail += " " + quote(argv[k]);
  llvm::sys::PrintStackTraceOnErrorSignal(argc > 0 ? argv[0] : "onager");
  llvm::sys::AddSignalHandler(writeReport, nullptr);
}

void rememberInput(std::string_view bytes) { report.input = bytes; }

} // namespace onager::cli
