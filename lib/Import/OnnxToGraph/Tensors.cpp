// Constants from TensorProto: raw data stays where it is, typed fields and packed types are copied into the artifact's layout.
#include "lib/Import/OnnxToGraph/Importer.h"
#include <cstring>

using namespace mlir;
using onnx::TensorProto;

namespace onager::frontend {
namespace {

/// Elements up to this number become a `dense` attribute that is printed in full.
constexpr int64_t kMaxDense = 64;

/// Bits that one element takes in raw data.
unsigned getPackedBits(Type element) { return element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth(); }

template <typename T, typename Field> void appendAll(const Field &field, std::string &bytes) {
  for (auto number : field) {
    T value = static_cast<T>(number);
    bytes.append(reinterpret_cast<const char *>(&value), sizeof(T));
  }
}

/// Appends the typed fields of a tensor as raw data would hold them.
void appendTyped(const TensorProto &tensor, std::string &bytes) {
  switch (tensor.data_type()) {
  case TensorProto::FLOAT: return appendAll<float>(tensor.float_data(), bytes);
  case TensorProto::DOUBLE: return appendAll<double>(tensor.double_data(), bytes);
  case TensorProto::INT64: return appendAll<int64_t>(tensor.int64_data(), bytes);
  case TensorProto::UINT64: return appendAll<uint64_t>(tensor.uint64_data(), bytes);
  case TensorProto::UINT32: return appendAll<uint32_t>(tensor.uint64_data(), bytes);
  case TensorProto::INT32: return appendAll<int32_t>(tensor.int32_data(), bytes);
  case TensorProto::FLOAT16:
  case TensorProto::BFLOAT16:
  case TensorProto::INT16:
  case TensorProto::UINT16: return appendAll<uint16_t>(tensor.int32_data(), bytes);
  default: return appendAll<uint8_t>(tensor.int32_data(), bytes);
  }
}

/// Spreads packed 2- and 4-bit elements over one byte each; signed ones are sign-extended.
std::string unpack(StringRef packed, unsigned bits, bool isSigned, int64_t count) {
  std::string bytes;
  unsigned perByte = 8 / bits;
  for (int64_t k = 0; k < count; ++k) {
    auto byte = static_cast<uint8_t>(packed[k / perByte]);
    auto value = static_cast<uint8_t>((byte >> (bits * (k % perByte))) & ((1u << bits) - 1));
    if (isSigned && (value >> (bits - 1)))
      value |= static_cast<uint8_t>(0xffu << bits);
    bytes.push_back(static_cast<char>(value));
  }
  return bytes;
}

ElementsAttr makeDense(RankedTensorType type, ArrayRef<char> bytes) {
  Type element = type.getElementType();
  unsigned width = graph::getElementBytes(element), bits = element.getIntOrFloatBitWidth();
  SmallVector<APInt> words;
  for (int64_t k = 0; k < type.getNumElements(); ++k) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + k * width, width);
    words.emplace_back(bits, element.isInteger(1) ? word != 0 : word, false, /*implicitTrunc=*/true);
  }
  auto floating = dyn_cast<FloatType>(element);
  if (!floating)
    return DenseElementsAttr::get(type, words);
  SmallVector<APFloat> numbers;
  for (const APInt &word : words)
    numbers.emplace_back(floating.getFloatSemantics(), word);
  return DenseElementsAttr::get(type, numbers);
}

bool areBooleans(ArrayRef<char> bytes) {
  return llvm::all_of(bytes, [](char byte) { return byte == 0 || byte == 1; });
}

/// Checks the dims and makes the type of a tensor.
RankedTensorType getTensorType(Emitter &e, const TensorProto &tensor) {
  Type element = convertElementType(tensor.data_type(), e.context());
  if (!element) {
    e.fail("a constant of element type " + describeElementType(tensor.data_type()) + " is not supported");
    return {};
  }
  if (tensor.has_segment()) {
    e.fail("a constant in segments is not supported");
    return {};
  }
  return e.tensorType(e.numbers(Ints(tensor.dims().begin(), tensor.dims().end())), element);
}

} // namespace

/// A constant of strings, which ONNX keeps in a field of their own.
static Value importStrings(Emitter &e, const TensorProto &tensor, RankedTensorType type) {
  if (tensor.string_data_size() != type.getNumElements())
    return e.fail("tensor '" + tensor.name() + "' holds " + Twine(tensor.string_data_size()) + " strings, its shape needs " + Twine(type.getNumElements()));
  SmallVector<StringRef> texts(tensor.string_data().begin(), tensor.string_data().end());
  return e.constant(DenseStringElementsAttr::get(type, texts));
}

Value Importer::importTensor(const TensorProto &tensor, StringRef raw) {
  RankedTensorType type = getTensorType(e, tensor);
  if (!type)
    return {};
  if (tensor.data_type() == TensorProto::STRING)
    return importStrings(e, tensor, type);
  Type element = type.getElementType();
  int64_t count = type.getNumElements();
  unsigned bits = getPackedBits(element);
  auto expected = static_cast<size_t>((count * bits + 7) / 8);
  std::string typed;
  bool isMapped = !raw.empty();
  if (tensor.data_location() == TensorProto::EXTERNAL) {
    std::string error;
    if (!mapExternalData(model, tensor, expected, raw, error))
      return e.fail("tensor '" + tensor.name() + "': " + error);
    isMapped = true;
  } else if (!isMapped && tensor.has_raw_data()) {
    raw = tensor.raw_data();
  } else if (!isMapped) {
    appendTyped(tensor, typed);
    raw = typed;
  }
  if (raw.size() != expected)
    return e.fail("tensor '" + tensor.name() + "' holds " + Twine(raw.size()) + " bytes, its shape needs " + Twine(expected));
  std::string unpacked;
  if (bits < 8) {
    unpacked = unpack(raw, bits, element.isSignlessInteger(), count);
    raw = unpacked;
    isMapped = false;
  }
  ArrayRef<char> bytes(raw.data(), raw.size());
  if (element.isInteger(1) && !areBooleans(bytes))
    return e.fail("tensor '" + tensor.name() + "' holds a boolean that is neither 0 nor 1");
  StringRef name = tensor.name().empty() ? StringRef("c") : StringRef(tensor.name());
  if (count <= kMaxDense)
    return e.constant(makeDense(type, bytes));
  return e.constant(isMapped ? graph::makeMappedConstant(type, bytes, name) : graph::makeConstant(type, bytes, name));
}

/// Row-major offset of entry k of a sparse tensor's indices, which are flat or one tuple per row; -1 where outside.
static int64_t getSparseOffset(ArrayRef<int64_t> indices, int64_t k, ArrayRef<int64_t> dims, bool isFlat, int64_t total) {
  int64_t offset = 0;
  if (isFlat)
    offset = indices[k];
  else
    for (auto [d, extent] : llvm::enumerate(dims)) {
      int64_t index = indices[k * static_cast<int64_t>(dims.size()) + static_cast<int64_t>(d)];
      if (index < 0 || index >= extent)
        return -1;
      offset = offset * extent + index;
    }
  return offset >= 0 && offset < total ? offset : -1;
}

Value Importer::importSparse(const onnx::SparseTensorProto &sparse) {
  /// A sparse constant is stored densely: it may not ask for much more than the file holds.
  constexpr int64_t kMaxDenseBytes = int64_t(1) << 30;
  Value values = importTensor(sparse.values()), indices = importTensor(sparse.indices());
  if (!values || !indices)
    return {};
  Type element = Emitter::elementOf(values);
  if (isa<graph::StringType>(element))
    return e.fail("a sparse tensor of strings is not supported");
  RankedTensorType type = e.tensorType(e.numbers(Ints(sparse.dims().begin(), sparse.dims().end())), element);
  if (!type)
    return {};
  auto valuesType = cast<RankedTensorType>(values.getType()), indexType = cast<RankedTensorType>(indices.getType());
  int64_t count = valuesType.getNumElements(), total = type.getNumElements(), width = graph::getElementBytes(element);
  bool isFlat = indexType.getRank() == 1;
  if (!indexType.getElementType().isInteger(64) || indexType.getNumElements() != (isFlat ? count : count * type.getRank()))
    return e.fail("sparse tensor: " + Twine(indexType.getNumElements()) + " indices for " + Twine(count) + " values");
  if (total > kMaxDenseBytes / width)
    return e.fail("sparse tensor of more than 1 GiB");
  SmallVector<char> valueStorage, indexStorage, bytes(static_cast<size_t>(total * width), 0);
  ArrayRef<char> from = graph::getConstantBytes(graph::getConstantValue(values), valueStorage);
  ArrayRef<char> at = graph::getConstantBytes(graph::getConstantValue(indices), indexStorage);
  std::vector<int64_t> numbers(at.size() / 8);
  std::memcpy(numbers.data(), at.data(), numbers.size() * 8);
  for (int64_t k = 0; k < count; ++k) {
    int64_t offset = getSparseOffset(numbers, k, type.getShape(), isFlat, total);
    if (offset < 0)
      return e.fail("sparse tensor: an index is outside the shape");
    std::memcpy(bytes.data() + offset * width, from.data() + k * width, static_cast<size_t>(width));
  }
  return e.constant(total <= kMaxDense ? makeDense(type, bytes) : graph::makeConstant(type, bytes, "sparse"));
}

} // namespace onager::frontend
