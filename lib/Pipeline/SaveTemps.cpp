// Intermediate forms as files.
#include "lib/Pipeline/SaveTemps.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace onager {

void SaveTemps::save(StringRef name, ModuleOp module) {
  if (folder.empty())
    return;
  std::string text;
  llvm::raw_string_ostream out(text);
  OpPrintingFlags flags;
  flags.elideLargeElementsAttrs(16).elideLargeResourceString(64).enableDebugInfo();
  module.print(out, flags);
  write(name, "mlir", text);
}

void SaveTemps::save(StringRef name, const llvm::Module &module) {
  if (folder.empty())
    return;
  std::string text;
  llvm::raw_string_ostream(text) << module;
  write(name, "ll", text);
}

void SaveTemps::save(StringRef name, ArrayRef<char> object) {
  if (!folder.empty())
    write(name, "o", StringRef(object.data(), object.size()));
}

void SaveTemps::write(StringRef name, StringRef suffix, StringRef bytes) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, std::to_string(count++) + "-" + name + "." + suffix);
  std::error_code status = llvm::sys::fs::create_directories(folder);
  if (!status) {
    llvm::raw_fd_ostream out(path, status);
    out << bytes;
    out.close();
    status = out.error();
    out.clear_error();
  }
  if (status && error.empty())
    error = "cannot write " + path.str().str() + ": " + status.message();
}

} // namespace onager
