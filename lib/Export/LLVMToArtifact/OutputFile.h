// Files that appear whole or not at all.
#ifndef ONAGER_EXPORT_LLVMTOARTIFACT_OUTPUTFILE_H
#define ONAGER_EXPORT_LLVMTOARTIFACT_OUTPUTFILE_H

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/raw_ostream.h"
#include <optional>
#include <string>

namespace onager {

/// A file that is written beside its place and takes it at commit; without commit it goes away.
class OutputFile {
public:
  OutputFile(std::string path, unsigned mode) : path(std::move(path)), mode(mode) {}
  OutputFile(const OutputFile &) = delete;
  ~OutputFile();
  /// Creates the temporary file. False and a reason where the folder cannot be written to.
  bool open(std::string &error);
  /// The stream to write to. REQUIRES: open succeeded.
  llvm::raw_fd_ostream &stream() { return *out; }
  /// Flushes and closes; false and a reason where something was not written, such as on a full disk.
  bool close(std::string &error);
  /// Moves the file to its place. REQUIRES: close succeeded.
  bool commit(std::string &error);
  /// Where the file is until commit.
  llvm::StringRef temporaryPath() const { return temporary; }

private:
  std::string path;
  unsigned mode;
  llvm::SmallString<128> temporary;
  std::optional<llvm::raw_fd_ostream> out;
  bool isClosed = false;
};

} // namespace onager

#endif
