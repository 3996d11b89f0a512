// Files: whole reads, writes that appear complete or not at all, and what is printed.
#ifndef ONAGER_TOOLS_FILES_H
#define ONAGER_TOOLS_FILES_H

#include <string>
#include <string_view>

namespace onager::cli {

/// Returns a file's bytes; `-` is standard input.
std::string readFile(const std::string &path);

/// True where the path names something that is not a regular file, such as a device, which must never be renamed over.
bool isSpecialFile(const std::string &path);

/// A file that is written beside its place and moved there by commit(); without it nothing changes. `-` is standard output.
class StagedFile {
public:
  /// Creates the temporary file, so that a folder that cannot be written to is found before the work.
  explicit StagedFile(std::string path);
  StagedFile(StagedFile &&other) noexcept;
  StagedFile(const StagedFile &) = delete;
  ~StagedFile();
  /// Writes the contents, which commit() then publishes.
  void write(std::string_view bytes);
  void commit();

private:
  std::string path, temporary; ///< `temporary` is empty for special files, whose contents wait in `pending`
  std::string pending;
};

/// Writes a whole file through a StagedFile.
void writeFile(const std::string &path, std::string_view bytes);

/// A path in the system's folder for temporary files; what lies there is removed at the end, also when a signal ends the process.
class TemporaryPath {
public:
  enum Kind { file, folder };
  TemporaryPath(Kind kind, const std::string &suffix);
  TemporaryPath(const TemporaryPath &) = delete;
  ~TemporaryPath();
  const std::string &get() const { return path; }

private:
  std::string path;
  Kind kind;
};

/// Prints to standard output.
void print(std::string_view text);
/// Prints with printf's formats.
[[gnu::format(printf, 1, 2)]] void printFormatted(const char *format, ...);
/// Writes out what was printed; fails where it could not be.
void flushOutput();

/// Tells what is being done where standard error is a terminal.
void showProgress(const std::string &text);

} // namespace onager::cli

#endif
