// Registers the `kernel` dialect.
#include "dialects/Kernel/IR/Kernel.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialects/Kernel/IR/KernelDialect.cpp.inc"
#include "dialects/Kernel/IR/KernelEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Kernel/IR/KernelAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Kernel/IR/KernelOps.cpp.inc"

using namespace mlir;

namespace onager::kernel {

void KernelDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Kernel/IR/KernelAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Kernel/IR/KernelOps.cpp.inc"
      >();
}

llvm::DenseSet<int64_t> findReadWeights(Operation *program) {
  auto buffers = program->getParentOp()->getAttrOfType<ArrayAttr>(kBuffersAttr);
  llvm::DenseSet<int64_t> read;
  program->walk([&](Operation *op) {
    auto numbers = op->getAttrOfType<DenseI64ArrayAttr>("operand_buffers");
    if (!numbers || op->hasAttr("constant") || isa<graph::ReshapeOp>(op))
      return;
    for (int64_t number : numbers.asArrayRef())
      if (auto buffer = cast<BufferAttr>(buffers[number]); buffer.getKind() == BufferKind::weight)
        read.insert(buffer.getIndex());
  });
  return read;
}

std::string describeUnit(UnitOp unit) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << stringifyHero(unit.getHero());
  OpPrintingFlags flags;
  flags.printGenericOpForm().useLocalScope();
  for (BlockArgument argument : unit.getBody().getArguments())
    out << ',' << argument.getType();
  AsmState state(unit, flags);
  for (Operation &op : unit.getBody().front()) {
    out << ';';
    op.print(out, state);
  }
  return text;
}

} // namespace onager::kernel
