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

/* A key and its first place; -1: free. */
struct slot {
  uint64_t key;
  int64_t place;
};

struct table {
  struct slot *slots;
  uint64_t count;     /* of slots */
  uint64_t low, mask; /* the key of the first slot; what is kept of a hash */
};

static uint64_t hash(uint64_t key) {
  key = (key ^ key >> 32) * 0x9e3779b97f4a7c15u;
  return key ^ key >> 29;
}

static void fill_dense(const struct table *table, const uint64_t *keys, int64_t count) {
  for (int64_t k = count; k-- > 0;)
    table->slots[keys[k] - table->low].place = k;
}

static void fill_hashed(const struct table *table, const uint64_t *keys, int64_t count) {
  for (int64_t k = 0; k < count; ++k) {
    uint64_t at = hash(keys[k]) & table->mask;
    while (table->slots[at].place >= 0 && table->slots[at].key != keys[k])
      at = (at + 1) & table->mask;
    if (table->slots[at].place < 0)
      table->slots[at] = (struct slot){keys[k], k};
  }
}

static void find_dense(const struct table *table, const uint64_t *restrict keys, int64_t count, int64_t *restrict result) {
  for (int64_t k = 0; k < count; ++k) {
    uint64_t at = keys[k] - table->low;
    result[k] = at < table->count ? table->slots[at].place : -1;
  }
}

static void find_hashed(const struct table *table, const uint64_t *restrict keys, int64_t count, int64_t *restrict result) {
  for (int64_t k = 0; k < count; ++k) {
    uint64_t at = hash(keys[k]) & table->mask;
    while (table->slots[at].place >= 0 && table->slots[at].key != keys[k])
      at = (at + 1) & table->mask;
    result[k] = table->slots[at].place;
  }
}

/* Chooses the form of the table: its mask is 0 where it is by key. A quarter of the slots of the other form are taken at most. */
static void plan_table(struct table *table, const uint64_t *keys, int64_t count) {
  uint64_t low = ~(uint64_t)0, high = 0, slots = 16;
  for (int64_t k = 0; k < count; ++k) {
    low = keys[k] < low ? keys[k] : low;
    high = keys[k] > high ? keys[k] : high;
  }
  while (slots < 4 * (uint64_t)count)
    slots *= 2;
  *table = (struct table){0, slots, low, slots - 1};
  if (count > 0 && high - low < slots) {
    table->mask = 0;
    table->count = high - low + 1;
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
  struct table table;
  plan_table(&table, keys, count);
  table.slots = run->host->allocate(run, table.count * sizeof *table.slots);
  for (uint64_t at = 0; table.slots && at < table.count; ++at)
    table.slots[at].place = -1;
  if (table.slots)
    (table.mask ? fill_hashed : fill_dense)(&table, keys, count);
  for (int64_t at = first; table.slots && at < last; at += block) {
    int64_t some = last - at < block ? last - at : block;
    wide_read_keys((const char *)in[0].data + (size_t)at * bytes, bytes, in[0].dtype, some, 1, 0, 0, sought);
    (table.mask ? find_hashed : find_dense)(&table, sought, some, result + at);
  }
  int failed = !table.slots;
  run->host->release(run, table.slots);
  run->host->release(run, keys);
  return failed;
}
