// A file of the cache: the code of a variant behind the lines that decided it.
//
// entry  := header preimage payload
// header := magic:u64 "ONGRVAR1"
//           group:32 bytes     the model's hex digits, as the folder's name
//           preimageBytes:u64
//           payloadBytes:u64
//           payloadHash:u64    XXH64 of payload
//           headerHash:u64     XXH64 of the fields before
// All numbers are little-endian. The file's name is the SHA-256 of preimage, which therefore needs no checksum.
#ifndef ONAGER_RUNTIME_CACHE_ENTRY_H
#define ONAGER_RUNTIME_CACHE_ENTRY_H

#include <cstdint>
#include <string>

namespace onager::rt {

struct EntryHeader {
  uint64_t magic;
  char group[32];
  uint64_t preimageBytes, payloadBytes, payloadHash, headerHash;
};
constexpr uint64_t kEntryMagic = 0x3152415652474e4full; // "ONGRVAR1"
/// No larger file is an entry.
constexpr uint64_t kMaxEntryBytes = 256 << 20;

/// Why a file is no entry. What is `damaged` stays so; else it could not be read, or must not be.
struct EntryFault {
  const char *reason = nullptr;
  bool isDamaged = false;
  explicit operator bool() const { return reason; }
};

/// Returns the header of an entry.
EntryHeader describeEntry(const std::string &group, const std::string &preimage, const char *payload, size_t bytes);

/// Reads an open file that should be the entry of a key; `payload` may be null, then it is neither read nor checked. On a fault `preimage` holds what could be
/// read of it.
EntryFault readEntry(int file, const std::string &group, const std::string &key, std::string &preimage, std::string *payload);

} // namespace onager::rt

#endif
