// Writing and reading entries.
#include "runtime/cache/entry.h"
#include "runtime/cache/folder.h"
#include "runtime/cache/sha256.h"
#include "runtime/core/manifest.h"
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <unistd.h>

namespace onager::rt {

static_assert(sizeof(EntryHeader) == 72 && sizeof(EntryHeader::group) == kGroupDigits, "no padding");

EntryHeader describeEntry(const std::string &group, const std::string &preimage, const char *payload, size_t bytes) {
  EntryHeader header{kEntryMagic, {}, preimage.size(), bytes, hashBytes(payload, bytes), 0};
  std::memcpy(header.group, group.data(), kGroupDigits);
  header.headerHash = hashBytes(&header, offsetof(EntryHeader, headerHash));
  return header;
}

/// Reads bytes at a place of a file.
static EntryFault readAt(int file, uint64_t at, char *bytes, uint64_t size) {
  while (size > 0) {
    ssize_t count = pread(file, bytes, size, static_cast<off_t>(at));
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return {"cannot be read", false};
    if (count == 0)
      return {"was cut off", true};
    at += static_cast<uint64_t>(count), bytes += count, size -= static_cast<uint64_t>(count);
  }
  return {};
}

static EntryFault checkHeader(const EntryHeader &header, const std::string &group, uint64_t size) {
  if (header.magic != kEntryMagic)
    return {"does not begin as an entry does", true};
  if (header.headerHash != hashBytes(&header, offsetof(EntryHeader, headerHash)))
    return {"has a header with another checksum", true};
  if (group.compare(0, std::string::npos, header.group, kGroupDigits))
    return {"belongs to another group", true};
  uint64_t rest = size - sizeof header;
  if (header.preimageBytes > rest || header.payloadBytes != rest - header.preimageBytes)
    return {"has not the length that its header says", true};
  return {};
}

EntryFault readEntry(int file, const std::string &group, const std::string &key, std::string &preimage, std::string *payload) {
  struct stat info;
  if (fstat(file, &info))
    return {"cannot be read", false};
  if (const char *reason = findDistrust(info, S_IFREG))
    return {reason, false};
  auto size = static_cast<uint64_t>(info.st_size);
  if (size < sizeof(EntryHeader) || size > kMaxEntryBytes)
    return {size < sizeof(EntryHeader) ? "was cut off" : "is larger than entries are", true};
  EntryHeader header;
  if (EntryFault fault = readAt(file, 0, reinterpret_cast<char *>(&header), sizeof header))
    return fault;
  if (EntryFault fault = checkHeader(header, group, size))
    return fault;
  preimage.resize(header.preimageBytes);
  if (EntryFault fault = readAt(file, sizeof header, preimage.data(), header.preimageBytes))
    return fault;
  if (hashSha256(preimage) != key)
    return {"has another preimage than its name says", true};
  if (!payload)
    return {};
  payload->resize(header.payloadBytes);
  if (EntryFault fault = readAt(file, sizeof header + header.preimageBytes, payload->data(), header.payloadBytes))
    return fault;
  if (hashBytes(payload->data(), payload->size()) != header.payloadHash)
    return {"holds code with another checksum", true};
  return {};
}

} // namespace onager::rt
