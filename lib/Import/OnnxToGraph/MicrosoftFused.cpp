// Fused and block-quantised operators of the domain com.microsoft, written out in what they fuse.
#include "lib/Import/OnnxToGraph/Microsoft.h"
#include <cmath>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
/// Fails unless a tensor can hold numbers of few bits.
static bool checkBytes(Emitter &e, Value packed) {
  bool fits = Emitter::elementOf(packed).isUnsignedInteger(8) && Emitter::rankOf(packed) >= 1;
  if (!fits)
    e.fail("numbers of few bits lie in bytes, which are of type uint8");
  return fits;
}

Value unpackBits(Emitter &e, Value packed, int64_t bits) {
  if (!packed || !checkBytes(e, packed))
    return {};
  Type type = Emitter::elementOf(packed);
  if (bits == 8)
    return packed;
  Dims dims = Emitter::dimsOf(packed);
  std::vector<double> shifts;
  for (int64_t shift = 0; shift < 8; shift += bits)
    shifts.push_back(static_cast<double>(shift));
  auto rank = static_cast<int64_t>(dims.size());
  Value parts = e.binary<ShiftRightOp>(e.unsqueeze(packed, {rank}), e.tensor(shifts, {8 / bits}, type));
  dims.back() = normalize(dims.back() * (8 / bits));
  return e.reshape(e.binary<AndOp>(parts, e.integerScalar((1 << bits) - 1, type)), dims);
}

Value activate(Emitter &e, StringRef name, ArrayRef<double> params, Value x) {
  if (name.empty() || !x)
    return x;
  auto param = [&](size_t k, double otherwise) { return k < params.size() && !std::isnan(params[k]) ? params[k] : otherwise; };
  Type type = Emitter::elementOf(x);
  Value zero = e.scalar(0, type), isBelow = e.compare<LessOp>(x, zero);
  auto clamp = [&](Value value, double low, double high) { return e.minimum(e.maximum(value, e.scalar(low, type)), e.scalar(high, type)); };
  auto elu = [&](double alpha) { return e.select(isBelow, e.mulNumber(e.unary<Expm1Op>(x), alpha), x); };
  auto softplus = [&](Value y) {
    return y ? e.add(e.unary<ReluOp>(y), e.unary<Log1pOp>(e.unary<ExpOp>(e.unary<NegOp>(e.unary<AbsOp>(y))))) : Value();
  };
  if (name == "Relu")
    return e.unary<ReluOp>(x);
  if (name == "Tanh")
    return e.unary<TanhOp>(x);
  if (name == "Sigmoid")
    return e.unary<SigmoidOp>(x);
  if (name == "LeakyRelu")
    return e.select(isBelow, e.mulNumber(x, param(0, 0.01)), x);
  if (name == "ThresholdedRelu")
    return e.select(e.compare<LessOp>(e.scalar(param(0, 1), type), x), x, zero);
  if (name == "Elu")
    return elu(param(0, 1));
  if (name == "Selu")
    return e.mulNumber(elu(param(0, 1.67326319217681884765625)), param(1, 1.05070102214813232421875));
  if (name == "Softplus")
    return softplus(x);
  if (name == "ParametricSoftplus")
    return e.mulNumber(softplus(e.mulNumber(x, param(1, 1))), param(0, 1));
  if (name == "Softsign")
    return e.div(x, e.addNumber(e.unary<AbsOp>(x), 1));
  if (name == "ScaledTanh")
    return e.mulNumber(e.unary<TanhOp>(e.mulNumber(x, param(1, 1))), param(0, 1));
  if (name == "Affine")
    return e.addNumber(e.mulNumber(x, param(0, 1)), param(1, 0));
  if (name == "Clip")
    return clamp(x, param(0, -INFINITY), param(1, INFINITY));
  if (name == "HardSigmoid")
    return clamp(e.addNumber(e.mulNumber(x, param(0, 0.2)), param(1, 0.5)), 0, 1);
  return e.fail("activation is '" + name + "'");
}

namespace {

/// How the weight of MatMulNBits is stored.
struct Packing {
  int64_t inner, columns, bits, block;

  int64_t blocks() const { return (inner + block - 1) / block; }
};

/// The zero points [N, blocks]: given as reals, packed like the numbers, or in the middle.
Value readZeroPoints(Node &node, const Packing &how, Type type) {
  Emitter &e = node.e;
  Value given = node.opt(3);
  if (!given)
    return e.splat(e.scalar(static_cast<double>(1 << (how.bits - 1)), type), e.numbers({how.columns, how.blocks()}));
  if (!isa<IntegerType>(Emitter::elementOf(given)))
    return e.reshape(e.cast(given, type), e.numbers({how.columns, how.blocks()}));
  Value all = unpackBits(e, e.reshape(given, e.numbers({how.columns, (how.blocks() * how.bits + 7) / 8})), how.bits);
  return e.cast(e.sliceAxis(all, 1, 0, how.blocks()), type);
}

/// A weight [K, N] from blocks of quantised numbers [N, blocks, bytes]. The scale and zero point of each row are those of its block, or of the
/// group that g_idx names.
Value dequantizeBlocks(Node &node, Type type, const Packing &how) {
  Emitter &e = node.e;
  Value packed = node.in(1), scales = node.in(2);
  if (!packed || !scales)
    return {};
  Dims all = e.numbers({how.columns, how.blocks() * how.block}), grouped = e.numbers({how.columns, how.blocks(), how.block});
  Value numbers = e.cast(unpackBits(e, e.reshape(packed, e.numbers({how.columns, how.blocks(), how.block * how.bits / 8})), how.bits), type);
  Value zero = readZeroPoints(node, how, type), scale = e.reshape(e.cast(scales, type), e.numbers({how.columns, how.blocks()})), weight;
  if (node.has(4)) {
    Value groups = e.cast(e.flatten(node.in(4)), e.i64());
    e.requireAtLeast(Emitter::product(Emitter::dimsOf(node.in(4)), e.context()), e.number(how.inner), "the length of g_idx");
    groups = e.sliceAxis(groups, 0, 0, how.inner);
    numbers = e.sliceAxis(e.reshape(numbers, all), 1, 0, how.inner);
    weight = e.mul(e.sub(numbers, e.gather(zero, groups, 1)), e.gather(scale, groups, 1));
  } else {
    weight = e.mul(e.sub(e.reshape(numbers, grouped), e.unsqueeze(zero, {2})), e.unsqueeze(scale, {2}));
    weight = e.sliceAxis(e.reshape(weight, all), 1, 0, how.inner);
  }
  return e.transpose(weight, {1, 0});
}

/// Scales [N, blocks] as f32; constants that bf16 holds by way of it: products pack them as they are in between.
Value readScales(Node &node, const Packing &how) {
  Emitter &e = node.e;
  Value scales = e.reshape(e.cast(node.in(2), e.f32()), e.numbers({how.columns, how.blocks()}));
  return scales && isBf16Constant(node.in(2)) ? e.cast(e.cast(scales, e.builder.getBF16Type()), e.f32()) : scales;
}

/// The product with a weight whose groups are its blocks.
Value multiplyBlocks(Node &node, Value x, const Packing &how) {
  Emitter &e = node.e;
  if (!checkBytes(e, node.in(1)))
    return {};
  Value packed = e.reshape(node.in(1), e.numbers({how.columns, how.blocks(), how.block * how.bits / 8}));
  Value scales = readScales(node, how), zeros = readZeroPoints(node, how, e.f32());
  if (!packed || !scales || !zeros)
    return {};
  Dims dims = Emitter::dimsOf(x);
  e.require(dims.back(), e.number(how.inner), "K");
  Dims inner = dims;
  inner.back() = e.number(how.inner);
  dims.back() = e.number(how.columns);
  return BlockMatmulOp::create(e.builder, e.location, makeTensor(dims, e.f32()), e.reshape(x, inner), packed, scales, zeros, /*levels=*/Value(), how.bits, how.block);
}

void importMatMulNBits(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), packed = node.in(1);
  Packing how{node.getInt("K", 0), node.getInt("N", 0), node.getInt("bits", 4), node.getInt("block_size", 0)};
  if (!x || !packed)
    return;
  if (how.inner < 1 || how.columns < 1 || how.block < 16 || (how.block & (how.block - 1)) || (how.bits != 2 && how.bits != 4 && how.bits != 8))
    return void(e.fail("K is " + Twine(how.inner) + ", N " + Twine(how.columns) + ", bits " + Twine(how.bits) + ", block_size " + Twine(how.block)));
  if (node.getInt("weight_prepacked", 0) || Emitter::rankOf(x) < 1)
    return void(e.fail("weights that are packed for a device are not supported, nor is a scalar times a weight"));
  Type type = Emitter::elementOf(x), wide = type.getIntOrFloatBitWidth() < 32 ? e.f32() : type;
  Value y;
  // An empty weight stands for one that is left out: its product is 0.
  if (llvm::any_of(Emitter::dimsOf(packed), [](AffineExpr dim) { return graph::isConstant(dim, 0); })) {
    Dims dims = Emitter::dimsOf(x);
    dims.back() = e.number(how.columns);
    y = e.splat(e.scalar(0, wide), dims);
  } else if (wide.isF32() && !node.has(4)) {
    y = multiplyBlocks(node, e.cast(x, wide), how);
  } else {
    y = e.matmul(e.cast(x, wide), dequantizeBlocks(node, wide, how));
  }
  y = node.has(5) ? e.add(y, e.cast(node.in(5), wide)) : y;
  node.set(0, e.cast(y, type));
}

/// Repeats each element `block` times along an axis, up to `extent`.
Value repeatAlong(Emitter &e, Value x, int64_t axis, int64_t block, AffineExpr extent) {
  if (!x)
    return {};
  e.requireAtLeast(normalize(Emitter::dimsOf(x)[axis] * block), extent, "the elements that blocks cover");
  Dims split = Emitter::dimsOf(x), repeated = split, merged = split;
  split.insert(split.begin() + axis + 1, e.number(1));
  repeated.insert(repeated.begin() + axis + 1, e.number(block));
  merged[axis] = normalize(merged[axis] * block);
  return e.sliceAxis(e.reshape(e.broadcast(e.reshape(x, split), repeated), merged), axis, e.number(0), extent);
}

/// Indices along an axis, and which of them lie inside.
struct Selection {
  Value at, isInside;
  int64_t axis;
};

Selection selectAlong(Emitter &e, Value x, Value indices, int64_t axis) {
  Value at = e.cast(indices, e.i64()), extent = e.indexTensor({Emitter::dimsOf(x)[axis]}, {}, e.i64());
  Value isInside = e.binary<AndOp>(e.compare<LessOp>(at, extent), e.compare<LessEqualOp>(e.unary<NegOp>(extent), at));
  return {e.select(isInside, at, e.integerScalar(0, e.i64())), isInside, axis};
}

/// Sets slices to 0 that were selected by indices outside.
Value clearOutside(Emitter &e, Value slices, const Selection &selection) {
  if (!slices)
    return {};
  Dims dims(Emitter::rankOf(slices), e.number(1));
  llvm::copy(Emitter::dimsOf(selection.isInside), dims.begin() + selection.axis);
  return e.select(e.reshape(selection.isInside, dims), slices, e.scalar(0, Emitter::elementOf(slices)));
}

/// Slices of x at indices, or, where x has one slice that stands for all, that one with dims in place of the indices'.
Value gatherRows(Emitter &e, Value x, Value indices, int64_t axis) {
  Dims dims = Emitter::dimsOf(x);
  if (!graph::isConstant(dims[axis], 1))
    return e.gather(x, indices, axis);
  dims.erase(dims.begin() + axis);
  dims.insert(dims.begin() + axis, Emitter::rankOf(indices), e.number(1));
  return e.reshape(x, dims);
}

/// Numbers in groups along an axis.
struct Groups {
  Value numbers, scales, zeros; ///< `zeros` is null where all are the same
  int64_t axis, block;
};

Value dequantizeGroups(Emitter &e, const Groups &groups, double commonZero) {
  AffineExpr extent = Emitter::dimsOf(groups.numbers)[groups.axis];
  Type type = Emitter::elementOf(groups.scales), wide = e.f32();
  auto spread = [&](Value x) { return groups.block ? repeatAlong(e, e.cast(x, wide), groups.axis, groups.block, extent) : e.cast(x, wide); };
  Value offset = groups.zeros ? spread(groups.zeros) : e.scalar(commonZero, wide);
  return e.cast(e.mul(e.sub(e.cast(groups.numbers, wide), offset), spread(groups.scales)), type);
}

void importGatherBlockQuantized(Node &node) {
  Emitter &e = node.e;
  Value data = node.in(0), indices = node.in(1), scales = node.in(2), zeros = node.opt(3);
  if (!data || !indices || !scales)
    return;
  int64_t rank = Emitter::rankOf(data), bits = node.getInt("bits", 4), block = node.getInt("block_size", 128);
  int64_t axis = e.axisOf(node.getInt("quantize_axis", 1), rank), gathered = e.axisOf(node.getInt("gather_axis", 0), rank);
  bool isPacked = Emitter::elementOf(data).isUnsignedInteger(8), isFloat = Emitter::isFloat(data);
  if (!e.hasFailed() && (Emitter::rankOf(scales) != rank || (zeros && Emitter::rankOf(zeros) != rank)))
    return void(e.fail("data, scales and zero_points differ in rank"));
  if ((block < 16 && !(isFloat && block == 0)) || (bits != 2 && bits != 4 && bits != 8) || (isPacked && axis != rank - 1) || e.hasFailed())
    return void(e.fail("bits is " + Twine(bits) + ", block_size " + Twine(block) + ", quantize_axis " + Twine(axis)));
  // Rows are gathered before they are dequantised, unless groups lie along the gathered axis.
  bool isFirst = axis != gathered;
  std::optional<Selection> selection;
  if (isFirst) {
    selection = selectAlong(e, data, indices, gathered);
    for (Value *part : {&data, &scales, &zeros})
      if (*part && !(*part = gatherRows(e, *part, selection->at, gathered)))
        return;
    axis += axis > gathered ? Emitter::rankOf(indices) - 1 : 0;
  }
  Value numbers = isPacked ? unpackBits(e, data, bits) : data;
  if (zeros && isPacked && (zeros = unpackBits(e, zeros, bits))) {
    e.requireAtLeast(Emitter::dimsOf(zeros)[axis], Emitter::dimsOf(scales)[axis], "the number of zero points");
    zeros = e.sliceAxis(zeros, axis, e.number(0), Emitter::dimsOf(scales)[axis]);
  }
  if (!numbers)
    return;
  Value all = dequantizeGroups(e, {numbers, scales, zeros, axis, block}, isPacked ? 1 << (bits - 1) : 0);
  if (!isFirst) {
    selection = selectAlong(e, numbers, indices, gathered);
    all = all ? e.gather(all, selection->at, gathered) : all;
  }
  node.set(0, clearOutside(e, all, *selection));
}

void importFusedConv(Node &node) {
  Emitter &e = node.e;
  Value y = importAs(node, "Conv", 11, {node.in(0), node.in(1), node.opt(2)})[0];
  y = node.has(3) ? e.add(y, node.in(3)) : y;
  node.set(0, activate(e, node.getString("activation", ""), node.getFloats("activation_params").value_or(std::vector<double>()), y));
}

void importFusedGemm(Node &node) {
  double second = node.getFloat(node.hasAttribute("activation_beta") ? "activation_beta" : "activation_gamma", NAN);
  Value y = importAs(node, "Gemm", 13, {node.in(0), node.in(1), node.opt(2)})[0];
  node.set(0, activate(node.e, node.getString("activation", ""), {node.getFloat("activation_alpha", NAN), second}, y));
}

void importBiasAdd(Node &node) { node.set(0, node.e.add(node.e.add(node.in(0), node.in(1)), node.in(2))); }

/// x + bias in two halves: the first times GELU of the second.
void importBiasSplitGelu(Node &node) {
  Emitter &e = node.e;
  Value x = e.add(node.in(0), node.in(1));
  if (!x)
    return;
  int64_t last = Emitter::rankOf(x) - 1;
  if (last < 0)
    return void(e.fail("expected rank 1 or more"));
  AffineExpr half = e.truncDiv(Emitter::dimsOf(x)[last], e.number(2));
  Value first = e.sliceAxis(x, last, e.number(0), half), second = e.sliceAxis(x, last, half, half);
  Value bell = e.addNumber(e.unary<ErfOp>(e.mulNumber(second, M_SQRT1_2)), 1);
  node.set(0, e.mul(first, e.mul(e.mulNumber(second, 0.5), bell)));
}

} // namespace

void addMicrosoftFused(OperatorTable &table) {
  table.addIn("com.microsoft", "MatMulNBits", importMatMulNBits);
  table.addIn("com.microsoft", "GatherBlockQuantized", importGatherBlockQuantized);
  table.addIn("com.microsoft", "FusedConv", importFusedConv);
  table.addIn("com.microsoft", "FusedGemm", importFusedGemm);
  table.addIn("com.microsoft", "BiasAdd", importBiasAdd);
  table.addIn("com.microsoft", "BiasSplitGelu", importBiasSplitGelu);
}

} // namespace onager::frontend
