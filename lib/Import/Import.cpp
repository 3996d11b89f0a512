// The entry of the importer: a file or bytes become a verified module, or a list of reasons.
#include "include/onager/Import.h"
#include "dialects/Graph/IR/Graph.h"
#include "lib/Import/OnnxToGraph/Importer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"

namespace onager {

std::string ImportError::toString() const {
  if (node.empty() && op.empty())
    return reason;
  return "node '" + node + "' (op " + op + ", domain " + domain + ", opset " + std::to_string(opset) + "): " + reason;
}

mlir::OwningOpRef<mlir::ModuleOp> importOnnx(const ImportSource &source, const ImportOptions &options, mlir::MLIRContext &context,
                                             ImportResult &result) {
  context.loadDialect<graph::GraphDialect, mlir::func::FuncDialect>();
  auto model = std::make_shared<frontend::LoadedModel>();
  std::string error;
  if (!frontend::loadModel(source.path, source.bytes, *model, error)) {
    result.errors.push_back({"", "", "", 0, error});
    return nullptr;
  }
  result.keeper = model->files;
  mlir::OwningOpRef<mlir::ModuleOp> module = frontend::Importer(*model, options, context, result).run();
  if (module && mlir::failed(mlir::verify(*module))) {
    result.errors.push_back({"", "", "", 0, "internal error: the imported module does not verify"});
    return nullptr;
  }
  return module;
}

} // namespace onager
