// Serialised onnx.TensorProto messages, the form of ONNX's test data.
#include "Cli.h"
#include "Tensor.h"
#include "google/protobuf/stubs/logging.h"
#include "onnx/onnx_pb.h"
#include <cstring>

namespace onager::cli {

/// Bits of an element in a TensorProto's bytes, where elements below a byte are packed.
static unsigned getPackedBits(int32_t dtype) {
  switch (dtype) {
  case ONAGER_U4: case ONAGER_I4: case ONAGER_F4E2M1: return 4;
  case ONAGER_U2: case ONAGER_I2: return 2;
  default: return static_cast<unsigned>(8 * onager_dtype_bytes(dtype));
  }
}

/// Appends the low bytes of each item of a repeated field.
template <typename Items>
static void appendItems(const Items &items, size_t bytes, std::string &out) {
  for (auto item : items)
    out.append(reinterpret_cast<const char *>(&item), bytes);
}

/// Returns the elements as raw_data would hold them.
static std::string collectBytes(const onnx::TensorProto &proto, int32_t dtype) {
  if (proto.has_raw_data())
    return proto.raw_data();
  std::string bytes;
  size_t elementBytes = onager_dtype_bytes(dtype);
  switch (dtype) {
  case ONAGER_F32:
    appendItems(proto.float_data(), elementBytes, bytes);
    break;
  case ONAGER_F64:
    appendItems(proto.double_data(), elementBytes, bytes);
    break;
  case ONAGER_I64:
    appendItems(proto.int64_data(), elementBytes, bytes);
    break;
  case ONAGER_U32: case ONAGER_U64:
    appendItems(proto.uint64_data(), elementBytes, bytes);
    break;
  default:
    appendItems(proto.int32_data(), elementBytes, bytes);
  }
  return bytes;
}

/// Gives each element below a byte a byte of its own; signed ones keep their sign.
static void unpackBits(const std::string &packed, Tensor &tensor, unsigned bits) {
  bool isSigned = tensor.dtype == ONAGER_I4 || tensor.dtype == ONAGER_I2;
  for (size_t k = 0; k < tensor.data.size(); ++k) {
    unsigned byte = static_cast<uint8_t>(packed[k * bits / 8]);
    unsigned value = byte >> (k * bits % 8) & ((1u << bits) - 1);
    if (isSigned && value >> (bits - 1))
      value -= 1u << bits;
    tensor.data[k] = static_cast<char>(value);
  }
}

Tensor parseTensorProto(std::string_view bytes, const std::string &who) {
  onnx::TensorProto proto;
  google::protobuf::LogSilencer silence;
  if (bytes.size() > INT32_MAX || !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    throw Failure(Status::badFile, who + " is not a serialised TensorProto");
  int32_t dtype = proto.data_type();
  if (!onager_dtype_bytes(dtype) || std::strcmp(getTypeName(dtype), "untyped") == 0)
    throw Failure(Status::badFile, who + ": element type " + std::to_string(dtype) + " is not supported, or this is no TensorProto");
  if (proto.data_location() == onnx::TensorProto::EXTERNAL || proto.has_segment())
    throw Failure(Status::badFile, who + ": external data and segments are not supported");
  std::vector<int64_t> dims(proto.dims().begin(), proto.dims().end());
  std::string packed = collectBytes(proto, dtype);
  std::optional<uint64_t> count = countElements(dims);
  unsigned bits = getPackedBits(dtype);
  bool fits = count && *count <= packed.size() * 8 && (*count * bits + 7) / 8 == packed.size();
  if (!fits)
    throw Failure(Status::badFile, who + ": shape " + describeDims(dims) + " of " + getTypeName(dtype) + " does not fit " + std::to_string(packed.size()) + " bytes of data");
  Tensor tensor = makeTensor(dtype, std::move(dims));
  if (bits < 8)
    unpackBits(packed, tensor, bits);
  else if (!packed.empty())
    std::memcpy(tensor.data.data(), packed.data(), packed.size());
  return tensor;
}

} // namespace onager::cli
