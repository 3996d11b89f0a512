// NumPy's .npy files.
//
// file   := "\x93NUMPY", major:u8, minor:u8, length:u16 (version 1) or u32 (2 and 3), header, data
// header := a Python dict: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
#include "Cli.h"
#include "Tensor.h"
#include "llvm/ADT/StringRef.h"
#include <cstring>

using llvm::StringRef;

namespace onager::cli {

static constexpr StringRef kMagic("\x93NUMPY", 6);

namespace {

/// Reads the header's dict; `bad` is set at the first thing that does not fit.
struct HeaderReader {
  StringRef rest;
  bool bad = false;

  bool take(StringRef token) {
    rest = rest.ltrim();
    return rest.consume_front(token);
  }
  void expect(StringRef token) { bad |= !take(token); }
  StringRef text() {
    rest = rest.ltrim();
    StringRef quote = rest.take_front(1);
    bad |= quote != "'" && quote != "\"";
    size_t end = bad ? StringRef::npos : rest.find(quote, 1);
    bad |= end == StringRef::npos;
    if (bad)
      return {};
    StringRef value = rest.slice(1, end);
    rest = rest.drop_front(end + 1);
    return value;
  }
  bool truth() {
    if (take("True"))
      return true;
    expect("False");
    return false;
  }
  std::vector<int64_t> tuple() {
    std::vector<int64_t> items;
    expect("(");
    while (!bad && !take(")")) {
      rest = rest.ltrim();
      int64_t item = 0;
      bad |= rest.consumeInteger(10, item) || item < 0;
      take("L"); // Python 2 wrote long integers so
      items.push_back(item);
      if (!take(",")) {
        expect(")");
        break;
      }
    }
    return items;
  }
};

struct Header {
  std::string descriptor;
  bool isFortran = false;
  std::vector<int64_t> dims;
};

} // namespace

static bool parseHeader(StringRef text, Header &header) {
  HeaderReader reader{text};
  unsigned seen = 0;
  reader.expect("{");
  while (!reader.bad && !reader.take("}")) {
    StringRef key = reader.text();
    reader.expect(":");
    if (key == "descr")
      header.descriptor = reader.text().str(), seen |= 1;
    else if (key == "fortran_order")
      header.isFortran = reader.truth(), seen |= 2;
    else if (key == "shape")
      header.dims = reader.tuple(), seen |= 4;
    else
      reader.bad = true;
    if (!reader.take(",") && !reader.rest.ltrim().starts_with("}"))
      reader.bad = true;
  }
  return !reader.bad && seen == 7 && reader.rest.trim(" \n").empty();
}

/// Finds the element type of a descriptor.
static Tensor parseDescriptor(const std::string &descriptor, const std::string &who) {
  StringRef rest = descriptor;
  unsigned bytes = 0;
  char order = rest.empty() ? ' ' : rest.front(), kind = rest.size() < 2 ? ' ' : rest[1];
  bool isNumber = rest.size() > 2 && StringRef("<>|=").contains(order) && !rest.drop_front(2).getAsInteger(10, bytes);
  if (isNumber && order == '>' && bytes > 1)
    throw Failure(Status::badFile, who + ": big-endian elements ('" + descriptor + "') are not supported");
  if (isNumber && kind == 'V' && (bytes == 1 || bytes == 2))
    return {0, bytes, {}, {}};
  for (int32_t dtype = 1; isNumber && kind != 'V' && dtype <= ONAGER_I2; ++dtype)
    if (onager_dtype_bytes(dtype) == bytes && getTypeDescriptor(dtype)[1] == kind)
      return {dtype, bytes, {}, {}};
  throw Failure(Status::badFile, who + ": elements of type '" + descriptor + "' are not supported");
}

Tensor parseNpy(std::string_view bytes, const std::string &who) {
  StringRef rest(bytes.data(), bytes.size());
  bool isKnown = rest.consume_front(kMagic) && rest.size() >= 6 && rest[0] >= 1 && rest[0] <= 3;
  if (!isKnown)
    throw Failure(Status::badFile, who + " is not a .npy file of version 1 to 3");
  size_t lengthBytes = rest[0] == 1 ? 2 : 4;
  uint32_t length = 0;
  std::memcpy(&length, rest.data() + 2, lengthBytes);
  rest = rest.drop_front(2 + lengthBytes);
  Header header;
  if (length > rest.size() || !parseHeader(rest.take_front(length), header))
    throw Failure(Status::badFile, who + ": the header of the .npy file is damaged, or describes a structured array");
  rest = rest.drop_front(length);
  Tensor tensor = parseDescriptor(header.descriptor, who);
  if (header.isFortran && header.dims.size() > 1)
    throw Failure(Status::badFile, who + ": Fortran order is not supported; save numpy.ascontiguousarray(x)");
  std::optional<uint64_t> count = countElements(header.dims);
  if (!count || *count > rest.size() / tensor.elementBytes || *count * tensor.elementBytes != rest.size())
    throw Failure(Status::badFile, who + ": shape " + describeDims(header.dims) + " of '" + header.descriptor + "' does not fit " +
                                       std::to_string(rest.size()) + " bytes of data");
  tensor.dims = std::move(header.dims);
  tensor.data.assign(rest.begin(), rest.end());
  return tensor;
}

std::string formatNpy(const Tensor &tensor) {
  std::string shape = "(";
  for (int64_t extent : tensor.dims)
    shape += std::to_string(extent) + ", ";
  if (tensor.dims.size() > 1)
    shape.resize(shape.size() - 2);
  else if (tensor.dims.size() == 1)
    shape.pop_back();
  std::string header = std::string("{'descr': '") + getTypeDescriptor(tensor.dtype) + "', 'fortran_order': False, 'shape': " + shape + "), }";
  // The data begins at a multiple of 64 bytes; the header ends in a newline.
  constexpr size_t kPrefix = 10;
  header.append(63 - (kPrefix + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes = kMagic.str() + std::string("\1\0", 2);
  bytes += static_cast<char>(header.size() & 255);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(tensor.data.begin(), tensor.data.end());
  return bytes;
}

} // namespace onager::cli
