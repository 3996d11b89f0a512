// What --save-temps leaves in a folder: the IR that leaves each stage, LLVM IR, the object file.
#ifndef ONAGER_PIPELINE_SAVETEMPS_H
#define ONAGER_PIPELINE_SAVETEMPS_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"
#include <string>

namespace onager {

/// Writes files K-NAME.mlir, .ll and .o, numbered in the order of writing, into a folder; does nothing where there is none.
class SaveTemps {
public:
  explicit SaveTemps(const std::string &folder) : folder(folder) {}
  /// Saves a module's text, with locations, large constants left out.
  void save(llvm::StringRef name, mlir::ModuleOp module);
  void save(llvm::StringRef name, const llvm::Module &module);
  void save(llvm::StringRef name, llvm::ArrayRef<char> object);
  /// Why a file could not be written; empty where all were.
  const std::string &getError() const { return error; }

private:
  void write(llvm::StringRef name, llvm::StringRef suffix, llvm::StringRef bytes);

  const std::string &folder;
  unsigned count = 0;
  std::string error;
};

} // namespace onager

#endif
