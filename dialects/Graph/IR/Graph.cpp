// Registers the `graph` dialect and folds its constants.
#include "dialects/Graph/IR/Graph.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialects/Graph/IR/GraphDialect.cpp.inc"
#include "dialects/Graph/IR/GraphEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Graph/IR/GraphAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Graph/IR/GraphTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Graph/IR/GraphOps.cpp.inc"

namespace onager::graph {

void GraphDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Graph/IR/GraphAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Graph/IR/GraphTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Graph/IR/GraphOps.cpp.inc"
      >();
}

/// Checks what stands at an input or output of a program.
static mlir::LogicalResult verifyProgram(mlir::Operation *function, mlir::NamedAttribute attribute) {
  if (attribute.getName() != "graph.name")
    return mlir::success();
  if (!llvm::isa<mlir::StringAttr>(attribute.getValue()))
    return function->emitOpError("[program_c1] expected a string as graph.name, found ") << attribute.getValue();
  auto symbols = function->getAttrOfType<mlir::ArrayAttr>("graph.symbols");
  if (!symbols || !llvm::all_of(symbols, llvm::IsaPred<mlir::StringAttr>))
    return function->emitOpError("[program_c2] inputs or outputs have names, but there is no graph.symbols, an array of the symbols' names");
  return mlir::success();
}

mlir::LogicalResult GraphDialect::verifyRegionArgAttribute(mlir::Operation *function, unsigned, unsigned, mlir::NamedAttribute attribute) { return verifyProgram(function, attribute); }

mlir::LogicalResult GraphDialect::verifyRegionResultAttribute(mlir::Operation *function, unsigned, unsigned, mlir::NamedAttribute attribute) { return verifyProgram(function, attribute); }

mlir::OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

std::string getNodeName(mlir::Operation *op) {
  std::string name;
  op->getLoc()->walk([&](mlir::Location part) {
    auto named = llvm::dyn_cast<mlir::NameLoc>(part);
    if (named)
      name = named.getName().str();
    return named ? mlir::WalkResult::interrupt() : mlir::WalkResult::advance();
  });
  return name.empty() ? op->getName().stripDialect().str() : name;
}

bool movesElements(mlir::Operation *op) {
  if (auto scatter = mlir::dyn_cast<ScatterElementsOp>(op))
    return scatter.getKind() == ScatterKind::none;
  if (auto scatter = mlir::dyn_cast<ScatterNDOp>(op))
    return scatter.getKind() == ScatterKind::none;
  return mlir::isa<ReshapeOp, TransposeOp, SliceOp, BroadcastOp, TileOp, PadOp, ConcatOp, GatherOp, GatherElementsOp, GatherNDOp, SelectOp>(op);
}

mlir::Value lookThroughViews(mlir::Value value) {
  while (auto view = value.getDefiningOp<ReshapeOp>())
    value = view.getX();
  return value;
}

} // namespace onager::graph
