// Tensors of the model file as constants: embedded, in typed fields, or in external files.
#include "lib/Import/OnnxToGraph/Importer.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;

namespace onager::import {

/// Tensors of at least this many bytes stay where the model keeps them.
static constexpr size_t kMappedBytes = 1024;

/// Elements of 2 and 4 bits lie several to a byte, low bits first; here each gets a byte, sign-extended where signed.
static SmallVector<char> unpack(StringRef packed, int64_t count, Type element) {
  unsigned width = element.getIntOrFloatBitWidth(), perByte = 8 / width;
  bool isSigned = isa<IntegerType>(element) && !element.isUnsignedInteger();
  SmallVector<char> bytes;
  for (int64_t k = 0; k < count; ++k) {
    uint8_t code = (static_cast<uint8_t>(packed[k / perByte]) >> (k % perByte * width)) & ((1u << width) - 1);
    if (isSigned && (code >> (width - 1)))
      code |= 0xFFu << width;
    bytes.push_back(static_cast<char>(code));
  }
  return bytes;
}

template <typename Field>
static SmallVector<char> narrow(const Field &field, unsigned width) {
  SmallVector<char> bytes;
  for (auto value : field) {
    const char *raw = reinterpret_cast<const char *>(&value);
    bytes.append(raw, raw + width);
  }
  return bytes;
}

/// Bytes of a tensor that is not raw, in the artifact's layout.
static SmallVector<char> readFields(const onnx::TensorProto &proto, Type element, int64_t count) {
  unsigned width = graph::getElementBytes(element);
  if (element.isF32())
    return narrow(proto.float_data(), 4);
  if (element.isF64())
    return narrow(proto.double_data(), 8);
  if (element.isInteger(64) && !element.isUnsignedInteger())
    return narrow(proto.int64_data(), 8);
  if (element.isUnsignedInteger(64) || element.isUnsignedInteger(32))
    return narrow(proto.uint64_data(), width);
  bool subByte = element.getIntOrFloatBitWidth() < 8 && !element.isInteger(1);
  if (!subByte)
    return narrow(proto.int32_data(), width);
  SmallVector<char> packed = narrow(proto.int32_data(), 1);
  unsigned perByte = 8 / element.getIntOrFloatBitWidth();
  if (static_cast<int64_t>(packed.size() * perByte) < count)
    refuse("it has fewer elements than its shape says");
  return unpack(StringRef(packed.data(), packed.size()), count, element);
}

/// Opens the part of an external file that a tensor names; the file must lie in the model's folder.
static std::shared_ptr<llvm::MemoryBuffer> openExternal(const onnx::TensorProto &proto, const std::string &folder, size_t bytes) {
  std::string location;
  uint64_t offset = 0, length = bytes;
  for (const auto &entry : proto.external_data()) {
    if (entry.key() == "location")
      location = entry.value();
    uint64_t *number = entry.key() == "offset" ? &offset : entry.key() == "length" ? &length : nullptr;
    if (number && StringRef(entry.value()).getAsInteger(10, *number))
      refuse("external data: '" + entry.value() + "' is not a number");
  }
  if (folder.empty())
    refuse("external data needs a model that is a file");
  SmallString<256> path(folder), real, root;
  bool escapes = location.empty() || llvm::sys::path::is_absolute(location) || llvm::any_of(llvm::make_range(llvm::sys::path::begin(location), llvm::sys::path::end(location)), [](StringRef part) { return part == ".."; });
  llvm::sys::path::append(path, location);
  if (!escapes && !llvm::sys::fs::exists(path))
    refuse("external data file '" + location + "' does not exist");
  llvm::sys::fs::real_path(path, real);
  llvm::sys::fs::real_path(folder, root);
  if (escapes || !StringRef(real).starts_with((root + "/").str()))
    refuse("external data file '" + location + "' lies outside of the model's folder");
  if (!llvm::sys::fs::is_regular_file(path))
    refuse("external data file '" + location + "' is not a regular file");
  uint64_t size = 0;
  if (llvm::sys::fs::file_size(path, size) || length != bytes || offset > size || length > size - offset)
    refuse("external data file '" + location + "' has " + std::to_string(size) + " bytes, expected " + std::to_string(bytes) + " at " + std::to_string(offset));
  auto buffer = llvm::MemoryBuffer::getFileSlice(path, length, offset);
  if (!buffer)
    refuse("external data file '" + location + "': " + buffer.getError().message());
  return std::shared_ptr<llvm::MemoryBuffer>(std::move(*buffer));
}

Value Importer::constant(const onnx::TensorProto &proto) {
  Type element = elementType(proto.data_type());
  SmallVector<int64_t> shape;
  int64_t count = 1;
  for (int64_t dim : proto.dims()) {
    if (dim < 0 || __builtin_mul_overflow(count, dim, &count) || count > (int64_t(1) << 40))
      refuse("its dims are negative or too large");
    shape.push_back(dim);
  }
  auto type = RankedTensorType::get(shape, element);
  unsigned width = graph::getElementBytes(element), bits = element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth();
  size_t packedBytes = bits < 8 ? (count * bits + 7) / 8 : count * width;
  StringRef raw;
  bool mapped = false;
  SmallVector<char> bytes;
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    if (packedBytes > 0) {
      std::shared_ptr<llvm::MemoryBuffer> buffer = openExternal(proto, folder, packedBytes);
      kept.push_back(buffer);
      raw = buffer->getBuffer();
    }
    mapped = true;
  } else if (proto.has_raw_data()) {
    raw = proto.raw_data();
    mapped = raw.size() >= kMappedBytes;
  } else {
    bytes = readFields(proto, element, count);
  }
  if ((proto.has_raw_data() || mapped) && raw.size() != packedBytes)
    refuse("it has " + std::to_string(raw.size()) + " bytes, expected " + std::to_string(packedBytes));
  if (!raw.empty() && bits < 8) {
    bytes = unpack(raw, count, element);
    mapped = false;
  } else if (!raw.empty() && !mapped) {
    bytes.assign(raw.begin(), raw.end());
  }
  if (!mapped && static_cast<int64_t>(bytes.size()) != count * width)
    refuse("it has " + std::to_string(bytes.size() / width) + " elements, expected " + std::to_string(count));
  if (mapped && !raw.empty())
    return graph::ConstantOp::create(b, type, graph::makeMappedConstant(type, ArrayRef<char>(raw.data(), raw.size())));
  return graph::ConstantOp::create(b, type, graph::makeConstant(type, bytes));
}

} // namespace onager::import
