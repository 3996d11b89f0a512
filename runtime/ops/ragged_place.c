/* ragged_place(ranks, dims, data, position) -> [position from the front, first dim, end of dims, first datum, end of data] of an element of a
 * ragged sequence; params: whether the position may be the end. Fails where the position is outside or the parts do not fit together. */
#include "runtime/ops/ops.h"

/* The elements of an element whose dims are given, or -1 where a dim is negative or the product too large. */
static int64_t count_elements(const int64_t *dims, int64_t rank) {
  int64_t n = 1;
  for (int64_t k = 0; k < rank; ++k)
    if (dims[k] < 0 || __builtin_mul_overflow(n, dims[k], &n))
      return -1;
  return n;
}

ONAGER_KERNEL(ragged_place) {
  (void)run, (void)ins, (void)outs, (void)symbols;
  const int64_t *ranks = in[0].data, *dims = in[1].data;
  int64_t count = in[0].dims[0], most = count - (params[0] ? 0 : 1), position = *(const int64_t *)in[3].data, *place = out[0].data;
  if (position < 0)
    position += count;
  if (position < 0 || position > most)
    return 1;
  int64_t dim = 0, datum = 0;
  place[0] = position;
  for (int64_t k = 0; k <= count; ++k) {
    int64_t rank = k < count ? ranks[k] : 0;
    if (rank < 0 || rank > in[1].dims[0] - dim)
      return 1;
    int64_t elements = k < count ? count_elements(dims + dim, rank) : 0;
    if (elements < 0 || elements > in[2].dims[0] - datum)
      return 1;
    if (k == position) {
      place[1] = dim;
      place[2] = dim + rank;
      place[3] = datum;
      place[4] = datum + elements;
    }
    dim += rank;
    datum += elements;
  }
  return dim != in[1].dims[0] || datum != in[2].dims[0];
}
