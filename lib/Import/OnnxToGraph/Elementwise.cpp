// Arithmetic, comparison, logic, casts.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// Element types whose arithmetic is done in f32.
bool isStorageFloat(Type type) { return isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 16; }

template <typename Op> void importUnary(Node &node) {
  Value x = node.in(0);
  if (x && isStorageFloat(Emitter::elementOf(x)))
    node.e.fail("arithmetic on an 8- or 4-bit float");
  node.set(0, node.e.unary<Op>(x));
}

/// Math functions of integers do not exist in ONNX but for Erf; the dialect has them for floats alone.
template <typename Op> void importFloatUnary(Node &node) {
  Value x = node.in(0);
  if (x && !Emitter::isFloat(x))
    node.e.fail("expected a float operand");
  importUnary<Op>(node);
}

/// Erf alone has integers: the f32 nearest to the exact value is cut, as the reference implementation does.
void importErf(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x || Emitter::isFloat(x))
    return importUnary<ErfOp>(node);
  Value exact = e.unary<ErfOp>(e.cast(x, e.builder.getF64Type()));
  node.set(0, e.cast(e.cast(exact, e.f32()), Emitter::elementOf(x)));
}

/// Before opset 7 an operand was broadcast from `axis` on, on request.
Value alignLegacyOperand(Node &node, Value a, Value b) {
  if (node.opset >= 7 || !a || !b || !node.getInt("broadcast", 0) || !node.hasAttribute("axis"))
    return b;
  int64_t axis = node.e.axisOf(node.getInt("axis", 0), Emitter::rankOf(a));
  int64_t missing = Emitter::rankOf(a) - axis - Emitter::rankOf(b);
  Dims dims = Emitter::dimsOf(b);
  for (int64_t k = 0; k < missing; ++k)
    dims.push_back(node.e.number(1));
  return node.e.reshape(b, dims);
}

template <typename Op> void importBinary(Node &node) {
  Value a = node.in(0), b = alignLegacyOperand(node, node.in(0), node.in(1));
  node.set(0, node.e.binary<Op>(a, b));
}

template <typename Op> void importCompare(Node &node) {
  Value a = node.in(0), b = alignLegacyOperand(node, node.in(0), node.in(1));
  node.set(0, node.e.compare<Op>(a, b));
}

/// Greater and GreaterOrEqual: the comparison with its operands swapped.
template <typename Op> void importSwapped(Node &node) {
  Value a = node.in(0), b = alignLegacyOperand(node, node.in(0), node.in(1));
  node.set(0, node.e.compare<Op>(b, a));
}

template <typename Op> Value accumulate(Node &node) {
  Value result = node.in(0);
  for (unsigned k = 1; k < node.numInputs(); ++k)
    result = node.e.binary<Op>(result, node.in(k));
  return result;
}

template <typename Op> void importVariadic(Node &node) { node.set(0, accumulate<Op>(node)); }

void importMean(Node &node) {
  node.set(0, node.e.divNumber(accumulate<AddOp>(node), std::max(1u, node.numInputs())));
}

void importMod(Node &node) { node.set(0, node.e.mod(node.in(0), node.in(1), node.getInt("fmod", 0) != 0)); }

/// The result has the type of the base; with operands of two types the wider float computes.
void importPow(Node &node) {
  Emitter &e = node.e;
  Value base = node.in(0), exponent = alignLegacyOperand(node, node.in(0), node.in(1));
  if (!base || !exponent)
    return;
  Type type = Emitter::elementOf(base), other = Emitter::elementOf(exponent);
  if (type == other) {
    node.set(0, e.binary<PowOp>(base, exponent));
    return;
  }
  auto isWide = [](Type t) { return t.isF64() || (isa<IntegerType>(t) && t.getIntOrFloatBitWidth() > 16); };
  Type wide = isWide(type) || isWide(other) ? Type(e.builder.getF64Type()) : e.f32();
  if (isa<FloatType>(type) && !type.isF64())
    wide = e.f32();
  node.set(0, e.cast(e.binary<PowOp>(e.cast(base, wide), e.cast(exponent, wide)), type));
}

void importIsInf(Node &node) {
  Value x = node.in(0);
  if (!x)
    return;
  Emitter &e = node.e;
  node.set(0, e.make<IsInfOp>(Emitter::dimsOf(x), e.i1(), x, node.getInt("detect_positive", 1) != 0, node.getInt("detect_negative", 1) != 0));
}

void importIsNaN(Node &node) { node.set(0, node.e.unary<IsNaNOp>(node.in(0), node.e.i1())); }

void importBitShift(Node &node) {
  std::string direction = node.getString("direction", "");
  if (direction == "LEFT")
    return importBinary<ShiftLeftOp>(node);
  if (direction == "RIGHT")
    return importBinary<ShiftRightOp>(node);
  node.e.fail("direction is '" + direction + "', expected LEFT or RIGHT");
}

Type getTargetType(Node &node, int64_t number, bool mayBeText) {
  bool isNumber = number != onnx::TensorProto::STRING;
  Type type = isNumber || mayBeText ? convertElementType(static_cast<int32_t>(number), node.e.context()) : Type();
  if (!type)
    node.e.fail("a cast to " + describeElementType(static_cast<int32_t>(number)) + " is not supported");
  return type;
}

void importCast(Node &node) {
  Value x = node.in(0);
  const auto *name = node.opset < 6 ? node.find("to", onnx::AttributeProto::STRING) : nullptr;
  int64_t number = 0;
  if (name) {
    onnx::TensorProto::DataType type = onnx::TensorProto::UNDEFINED;
    onnx::TensorProto::DataType_Parse(name->s(), &type);
    number = type;
  } else {
    number = node.getInt("to", 0);
  }
  if (Type type = getTargetType(node, number, true))
    node.set(0, castOrPrint(node.e, x, type, node.getInt("saturate", 1) != 0));
}

void importCastLike(Node &node) {
  Value x = node.in(0), like = node.in(1);
  if (like)
    node.set(0, castOrPrint(node.e, x, Emitter::elementOf(like), node.getInt("saturate", 1) != 0));
}

void importBitCast(Node &node) {
  Value x = node.in(0);
  Type type = getTargetType(node, node.getInt("to", 0), false);
  if (!x || !type)
    return;
  // A boolean is a byte of 0 or 1.
  if (Emitter::elementOf(x).isInteger(1) && type.getIntOrFloatBitWidth() == 8 && isa<IntegerType>(type))
    return node.set(0, node.e.cast(x, type));
  if (type.getIntOrFloatBitWidth() != Emitter::elementOf(x).getIntOrFloatBitWidth()) {
    node.e.fail("a bit cast between types of different width");
    return;
  }
  node.set(0, type == Emitter::elementOf(x) ? x : node.e.unary<BitcastOp>(x, type));
}

void importWhere(Node &node) { node.set(0, node.e.select(node.in(0), node.in(1), node.in(2))); }

/// Clip: the bounds are attributes before opset 11, then optional inputs.
void importClip(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Type type = Emitter::elementOf(x);
  Value low, high;
  if (node.opset < 11) {
    low = node.hasAttribute("min") ? e.scalar(node.getFloat("min", 0), type) : Value();
    high = node.hasAttribute("max") ? e.scalar(node.getFloat("max", 0), type) : Value();
  } else {
    low = node.opt(1);
    high = node.opt(2);
  }
  x = low ? e.maximum(x, low) : x;
  node.set(0, high ? e.minimum(x, high) : x);
}

void addMath(OperatorTable &table) {
  table.add("Exp", importFloatUnary<ExpOp>);
  table.add("Log", importFloatUnary<LogOp>);
  table.add("Sqrt", importFloatUnary<SqrtOp>);
  table.add("Reciprocal", importFloatUnary<ReciprocalOp>);
  table.add("Floor", importFloatUnary<FloorOp>);
  table.add("Ceil", importFloatUnary<CeilOp>);
  table.add("Round", importFloatUnary<RoundOp>);
  table.add("Sin", importFloatUnary<SinOp>);
  table.add("Cos", importFloatUnary<CosOp>);
  table.add("Tan", importFloatUnary<TanOp>);
  table.add("Asin", importFloatUnary<AsinOp>);
  table.add("Acos", importFloatUnary<AcosOp>);
  table.add("Atan", importFloatUnary<AtanOp>);
  table.add("Sinh", importFloatUnary<SinhOp>);
  table.add("Cosh", importFloatUnary<CoshOp>);
  table.add("Asinh", importFloatUnary<AsinhOp>);
  table.add("Acosh", importFloatUnary<AcoshOp>);
  table.add("Atanh", importFloatUnary<AtanhOp>);
  table.add("Tanh", importFloatUnary<TanhOp>);
  table.add("Erf", importErf);
  table.add("Sigmoid", importFloatUnary<SigmoidOp>);
}

} // namespace

void addElementwise(OperatorTable &table) {
  addMath(table);
  table.add("Abs", importUnary<AbsOp>);
  table.add("Neg", importUnary<NegOp>);
  table.add("Sign", importUnary<SignOp>);
  table.add("Relu", importUnary<ReluOp>);
  table.add("Not", importUnary<NotOp>);
  table.add("BitwiseNot", importUnary<NotOp>);
  table.add("Add", importBinary<AddOp>);
  table.add("Sub", importBinary<SubOp>);
  table.add("Mul", importBinary<MulOp>);
  table.add("Div", importBinary<DivOp>);
  table.add("Pow", importPow);
  table.add("Mod", importMod);
  table.add("And", importBinary<AndOp>);
  table.add("Or", importBinary<OrOp>);
  table.add("Xor", importBinary<XorOp>);
  table.add("BitwiseAnd", importBinary<AndOp>);
  table.add("BitwiseOr", importBinary<OrOp>);
  table.add("BitwiseXor", importBinary<XorOp>);
  table.add("BitShift", importBitShift);
  table.add("Equal", importCompare<EqualOp>);
  table.add("Less", importCompare<LessOp>);
  table.add("LessOrEqual", importCompare<LessEqualOp>);
  table.add("Greater", importSwapped<LessOp>);
  table.add("GreaterOrEqual", importSwapped<LessEqualOp>);
  table.add("Max", importVariadic<MaxOp>);
  table.add("Min", importVariadic<MinOp>);
  table.add("Sum", importVariadic<AddOp>);
  table.add("Mean", importMean);
  table.add("IsInf", importIsInf);
  table.add("IsNaN", importIsNaN);
  table.add("Cast", importCast);
  table.add("CastLike", importCastLike);
  table.add("BitCast", importBitCast);
  table.add("Where", importWhere);
  table.add("Clip", importClip);
}

} // namespace onager::frontend
