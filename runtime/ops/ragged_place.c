/* Elements of a ragged sequence.
 *
 *   ragged_index(ranks, dims, data) -> [n + 1, 2]    where each element's dims and data begin, and behind the last; fails where the parts do not fit together
 *   ragged_place(index, position) -> [position from the front, first dim, end of dims, first datum, end of data]    params: whether the position may be the
 *                                                    end; fails where it is outside */
#include "runtime/ops/ops.h"

/* The elements of an element whose dims are given, or -1 where a dim is negative or the product too large. */
static int64_t count_elements(const int64_t *dims, int64_t rank) {
  int64_t n = 1;
  for (int64_t k = 0; k < rank; ++k)
    if (dims[k] < 0 || __builtin_mul_overflow(n, dims[k], &n))
      return -1;
  return n;
}

ONAGER_KERNEL(ragged_index) {
  (void)run, (void)ins, (void)outs, (void)params, (void)symbols;
  const int64_t *ranks = in[0].data, *dims = in[1].data;
  int64_t count = in[0].dims[0], dim = 0, datum = 0, *index = out[0].data;
  for (int64_t k = 0; k < count; ++k) {
    index[2 * k] = dim, index[2 * k + 1] = datum;
    if (ranks[k] < 0 || ranks[k] > in[1].dims[0] - dim)
      return 1;
    int64_t elements = count_elements(dims + dim, ranks[k]);
    if (elements < 0 || elements > in[2].dims[0] - datum)
      return 1;
    dim += ranks[k], datum += elements;
  }
  index[2 * count] = dim, index[2 * count + 1] = datum;
  return dim != in[1].dims[0] || datum != in[2].dims[0];
}

ONAGER_KERNEL(ragged_place) {
  (void)run, (void)ins, (void)outs, (void)symbols;
  const int64_t *index = in[0].data;
  int64_t count = in[0].dims[0] - 1, most = count - (params[0] ? 0 : 1), position = *(const int64_t *)in[1].data, *place = out[0].data;
  if (position < 0)
    position += count;
  if (position < 0 || position > most)
    return 1;
  int64_t next = position < count ? position + 1 : position;
  place[0] = position;
  place[1] = index[2 * position], place[2] = index[2 * next];
  place[3] = index[2 * position + 1], place[4] = index[2 * next + 1];
  return 0;
}
