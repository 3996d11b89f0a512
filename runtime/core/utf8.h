/* Characters in UTF-8, for C and C++. */
#ifndef ONAGER_RUNTIME_CORE_UTF8_H
#define ONAGER_RUNTIME_CORE_UTF8_H

#include <stdint.h>

/* Reads one character and moves on; -1 for a byte that begins none, which is passed over alone. Forms that are longer than they must be and halves
 * of surrogate pairs are none (RFC 3629). REQUIRES: *at != end. */
static inline int32_t onager_read_character(const char **at, const char *end) {
  static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
  const char *p = *at;
  unsigned char first = (unsigned char)*p++;
  *at = p;
  if (first < 0x80)
    return first;
  int length = first < 0xc2 || first > 0xf4 ? 0 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
  if (!length || end - p < length)
    return -1;
  int32_t character = first & (0x3f >> length);
  for (int k = 0; k < length; ++k) {
    if ((p[k] & 0xc0) != 0x80)
      return -1;
    character = character << 6 | (p[k] & 0x3f);
  }
  if (character < least[length] || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
    return -1;
  *at = p + length;
  return character;
}

#ifdef __cplusplus
#include <string>

namespace onager::rt {

/// The same for a reference.
inline int32_t readCharacter(const char *&at, const char *end) { return onager_read_character(&at, end); }

/// Appends a character between 0 and 0x10ffff.
inline void appendCharacter(std::string &text, uint32_t character) {
  if (character < 0x80) {
    text += static_cast<char>(character);
    return;
  }
  unsigned length = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
  static constexpr unsigned leads[] = {0, 0xc0, 0xe0, 0xf0};
  text += static_cast<char>(leads[length] | character >> (6 * length));
  while (length--)
    text += static_cast<char>(0x80 | (character >> (6 * length) & 0x3f));
}

} // namespace onager::rt
#endif

#endif
