// Reading ONNX models into the graph dialect.
#ifndef ONAGER_IMPORT_H
#define ONAGER_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "onager-rt/operators.h"
#include "mlir/IR/OwningOpRef.h"
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace onager {

/// A model by path, or its bytes (which must outlive the module).
struct ImportSource {
  std::string path;
  llvm::StringRef bytes;
};

/// What the caller knows better than the model.
struct ImportOptions {
  std::map<std::string, std::vector<int64_t>> shapes; ///< fixed shapes of inputs
  std::vector<const onager_operator *> operators;     ///< custom operators, which come before those that the importer knows
};

/// Why a file or a node was not imported. `node` and `op` are empty where the reason concerns the whole file.
struct ImportError {
  std::string node, op, domain;
  int64_t opset = 0;
  std::string reason;
  bool isMalformed = false; ///< the node is no valid one, whatever its inputs are
  std::string toString() const;
};

/// How an import ended. `keeper` owns the memory that constants refer to and must outlive the module.
struct ImportResult {
  std::vector<ImportError> errors;
  bool refused = false; ///< the file is a model, but not one that can be compiled
  std::shared_ptr<void> keeper;
};

/// Imports a model as one function @main of graph operations; null and `result.errors` on failure. Never throws.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(const ImportSource &source, const ImportOptions &options, mlir::MLIRContext &context, ImportResult &result);

} // namespace onager

#endif
