/* find(x, keys [n]) -> for each element of x the first place among the keys where it stands, -1 where it does not. What is no number equals itself, 0
 * equals -0. Shares take elements of x.
 *
 * Where the keys (keys.h) span few more numbers than there are of them the places lie in a table by key, else in a hash table. */
#include "runtime/ops/ops.h"

#define KEY uint64_t
#define ENTRY unsigned __int128
#define NAMED(name) wide_##name
#include "runtime/ops/keys.h"

enum { block = 512 };

struct table {
  int64_t *places; /* of slots; -1: free, or no such key */
  const uint64_t *keys;
  uint64_t low, mask; /* the slot of the first key; what is kept of a hash */
  uint64_t slots;
};

static uint64_t hash(uint64_t key) {
  key = (key ^ key >> 32) * 0x9e3779b97f4a7c15u;
  return key ^ key >> 29;
}

static void fill_dense(struct table *table, int64_t count) {
  for (int64_t k = count; k-- > 0;)
    table->places[table->keys[k] - table->low] = k;
}

static void fill_hashed(struct table *table, int64_t count) {
  for (int64_t k = 0; k < count; ++k) {
    uint64_t at = hash(table->keys[k]) & table->mask;
    while (table->places[at] >= 0 && table->keys[table->places[at]] != table->keys[k])
      at = (at + 1) & table->mask;
    if (table->places[at] < 0)
      table->places[at] = k;
  }
}

static void find_dense(const struct table *table, const uint64_t *restrict keys, int64_t count, int64_t *restrict result) {
  for (int64_t k = 0; k < count; ++k) {
    uint64_t at = keys[k] - table->low;
    result[k] = at < table->slots ? table->places[at] : -1;
  }
}

static void find_hashed(const struct table *table, const uint64_t *restrict keys, int64_t count, int64_t *restrict result) {
  for (int64_t k = 0; k < count; ++k) {
    uint64_t at = hash(keys[k]) & table->mask;
    while (table->places[at] >= 0 && table->keys[table->places[at]] != keys[k])
      at = (at + 1) & table->mask;
    result[k] = table->places[at];
  }
}

/* Chooses the form of the table: its mask is 0 where it is by key. */
static void plan_table(struct table *table, int64_t count) {
  uint64_t low = ~(uint64_t)0, high = 0, slots = 16;
  for (int64_t k = 0; k < count; ++k) {
    low = table->keys[k] < low ? table->keys[k] : low;
    high = table->keys[k] > high ? table->keys[k] : high;
  }
  while (slots < 2 * (uint64_t)count)
    slots *= 2;
  table->low = low;
  table->mask = slots - 1;
  table->slots = slots;
  if (count > 0 && high - low < 4 * slots) {
    table->mask = 0;
    table->slots = high - low + 1;
  }
}

ONAGER_SHARED_KERNEL(find) {
  (void)params;
  int64_t total = product(in[0].dims, 0, in[0].rank), count = in[1].dims[0], *result = out[0].data;
  int64_t first = share_start(total, share, shares), last = share_start(total, share + 1, shares);
  size_t bytes = element_bytes(in[0].dtype);
  if (first == last)
    return 0;
  uint64_t *keys = run->host->allocate(run, (size_t)(count + 1) * sizeof *keys), sought[block];
  if (!keys)
    return 1;
  wide_read_keys(in[1].data, bytes, in[1].dtype, count, 1, 0, 0, keys);
  struct table table = {0, keys, 0, 0, 0};
  plan_table(&table, count);
  table.places = run->host->allocate(run, table.slots * sizeof *table.places);
  for (uint64_t at = 0; table.places && at < table.slots; ++at)
    table.places[at] = -1;
  if (table.places)
    (table.mask ? fill_hashed : fill_dense)(&table, count);
  for (int64_t at = first; table.places && at < last; at += block) {
    int64_t some = last - at < block ? last - at : block;
    wide_read_keys((const char *)in[0].data + (size_t)at * bytes, bytes, in[0].dtype, some, 1, 0, 0, sought);
    (table.mask ? find_hashed : find_dense)(&table, sought, some, result + at);
  }
  int failed = !table.places;
  run->host->release(run, table.places);
  run->host->release(run, keys);
  return failed;
}
