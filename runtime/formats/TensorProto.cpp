// Serialised onnx.TensorProto messages, the form of ONNX's test data, read without protobuf.
//
// message := field*
// field   := key:varint (number << 3 | kind), value
// value   := varint (kind 0), u64 (1), length:varint and bytes (2), u32 (5)
// Repeated numbers come one by one or packed: one field of kind 2 that holds all of them.
#include "runtime/formats/Tensor.h"
#include <cstring>

using std::string_view;

namespace onager::formats {

namespace {

/// Reads wire values; `bad` is set at the first that does not fit.
struct WireReader {
  string_view rest;
  bool bad = false;

  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest.empty())
        break;
      auto byte = static_cast<uint8_t>(rest.front());
      rest.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128)
        return value;
    }
    bad = true;
    return 0;
  }
  string_view take(uint64_t count) {
    bad |= count > rest.size();
    string_view bytes = rest.substr(0, bad ? 0 : count);
    rest.remove_prefix(bytes.size());
    return bytes;
  }
};

/// What of a TensorProto matters here.
struct Message {
  std::vector<int64_t> dims;
  int32_t dtype = 0;
  bool isRaw = false, isElsewhere = false;
  std::string bytes;             ///< of raw_data, float_data and double_data
  std::vector<uint64_t> numbers; ///< of int32_data, int64_data and uint64_data
  std::vector<std::string> texts;
};

enum Field : uint64_t { Dims = 1, DataType = 2, Segment = 3, FloatData = 4, Int32Data = 5, StringData = 6, Int64Data = 7, RawData = 9, DoubleData = 10, Uint64Data = 11, DataLocation = 14 };

/// One value of a field, or a packed run of them.
struct Value {
  unsigned kind;
  uint64_t number;
  string_view bytes;
};

Value takeValue(WireReader &reader, unsigned kind) {
  switch (kind) {
  case 0:
    return {kind, reader.varint(), {}};
  case 1:
    return {kind, 0, reader.take(8)};
  case 2:
    return {kind, 0, reader.take(reader.varint())};
  case 5:
    return {kind, 0, reader.take(4)};
  default:
    reader.bad = true;
    return {kind, 0, {}};
  }
}

/// Calls back with each number of a field; false where it holds none.
template <typename Sink>
bool forEachNumber(const Value &value, Sink sink) {
  if (value.kind == 0)
    sink(value.number);
  WireReader packed{value.kind == 2 ? value.bytes : string_view()};
  while (!packed.bad && !packed.rest.empty())
    sink(packed.varint());
  return !packed.bad && (value.kind == 0 || value.kind == 2);
}

void readField(uint64_t field, const Value &value, Message &message, bool &bad) {
  switch (field) {
  case Dims:
    bad |= !forEachNumber(value, [&](uint64_t dim) { message.dims.push_back(static_cast<int64_t>(dim)); });
    break;
  case DataType:
    bad |= value.kind != 0;
    message.dtype = static_cast<int32_t>(value.number);
    break;
  case DataLocation:
    message.isElsewhere |= value.number == 1;
    break;
  case Segment:
    message.isElsewhere = true;
    break;
  case RawData:
    bad |= value.kind != 2;
    message.isRaw = true;
    message.bytes = value.bytes;
    break;
  case FloatData: case DoubleData:
    bad |= value.kind == 0 || value.bytes.size() % (field == FloatData ? 4 : 8);
    message.bytes += value.bytes;
    break;
  case Int32Data: case Int64Data: case Uint64Data:
    bad |= !forEachNumber(value, [&](uint64_t number) { message.numbers.push_back(number); });
    break;
  case StringData:
    bad |= value.kind != 2;
    message.texts.emplace_back(value.bytes);
    break;
  default: // names and comments
    break;
  }
}

bool parseMessage(string_view bytes, Message &message) {
  WireReader reader{bytes};
  bool bad = false;
  while (!reader.rest.empty() && !reader.bad && !bad) {
    uint64_t key = reader.varint();
    bad |= key >> 3 == 0;
    readField(key >> 3, takeValue(reader, key & 7), message, bad);
  }
  return !reader.bad && !bad;
}

/// Bits of an element in a TensorProto's bytes, where elements below a byte are packed.
unsigned getPackedBits(int32_t dtype) {
  switch (dtype) {
  case ONAGER_U4: case ONAGER_I4: case ONAGER_F4E2M1: return 4;
  case ONAGER_U2: case ONAGER_I2: return 2;
  default: return static_cast<unsigned>(8 * onager_dtype_bytes(dtype));
  }
}

/// Gives each element below a byte a byte of its own; signed ones keep their sign.
void unpackBits(const std::string &packed, Tensor &tensor, unsigned bits) {
  bool isSigned = tensor.dtype == ONAGER_I4 || tensor.dtype == ONAGER_I2;
  for (size_t k = 0; k < tensor.data.size(); ++k) {
    unsigned byte = static_cast<uint8_t>(packed[k * bits / 8]);
    unsigned value = byte >> (k * bits % 8) & ((1u << bits) - 1);
    if (isSigned && value >> (bits - 1))
      value -= 1u << bits;
    tensor.data[k] = static_cast<char>(value);
  }
}

} // namespace

Tensor parseTensorProto(string_view bytes, const std::string &who) {
  Message message;
  if (!parseMessage(bytes, message))
    throw FileError(who + " is not a serialised TensorProto");
  int32_t dtype = message.dtype;
  if (!onager_dtype_bytes(dtype) || std::strcmp(getTypeName(dtype), "untyped") == 0)
    throw FileError(who + ": element type " + std::to_string(dtype) + " is not supported, or this is no TensorProto");
  if (message.isElsewhere)
    throw FileError(who + ": external data and segments are not supported");
  if (dtype == ONAGER_STRING) {
    if (countElements(message.dims) != message.texts.size())
      throw FileError(who + ": shape " + describeDims(message.dims) + " of strings does not fit " + std::to_string(message.texts.size()) + " of them");
    Tensor tensor = makeTensor(dtype, std::move(message.dims));
    tensor.texts = std::move(message.texts);
    return tensor;
  }
  // Numbers that came as varints take the low bytes of each; elements below a byte are packed into bytes as in raw_data.
  size_t numberBytes = message.isRaw ? 0 : onager_dtype_bytes(dtype);
  for (size_t k = 0; numberBytes && k < message.numbers.size(); ++k)
    message.bytes.append(reinterpret_cast<const char *>(&message.numbers[k]), numberBytes);
  std::optional<uint64_t> count = countElements(message.dims);
  unsigned bits = getPackedBits(dtype);
  bool fits = count && *count <= message.bytes.size() * 8 && (*count * bits + 7) / 8 == message.bytes.size();
  if (!fits)
    throw FileError(who + ": shape " + describeDims(message.dims) + " of " + getTypeName(dtype) + " does not fit " + std::to_string(message.bytes.size()) + " bytes of data");
  Tensor tensor = makeTensor(dtype, std::move(message.dims));
  if (bits < 8)
    unpackBits(message.bytes, tensor, bits);
  else if (!message.bytes.empty())
    std::memcpy(tensor.data.data(), message.bytes.data(), message.bytes.size());
  return tensor;
}

} // namespace onager::formats
