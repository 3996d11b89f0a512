/* unique(x) -> values, first indices, inverse, counts; params: axis, sorted; binds the number of distinct slices along the axis.
 *
 * 1. Each slice looks for its group in a hash table: the key of its element, or a hash of the keys of all its elements.
 * 2. Groups are numbered as they appear. Where they shall be sorted, few are left to sort.
 * 3. Values are the first slice of each group. */
#include "runtime/ops/ops.h"

#define KEY uint64_t
#define ENTRY unsigned __int128
#define NAMED(name) wide_##name
#include "runtime/ops/keys.h"

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

static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 32) * 0x9e3779b97f4a7c15u;
  return x ^ x >> 29;
}

/* A table of groups by key; slots that are free have group -1. */
struct slot {
  uint64_t key;
  int64_t group;
};
struct groups {
  const struct slices *slices;
  onager_run *run;
  struct slot *table;
  uint64_t mask;
  int64_t count, *first, *counts;
};

/* Makes a table with twice as many slots; 1 where there is no memory. */
static int grow_table(struct groups *g) {
  uint64_t mask = g->table ? 2 * g->mask + 1 : 1023;
  struct slot *table = g->run->host->allocate(g->run, (mask + 1) * sizeof *table), *old = g->table;
  if (!table)
    return 1;
  for (uint64_t at = 0; at <= mask; ++at)
    table[at].group = -1;
  for (uint64_t k = 0; old && k <= g->mask; ++k) {
    if (old[k].group < 0)
      continue;
    uint64_t at = mix(old[k].key) & mask;
    while (table[at].group >= 0)
      at = (at + 1) & mask;
    table[at] = old[k];
  }
  g->run->host->release(g->run, old);
  g->table = table;
  g->mask = mask;
  return 0;
}

/* The group of slice `index`, a new one for the first of its kind; -1 where there is no memory. */
static int64_t find_group(struct groups *g, uint64_t key, int64_t index) {
  int isElement = g->slices->outer * g->slices->inner == 1;
  uint64_t at = mix(key) & g->mask;
  for (; g->table[at].group >= 0; at = (at + 1) & g->mask)
    if (g->table[at].key == key && (isElement || compare_slices(g->slices, g->first[g->table[at].group], index) == 0)) {
      ++g->counts[g->table[at].group];
      return g->table[at].group;
    }
  g->table[at] = (struct slot){key, g->count};
  g->first[g->count] = index;
  g->counts[g->count] = 1;
  if ((uint64_t)(++g->count) * 2 > g->mask && grow_table(g))
    return -1;
  return g->count - 1;
}

/* Keys of slices [first, first + count): of their element, or joined from all their elements. */
static void read_slice_keys(const struct slices *s, int64_t first, int64_t count, uint64_t *keys, uint64_t *part) {
  size_t step = (size_t)s->inner * s->bytes;
  const char *data = s->data + (size_t)first * step;
  if (s->outer * s->inner == 1) {
    wide_read_keys(data, step, s->dtype, count, 1, 0, 0, keys);
    return;
  }
  for (int64_t k = 0; k < count; ++k)
    keys[k] = 0;
  for (int64_t o = 0; o < s->outer; ++o)
    for (int64_t i = 0; i < s->inner; ++i) {
      wide_read_keys(data + (size_t)o * (size_t)s->extent * step + (size_t)i * s->bytes, step, s->dtype, count, 1, 0, 0, part);
      for (int64_t k = 0; k < count; ++k)
        keys[k] = mix(keys[k] ^ part[k]) + 1;
    }
}

/* Numbers the groups as they appear; 1 where there is no memory. */
static int collect_groups(struct groups *g, int64_t *inverse) {
  enum { block = 256 };
  uint64_t keys[block], part[block];
  if (grow_table(g))
    return 1;
  for (int64_t first = 0; first < g->slices->extent; first += block) {
    int64_t count = g->slices->extent - first < block ? g->slices->extent - first : block;
    read_slice_keys(g->slices, first, count, keys, part);
    for (int64_t k = 0; k < count; ++k)
      if ((inverse[first + k] = find_group(g, keys[k], first + k)) < 0)
        return 1;
  }
  return 0;
}

static int is_less(const void *context, int64_t a, int64_t b) {
  const struct groups *g = context;
  return compare_slices(g->slices, g->first[a], g->first[b]) < 0;
}

/* Fills `order` with the groups in order of their slices; `scratch` holds four numbers for each. */
static void order_groups(const struct groups *g, int64_t *order, void *scratch) {
  const struct slices *s = g->slices;
  if (s->outer * s->inner != 1) {
    for (int64_t k = 0; k < g->count; ++k)
      order[k] = k;
    sort_indices(order, g->count, scratch, is_less, g);
    return;
  }
  unsigned __int128 *entries = scratch;
  for (int64_t k = 0; k < g->count; ++k) {
    uint64_t key;
    wide_read_keys(s->data + (size_t)g->first[k] * s->bytes, s->bytes, s->dtype, 1, 1, 0, 0, &key);
    entries[k] = wide_make_entry(key, k);
  }
  wide_sort_entries(entries, g->count, entries + g->count, (int)sizeof(uint64_t));
  for (int64_t k = 0; k < g->count; ++k)
    order[k] = wide_entry_index(entries[k]);
}

/* Numbers the groups anew, in order of their slices; 1 where there is no memory. */
static int sort_groups(struct groups *g, int64_t *inverse) {
  int64_t n = g->count, *memory = g->run->host->allocate(g->run, (size_t)(n + 1) * 8 * sizeof(int64_t));
  if (!memory)
    return 1;
  int64_t *order = memory + 4 * n, *rank = order + n, *first = rank + n, *counts = first + n;
  order_groups(g, order, memory);
  for (int64_t k = 0; k < n; ++k) {
    rank[order[k]] = k;
    first[k] = g->first[order[k]];
    counts[k] = g->counts[order[k]];
  }
  for (int64_t k = 0; k < n; ++k) {
    g->first[k] = first[k];
    g->counts[k] = counts[k];
  }
  for (int64_t k = 0; k < g->slices->extent; ++k)
    inverse[k] = rank[inverse[k]];
  g->run->host->release(g->run, memory);
  return 0;
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
  struct groups groups = {&s, run, 0, 0, 0, out[1].data, out[3].data};
  int failed = collect_groups(&groups, out[2].data) || (params[1] && sort_groups(&groups, out[2].data));
  run->host->release(run, groups.table);
  if (failed)
    return 1;
  for (int64_t k = 0; k < groups.count; ++k)
    copy_slice(&s, out[0].data, groups.count, k, groups.first[k]);
  symbols[0] = groups.count;
  return 0;
}
