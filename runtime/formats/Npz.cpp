// .npz archives: ZIP files of .npy files.
//
// archive := (local header, data)*, central header*, end record
// The end record (last 22 bytes and a comment) tells where the central headers are; they tell all about each file.
#include "runtime/formats/Tensor.h"
#include <cstring>
#include <zlib.h>

using std::string_view;

namespace onager::formats {

namespace {

constexpr string_view kLocal("PK\3\4", 4), kCentral("PK\1\2", 4), kEnd("PK\5\6", 4);
constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22;

/// Read a little-endian number.
uint16_t read16le(const char *at) {
  uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
uint32_t read32le(const char *at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// One file of the archive, as its central header tells.
struct Entry {
  string_view name;
  uint16_t flags, method;
  uint32_t checksum, packedBytes, bytes, offset;
};

[[noreturn]] void fail(const std::string &who, const std::string &reason) { throw FileError(who + ": " + reason); }

/// Inflates raw deflate data to exactly the given number of bytes.
bool inflateAll(string_view packed, std::string &bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return false;
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef *>(bytes.data());
  stream.avail_out = static_cast<uInt>(bytes.size());
  int status = inflate(&stream, Z_FINISH);
  bool isWhole = status == Z_STREAM_END && stream.total_out == bytes.size();
  inflateEnd(&stream);
  return isWhole;
}

/// Reads one central header and moves past it.
bool takeEntry(string_view &rest, Entry &entry) {
  if (rest.size() < kCentralBytes || !rest.starts_with(kCentral))
    return false;
  const char *p = rest.data();
  size_t nameBytes = read16le(p + 28), extraBytes = size_t(read16le(p + 30)) + read16le(p + 32);
  if (rest.size() < kCentralBytes + nameBytes + extraBytes)
    return false;
  entry = {rest.substr(kCentralBytes, nameBytes), read16le(p + 8), read16le(p + 10), read32le(p + 16), read32le(p + 20), read32le(p + 24), read32le(p + 42)};
  rest.remove_prefix(kCentralBytes + nameBytes + extraBytes);
  return true;
}

/// Returns the packed bytes of an entry, which lie behind its local header.
string_view findData(string_view archive, const Entry &entry, const std::string &who) {
  string_view local = archive.substr(std::min<size_t>(entry.offset, archive.size()));
  if (local.size() < kLocalBytes || !local.starts_with(kLocal))
    fail(who, "damaged archive");
  size_t skip = kLocalBytes + read16le(local.data() + 26) + read16le(local.data() + 28);
  if (skip > local.size() || entry.packedBytes > local.size() - skip)
    fail(who, "damaged archive");
  return local.substr(skip, entry.packedBytes);
}

std::string unpack(string_view archive, const Entry &entry, const std::string &who) {
  if (entry.flags & 1)
    fail(who, "encrypted archives are not supported");
  if (entry.packedBytes == UINT32_MAX || entry.bytes == UINT32_MAX || entry.offset == UINT32_MAX)
    fail(who, "archives beyond 4 GiB are not supported");
  if (entry.method != 0 && entry.method != 8)
    fail(who, "compression method " + std::to_string(entry.method) + " is not supported");
  string_view packed = findData(archive, entry, who);
  // Deflate shrinks by a factor of 1032 at most; more is a lie that would only cost memory.
  bool isPlausible = entry.method ? entry.bytes / 1032 <= packed.size() : entry.bytes == packed.size();
  std::string bytes;
  if (isPlausible && entry.method) {
    bytes.resize(entry.bytes);
    isPlausible = inflateAll(packed, bytes);
  } else if (isPlausible) {
    bytes = packed;
  }
  if (!isPlausible || crc32(0, reinterpret_cast<const Bytef *>(bytes.data()), static_cast<uInt>(bytes.size())) != entry.checksum)
    fail(who, quoteText(entry.name) + " in the archive is damaged");
  return bytes;
}

} // namespace

std::vector<std::pair<std::string, Tensor>> parseNpz(std::string_view bytes, const std::string &who) {
  string_view archive = bytes;
  size_t end = archive.rfind(kEnd);
  if (end == string_view::npos || archive.size() - end < kEndBytes)
    fail(who, "not a .npz archive");
  size_t count = read16le(archive.data() + end + 10), start = read32le(archive.data() + end + 16);
  if (start > end)
    fail(who, "damaged archive, or one beyond 4 GiB");
  string_view rest = archive.substr(start, end - start);
  std::vector<std::pair<std::string, Tensor>> arrays;
  uint64_t packed = 0;
  for (size_t k = 0; k < count; ++k) {
    Entry entry;
    // Files that share their bytes would unpack to far more than deflate's factor.
    if (!takeEntry(rest, entry) || (packed += entry.packedBytes) > archive.size())
      fail(who, "damaged archive");
    std::string name(entry.name);
    if (name.ends_with(".npy"))
      name.resize(name.size() - 4);
    arrays.emplace_back(name, parseNpy(unpack(archive, entry, who), who + " " + quoteText(name)));
  }
  return arrays;
}

} // namespace onager::formats
