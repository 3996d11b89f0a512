// Reading, staged writing and temporary paths.
#include "Files.h"
#include "Cli.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <unistd.h>
#include <utility>

namespace fs = llvm::sys::fs;

namespace onager::cli {

std::string readFile(const std::string &path) {
  bool isStandard = path == "-";
  std::FILE *file = isStandard ? stdin : std::fopen(path.c_str(), "rbe");
  if (!file)
    throw Failure(Status::badFile, "cannot open '" + path + "': " + std::strerror(errno));
  std::string bytes;
  char chunk[1 << 16];
  while (size_t count = std::fread(chunk, 1, sizeof chunk, file))
    bytes.append(chunk, count);
  int error = std::ferror(file) ? errno : 0;
  if (!isStandard)
    std::fclose(file);
  if (error)
    throw Failure(Status::badFile, "cannot read '" + path + "': " + std::strerror(error));
  return bytes;
}

bool isSpecialFile(const std::string &path) {
  fs::file_status status;
  return path == "-" || (!fs::status(path, status) && fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status));
}

StagedFile::StagedFile(std::string givenPath) : path(std::move(givenPath)) {
  if (isSpecialFile(path))
    return;
  llvm::SmallString<128> name;
  std::error_code error = fs::is_directory(path) ? std::make_error_code(std::errc::is_a_directory) : fs::createUniqueFile(path + ".tmp-%%%%%%%%", name);
  if (error)
    throw Failure(Status::badFile, "cannot write '" + path + "': " + error.message());
  temporary = name.str().str();
  llvm::sys::RemoveFileOnSignal(temporary);
}

StagedFile::StagedFile(StagedFile &&other) noexcept
    : path(std::move(other.path)), temporary(std::exchange(other.temporary, {})), pending(std::move(other.pending)) {}

StagedFile::~StagedFile() {
  if (temporary.empty())
    return;
  fs::remove(temporary);
  llvm::sys::DontRemoveFileOnSignal(temporary);
}

/// Writes bytes to an existing file or device.
static void writeBytes(const std::string &path, const std::string &shownPath, std::string_view bytes) {
  std::FILE *file = std::fopen(path.c_str(), "wbe");
  bool isWritten = file && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  int error = errno;
  if (file && std::fclose(file)) {
    isWritten = false;
    error = errno;
  }
  if (!isWritten)
    throw Failure(Status::badFile, "cannot write '" + shownPath + "': " + std::strerror(error));
}

void StagedFile::write(std::string_view bytes) {
  if (temporary.empty())
    pending = bytes;
  else
    writeBytes(temporary, path, bytes);
}

void StagedFile::commit() {
  if (path == "-")
    return print(pending);
  if (temporary.empty())
    return writeBytes(path, path, pending);
  if (std::error_code error = fs::rename(temporary, path))
    throw Failure(Status::badFile, "cannot write '" + path + "': " + error.message());
  llvm::sys::DontRemoveFileOnSignal(temporary);
  temporary.clear();
}

void writeFile(const std::string &path, std::string_view bytes) {
  StagedFile file(path);
  file.write(bytes);
  file.commit();
}

TemporaryPath::TemporaryPath(Kind kind, const std::string &suffix) : kind(kind) {
  llvm::SmallString<128> name;
  std::error_code error = kind == file ? fs::createTemporaryFile("onager", suffix, name) : fs::createUniqueDirectory("onager", name);
  if (error)
    throw Failure(Status::badFile, "cannot create a temporary file: " + error.message());
  path = name.str().str();
  if (kind == file)
    llvm::sys::RemoveFileOnSignal(path);
}

TemporaryPath::~TemporaryPath() {
  if (kind == folder) {
    fs::remove_directories(path);
    return;
  }
  fs::remove(path);
  llvm::sys::DontRemoveFileOnSignal(path);
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void printFormatted(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
}

void flushOutput() {
  if (std::fflush(stdout) || std::ferror(stdout))
    throw Failure(Status::badFile, std::string("cannot write to standard output: ") + std::strerror(errno));
}

void showProgress(const std::string &text) {
  static const bool isTerminal = isatty(STDERR_FILENO);
  if (isTerminal)
    std::fprintf(stderr, "onager: %s\n", text.c_str());
}

} // namespace onager::cli
