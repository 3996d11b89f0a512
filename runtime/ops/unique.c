/* unique(x) -> values, first indices, inverse, counts; params: axis, sorted; binds the number of distinct slices along the axis. */
#include "runtime/ops/ops.h"

struct slices {
  const char *data;
  int64_t outer, extent, inner;
  size_t bytes;
  int32_t dtype;
};

static int compare_slices(const struct slices *s, int64_t a, int64_t b) {
  for (int64_t o = 0; o < s->outer; ++o)
    for (int64_t i = 0; i < s->inner; ++i) {
      const char *row = s->data + (size_t)(o * s->extent * s->inner + i) * s->bytes;
      int order = compare_elements(row + (size_t)(a * s->inner) * s->bytes, row + (size_t)(b * s->inner) * s->bytes, s->dtype);
      if (order)
        return order;
    }
  return 0;
}

static int is_less(const void *context, int64_t a, int64_t b) { return compare_slices(context, a, b) < 0; }

struct firsts {
  const int64_t *first;
};
static int appears_before(const void *context, int64_t a, int64_t b) {
  const struct firsts *f = context;
  return f->first[a] < f->first[b];
}

static void copy_slice(const struct slices *s, char *out, int64_t groups, int64_t to, int64_t from) {
  for (int64_t o = 0; o < s->outer; ++o) {
    const char *source = s->data + (size_t)((o * s->extent + from) * s->inner) * s->bytes;
    char *target = out + (size_t)((o * groups + to) * s->inner) * s->bytes;
    for (size_t byte = 0; byte < (size_t)s->inner * s->bytes; ++byte)
      target[byte] = source[byte];
  }
}

ONAGER_KERNEL(unique) {
  (void)ins, (void)outs;
  int32_t axis = (int32_t)params[0], rank = in[0].rank;
  struct slices s = {in[0].data, product(in[0].dims, 0, axis), in[0].dims[axis], product(in[0].dims, axis + 1, rank), element_bytes(in[0].dtype), in[0].dtype};
  int64_t n = s.extent, *first = out[1].data, *inverse = out[2].data, *counts = out[3].data;
  int64_t *memory = run->host->allocate(run, (size_t)(n + 1) * 5 * sizeof(int64_t));
  if (!memory)
    return 1;
  int64_t *order = memory, *scratch = order + n + 1, *group = scratch + n + 1, *groupFirst = group + n + 1, *rankOf = groupFirst + n + 1, groups = 0;
  for (int64_t k = 0; k < n; ++k)
    order[k] = k;
  sort_indices(order, n, scratch, is_less, &s);
  for (int64_t k = 0; k < n; ++k) {
    if (k == 0 || compare_slices(&s, order[k - 1], order[k]))
      groupFirst[groups++] = order[k];
    group[order[k]] = groups - 1;
  }
  for (int64_t g = 0; g < groups; ++g)
    order[g] = g;
  struct firsts f = {groupFirst};
  if (!params[1])
    sort_indices(order, groups, scratch, appears_before, &f);
  for (int64_t g = 0; g < groups; ++g) {
    rankOf[order[g]] = g;
    first[g] = groupFirst[order[g]];
    counts[g] = 0;
    copy_slice(&s, out[0].data, groups, g, first[g]);
  }
  for (int64_t k = 0; k < n; ++k) {
    inverse[k] = rankOf[group[k]];
    ++counts[inverse[k]];
  }
  run->host->release(run, memory);
  symbols[0] = groups;
  return 0;
}
