/* The k entries that rank first among many, in order, for groups of neighbouring lines; see keys.h for KEY, ENTRY and NAMED. */

enum { NAMED(block) = 512 };

/* Moves the root of a heap whose root is its largest entry down to its place. */
static inline void NAMED(sift)(ENTRY *heap, int64_t count, int64_t root) {
  ENTRY moved = heap[root];
  for (int64_t child; (child = 2 * root + 1) < count; root = child) {
    if (child + 1 < count && heap[child] < heap[child + 1])
      ++child;
    if (moved >= heap[child])
      break;
    heap[root] = heap[child];
  }
  heap[root] = moved;
}

/* Offers the entries of `count` keys, from index `first` on, to a heap of the k least so far. Later entries with the root's key rank behind it. */
static void NAMED(offer)(ENTRY *heap, int64_t k, const KEY *keys, int64_t first, int64_t count) {
  enum { group = 32 };
  KEY limit = NAMED(entry_key)(heap[0]);
  for (int64_t start = 0; start < count; start += group) {
    int64_t end = start + group < count ? start + group : count;
    if (end == start + group) {
      KEY isBelow = 0;
      for (int i = 0; i < group; ++i)
        isBelow |= keys[start + i] < limit;
      if (!isBelow)
        continue;
    }
    for (int64_t at = start; at < end; ++at)
      if (keys[at] < limit) {
        heap[0] = NAMED(make_entry)(keys[at], first + at);
        NAMED(sift)(heap, k, 0);
        limit = NAMED(entry_key)(heap[0]);
      }
  }
}

/* Leaves the k first entries of each of `lanes` neighbouring lines in entries[lane * pitch], sorted; k is 1 or more, `scratch` has room for k. */
static void NAMED(select_first)(const struct lines *lines, const char *data, int64_t lanes, ENTRY *entries, int64_t pitch, ENTRY *scratch) {
  KEY keys[MOST_LANES * NAMED(block)], flip = lines->largest ? (KEY)~(KEY)0 : 0;
  int64_t k = lines->k, filled = 0;
  for (int64_t first = 0; first < lines->extent; first += NAMED(block)) {
    int64_t count = lines->extent - first < NAMED(block) ? lines->extent - first : NAMED(block);
    int64_t taken = k - filled < count ? k - filled : count;
    NAMED(read_keys)(data + (size_t)first * lines->step, lines->step, lines->dtype, count, lanes, NAMED(block), flip, keys);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const KEY *line = keys + lane * NAMED(block);
      ENTRY *heap = entries + lane * pitch;
      for (int64_t at = 0; at < taken; ++at)
        heap[filled + at] = NAMED(make_entry)(line[at], first + at);
      if (taken && filled + taken == k && k < lines->extent)
        for (int64_t root = k / 2; root-- > 0;)
          NAMED(sift)(heap, k, root);
      if (taken < count)
        NAMED(offer)(heap, k, line + taken, first + taken, count - taken);
    }
    filled += taken;
  }
  for (int64_t lane = 0; lane < lanes; ++lane)
    NAMED(sort_entries)(entries + lane * pitch, k, scratch, k == lines->extent ? (int)sizeof(KEY) : 0);
}

/* Copies the elements that the entries of a lane name, and their indices. */
static void NAMED(write_first)(const struct lines *lines, const char *data, const ENTRY *entries, int64_t lane, char *values, int64_t *indices) {
  for (int64_t j = 0; j < lines->k; ++j) {
    int64_t index = NAMED(entry_index)(entries[j]), at = j * lines->inner + lane;
    const char *source = data + (size_t)index * lines->step + (size_t)lane * lines->bytes;
    switch (lines->bytes) {
    case 1: values[at] = *source; break;
    case 2: ((uint16_t *)values)[at] = *(const uint16_t *)source; break;
    case 4: ((uint32_t *)values)[at] = *(const uint32_t *)source; break;
    default: ((uint64_t *)values)[at] = *(const uint64_t *)source;
    }
    indices[at] = index;
  }
}

/* The lines [first, last) of a tensor; `room` holds (lanes + 1) * k entries. */
static void NAMED(select_lines)(const struct lines *lines, const onager_view *in, const onager_view *out, int64_t first, int64_t last, void *room, int64_t lanes) {
  ENTRY *entries = room, *scratch = entries + lanes * lines->k;
  for (int64_t line = first; line < last;) {
    int64_t outer = line / lines->inner, inner = line % lines->inner, count = lines->inner - inner;
    count = count < lanes ? count : lanes;
    count = count < last - line ? count : last - line;
    const char *data = (const char *)in->data + (size_t)(outer * lines->extent * lines->inner + inner) * lines->bytes;
    int64_t target = outer * lines->k * lines->inner + inner;
    NAMED(select_first)(lines, data, count, entries, lines->k, scratch);
    for (int64_t lane = 0; lane < count; ++lane)
      NAMED(write_first)(lines, data, entries + lane * lines->k, lane, (char *)out[0].data + (size_t)target * lines->bytes, (int64_t *)out[1].data + target);
    line += count;
  }
}
