// NumPy's .npy files.
//
// file   := "\x93NUMPY", major:u8, minor:u8, length:u16 (version 1) or u32 (2 and 3), header, data
// header := a Python dict: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
#include "runtime/core/utf8.h"
#include "runtime/formats/Tensor.h"
#include <charconv>
#include <cstring>

using std::string_view;

namespace onager::formats {

/// The characters of a text in UTF-8; bytes that are none stand for themselves.
static std::vector<uint32_t> decodeText(const std::string &text) {
  std::vector<uint32_t> characters;
  for (const char *at = text.data(), *end = at + text.size(); at != end;) {
    auto first = static_cast<uint8_t>(*at);
    int32_t character = rt::readCharacter(at, end);
    characters.push_back(character < 0 ? first : static_cast<uint32_t>(character));
  }
  return characters;
}

/// Stands for what is no character.
static constexpr uint32_t kReplacement = 0xfffd;
static constexpr string_view kMagic("\x93NUMPY", 6);

namespace {

/// Reads the header's dict; `bad` is set at the first thing that does not fit.
struct HeaderReader {
  string_view rest;
  bool bad = false;

  void skipSpace() { rest.remove_prefix(std::min(rest.find_first_not_of(" \t\n\v\f\r"), rest.size())); }
  bool take(string_view token) {
    skipSpace();
    bool isThere = rest.starts_with(token);
    rest.remove_prefix(isThere ? token.size() : 0);
    return isThere;
  }
  void expect(string_view token) { bad |= !take(token); }
  string_view text() {
    skipSpace();
    string_view quote = rest.substr(0, 1);
    bad |= quote != "'" && quote != "\"";
    size_t end = bad ? string_view::npos : rest.find(quote, 1);
    bad |= end == string_view::npos;
    if (bad)
      return {};
    string_view value = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
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
      skipSpace();
      int64_t item = 0;
      auto [end, failure] = std::from_chars(rest.data(), rest.data() + rest.size(), item);
      bad |= failure != std::errc() || item < 0;
      rest.remove_prefix(static_cast<size_t>(end - rest.data()));
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

static bool parseHeader(string_view text, Header &header) {
  HeaderReader reader{text};
  unsigned seen = 0;
  reader.expect("{");
  while (!reader.bad && !reader.take("}")) {
    string_view key = reader.text();
    reader.expect(":");
    if (key == "descr")
      header.descriptor = reader.text(), seen |= 1;
    else if (key == "fortran_order")
      header.isFortran = reader.truth(), seen |= 2;
    else if (key == "shape")
      header.dims = reader.tuple(), seen |= 4;
    else
      reader.bad = true;
    reader.skipSpace();
    if (!reader.take(",") && !reader.rest.starts_with("}"))
      reader.bad = true;
  }
  reader.skipSpace();
  return !reader.bad && seen == 7 && reader.rest.empty();
}

/// Finds the element type of a descriptor.
static Tensor parseDescriptor(const std::string &descriptor, const std::string &who) {
  unsigned bytes = 0;
  char order = descriptor.empty() ? ' ' : descriptor.front(), kind = descriptor.size() < 2 ? ' ' : descriptor[1];
  const char *end = descriptor.data() + descriptor.size();
  bool isNumber = descriptor.size() > 2 && string_view("<>|=").find(order) != string_view::npos && std::from_chars(descriptor.data() + 2, end, bytes).ptr == end;
  if (isNumber && order == '>' && bytes > 1)
    throw FileError(who + ": big-endian elements (" + quoteText(descriptor) + ") are not supported");
  if (isNumber && kind == 'V' && (bytes == 1 || bytes == 2))
    return {0, bytes, {}, {}, {}};
  if (isNumber && (kind == 'U' || kind == 'S') && bytes < (1u << 24))
    return {ONAGER_STRING, kind == 'U' ? bytes * 4 : bytes, {}, {}, {}};
  for (int32_t dtype = 1; isNumber && kind != 'V' && dtype <= ONAGER_I2; ++dtype)
    if (dtype != ONAGER_STRING && onager_dtype_bytes(dtype) == bytes && getTypeDescriptor(dtype)[1] == kind)
      return {dtype, bytes, {}, {}, {}};
  throw FileError(who + ": elements of type " + quoteText(descriptor) + " are not supported");
}

/// Takes texts of a fixed width, in UTF-32 (kind U) or bytes (kind S), filled up with zeros.
static void readTexts(string_view data, uint64_t count, size_t width, bool isWide, Tensor &tensor) {
  for (uint64_t k = 0; k < count; ++k) {
    string_view field = data.substr(k * width, width);
    std::string text;
    if (!isWide)
      text = field;
    for (size_t at = 0; isWide && at < width; at += 4) {
      uint32_t character;
      std::memcpy(&character, field.data() + at, 4);
      bool isCharacter = character <= 0x10ffff && (character < 0xd800 || character >= 0xe000);
      rt::appendCharacter(text, isCharacter ? character : kReplacement);
    }
    text.resize(text.find_last_not_of('\0') + 1);
    tensor.texts[k] = std::move(text);
  }
}

Tensor parseNpy(std::string_view bytes, const std::string &who) {
  string_view rest = bytes.starts_with(kMagic) ? bytes.substr(kMagic.size()) : string_view();
  if (rest.size() < 6 || rest[0] < 1 || rest[0] > 3)
    throw FileError(who + " is not a .npy file of version 1 to 3");
  size_t lengthBytes = rest[0] == 1 ? 2 : 4;
  uint32_t length = 0;
  std::memcpy(&length, rest.data() + 2, lengthBytes);
  rest.remove_prefix(2 + lengthBytes);
  Header header;
  if (length > rest.size() || !parseHeader(rest.substr(0, length), header))
    throw FileError(who + ": the header of the .npy file is damaged, or describes a structured array");
  rest.remove_prefix(length);
  Tensor tensor = parseDescriptor(header.descriptor, who);
  if (header.isFortran && header.dims.size() > 1)
    throw FileError(who + ": Fortran order is not supported; save numpy.ascontiguousarray(x)");
  std::optional<uint64_t> count = countElements(header.dims);
  size_t width = std::max<size_t>(tensor.elementBytes, 1);
  if (!count || *count > rest.size() / width || *count * tensor.elementBytes != rest.size())
    throw FileError(who + ": shape " + describeDims(header.dims) + " of " + quoteText(header.descriptor) + " does not fit " +
                                       std::to_string(rest.size()) + " bytes of data");
  if (tensor.dtype == ONAGER_STRING) {
    Tensor texts = makeTensor(ONAGER_STRING, std::move(header.dims));
    readTexts(rest, *count, tensor.elementBytes, header.descriptor[1] == 'U', texts);
    return texts;
  }
  tensor.dims = std::move(header.dims);
  tensor.data.assign(rest.begin(), rest.end());
  return tensor;
}

/// Texts in UTF-32, all as wide as the widest; `width` is that in characters, at least 1 as NumPy has it.
static std::string formatTexts(const Tensor &tensor, size_t &width) {
  std::vector<std::vector<uint32_t>> texts;
  width = 1;
  for (const std::string &text : tensor.texts) {
    texts.push_back(decodeText(text));
    width = std::max(width, texts.back().size());
  }
  std::string bytes;
  for (std::vector<uint32_t> &text : texts) {
    text.resize(width);
    bytes.append(reinterpret_cast<const char *>(text.data()), width * sizeof(uint32_t));
  }
  return bytes;
}

std::string formatNpy(const Tensor &tensor) {
  size_t width = 0;
  std::string texts = tensor.dtype == ONAGER_STRING ? formatTexts(tensor, width) : std::string();
  std::string descriptor = getTypeDescriptor(tensor.dtype) + (width ? std::to_string(width) : "");
  std::string shape = "(";
  for (int64_t extent : tensor.dims)
    shape += std::to_string(extent) + ", ";
  if (tensor.dims.size() > 1)
    shape.resize(shape.size() - 2);
  else if (tensor.dims.size() == 1)
    shape.pop_back();
  std::string header = "{'descr': '" + descriptor + "', 'fortran_order': False, 'shape': " + shape + "), }";
  // The data begins at a multiple of 64 bytes; the header ends in a newline.
  constexpr size_t kPrefix = 10;
  header.append(63 - (kPrefix + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes = std::string(kMagic) + std::string("\1\0", 2);
  bytes += static_cast<char>(header.size() & 255);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  if (tensor.dtype == ONAGER_STRING)
    return bytes + texts;
  bytes.append(tensor.data.begin(), tensor.data.end());
  return bytes;
}

} // namespace onager::formats
