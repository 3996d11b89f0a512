/* topk(x) -> values, indices; params: axis, largest, sorted. Equal elements in order of their index. */
#include "runtime/ops/ops.h"

struct line {
  const char *data;
  size_t step; /* bytes from one element to the next */
  int32_t dtype;
  int largest;
};

static int comes_first(const void *context, int64_t a, int64_t b) {
  const struct line *line = context;
  int order = compare_elements(line->data + (size_t)a * line->step, line->data + (size_t)b * line->step, line->dtype);
  return line->largest ? order > 0 : order < 0;
}

static int ranks_before(const struct line *line, int64_t a, int64_t b) {
  int order = compare_elements(line->data + (size_t)a * line->step, line->data + (size_t)b * line->step, line->dtype);
  if (line->largest)
    order = -order;
  return order < 0 || (order == 0 && a < b);
}

/* Moves the root of a heap whose root is the element that ranks last down to its place. */
static void sift(const struct line *line, int64_t *heap, int64_t count, int64_t root) {
  for (;;) {
    int64_t child = 2 * root + 1;
    if (child >= count)
      return;
    if (child + 1 < count && ranks_before(line, heap[child], heap[child + 1]))
      ++child;
    if (!ranks_before(line, heap[root], heap[child]))
      return;
    int64_t swap = heap[root];
    heap[root] = heap[child];
    heap[child] = swap;
    root = child;
  }
}

/* Fills `best` with the k indices that rank first, in no order. */
static void select_best(const struct line *line, int64_t extent, int64_t *best, int64_t k) {
  for (int64_t i = 0; i < k; ++i)
    best[i] = i;
  for (int64_t root = k / 2; root-- > 0;)
    sift(line, best, k, root);
  for (int64_t i = k; i < extent && k > 0; ++i)
    if (ranks_before(line, i, best[0])) {
      best[0] = i;
      sift(line, best, k, 0);
    }
}

static int by_index(const void *context, int64_t a, int64_t b) {
  (void)context;
  return a < b;
}

ONAGER_KERNEL(topk) {
  (void)ins, (void)outs, (void)symbols;
  int32_t axis = (int32_t)params[0], rank = in[0].rank;
  int64_t outer = product(in[0].dims, 0, axis), extent = in[0].dims[axis], inner = product(in[0].dims, axis + 1, rank), k = out[0].dims[axis];
  size_t bytes = element_bytes(in[0].dtype);
  if (k < 0 || k > extent)
    return 1;
  int64_t *order = run->host->allocate(run, (size_t)(k + 1) * 2 * sizeof(int64_t));
  if (!order)
    return 1;
  int64_t *scratch = order + k + 1;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      struct line line = {(const char *)in[0].data + (size_t)(o * extent * inner + i) * bytes, (size_t)inner * bytes, in[0].dtype, params[1] != 0};
      select_best(&line, extent, order, k);
      /* Order by index first: the sort is stable, so equal elements stay in that order. */
      sort_indices(order, k, scratch, by_index, 0);
      sort_indices(order, k, scratch, comes_first, &line);
      for (int64_t j = 0; j < k; ++j) {
        size_t at = (size_t)((o * k + j) * inner + i);
        const char *source = line.data + (size_t)order[j] * line.step;
        for (size_t byte = 0; byte < bytes; ++byte)
          ((char *)out[0].data)[at * bytes + byte] = source[byte];
        ((int64_t *)out[1].data)[at] = order[j];
      }
    }
  run->host->release(run, order);
  return 0;
}
