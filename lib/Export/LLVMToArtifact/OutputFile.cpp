// Writing beside the place and renaming, so that a crash or a full disk leaves what was there before.
#include "lib/Export/LLVMToArtifact/OutputFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Signals.h"

using namespace llvm;

namespace onager {

OutputFile::~OutputFile() {
  // What is buffered still goes out when the stream ends, which may fail as what came before it did.
  if (out && !isClosed)
    out->close();
  if (out)
    out->clear_error();
  out.reset();
  if (temporary.empty())
    return;
  sys::fs::remove(temporary);
  sys::DontRemoveFileOnSignal(temporary);
}

bool OutputFile::open(std::string &error) {
  int fd;
  if (std::error_code status = sys::fs::createUniqueFile(path + ".tmp-%%%%%%%%", fd, temporary, sys::fs::OF_None, mode)) {
    temporary.clear();
    error = "cannot create a file beside " + path + ": " + status.message();
    return false;
  }
  sys::RemoveFileOnSignal(temporary);
  out.emplace(fd, /*shouldClose=*/true);
  return true;
}

bool OutputFile::close(std::string &error) {
  out->close();
  isClosed = true;
  if (!out->has_error())
    return true;
  error = "cannot write " + path + ": " + out->error().message();
  return false;
}

bool OutputFile::commit(std::string &error) {
  if (std::error_code status = sys::fs::rename(temporary, path)) {
    error = "cannot rename to " + path + ": " + status.message();
    return false;
  }
  sys::DontRemoveFileOnSignal(temporary);
  temporary.clear();
  return true;
}

} // namespace onager
