/* Elements as unsigned keys of the same order, and entries, a key above an index, in one unsigned number.
 *
 * Keys are equal where compare_elements says so: 0 and -0, all that is no number, which is above everything. Entries that differ in their index are
 * never equal, so any way of sorting them is stable. Defined for KEY (32 or 64 bits) and ENTRY (twice as wide); NAMED makes a function's name. */

#define KEY_BITS (8 * (int)sizeof(KEY))

static inline ENTRY NAMED(make_entry)(KEY key, int64_t index) { return (ENTRY)key << KEY_BITS | (ENTRY)(uint64_t)index; }
static inline KEY NAMED(entry_key)(ENTRY entry) { return (KEY)(entry >> KEY_BITS); }
static inline int64_t NAMED(entry_index)(ENTRY entry) { return (int64_t)(KEY)entry; }

/* Sign and magnitude as an order; `infinity` is the magnitude of infinity, 0 for integers in two's complement. */
static inline KEY NAMED(float_key)(KEY bits, int width, KEY infinity) {
  KEY sign = (KEY)1 << (width - 1), magnitude = bits & (sign - 1), negative = sign - magnitude, positive = sign + magnitude;
  return magnitude > infinity ? (KEY)~(KEY)0 : bits & sign ? negative : positive;
}

#define READ_KEYS(type, expression)                                                                                                                  \
  if (lanes == 1 && step == sizeof(type))                                                                                                            \
    for (int64_t k = 0; k < count; ++k) {                                                                                                            \
      type x = ((const type *)data)[k];                                                                                                              \
      keys[k] = (KEY)(expression) ^ flip;                                                                                                            \
    }                                                                                                                                                \
  else                                                                                                                                               \
    for (int64_t k = 0; k < count; ++k)                                                                                                              \
      for (int64_t lane = 0; lane < lanes; ++lane) {                                                                                                 \
        type x = ((const type *)(data + (size_t)k * step))[lane];                                                                                    \
        keys[lane * pitch + k] = (KEY)(expression) ^ flip;                                                                                           \
      }                                                                                                                                              \
  return;

/* keys[lane * pitch + k] of `lanes` neighbours at each of `count` places that are `step` bytes apart. `flip` is exclusive-ored: ~0 turns the order. */
static inline void NAMED(read_keys)(const char *restrict data, size_t step, int32_t dtype, int64_t count, int64_t lanes, int64_t pitch, KEY flip, KEY *restrict keys) {
  switch (dtype) {
  case 1: READ_KEYS(uint32_t, NAMED(float_key)(x, 32, 0x7f800000u))
  case 10: READ_KEYS(uint16_t, NAMED(float_key)(x, 16, 0x7c00u))
  case 16: READ_KEYS(uint16_t, NAMED(float_key)(x, 16, 0x7f80u))
  case 2: case 9: case 21: case 25: READ_KEYS(uint8_t, x)
  case 4: READ_KEYS(uint16_t, x)
  case 12: READ_KEYS(uint32_t, x)
  case 13: READ_KEYS(uint64_t, x)
  case 5: READ_KEYS(uint16_t, x ^ 0x8000u)
  case 6: READ_KEYS(uint32_t, x ^ 0x80000000u)
  case 7: READ_KEYS(uint64_t, x ^ 1ull << 63)
  case 11: READ_KEYS(uint64_t, NAMED(float_key)((KEY)x, KEY_BITS, (KEY)0x7ff0000000000000ull))
  default: READ_KEYS(uint8_t, x ^ 0x80u)
  }
}
#undef READ_KEYS

static void NAMED(insert_entries)(ENTRY *entries, int64_t count) {
  for (int64_t k = 1; k < count; ++k) {
    ENTRY entry = entries[k];
    int64_t at = k;
    for (; at > 0 && entry < entries[at - 1]; --at)
      entries[at] = entries[at - 1];
    entries[at] = entry;
  }
}

/* Sorts entries by the bytes from `first` on, of which the rest is in order already; fewer than 2^32. `scratch` has room for as many. */
static inline void NAMED(sort_entries)(ENTRY *entries, int64_t count, ENTRY *scratch, int first) {
  enum { bytes = sizeof(ENTRY), few = 48 };
  if (count <= few) {
    NAMED(insert_entries)(entries, count);
    return;
  }
  uint32_t starts[bytes][256];
  for (int byte = first; byte < bytes; ++byte)
    for (int digit = 0; digit < 256; ++digit)
      starts[byte][digit] = 0;
  for (int64_t k = 0; k < count; ++k)
    for (int byte = first; byte < bytes; ++byte)
      ++starts[byte][(uint8_t)(entries[k] >> 8 * byte)];
  ENTRY *from = entries, *to = scratch;
  for (int byte = first; byte < bytes; ++byte) {
    uint32_t *start = starts[byte], sum = 0;
    if (start[(uint8_t)(from[0] >> 8 * byte)] == (uint64_t)count)
      continue;
    for (int digit = 0; digit < 256; ++digit) {
      uint32_t here = start[digit];
      start[digit] = sum;
      sum += here;
    }
    for (int64_t k = 0; k < count; ++k)
      to[start[(uint8_t)(from[k] >> 8 * byte)]++] = from[k];
    ENTRY *swap = from;
    from = to;
    to = swap;
  }
  if (from != entries)
    for (int64_t k = 0; k < count; ++k)
      entries[k] = from[k];
}

#undef KEY_BITS
