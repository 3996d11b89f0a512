// matmul, conv -> the same with `sparse`, where their weights hold many zeros. Test: graph-mark-sparse.mlir
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/Transforms/Guards.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "dialects/Kernel/IR/Sparse.h"
#include "dialects/Kernel/IR/Winograd.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "lib/Conversion/GraphToKernel/UnitShape.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <cstring>

#define DEBUG_TYPE "graph-mark-sparse"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_GRAPHMARKSPARSE
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

namespace {

/// One of so many weights must be 0 for a product to be looked at; where far fewer of the first ones are, the others are not counted.
constexpr int64_t kFewestZeros = 4, kCounted = 1 << 16, kFewestCounted = 16;
/// What parts of bf16 gain over vectors of f32, as a rule; measured on Sapphire Rapids.
constexpr double kBf16x3Gain = 1.5;
/// Operations between weights and the constant that they are made of, at most.
constexpr unsigned kLongestChain = 8;

/// The f32 constant that weights are made of by moving elements and scaling them, which keeps zeros; null where there is none.
ElementsAttr findConstant(Value weights) {
  for (unsigned step = 0; step < kLongestChain; ++step) {
    if (ElementsAttr constant = graph::getConstantValue(weights))
      return constant.getElementType().isF32() && graph::hasBytes(constant) ? constant : nullptr;
    Operation *op = weights.getDefiningOp();
    if (auto scale = dyn_cast_or_null<graph::MulOp>(op))
      weights = scale.getLhs().getType() == scale.getType() ? scale.getLhs() : scale.getRhs();
    else if (isa_and_nonnull<graph::ReshapeOp, graph::TransposeOp>(op))
      weights = op->getOperand(0);
    else
      return nullptr;
    auto before = cast<RankedTensorType>(weights.getType()), behind = cast<RankedTensorType>(op->getResult(0).getType());
    // What depends on symbols is no constant, and has no number of elements.
    if (!before.hasStaticShape() || !behind.hasStaticShape() || before.getNumElements() != behind.getNumElements())
      return nullptr;
  }
  return nullptr;
}

/// Counts zeros, of either sign; gives fewer where the first weights have so few that the sum of all would not matter.
int64_t countZeros(ElementsAttr constant) {
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(constant, storage);
  auto count = static_cast<int64_t>(bytes.size() / sizeof(float));
  int64_t zeros = 0;
  for (int64_t k = 0; k < count; ++k) {
    float weight;
    std::memcpy(&weight, bytes.data() + k * sizeof weight, sizeof weight);
    zeros += weight == 0;
    if (k + 1 == kCounted && zeros < kCounted / kFewestCounted)
      break;
  }
  return zeros;
}

/// What a symbol is at least: 1, or what the guard of its function says.
struct LeastSymbols {
  rt::Guard guard;

  int64_t evaluate(AffineExpr expr) const {
    SmallVector<AffineExpr> values;
    graph::forEachSymbol(expr, [&](unsigned symbol) {
      AffineExpr one = getAffineConstantExpr(1, expr.getContext());
      values.resize(std::max<size_t>(values.size(), symbol + 1), one);
      for (const rt::Atom &atom : guard)
        if (atom.symbol == symbol && (atom.kind == rt::Atom::Range || atom.kind == rt::Atom::Equal))
          values[symbol] = getAffineConstantExpr(atom.a, expr.getContext());
    });
    return std::max<int64_t>(graph::getConstant(expr.replaceSymbols(values)).value_or(1), 1);
  }
};

/// A product, or a convolution as one.
struct Contraction {
  Operation *op;
  Value weights;
  kernel::SparseSize size; ///< of the fewest rows that may be
  double denseCycles;
  std::string refusal; ///< why no sparse form can be
  AffineExpr rows;     ///< or pixels of an image

  /// The rows that were reckoned with, for people.
  std::string describeRows() const {
    return llvm::formatv("{0}{1} {2}{3}", graph::getConstant(rows) ? "" : "at least ", size.rows, isa<graph::ConvOp>(op) ? "pixel" : "row", size.rows == 1 ? "" : "s");
  }
};

std::optional<Contraction> getMatmul(graph::MatmulOp op, const LeastSymbols &symbols) {
  auto rhs = cast<RankedTensorType>(op.getRhs().getType());
  if (!op.getLhs().getType().getElementType().isF32() || !op.getType().getElementType().isF32() || !rhs.hasStaticShape())
    return std::nullopt;
  graph::Dims out = graph::getDims(op.getResult());
  Contraction c{op, op.getRhs(), {out.empty() ? 0 : symbols.evaluate(out.back()), rhs.getRank() < 2 ? 0 : rhs.getDimSize(rhs.getRank() - 2), 0, 0}, 0, "", {}};
  c.rows = graph::getNumElements(op.getContext(), ArrayRef(out).drop_back());
  c.size.rows = symbols.evaluate(c.rows);
  if (rhs.getRank() != 2 || out.size() < 2)
    c.refusal = "there is a matrix of weights for each of several products";
  return c;
}

/// True where the convolution would take Winograd's form; `cycles` are that form's then.
bool takesWinograd(graph::ConvOp op, double &cycles) {
  auto filter = cast<RankedTensorType>(op.getFilter().getType()), out = cast<RankedTensorType>(op.getType());
  auto isOne = [](int64_t value) { return value == 1; };
  if (filter.getRank() != 4 || filter.getDimSize(2) != 3 || filter.getDimSize(3) != 3 || !llvm::all_of(op.getStrides(), isOne) || !llvm::all_of(op.getDilations(), isOne) ||
      out.isDynamicDim(2) || out.isDynamicDim(3) || out.getDimSize(2) == 0 || out.getDimSize(3) == 0)
    return false;
  // Rows of a tile and the cache of common processors: the choice is the same for all targets.
  kernel::WinogradSize size{filter.getDimSize(1), filter.getDimSize(0), out.getDimSize(2), out.getDimSize(3), 12, 1 << 20};
  cycles = kernel::planWinograd(size).cycles;
  return kernel::isWinogradFaster(size);
}

std::optional<Contraction> getConv(graph::ConvOp op, const LeastSymbols &symbols, bool winograd) {
  auto filter = cast<RankedTensorType>(op.getFilter().getType());
  if (!op.getX().getType().getElementType().isF32() || !filter.hasStaticShape() || filter.getRank() < 3 || filter.getNumElements() == 0)
    return std::nullopt;
  graph::Dims out = graph::getDims(op.getResult());
  Contraction c{op, op.getFilter(), {filter.getDimSize(0), filter.getNumElements() / filter.getDimSize(0), 0, 0}, 0, "", {}};
  c.rows = graph::getNumElements(op.getContext(), ArrayRef(out).drop_front(2));
  c.size.rows = symbols.evaluate(c.rows);
  c.size.isWindowed = c.size.depth != filter.getDimSize(1);
  if (op.getGroup() != 1)
    c.refusal = "convolutions of several groups have no sparse form";
  if (double cycles; winograd && takesWinograd(op, cycles))
    c.denseCycles = cycles;
  return c;
}

struct MarkSparse : impl::GraphMarkSparseBase<MarkSparse> {
  using GraphMarkSparseBase::GraphMarkSparseBase;

  void runOnOperation() override {
    LeastSymbols symbols{graph::getGuard(getOperation())};
    getOperation().walk([&](Operation *op) {
      std::optional<Contraction> found;
      if (auto matmul = dyn_cast<graph::MatmulOp>(op))
        found = getMatmul(matmul, symbols);
      else if (auto conv = dyn_cast<graph::ConvOp>(op))
        found = getConv(conv, symbols, winograd);
      if (!found)
        return;
      auto takesParts = [](auto contraction) { return contraction && takesBf16x3(contraction); };
      if (bf16x3 && found->denseCycles == 0 && found->size.rows >= kernel::kFewestBf16x3Rows && (takesParts(dyn_cast<graph::MatmulOp>(op)) || takesParts(dyn_cast<graph::ConvOp>(op))))
        found->denseCycles = kernel::getDenseCycles(found->size) / kBf16x3Gain;
      mark(*found);
    });
  }

  void mark(Contraction &c) {
    ElementsAttr constant = findConstant(c.weights);
    if (!constant || !isComputedFromConstants(c.weights))
      return;
    int64_t weights = constant.getNumElements(), zeros = countZeros(constant);
    if (zeros == 0 || zeros < weights / kFewestZeros)
      return;
    c.size.nonzeros = weights - zeros;
    if (c.denseCycles == 0)
      c.denseCycles = kernel::getDenseCycles(c.size);
    // Two digits, for the report.
    double speedup = std::round(100 * c.denseCycles / kernel::getSparseCycles(c.size)) / 100;
    if (c.refusal.empty() && c.size.nonzeros >= std::numeric_limits<int32_t>::max())
      c.refusal = "there are 2^31 weights or more that are not 0";
    if (c.refusal.empty() && speedup < kernel::kLeastSparseGain)
      c.refusal = llvm::formatv("of {0}, the sparse form is expected to be {1:F2} times as fast", c.describeRows(), speedup);
    Builder b(&getContext());
    SmallVector<NamedAttribute> entries{b.getNamedAttr("weights", b.getI64IntegerAttr(weights)), b.getNamedAttr("zeros", b.getI64IntegerAttr(zeros)),
                                        b.getNamedAttr("speedup", b.getF64FloatAttr(speedup))};
    if (!c.refusal.empty())
      entries.push_back(b.getNamedAttr("dense", b.getStringAttr(c.refusal)));
    else
      ++numSparse;
    c.op->setAttr(kernel::kSparseAttr, b.getDictionaryAttr(entries));
  }
};

} // namespace
} // namespace onager
