// Shape expressions and constant bytes of the `graph` dialect.
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/IR/Graph.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinDialect.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/xxhash.h"
#include <cstring>

using namespace mlir;

namespace onager::graph {

Dims getDims(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (auto map = dyn_cast_or_null<AffineMapAttr>(tensor.getEncoding()))
    return Dims(map.getValue().getResults());
  Dims dims;
  for (int64_t extent : tensor.getShape())
    dims.push_back(getAffineConstantExpr(extent, type.getContext()));
  return dims;
}

Dims getDims(Value value) { return getDims(value.getType()); }

AffineMapAttr makeExprs(MLIRContext *context, ArrayRef<AffineExpr> exprs) {
  unsigned symbols = 0;
  for (AffineExpr expr : exprs)
    forEachSymbol(expr, [&](unsigned symbol) { symbols = std::max(symbols, symbol + 1); });
  return AffineMapAttr::get(AffineMap::get(0, symbols, exprs, context));
}

RankedTensorType makeTensor(ArrayRef<AffineExpr> dims, Type element) {
  SmallVector<int64_t> shape;
  bool isStatic = true;
  for (AffineExpr dim : dims) {
    std::optional<int64_t> extent = getConstant(dim);
    isStatic &= extent.has_value();
    shape.push_back(extent.value_or(ShapedType::kDynamic));
  }
  if (isStatic)
    return RankedTensorType::get(shape, element);
  return RankedTensorType::get(shape, element, makeExprs(element.getContext(), dims));
}

AffineExpr getNumElements(MLIRContext *context, ArrayRef<AffineExpr> dims) {
  AffineExpr product = getAffineConstantExpr(1, context);
  for (AffineExpr dim : dims)
    product = product * dim;
  return product;
}

std::optional<int64_t> getConstant(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  return std::nullopt;
}

bool isConstant(AffineExpr expr, int64_t value) { return getConstant(expr) == value; }

void forEachSymbol(AffineExpr expr, function_ref<void(unsigned)> use) {
  expr.walk([&](AffineExpr part) {
    if (auto symbol = dyn_cast<AffineSymbolExpr>(part))
      use(symbol.getPosition());
  });
}

bool isNonNegative(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue() >= 0;
  if (isa<AffineSymbolExpr>(expr))
    return true;
  if (auto binary = dyn_cast<AffineBinaryOpExpr>(expr))
    return isNonNegative(binary.getLHS()) && isNonNegative(binary.getRHS());
  return false;
}

unsigned getElementBytes(Type element) {
  if (auto complex = dyn_cast<ComplexType>(element))
    return 2 * getElementBytes(complex.getElementType());
  if (element.isIndex() || isa<StringType>(element))
    return 8; // a string is its number in a table
  return (element.getIntOrFloatBitWidth() + 7) / 8;
}

bool hasBytes(ElementsAttr value) {
  auto resource = dyn_cast<DenseResourceElementsAttr>(value);
  if (!resource || value.getNumElements() == 0)
    return true;
  AsmResourceBlob *blob = resource.getRawHandle().getBlob();
  return blob && !blob->getData().empty();
}

/// Writes one element in the artifact's layout.
static void appendElement(const APInt &bits, Type element, SmallVectorImpl<char> &out) {
  APInt wide = element.isUnsignedInteger() || element.isInteger(1) || !isa<IntegerType>(element)
                   ? bits.zext(std::max(bits.getBitWidth(), 64u))
                   : bits.sext(std::max(bits.getBitWidth(), 64u));
  uint64_t word = wide.getRawData()[0];
  const char *bytes = reinterpret_cast<const char *>(&word);
  out.append(bytes, bytes + getElementBytes(element));
}

ArrayRef<char> getConstantBytes(ElementsAttr value, SmallVectorImpl<char> &storage) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    return blob ? blob->getData() : ArrayRef<char>();
  }
  Type element = value.getElementType();
  auto dense = cast<DenseElementsAttr>(value);
  if (isa<IntegerType>(element)) {
    for (const APInt &bits : dense.getValues<APInt>())
      appendElement(bits, element, storage);
  } else {
    for (const APFloat &number : dense.getValues<APFloat>())
      appendElement(number.bitcastToAPInt(), element, storage);
  }
  return storage;
}

ElementsAttr makeConstant(RankedTensorType type, ArrayRef<char> bytes, StringRef name) {
  // By content, so that a name says the same in every compilation of the model.
  std::string unique = (name + "_" + llvm::utohexstr(llvm::xxh3_64bits(ArrayRef(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size())))).str();
  auto &blobs = DenseResourceElementsHandle::getManagerInterface(type.getContext()).getBlobManager();
  if (auto *entry = blobs.lookup(unique); entry && entry->getBlob() && entry->getBlob()->getData() == bytes)
    return DenseResourceElementsAttr::get(type, DenseResourceElementsHandle(entry, type.getContext()->getLoadedDialect<BuiltinDialect>()));
  AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64, /*dataIsMutable=*/false);
  return DenseResourceElementsAttr::get(type, unique, std::move(blob));
}

ElementsAttr makeMappedConstant(RankedTensorType type, ArrayRef<char> bytes, StringRef name) {
  return DenseResourceElementsAttr::get(type, name, UnmanagedAsmResourceBlob::allocateWithAlign(bytes, 1));
}

ElementsAttr getConstantValue(Value value) {
  if (auto constant = value.getDefiningOp<ConstantOp>())
    return constant.getValue();
  return {};
}

bool isBf16Constant(Value value) {
  ElementsAttr constant = getConstantValue(value);
  if (!constant || !constant.getElementType().isF32() || !hasBytes(constant))
    return false;
  SmallVector<char> storage;
  ArrayRef<char> bytes = getConstantBytes(constant, storage);
  for (size_t k = 0; k + 4 <= bytes.size(); k += 4)
    if (bytes[k] || bytes[k + 1])
      return false;
  return true;
}

int64_t readInteger(Type element, ArrayRef<char> bytes, int64_t index) {
  unsigned width = getElementBytes(element);
  uint64_t word = 0;
  std::memcpy(&word, bytes.data() + index * width, width);
  bool isUnsigned = element.isUnsignedInteger() || element.isInteger(1);
  if (isUnsigned || width == 8)
    return static_cast<int64_t>(word);
  unsigned shift = 64 - 8 * width;
  return static_cast<int64_t>(word << shift) >> shift;
}

double readNumber(Type element, ArrayRef<char> bytes, int64_t index) {
  auto type = dyn_cast<FloatType>(element);
  if (!type) {
    int64_t number = readInteger(element, bytes, index);
    return element.isUnsignedInteger(64) ? static_cast<double>(static_cast<uint64_t>(number)) : static_cast<double>(number);
  }
  unsigned width = getElementBytes(element);
  uint64_t word = 0;
  std::memcpy(&word, bytes.data() + index * width, width);
  APFloat number(type.getFloatSemantics(), APInt(type.getWidth(), word, false, /*implicitTrunc=*/true));
  bool inexact = false;
  number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &inexact);
  return number.convertToDouble();
}

} // namespace onager::graph
