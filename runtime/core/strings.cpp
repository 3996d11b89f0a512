// Texts of a run: a hash table over one growing block of bytes.
#include "runtime/core/strings.h"
#include "runtime/core/manifest.h"
#include <cstring>

namespace onager::rt {

uint64_t StringTable::findPlace(const char *text, uint64_t size, uint64_t hash) const {
  uint64_t place = hash & (capacity - 1);
  for (; slots()[place]; place = (place + 1) & (capacity - 1)) {
    const Entry &entry = all()[slots()[place] - 1];
    if (entry.hash == hash && entry.size == size && !std::memcmp(bytes.get() + entry.start, text, size))
      break;
  }
  return place;
}

bool StringTable::makeRoom() {
  if (!entries.reserve((count + 1) * sizeof(Entry), true))
    return false;
  if ((count + 1) * 2 <= capacity)
    return true;
  uint64_t wanted = capacity ? capacity * 2 : 64;
  if (!places.reserve(wanted * sizeof(uint64_t), false))
    return false;
  capacity = wanted;
  std::memset(slots(), 0, capacity * sizeof(uint64_t));
  for (uint64_t k = 0; k < count; ++k) {
    Entry &entry = all()[k];
    entry.place = findPlace(bytes.get() + entry.start, entry.size, entry.hash);
    slots()[entry.place] = k + 1;
  }
  return true;
}

int64_t StringTable::intern(const char *text, uint64_t size) {
  uint64_t hash = hashBytes(text, size);
  if (capacity)
    if (uint64_t found = slots()[findPlace(text, size, hash)])
      return static_cast<int64_t>(found - 1);
  // A part of a text that is in the table moves with it.
  bool isInside = bytes.get() && text >= bytes.get() && text < bytes.get() + used;
  uint64_t at = isInside ? static_cast<uint64_t>(text - bytes.get()) : 0;
  if (size > UINT64_MAX / 4 - used || !bytes.reserve(used + size + 1, true) || !makeRoom())
    return -1;
  if (isInside)
    text = bytes.get() + at;
  if (size)
    std::memcpy(bytes.get() + used, text, size);
  bytes.get()[used + size] = 0;
  uint64_t place = findPlace(text, size, hash);
  all()[count] = {used, size, hash, place};
  slots()[place] = ++count;
  used += size + 1;
  return static_cast<int64_t>(count - 1);
}

bool StringTable::reset(const std::vector<std::string> &constants) {
  if (!hasConstants) {
    for (const std::string &text : constants)
      if (intern(text.data(), text.size()) < 0)
        return false;
    hasConstants = true;
    constantCount = count;
    constantBytes = used;
    return true;
  }
  // What came last leaves first: the slots that others probed over are then as they were.
  while (count > constantCount)
    slots()[all()[--count].place] = 0;
  used = constantBytes;
  return true;
}

bool StringTable::find(int64_t number, const char *&text, uint64_t &size) const {
  if (number < 0 || static_cast<uint64_t>(number) >= count)
    return false;
  const Entry &entry = all()[number];
  text = bytes.get() + entry.start;
  size = entry.size;
  return true;
}

} // namespace onager::rt
