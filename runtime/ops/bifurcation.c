/* bifurcation(source, current, start, predicted; least, most, whether there are predictions) -> tokens [count], place []; binds count. All i64.
 *
 * Tokens are the current ones, then the predicted ones up to and with the first that differs from the source behind `start`. The place is
 * where the source goes on behind the last n tokens, for the n from `least` to `most` up to which they occur there; -1 where they occur not
 * at all or more than once. */
#include "runtime/ops/ops.h"

/* Where `pattern` (n tokens) first occurs in text[from, length), or `length`. */
static int64_t find(const int64_t *text, int64_t from, int64_t length, const int64_t *pattern, int64_t n) {
  for (int64_t at = from; at + n <= length; ++at) {
    int64_t k = 0;
    while (k < n && text[at + k] == pattern[k])
      ++k;
    if (k == n)
      return at;
  }
  return length;
}

/* Where the source goes on behind the end of the tokens. */
static int64_t match_end(const int64_t *source, int64_t length, const int64_t *tokens, int64_t count, int64_t least, int64_t most) {
  int64_t place = -1;
  for (int64_t n = least; n <= most && n <= count; ++n) {
    const int64_t *end = tokens + (count - n);
    int64_t at = find(source, 0, length, end, n);
    if (at == length)
      break;
    place = at + n;
    if (place >= length)
      break;
    if (find(source, at + 1, length, end, n) != length)
      place = -1;
  }
  return place;
}

ONAGER_KERNEL(bifurcation) {
  (void)run, (void)ins, (void)outs;
  const int64_t *source = in[0].data, *current = in[1].data, *predicted = in[3].data;
  int64_t length = in[0].dims[0], count = in[1].dims[0], start = *(const int64_t *)in[2].data, *tokens = out[0].data;
  for (int64_t k = 0; k < count; ++k)
    tokens[k] = current[k];
  if (params[2]) {
    if (start < 0 || start > length || in[3].dims[0] != length + 1 - start)
      return 1;
    int64_t same = 0;
    while (same < length - start && predicted[same] == source[start + same])
      ++same;
    for (int64_t k = 0; k <= same; ++k)
      tokens[count++] = predicted[k];
  }
  *(int64_t *)out[1].data = match_end(source, length, tokens, count, params[0], params[1]);
  symbols[0] = count;
  return 0;
}
