// One element of each contraction: an inner loop over the sum. The form of -O0 and of types without an emitter of their own.
//
// Floats accumulate in their compute type (f64 where exact), integers in i64 where exact, else in the result's width: both wrap alike.
#include "dialects/Kernel/IR/Winograd.h"
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

Type storageOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }

} // namespace

Value multiplyAdd(UnitEmitter &e, Value sum, Value a, Type aType, Value c, Type cType, Type result) {
  Value x = convertElement(e, a, aType, result, true), y = convertElement(e, c, cType, result, true);
  if (isa<IntegerType>(sum.getType()))
    return arith::AddIOp::create(e.b, sum, arith::MulIOp::create(e.b, x, y));
  if (e.options.exact)
    return arith::AddFOp::create(e.b, sum, arith::MulFOp::create(e.b, x, y));
  // Not a product and a sum that LLVM may contract: with two products at hand it fuses one or the other, and not the same one in a vector body and
  // in what remains of its loop.
  return LLVM::FMulAddOp::create(e.b, sum.getType(), x, y, sum, LLVM::FastmathFlagsAttr::get(e.b.getContext(), LLVM::FastmathFlags::reassoc));
}

namespace {

Value emitMatmul(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto matmul = cast<graph::MatmulOp>(op);
  graph::Dims lhs = graph::getDims(matmul.getLhs()), rhs = graph::getDims(matmul.getRhs()), out = graph::getDims(matmul.getResult());
  Type result = storageOf(matmul.getResult()), compute = e.computeType(result);
  auto at = [&](Value tensor, Value row, Value column) {
    Index position = e.broadcastIndex(tensor, out, index);
    position[position.size() - 2] = row;
    position.back() = column;
    return e.element(tensor, position);
  };
  Value row = index[index.size() - 2], column = index.back();
  return e.forLoop(e.i64(0), e.extent(lhs.back()), 1, e.constant(compute, 0), [&](Value k, ValueRange sum) {
    Value a = at(matmul.getLhs(), row, k), c = at(matmul.getRhs(), k, column);
    return SmallVector<Value>{multiplyAdd(e, sum[0], a, storageOf(matmul.getLhs()), c, storageOf(matmul.getRhs()), result)};
  })[0];
}

/// Emits nested loops over a kernel's taps, calling `body` with the tap and the running sum.
Value overTaps(UnitEmitter &e, ArrayRef<AffineExpr> kernel, Index tap, Value sum, function_ref<Value(ArrayRef<Value>, Value)> body) {
  if (tap.size() == kernel.size())
    return body(tap, sum);
  return e.forLoop(e.i64(0), e.extent(kernel[tap.size()]), 1, sum, [&](Value k, ValueRange running) {
    Index next(tap);
    next.push_back(k);
    return SmallVector<Value>{overTaps(e, kernel, next, running[0], body)};
  })[0];
}

Value emitConvElement(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto conv = cast<graph::ConvOp>(op);
  graph::Dims x = graph::getDims(conv.getX()), filter = graph::getDims(conv.getFilter()), out = graph::getDims(conv.getResult());
  Type result = storageOf(conv.getResult()), compute = e.computeType(result);
  Value perGroup = e.extent(filter[1]);
  Value outPerGroup = e.floorDiv(e.extent(out[1]), e.i64(conv.getGroup()));
  Value firstChannel = conv.getGroup() == 1 ? e.i64(0) : e.mul(e.floorDiv(index[1], outPerGroup), perGroup);
  return overTaps(e, ArrayRef(filter).drop_front(), {}, e.constant(compute, 0), [&](ArrayRef<Value> tap, Value sum) -> Value {
    Index from{index[0], e.add(firstChannel, tap[0])}, weight{index[1], tap[0]};
    Value inside = arith::ConstantIntOp::create(e.b, 1, 1);
    for (size_t d = 0; d + 2 < x.size(); ++d) {
      Value at = e.add(e.mul(index[2 + d], e.i64(conv.getStrides()[d])), e.mul(tap[1 + d], e.i64(conv.getDilations()[d])));
      at = e.sub(at, e.extent(conv.getPads().getResult(d)));
      Value size = e.extent(x[2 + d]);
      inside = arith::AndIOp::create(e.b, inside, e.compare("ult", at, size));
      from.push_back(e.maxSigned(e.minSigned(at, e.sub(size, e.i64(1))), e.i64(0)));
      weight.push_back(tap[1 + d]);
    }
    Value a = e.element(conv.getX(), from), c = e.element(conv.getFilter(), weight);
    Value next = multiplyAdd(e, sum, a, storageOf(conv.getX()), c, storageOf(conv.getFilter()), result);
    return arith::SelectOp::create(e.b, inside, next, sum);
  });
}

Value emitConvTranspose(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto conv = cast<graph::ConvTransposeOp>(op);
  graph::Dims x = graph::getDims(conv.getX()), filter = graph::getDims(conv.getFilter());
  Type result = storageOf(conv.getResult()), compute = e.computeType(result);
  Value outPerGroup = e.extent(filter[1]);
  Value inPerGroup = e.floorDiv(e.extent(x[1]), e.i64(conv.getGroup()));
  Value group = e.floorDiv(index[1], outPerGroup), channel = e.rem(index[1], outPerGroup);
  graph::Dims taps{x[1].floorDiv(conv.getGroup())};
  taps.append(filter.begin() + 2, filter.end());
  return overTaps(e, taps, {}, e.constant(compute, 0), [&](ArrayRef<Value> tap, Value sum) -> Value {
    Value source = e.add(e.mul(group, inPerGroup), tap[0]);
    Index from{index[0], source}, weight{source, channel};
    Value inside = arith::ConstantIntOp::create(e.b, 1, 1);
    for (size_t d = 0; d + 2 < x.size(); ++d) {
      Value stride = e.i64(conv.getStrides()[d]);
      Value at = e.sub(e.add(index[2 + d], e.extent(conv.getPads().getResult(d))), e.mul(tap[1 + d], e.i64(conv.getDilations()[d])));
      Value position = arith::DivSIOp::create(e.b, at, stride), size = e.extent(x[2 + d]);
      Value fits = arith::AndIOp::create(e.b, e.compare("eq", e.mul(position, stride), at), e.compare("ult", position, size));
      fits = arith::AndIOp::create(e.b, fits, e.compare("sge", at, e.i64(0)));
      inside = arith::AndIOp::create(e.b, inside, fits);
      from.push_back(e.maxSigned(e.minSigned(position, e.sub(size, e.i64(1))), e.i64(0)));
      weight.push_back(tap[1 + d]);
    }
    Value a = e.element(conv.getX(), from), c = e.element(conv.getFilter(), weight);
    Value next = multiplyAdd(e, sum, a, storageOf(conv.getX()), c, storageOf(conv.getFilter()), result);
    return arith::SelectOp::create(e.b, inside, next, sum);
  });
}

/// One number of a transformed filter: row i of G times filter (t R + r, c) times row j of G, in f64.
Value emitWinogradFilter(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto transform = cast<kernel::WinogradFilterOp>(op);
  int64_t rows = cast<RankedTensorType>(transform.getType()).getDimSize(4);
  Value filter = e.add(e.mul(index[0], e.i64(rows)), index[4]), count = e.extent(graph::getDims(transform.getX())[0]);
  Value clamped = e.minSigned(filter, e.sub(count, e.i64(1)));
  kernel::WinogradFilterMatrix g = kernel::getWinogradFilterMatrix();
  Type f64 = e.b.getF64Type();
  auto coefficient = [&](Value position, int64_t k) {
    Value chosen = e.constant(f64, g.rows[0][k]);
    for (int64_t p = 1; p < kernel::kWinogradInputs; ++p)
      chosen = arith::SelectOp::create(e.b, e.compare("eq", position, e.i64(p)), e.constant(f64, g.rows[p][k]), chosen);
    return chosen;
  };
  Value sum = e.constant(f64, 0);
  for (int64_t k = 0; k < 3; ++k)
    for (int64_t l = 0; l < 3; ++l) {
      Value weight = convertElement(e, e.element(transform.getX(), {clamped, index[3], e.i64(k), e.i64(l)}), storageOf(transform.getX()), f64, false);
      Value both = arith::MulFOp::create(e.b, coefficient(index[1], k), coefficient(index[2], l));
      sum = arith::AddFOp::create(e.b, sum, arith::MulFOp::create(e.b, both, weight));
    }
  Value kept = arith::SelectOp::create(e.b, e.compare("slt", filter, count), sum, e.constant(f64, 0));
  return convertElement(e, kept, f64, storageOf(transform.getResult()), false);
}

} // namespace

void registerContractions(llvm::StringMap<OpElementFn> &table) {
  table["graph.matmul"] = emitMatmul;
  table["graph.conv"] = emitConvElement;
  table["graph.conv_transpose"] = emitConvTranspose;
  table["kernel.winograd_filter"] = emitWinogradFilter;
}

} // namespace onager
