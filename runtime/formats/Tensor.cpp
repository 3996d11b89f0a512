// Element types and conversions between them.
#include "runtime/formats/Tensor.h"
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

namespace onager::formats {

namespace {

/// An element type: its names and, for those below a byte, the values it holds.
struct TypeFacts {
  int32_t dtype;
  const char *name, *descriptor;
  int low = 0, high = 0;
};

/// Types that NumPy lacks are written as ml_dtypes does, as raw bytes; small integers as 8-bit ones.
constexpr TypeFacts kTypes[] = {
    {ONAGER_F32, "float32", "<f4"},         {ONAGER_U8, "uint8", "|u1"},          {ONAGER_I8, "int8", "|i1"},
    {ONAGER_U16, "uint16", "<u2"},          {ONAGER_I16, "int16", "<i2"},         {ONAGER_I32, "int32", "<i4"},
    {ONAGER_I64, "int64", "<i8"},           {ONAGER_BOOL, "bool", "|b1", 0, 1},   {ONAGER_F16, "float16", "<f2"},
    {ONAGER_F64, "float64", "<f8"},         {ONAGER_U32, "uint32", "<u4"},        {ONAGER_U64, "uint64", "<u8"},
    {ONAGER_BF16, "bfloat16", "<V2"},       {ONAGER_F8E4M3FN, "float8e4m3fn", "|V1"}, {ONAGER_F8E4M3FNUZ, "float8e4m3fnuz", "|V1"},
    {ONAGER_F8E5M2, "float8e5m2", "|V1"},   {ONAGER_F8E5M2FNUZ, "float8e5m2fnuz", "|V1"}, {ONAGER_U4, "uint4", "|u1", 0, 15},
    {ONAGER_I4, "int4", "|i1", -8, 7},      {ONAGER_F4E2M1, "float4e2m1", "|V1", 0, 15}, {ONAGER_F8E8M0, "float8e8m0", "|V1"},
    {ONAGER_STRING, "string", "<U"},
    {ONAGER_U2, "uint2", "|u1", 0, 3},      {ONAGER_I2, "int2", "|i1", -2, 1}};

const TypeFacts *findType(int32_t dtype) {
  for (const TypeFacts &facts : kTypes)
    if (facts.dtype == dtype)
      return &facts;
  return nullptr;
}

template <typename T>
T load(const Tensor &tensor, size_t index) {
  T value;
  std::memcpy(&value, tensor.data.data() + index * sizeof(T), sizeof(T));
  return value;
}

double decodeHalf(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double magnitude = std::ldexp(exponent ? 1024 + fraction : fraction, (exponent ? exponent : 1) - 25);
  if (exponent == 31)
    magnitude = fraction ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
  return bits >> 15 ? -magnitude : magnitude;
}

double decodeBrain(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

/// How a float of at most 8 bits is laid out, and which of its codes are no finite numbers.
struct SmallFloat {
  int exponentBits, fractionBits, bias;
  enum { none, lastIsNan, zeroIsNan, ieee } special; ///< no such codes; S.11..1; negative zero; infinities and NaNs as in IEEE 754
};
constexpr SmallFloat kF8E4M3FN{4, 3, 7, SmallFloat::lastIsNan}, kF8E4M3FNUZ{4, 3, 8, SmallFloat::zeroIsNan}, kF8E5M2{5, 2, 15, SmallFloat::ieee},
    kF8E5M2FNUZ{5, 2, 16, SmallFloat::zeroIsNan}, kF4E2M1{2, 1, 1, SmallFloat::none};

double decodeSmall(const SmallFloat &format, uint8_t bits) {
  int width = format.exponentBits + format.fractionBits, magnitude = bits & ((1 << width) - 1);
  int exponent = magnitude >> format.fractionBits, fraction = magnitude & ((1 << format.fractionBits) - 1);
  bool isNegative = bits >> width & 1, isLast = exponent == (1 << format.exponentBits) - 1;
  if (format.special == SmallFloat::ieee && isLast && !fraction)
    return isNegative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  bool isNan = (format.special == SmallFloat::ieee && isLast) || (format.special == SmallFloat::lastIsNan && magnitude == (1 << width) - 1) ||
               (format.special == SmallFloat::zeroIsNan && isNegative && !magnitude);
  if (isNan)
    return std::numeric_limits<double>::quiet_NaN();
  int significand = exponent ? fraction + (1 << format.fractionBits) : fraction;
  double value = std::ldexp(significand, (exponent ? exponent : 1) - format.bias - format.fractionBits);
  return isNegative ? -value : value;
}

/// A power of two alone.
double decodeScale(uint8_t bits) { return bits == 255 ? std::numeric_limits<double>::quiet_NaN() : std::ldexp(1.0, bits - 127); }

} // namespace

const char *getTypeName(int32_t dtype) {
  const TypeFacts *facts = findType(dtype);
  return facts ? facts->name : "untyped";
}

const char *getTypeDescriptor(int32_t dtype) {
  const TypeFacts *facts = findType(dtype);
  return facts ? facts->descriptor : "|V1";
}

std::optional<uint64_t> countElements(const std::vector<int64_t> &dims) {
  // With a dim of 0 the product of the others may be anything, so overflow is looked for in all of them.
  uint64_t count = 1, others = 1;
  for (int64_t extent : dims) {
    if (extent < 0 || __builtin_mul_overflow(others, static_cast<uint64_t>(extent ? extent : 1), &others))
      return std::nullopt;
    count *= static_cast<uint64_t>(extent);
  }
  return count;
}

Tensor makeTensor(int32_t dtype, std::vector<int64_t> dims) {
  constexpr uint64_t kMostBytes = uint64_t(1) << 46;
  Tensor tensor{dtype, onager_dtype_bytes(dtype), std::move(dims), {}, {}};
  std::optional<uint64_t> count = countElements(tensor.dims);
  if (!count || !tensor.elementBytes || *count > kMostBytes / tensor.elementBytes)
    throw FileError(std::string("cannot make a tensor of ") + getTypeName(dtype) + " " + describeDims(tensor.dims));
  tensor.data.resize(*count * tensor.elementBytes);
  if (dtype == ONAGER_STRING)
    tensor.texts.resize(*count);
  return tensor;
}

onager_tensor toRuntime(Tensor &tensor) {
  for (size_t k = 0; k < tensor.texts.size(); ++k) {
    onager_string text{tensor.texts[k].data(), tensor.texts[k].size()};
    std::memcpy(tensor.data.data() + k * sizeof text, &text, sizeof text);
  }
  return {sizeof(onager_tensor), tensor.dtype, static_cast<int32_t>(tensor.dims.size()), 0, tensor.data.data(), tensor.dims.data(), tensor.data.size()};
}

Tensor fromRuntime(const onager_tensor &tensor) {
  Tensor copy = makeTensor(tensor.dtype, std::vector<int64_t>(tensor.dims, tensor.dims + tensor.rank));
  auto *texts = static_cast<const onager_string *>(tensor.data);
  for (size_t k = 0; k < copy.texts.size(); ++k)
    copy.texts[k].assign(texts[k].data, texts[k].bytes);
  if (copy.texts.empty() && !copy.data.empty())
    std::memcpy(copy.data.data(), tensor.data, copy.data.size());
  return copy;
}

std::string printElement(const Tensor &tensor, size_t index) {
  if (tensor.dtype != ONAGER_STRING) {
    char text[64];
    std::snprintf(text, sizeof text, "%.9Lg", getElement(tensor, index));
    return text;
  }
  std::string quoted = "\"";
  for (char c : tensor.texts[index])
    if (c == '"' || c == '\\')
      quoted += std::string("\\") + c;
    else if (static_cast<unsigned char>(c) < ' ')
      quoted += ' ';
    else
      quoted += c;
  return quoted + "\"";
}

std::string quoteText(std::string_view text) {
  constexpr size_t kMost = 100;
  std::string quoted = "'";
  for (char c : text.substr(0, kMost))
    quoted += c < ' ' || c > '~' ? '?' : c;
  return quoted + (text.size() > kMost ? "...'" : "'");
}

std::string describeDims(const std::vector<int64_t> &dims) {
  std::string text = "[";
  for (size_t k = 0; k < dims.size(); ++k)
    text += (k ? ", " : "") + std::to_string(dims[k]);
  return text + "]";
}

long double getElement(const Tensor &tensor, size_t index) {
  switch (tensor.dtype) {
  case ONAGER_F32: return load<float>(tensor, index);
  case ONAGER_F64: return load<double>(tensor, index);
  case ONAGER_F16: return decodeHalf(load<uint16_t>(tensor, index));
  case ONAGER_BF16: return decodeBrain(load<uint16_t>(tensor, index));
  case ONAGER_I8: case ONAGER_I4: case ONAGER_I2: return load<int8_t>(tensor, index);
  case ONAGER_I16: return load<int16_t>(tensor, index);
  case ONAGER_U16: return load<uint16_t>(tensor, index);
  case ONAGER_I32: return load<int32_t>(tensor, index);
  case ONAGER_U32: return load<uint32_t>(tensor, index);
  case ONAGER_I64: return load<int64_t>(tensor, index);
  case ONAGER_U64: return load<uint64_t>(tensor, index);
  case ONAGER_F8E4M3FN: return decodeSmall(kF8E4M3FN, load<uint8_t>(tensor, index));
  case ONAGER_F8E4M3FNUZ: return decodeSmall(kF8E4M3FNUZ, load<uint8_t>(tensor, index));
  case ONAGER_F8E5M2: return decodeSmall(kF8E5M2, load<uint8_t>(tensor, index));
  case ONAGER_F8E5M2FNUZ: return decodeSmall(kF8E5M2FNUZ, load<uint8_t>(tensor, index));
  case ONAGER_F8E8M0: return decodeScale(load<uint8_t>(tensor, index));
  case ONAGER_F4E2M1: return decodeSmall(kF4E2M1, load<uint8_t>(tensor, index));
  default: return load<uint8_t>(tensor, index);
  }
}

/// True where the file's element type may stand for the expected one, byte for byte.
static bool canStandFor(const Tensor &tensor, const TypeFacts &expected) {
  if (tensor.elementBytes != onager_dtype_bytes(expected.dtype))
    return false;
  const TypeFacts *found = findType(tensor.dtype);
  bool isPlain = !found || tensor.dtype == ONAGER_U8 || tensor.dtype == ONAGER_I8;
  bool isOdd = expected.descriptor[1] == 'V' || expected.low != expected.high;
  return isPlain && isOdd && (!found || expected.descriptor[1] == 'V' || std::strcmp(found->descriptor, expected.descriptor) == 0);
}

void adaptType(Tensor &tensor, int32_t expected, const std::string &who) {
  const TypeFacts *facts = findType(expected);
  if (facts && tensor.dtype != expected && canStandFor(tensor, *facts))
    tensor.dtype = expected;
  if (!tensor.dtype)
    throw FileError(who + ": expected type " + getTypeName(expected) + ", found raw elements of " + std::to_string(tensor.elementBytes) + " bytes");
  facts = findType(tensor.dtype);
  if (facts->low == facts->high)
    return;
  for (char byte : tensor.data) {
    int value = facts->descriptor[1] == 'i' ? static_cast<int8_t>(byte) : static_cast<uint8_t>(byte);
    if (value < facts->low || value > facts->high)
      throw FileError(who + ": " + std::to_string(value) + " is no value of type " + facts->name);
  }
}

static std::string readFile(const std::string &path) {
  std::FILE *file = std::fopen(path.c_str(), "rbe");
  if (!file)
    throw FileError("cannot open '" + path + "': " + std::strerror(errno));
  std::string bytes;
  char chunk[1 << 16];
  while (size_t count = std::fread(chunk, 1, sizeof chunk, file))
    bytes.append(chunk, count);
  int error = std::ferror(file) ? errno : 0;
  std::fclose(file);
  if (error)
    throw FileError("cannot read '" + path + "': " + std::strerror(error));
  return bytes;
}

std::vector<std::pair<std::string, Tensor>> readArchive(const std::string &path) { return parseNpz(readFile(path), "'" + path + "'"); }

Tensor readTensor(const std::string &path) {
  std::string_view name = path;
  if (!name.ends_with(".npy") && !name.ends_with(".pb"))
    throw FileError("'" + path + "' is neither a .npy nor a .pb file");
  std::string bytes = readFile(path);
  return name.ends_with(".npy") ? parseNpy(bytes, "'" + path + "'") : parseTensorProto(bytes, "'" + path + "'");
}

std::string makeFileName(const std::string &name) {
  std::string file = name;
  for (char &c : file)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_' && c != '.')
      c = '_';
  return file.empty() || file[0] == '.' ? "_" + file : file;
}

} // namespace onager::formats
