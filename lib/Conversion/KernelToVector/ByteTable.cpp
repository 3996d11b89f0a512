// table[b] = f(b) for the 256 bytes, then result[i] = table[x[i]]; see ByteTable.h.
#include "lib/Conversion/KernelToVector/ByteTable.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

constexpr int64_t kBytes = 256;
/// Elements that are read and written as one word: stores of single bytes would be gathered into vectors one by one.
constexpr int64_t kWord = 8;
/// Elements from which the table pays for itself.
constexpr int64_t kFewestElements = 2048;

bool isByte(Type type) { return type.isSignlessInteger(8) || type.isUnsignedInteger(8); }

Type elementOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }

/// Functions that take as long as several lookups.
bool isCostly(Operation *op) {
  return isa<graph::ExpOp, graph::LogOp, graph::SigmoidOp, graph::TanhOp, graph::ErfOp, graph::GeluOp, graph::SwishOp, graph::PowOp, graph::Log1pOp, graph::Expm1Op,
             graph::SinOp, graph::CosOp, graph::TanOp, graph::AtanOp, graph::AsinOp, graph::AcosOp, graph::SinhOp, graph::CoshOp>(op);
}

} // namespace

Value getTableArgument(kernel::UnitOp unit) {
  Block &body = unit.getBody().front();
  Operation *yield = body.getTerminator();
  graph::Dims dims = graph::getDims(yield->getOperand(0));
  std::optional<int64_t> elements = graph::getConstant(graph::getNumElements(unit.getContext(), dims));
  bool isCostlyEnough = false;
  for (Operation &op : body.without_terminator()) {
    if (!op.hasTrait<graph::ElementwiseOp>() && !isa<graph::ConstantOp>(op))
      return {};
    isCostlyEnough |= isCostly(&op);
  }
  if (!isCostlyEnough || (elements && *elements < kFewestElements) || !llvm::all_of(yield->getOperands(), [](Value result) { return isByte(elementOf(result)); }))
    return {};
  Value argument;
  for (Value candidate : body.getArguments()) {
    if (graph::isConstant(graph::getNumElements(unit.getContext(), graph::getDims(candidate)), 1))
      continue;
    if (argument || !isByte(elementOf(candidate)) || graph::getDims(candidate) != dims)
      return {};
    argument = candidate;
  }
  return argument;
}

void emitByteTable(UnitEmitter &e, Value argument) {
  Operation *yield = e.unit.getBody().front().getTerminator();
  Type i8 = e.b.getI8Type(), i64 = e.b.getI64Type();
  SmallVector<Value> tables;
  for (size_t k = 0; k < yield->getNumOperands(); ++k)
    tables.push_back(e.stackBuffer(i8, kBytes));
  UnitEmitter::Index zero(graph::getDims(argument).size(), e.i64(0));
  e.forEachParallel(e.i64(0), e.i64(kBytes), [&](Value byte) {
    e.overrideElement(argument, [&](ArrayRef<Value>) { return arith::TruncIOp::create(e.b, i8, byte); });
    for (auto [result, table] : llvm::zip_equal(yield->getOperands(), tables))
      e.store(elementOf(result), table, byte, e.element(result, zero));
    e.clearOverrides();
  });
  Value bytes = e.getBuffer(argument), whole = e.add(e.begin, e.mul(e.floorDiv(e.sub(e.end, e.begin), e.i64(kWord)), e.i64(kWord)));
  e.forEach(e.begin, whole, kWord, [&](Value i) {
    Value word = LLVM::LoadOp::create(e.b, i64, e.address(i8, bytes, i), 1);
    SmallVector<Value> found(tables.size(), e.i64(0));
    for (int64_t k = 0; k < kWord; ++k) {
      Value place = arith::AndIOp::create(e.b, arith::ShRUIOp::create(e.b, word, e.i64(8 * k)), e.i64(kBytes - 1));
      for (auto [sum, table] : llvm::zip_equal(found, tables)) {
        Value wide = arith::ExtUIOp::create(e.b, i64, e.load(i8, table, place));
        sum = arith::OrIOp::create(e.b, sum, arith::ShLIOp::create(e.b, wide, e.i64(8 * k)));
      }
    }
    for (auto [number, sum] : llvm::enumerate(found))
      LLVM::StoreOp::create(e.b, sum, e.address(i8, e.getResultBuffer(number), i), 1);
  });
  e.forEach(whole, e.end, 1, [&](Value i) {
    Value place = arith::ExtUIOp::create(e.b, i64, e.load(i8, bytes, i, /*invariant=*/true));
    for (auto [number, table] : llvm::enumerate(tables))
      e.store(i8, e.getResultBuffer(number), i, e.load(i8, table, place));
  });
}

WorkInfo getByteTableWork(kernel::UnitOp unit) {
  MLIRContext *context = unit.getContext();
  AffineExpr elements = graph::getNumElements(context, graph::getDims(unit.getBody().front().getTerminator()->getOperand(0)));
  return {elements, elements * 2 + kBytes * 16, getAffineConstantExpr(0, context)};
}

} // namespace onager
