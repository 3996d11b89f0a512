// The texts of one run: each has a number, equal texts have the same.
#ifndef ONAGER_RUNTIME_CORE_STRINGS_H
#define ONAGER_RUNTIME_CORE_STRINGS_H

#include "runtime/core/block.h"
#include <string>
#include <vector>

namespace onager::rt {

/// A table of texts that begins with a model's constants, in their order. Memory is kept from run to run. Used by one thread at a time.
class StringTable {
public:
  explicit StringTable(const onager_allocator &allocator) : entries(allocator), places(allocator), bytes(allocator) {}
  /// Forgets all but the constants, whose table is built by the first call; false where there is no memory.
  bool reset(const std::vector<std::string> &constants);
  /// Returns the number of a text, -1 where there is no memory.
  int64_t intern(const char *text, uint64_t size);
  /// Finds a text by its number; it stays where it is until the table grows. False for numbers that no text has.
  bool find(int64_t number, const char *&text, uint64_t &size) const;

  /// Bytes that the table holds.
  uint64_t memory() const { return entries.bytes() + places.bytes() + bytes.bytes(); }

private:
  struct Entry {
    uint64_t start, size, hash;
    uint64_t place; ///< in `places`
  };
  Entry *all() const { return reinterpret_cast<Entry *>(entries.get()); }
  /// Numbers + 1 by hash, with linear probing; 0 where there is none.
  uint64_t *slots() const { return reinterpret_cast<uint64_t *>(places.get()); }
  uint64_t findPlace(const char *text, uint64_t size, uint64_t hash) const;
  bool makeRoom();

  Block entries, places, bytes;
  uint64_t count = 0, used = 0, capacity = 0; ///< texts, bytes of them, slots
  uint64_t constantCount = 0, constantBytes = 0;
  bool hasConstants = false;
};

/// Returns the text in upper or lower case, letter by letter of Unicode; bytes that are no UTF-8 stay.
std::string changeCase(const char *text, uint64_t size, bool isUpper);
/// Writes a number of an element type as text, as ONNX's Cast does.
std::string printNumber(int32_t dtype, const void *value);
/// Reads a number of an element type from text; false where it is none.
bool parseNumber(const char *text, uint64_t size, int32_t dtype, void *value);

} // namespace onager::rt

#endif
