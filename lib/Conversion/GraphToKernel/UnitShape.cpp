// Roles of operations in launch units.
#include "lib/Conversion/GraphToKernel/UnitShape.h"
#include "dialects/Graph/IR/Shapes.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace onager {

static bool isElementwise(Operation *op) { return op->hasTrait<graph::ElementwiseOp>(); }

/// Convolutions that the emitters take: f32, kernel of known size.
static bool hasConvEmitter(graph::ConvOp op) {
  auto filter = cast<RankedTensorType>(op.getFilter().getType());
  bool known = !llvm::any_of(filter.getShape(), ShapedType::isDynamic);
  return known && filter.getElementType().isF32() && filter.getRank() >= 3 && filter.getRank() <= 5 && filter.getNumElements() > 0;
}

/// Taps of windows that are unrolled: more make code that takes long to compile.
static constexpr int64_t kMostTaps = 64;

/// Convolutions of one input channel per output channel, over planes.
static bool isDepthwise(graph::ConvOp op) {
  auto filter = cast<RankedTensorType>(op.getFilter().getType());
  return op.getGroup() > 1 && filter.getDimSize(1) == 1 && filter.getRank() <= 4 && filter.getNumElements() / filter.getDimSize(0) <= kMostTaps;
}

/// Pooling that has an emitter: f32, over planes, windows of moderate size; norms of the sum of magnitudes or squares.
static bool hasPoolEmitter(graph::PoolOp op) {
  auto type = cast<RankedTensorType>(op.getX().getType());
  bool isModerate = llvm::all_of(op.getKernel(), [](int64_t extent) { return extent <= kMostTaps; }) &&
                    llvm::all_of(op.getStrides(), [](int64_t stride) { return stride <= 8; });
  bool hasForm = op.getKind() != graph::PoolKind::lp || op.getP() == 1 || op.getP() == 2;
  return type.getElementType().isF32() && (type.getRank() == 3 || type.getRank() == 4) && isModerate && hasForm;
}

/// Resampling of f32 in the last two dims.
static bool hasResizeEmitter(graph::ResizeOp op) {
  graph::Dims in = graph::getDims(op.getX()), out = graph::getDims(op.getResult());
  size_t outer = in.size() < 2 ? 0 : in.size() - 2;
  return !in.empty() && op.getCoordinates() != "tf_crop_and_resize" && !op.getAntialias() &&
         op.getX().getType().getElementType().isF32() && ArrayRef(in).take_front(outer) == ArrayRef(out).take_front(outer);
}

/// Products that read lines of their right operand, unless lines are shorter than a vector.
static bool hasMatmulEmitter(graph::MatmulOp op) {
  std::optional<int64_t> columns = graph::getConstant(graph::getDims(op.getResult()).back());
  return !columns || *columns >= 8;
}

kernel::Hero getHero(Operation *op, bool fuse) {
  using kernel::Hero;
  if (isa<graph::ScatterElementsOp, graph::ScatterNDOp>(op))
    return Hero::scatter;
  if (isa<graph::RecurrentOp>(op))
    return Hero::recurrent;
  if (isa<graph::ConcatOp>(op))
    return Hero::concat;
  if (isa<graph::CumulateOp>(op))
    return Hero::scan;
  if (isa<graph::Col2ImOp>(op))
    return Hero::col2im;
  if (isa<graph::AttentionOp>(op))
    return Hero::attention;
  if (!fuse)
    return Hero::map;
  return llvm::TypeSwitch<Operation *, Hero>(op)
      .Case<graph::ReduceOp>([](auto) { return Hero::reduce; })
      .Case<graph::ArgReduceOp>([](auto) { return Hero::arg_reduce; })
      .Case<graph::SoftmaxOp>([](auto) { return Hero::softmax; })
      .Case<graph::NormalizeOp>([](auto) { return Hero::normalize; })
      .Case<kernel::GemmOp>([](auto) { return Hero::gemm; })
      .Case<graph::MatmulOp>([](graph::MatmulOp op) { return hasMatmulEmitter(op) ? Hero::matmul : Hero::map; })
      .Case<kernel::DotRowsOp>([](auto) { return Hero::dot_rows; })
      .Case<kernel::BlockGemmOp>([](auto) { return Hero::block_gemm; })
      .Case<kernel::WinogradConvOp>([](auto) { return Hero::winograd; })
      .Case<kernel::PackedConvOp>([](auto) { return Hero::packed_conv; })
      .Case<kernel::Bf16x3ConvOp>([](auto) { return Hero::bf16x3_conv; })
      .Case<kernel::SparsePackOp>([](auto) { return Hero::sparse_pack; })
      .Case<kernel::SparseGemmOp>([](auto) { return Hero::sparse_gemm; })
      .Case<kernel::SparseConvOp>([](auto) { return Hero::sparse_conv; })
      .Case<kernel::Int8ConvOp>([](kernel::Int8ConvOp conv) {
        bool isDepthwise = cast<RankedTensorType>(conv.getFilter().getType()).getRank() == 3;
        return isDepthwise ? Hero::int8_depthwise : Hero::int8_conv;
      })
      .Case<kernel::Int8GemmOp>([](auto gemm) { return gemm.getAmx() ? Hero::amx_gemm : Hero::int8_gemm; })
      .Case<kernel::Bf16GemmOp>([](auto gemm) { return gemm.getAmx() ? Hero::amx_bf16_gemm : Hero::bf16_gemm; })
      .Case<graph::ConvOp>([](graph::ConvOp conv) {
        if (!hasConvEmitter(conv))
          return Hero::map;
        return isDepthwise(conv) ? Hero::depthwise : Hero::conv;
      })
      .Case<graph::PoolOp>([](graph::PoolOp pool) { return hasPoolEmitter(pool) ? Hero::pool : Hero::map; })
      .Case<graph::MaxPoolIndicesOp>([](graph::MaxPoolIndicesOp pool) {
        return ShapedType::getNumElements(pool.getKernel()) > kernel::kMostStraightTaps ? Hero::pool_indices : Hero::map;
      })
      .Case<graph::ResizeOp>([](graph::ResizeOp resize) { return hasResizeEmitter(resize) ? Hero::resize : Hero::map; })
      .Default([](Operation *) { return Hero::map; });
}

Role getRole(Operation *op, bool fuse) {
  if (op->getNumRegions() || op->hasTrait<OpTrait::IsTerminator>() || isa<graph::ReshapeOp, graph::ConstantOp, graph::CallOp>(op) || op->getNumResults() == 0)
    return Role::program;
  if (isElementwise(op))
    return Role::elementwise;
  if (getHero(op, fuse) != kernel::Hero::map)
    return Role::hero;
  if (isa<graph::TransposeOp, graph::SliceOp, graph::BroadcastOp, graph::TileOp, graph::PadOp, graph::IotaOp, graph::IndexTensorOp,
          graph::GatherOp, graph::GatherElementsOp, graph::GatherNDOp, kernel::PackOp>(op))
    return Role::movement;
  return Role::opaque;
}

bool takesEpilogue(Operation *op) {
  return !isa<graph::ConcatOp, graph::ScatterElementsOp, graph::ScatterNDOp, graph::RecurrentOp, graph::CumulateOp, kernel::PackOp, kernel::BlockPackOp,
              kernel::SparsePackOp>(op);
}

bool takesPrologue(Operation *op, unsigned number) {
  if (isa<graph::TransposeOp, graph::SliceOp, graph::ConcatOp, graph::ReduceOp, kernel::PackOp, kernel::SparsePackOp>(op))
    return true;
  if (isa<graph::GatherOp, graph::GatherElementsOp, graph::GatherNDOp>(op))
    return number == 1;
  if (isa<graph::AttentionOp>(op))
    return number < 3;
  if (isa<graph::ScatterElementsOp, graph::ScatterNDOp>(op))
    return number == 0;
  return isa<graph::PadOp>(op);
}

/// Elements of a cache's row at most that stay in registers.
static constexpr int64_t kLongestCacheRow = 256;

/// True where `rows`, with `past` in front, are a copy that the unit of `op` can write.
static bool isCache(graph::AttentionOp op, Value rows, Value past) {
  auto concat = rows.getDefiningOp<graph::ConcatOp>();
  if (!concat || concat.getInputs().size() != 2 || concat.getInputs().front() != past || !concat.getType().getElementType().isF32())
    return false;
  graph::Dims dims = graph::getDims(rows), result = graph::getDims(op.getResult());
  std::optional<int64_t> columns = graph::getConstant(dims.back());
  bool isFit = columns && *columns > 0 && *columns % kernel::kPanelWidth == 0 && *columns <= kLongestCacheRow;
  bool isOwn = ArrayRef(dims).drop_back(2) == ArrayRef(result).drop_back(2);
  return isFit && isOwn && llvm::all_of(concat->getUsers(), [&](Operation *user) { return user == op || user->hasTrait<OpTrait::IsTerminator>(); });
}

bool takesCaches(graph::AttentionOp op) {
  std::optional<int64_t> rows = graph::getConstant(graph::getDims(op.getResult()).end()[-2]);
  return op.getPastK() && op.getK() != op.getV() && rows.value_or(1) == 1 && isCache(op, op.getK(), op.getPastK()) && isCache(op, op.getV(), op.getPastV());
}

bool takesProducer(Operation *op, Operation *producer) {
  // One thread scatters: what costs more than a store is computed before.
  if (isa<graph::ScatterElementsOp, graph::ScatterNDOp>(op))
    return isa<graph::BroadcastOp>(producer);
  if (!isa<graph::AttentionOp>(op))
    return true;
  if (auto cast = dyn_cast<graph::CastOp>(producer)) {
    Type from = cast.getX().getType().getElementType();
    return (from.isF16() || from.isBF16()) && cast.getType().getElementType().isF32();
  }
  auto transpose = dyn_cast<graph::TransposeOp>(producer);
  return transpose && transpose.getPerm().back() == static_cast<int64_t>(transpose.getPerm().size()) - 1;
}

/// Bytes of the tensors, or nothing where a dim is not a number.
static std::optional<int64_t> getBytes(TypeRange types) {
  int64_t bytes = 0;
  for (Type type : types) {
    auto tensor = cast<RankedTensorType>(type);
    if (!tensor.hasStaticShape())
      return std::nullopt;
    bytes += tensor.getNumElements() * graph::getElementBytes(tensor.getElementType());
  }
  return bytes;
}

bool staysSmall(Operation *op) {
  std::optional<int64_t> read = getBytes(op->getOperandTypes()), written = getBytes(op->getResultTypes());
  if (!read || !written)
    return false;
  // Four times the operands: an int8 weight that is read as f32 is worth its memory.
  return isa<kernel::WinogradFilterOp, kernel::Bf16x3FilterOp, kernel::Int8PackOp, kernel::Bf16PackOp, kernel::BlockPackOp, kernel::SparsePackOp>(op) || *written <= std::max<int64_t>(64 << 10, 4 * *read);
}

/// Operations between a constant and what is computed from it, at most.
static constexpr unsigned kLongestChain = 64;

/// `seen` are operations that were asked before: all but the one that ended the search are computed from constants.
static bool isComputedFromConstants(Value value, unsigned depth, llvm::SmallPtrSetImpl<Operation *> &seen) {
  if (graph::getConstantValue(value))
    return true;
  Operation *op = value.getDefiningOp();
  if (!op || depth == kLongestChain || !staysSmall(op))
    return false;
  return !seen.insert(op).second || llvm::all_of(op->getOperands(), [&](Value operand) { return isComputedFromConstants(operand, depth + 1, seen); });
}

bool isComputedFromConstants(Value value) {
  llvm::SmallPtrSet<Operation *, 8> seen;
  return isComputedFromConstants(value, 0, seen);
}

bool hasGenericForm(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || op->getNumRegions())
    return false;
  return op->hasAttr(kernel::kGenericFormAttr) || (isComputedFromConstants(value) && llvm::any_of(op->getOperands(), hasGenericForm));
}

bool isCheap(Operation *op) {
  return isa<graph::AddOp, graph::SubOp, graph::MulOp, graph::NegOp, graph::AbsOp, graph::MinOp, graph::MaxOp, graph::ReluOp, graph::CastOp,
             graph::SelectOp, graph::EqualOp, graph::LessOp, graph::LessEqualOp, graph::AndOp, graph::OrOp, graph::NotOp, graph::ConstantOp,
             graph::TransposeOp, graph::SliceOp, graph::BroadcastOp, graph::IotaOp>(op);
}

} // namespace onager
