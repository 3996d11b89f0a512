/* Texts by their numbers in the run's table: joining, splitting, letters of other case, numbers, order.
 *
 *   string_concat(a, b) -> y               of equal shapes
 *   string_split_count(x) -> counts        params: how many splits at most, -1 for all; takes the delimiter as a second input, empty for white space
 *   string_split(x, delimiter) -> parts    [n, most]; the same params; places without a part hold the empty text
 *   string_case(x) -> y                    params: whether to upper case
 *   string_print(x) -> y                   numbers to texts
 *   string_parse(x) -> y                   texts to numbers of f64, i64 or u64; fails for what is no number
 *   string_hash(x) -> y                    MurmurHash3 (x86, 32 bits) of each text's bytes; params: the seed
 *   string_order(x) -> y                   the position of each text among the distinct ones in order of their bytes
 */
#include "runtime/ops/ops.h"

struct text {
  const char *data;
  int64_t bytes;
};

static int find_text(onager_run *run, int64_t number, struct text *text) {
  text->data = run->host->text(run, number, &text->bytes);
  return text->data != 0;
}

ONAGER_KERNEL(string_concat) {
  (void)ins, (void)outs, (void)params, (void)symbols;
  const int64_t *a = in[0].data, *b = in[1].data;
  int64_t *y = out[0].data;
  for (int64_t k = 0, n = product(out[0].dims, 0, out[0].rank); k < n; ++k) {
    struct text first, second;
    if (!find_text(run, a[k], &first) || !find_text(run, b[k], &second))
      return 1;
    char *joined = run->host->allocate(run, (size_t)(first.bytes + second.bytes) + 1);
    if (!joined)
      return 1;
    __builtin_memcpy(joined, first.data, (size_t)first.bytes);
    __builtin_memcpy(joined + first.bytes, second.data, (size_t)second.bytes);
    y[k] = run->host->intern(run, joined, first.bytes + second.bytes);
    run->host->release(run, joined);
    if (y[k] < 0)
      return 1;
  }
  return 0;
}

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int matches(const struct text *text, int64_t at, const struct text *delimiter) {
  for (int64_t k = 0; k < delimiter->bytes; ++k)
    if (text->data[at + k] != delimiter->data[k])
      return 0;
  return 1;
}

/* Moves past white space from `at` on. */
static int64_t skip_spaces(const struct text *text, int64_t at) {
  while (at < text->bytes && is_space(text->data[at]))
    ++at;
  return at;
}

/* Finds the part that begins at `at`: its end, and in *next where the part behind it begins, -1 where there is none. */
static int64_t find_part(const struct text *text, const struct text *delimiter, int64_t at, int is_last, int64_t *next) {
  *next = -1;
  int64_t end = at;
  if (is_last)
    return text->bytes;
  if (delimiter->bytes == 0) {
    while (end < text->bytes && !is_space(text->data[end]))
      ++end;
    int64_t behind = skip_spaces(text, end);
    *next = behind < text->bytes ? behind : -1;
    return end;
  }
  for (; end + delimiter->bytes <= text->bytes; ++end)
    if (matches(text, end, delimiter)) {
      *next = end + delimiter->bytes;
      return end;
    }
  return text->bytes;
}

/* The parts of a text; their numbers go to `parts` where it is not NULL, at most `room`. Returns how many there are, -1 without memory. */
static int64_t split_text(onager_run *run, int64_t number, int64_t delimiter_number, int64_t most, int64_t *parts, int64_t room) {
  int64_t count = 0, at = 0;
  for (int is_first = 1; at >= 0; is_first = 0) {
    struct text text, delimiter;
    if (!find_text(run, number, &text) || !find_text(run, delimiter_number, &delimiter))
      return -1; /* looked up again: interning may have moved them */
    if (is_first && delimiter.bytes == 0 && (at = skip_spaces(&text, 0)) == text.bytes)
      return 0;
    int64_t next, end = find_part(&text, &delimiter, at, most >= 0 && count == most, &next);
    if (parts && count < room && (parts[count] = run->host->intern(run, text.data + at, end - at)) < 0)
      return -1;
    ++count;
    at = next;
  }
  return count;
}

ONAGER_KERNEL(string_split_count) {
  (void)ins, (void)outs, (void)symbols;
  const int64_t *x = in[0].data, *delimiter = in[1].data;
  int64_t *counts = out[0].data;
  for (int64_t k = 0, n = product(in[0].dims, 0, in[0].rank); k < n; ++k)
    if ((counts[k] = split_text(run, x[k], delimiter[0], params[0], 0, 0)) < 0)
      return 1;
  return 0;
}

ONAGER_KERNEL(string_split) {
  (void)ins, (void)outs, (void)symbols;
  const int64_t *x = in[0].data, *delimiter = in[1].data;
  int64_t room = out[0].dims[1];
  for (int64_t k = 0; k < out[0].dims[0]; ++k) {
    int64_t *parts = (int64_t *)out[0].data + k * room, count = split_text(run, x[k], delimiter[0], params[0], parts, room);
    if (count < 0)
      return 1;
    for (int64_t rest = count; rest < room; ++rest)
      parts[rest] = 0;
  }
  return 0;
}

ONAGER_KERNEL(string_case) {
  (void)ins, (void)outs, (void)symbols;
  const int64_t *x = in[0].data;
  int64_t *y = out[0].data;
  for (int64_t k = 0, n = product(in[0].dims, 0, in[0].rank); k < n; ++k)
    if ((y[k] = run->host->change_case(run, x[k], (int32_t)params[0])) < 0)
      return 1;
  return 0;
}

static uint32_t rotate(uint32_t x, int by) { return x << by | x >> (32 - by); }

static uint32_t scramble(uint32_t key) { return rotate(key * 0xcc9e2d51u, 15) * 0x1b873593u; }

static uint32_t hash_text(const struct text *text, uint32_t hash) {
  int64_t whole = text->bytes / 4 * 4;
  for (int64_t k = 0; k < whole; k += 4) {
    uint32_t key;
    __builtin_memcpy(&key, text->data + k, 4);
    hash = rotate(hash ^ scramble(key), 13) * 5 + 0xe6546b64u;
  }
  uint32_t rest = 0;
  for (int64_t k = text->bytes - 1; k >= whole; --k)
    rest = rest << 8 | (uint8_t)text->data[k];
  hash ^= scramble(rest) ^ (uint32_t)text->bytes;
  hash = (hash ^ hash >> 16) * 0x85ebca6bu;
  hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
  return hash ^ hash >> 16;
}

ONAGER_KERNEL(string_hash) {
  (void)ins, (void)outs, (void)symbols;
  const int64_t *x = in[0].data;
  uint32_t *y = out[0].data;
  for (int64_t k = 0, n = product(in[0].dims, 0, in[0].rank); k < n; ++k) {
    struct text text;
    if (!find_text(run, x[k], &text))
      return 1;
    y[k] = hash_text(&text, (uint32_t)params[0]);
  }
  return 0;
}

ONAGER_KERNEL(string_print) {
  (void)ins, (void)outs, (void)params, (void)symbols;
  const char *x = in[0].data;
  int64_t *y = out[0].data;
  size_t bytes = element_bytes(in[0].dtype);
  for (int64_t k = 0, n = product(in[0].dims, 0, in[0].rank); k < n; ++k)
    if ((y[k] = run->host->print(run, in[0].dtype, x + (size_t)k * bytes)) < 0)
      return 1;
  return 0;
}

ONAGER_KERNEL(string_parse) {
  (void)ins, (void)outs, (void)params, (void)symbols;
  const int64_t *x = in[0].data;
  int64_t *y = out[0].data; /* all are of eight bytes */
  for (int64_t k = 0, n = product(in[0].dims, 0, in[0].rank); k < n; ++k)
    if (run->host->parse(run, x[k], out[0].dtype, y + k))
      return 1;
  return 0;
}

struct texts {
  onager_run *run;
  const int64_t *numbers;
};

static int is_text_before(const void *context, int64_t a, int64_t b) {
  const struct texts *texts = context;
  struct text x, y;
  if (!find_text(texts->run, texts->numbers[a], &x) || !find_text(texts->run, texts->numbers[b], &y))
    return 0;
  for (int64_t k = 0; k < x.bytes && k < y.bytes; ++k)
    if (x.data[k] != y.data[k])
      return (unsigned char)x.data[k] < (unsigned char)y.data[k];
  return x.bytes < y.bytes;
}

ONAGER_KERNEL(string_order) {
  (void)ins, (void)outs, (void)params, (void)symbols;
  int64_t n = product(in[0].dims, 0, in[0].rank), *positions = out[0].data, position = -1;
  struct texts texts = {run, in[0].data};
  int64_t *order = run->host->allocate(run, (size_t)(n + 1) * 2 * sizeof(int64_t));
  if (!order)
    return 1;
  for (int64_t k = 0; k < n; ++k)
    order[k] = k;
  sort_indices(order, n, order + n + 1, is_text_before, &texts);
  for (int64_t k = 0; k < n; ++k) {
    position += k == 0 || texts.numbers[order[k]] != texts.numbers[order[k - 1]];
    positions[order[k]] = position;
  }
  run->host->release(run, order);
  return 0;
}
