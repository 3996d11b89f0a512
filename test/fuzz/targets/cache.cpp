// Entries of the cache of variants: no file is taken for one that was not stored as it is. The first byte chooses what the others are:
//
//   0 a whole file   1 a file whose checksums are filled in   2 a preimage and a payload, half each
#include "runtime/cache/entry.h"
#include "runtime/cache/sha256.h"
#include "runtime/core/manifest.h"
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace onager::rt;

static void expect(bool holds) {
  if (!holds)
    std::abort();
}

static const std::string kGroup(32, 'a');

static std::string encode(const std::string &preimage, const std::string &payload) {
  EntryHeader header = describeEntry(kGroup, preimage, payload.data(), payload.size());
  return std::string(reinterpret_cast<const char *>(&header), sizeof header) + preimage + payload;
}

/// Makes the checksums right.
static std::string sign(std::string file) {
  EntryHeader header;
  if (file.size() < sizeof header)
    return file;
  std::memcpy(&header, file.data(), sizeof header);
  if (header.preimageBytes <= file.size() - sizeof header)
    header.payloadHash = hashBytes(file.data() + sizeof header + header.preimageBytes, file.size() - sizeof header - header.preimageBytes);
  header.headerHash = hashBytes(&header, offsetof(EntryHeader, headerHash));
  std::memcpy(file.data(), &header, sizeof header);
  return file;
}

/// The preimage that the header tells, where the file has one.
static std::string findPreimage(const std::string &file) {
  EntryHeader header{};
  std::memcpy(&header, file.data(), std::min(sizeof header, file.size()));
  return file.size() < sizeof header ? std::string() : file.substr(sizeof header, std::min<uint64_t>(header.preimageBytes, file.size()));
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int file = [] {
    int made = memfd_create("entry", MFD_CLOEXEC);
    expect(made >= 0 && !fchmod(made, 0600));
    return made;
  }();
  std::string input(reinterpret_cast<const char *>(data) + (size > 0), size - (size > 0));
  int kind = size ? data[0] % 3 : 0;
  std::string bytes = kind == 0 ? input : kind == 1 ? sign(input) : encode(input.substr(0, input.size() / 2), input.substr(input.size() / 2));
  expect(!ftruncate(file, 0) && pwrite(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  std::string wanted = findPreimage(bytes), preimage, payload;
  EntryFault fault = readEntry(file, kGroup, hashSha256(wanted), preimage, &payload);
  expect(fault ? kind != 2 && fault.isDamaged && *fault.reason : preimage == wanted && encode(preimage, payload) == bytes);
  std::string again;
  EntryFault looked = readEntry(file, kGroup, hashSha256(wanted), again, nullptr);
  expect(!looked ? preimage == again : static_cast<bool>(fault));
  return 0;
}
