/* tfidf(x i64 [N, C], pool i64 [P], starts i64 [G], columns i64 [K], weights f32 [K]) -> y f32 [N, L]; params: shortest, longest n-gram, most skipped,
 * mode (0 counts, 1 weights of those that occur, 2 counts times weights).
 *
 * The pool holds n-grams of 1, 2 ... G elements; those of n elements begin at starts[n - 1]. The k-th of all adds to column columns[k]. A hash table
 * finds n-grams: an entry is the number of an n-gram plus 1. */
#include "runtime/ops/ops.h"

struct pool {
  const int64_t *elements, *starts;
  int64_t lengths, size; /* longest n-grams, elements */
  int64_t *table;
  uint64_t mask;
  int64_t *places;  /* of each n-gram, its first element */
  int64_t *numbers; /* of the first n-gram of each length */
};

static uint64_t mix(uint64_t hash, int64_t element) {
  hash = (hash ^ (uint64_t)element) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

static int64_t get_end(const struct pool *pool, int64_t n) { return n < pool->lengths ? pool->starts[n] : pool->size; }

/* Returns the number of the n-gram of x, `step` apart, or -1. With `number` not negative, enters it where it is missing. */
static int64_t look_up(struct pool *pool, const int64_t *x, int64_t step, int64_t n, int64_t number) {
  uint64_t hash = (uint64_t)n;
  for (int64_t k = 0; k < n; ++k)
    hash = mix(hash, x[k * step]);
  for (uint64_t slot = hash & pool->mask;; slot = (slot + 1) & pool->mask) {
    int64_t entry = pool->table[slot] - 1;
    if (entry < 0) {
      if (number >= 0)
        pool->table[slot] = number + 1;
      return number;
    }
    const int64_t *have = pool->elements + pool->places[entry];
    int64_t first = pool->numbers[n - 1], count = (get_end(pool, n) - pool->starts[n - 1]) / n, same = entry >= first && entry < first + count;
    for (int64_t k = 0; k < n && same; ++k)
      same = have[k] == x[k * step];
    if (same)
      return entry;
  }
}

/* Enters all n-grams; returns their number, or -1 where the pool is malformed. */
static int64_t fill_pool(struct pool *pool, int64_t most) {
  int64_t number = 0;
  for (int64_t n = 1; n <= pool->lengths; ++n) {
    int64_t start = pool->starts[n - 1], end = get_end(pool, n);
    pool->numbers[n - 1] = number;
    if (start < 0 || end < start || end > pool->size || (end - start) % n)
      return -1;
    for (int64_t at = start; at < end; at += n, ++number) {
      if (number >= most)
        return -1;
      pool->places[number] = at;
      look_up(pool, pool->elements + at, 1, n, number);
    }
  }
  return number;
}

/* Adds up the n-grams of one row into `y`. */
static void count_row(struct pool *pool, const onager_view *in, const int64_t *x, int64_t length, float *y, const int64_t *params) {
  const int64_t *columns = in[3].data;
  const float *weights = in[4].data;
  for (int64_t n = params[0]; n <= params[1] && n <= pool->lengths; ++n)
    for (int64_t step = 1; step <= (n == 1 ? 1 : params[2] + 1); ++step)
      for (int64_t at = 0; at + (n - 1) * step < length; ++at) {
        int64_t found = look_up(pool, x + at, step, n, -1);
        if (found < 0)
          continue;
        float *sum = &y[columns[found]];
        if (params[3] == 1)
          *sum = weights[found];
        else
          *sum += params[3] == 2 ? weights[found] : 1;
      }
}

ONAGER_KERNEL(tfidf) {
  (void)ins, (void)outs, (void)symbols;
  int64_t rows = in[0].dims[0], length = in[0].dims[1], width = out[0].dims[1], most = in[3].dims[0];
  struct pool pool = {in[1].data, in[2].data, in[2].dims[0], in[1].dims[0], NULL, 1, NULL, NULL};
  while (pool.mask < 2 * (uint64_t)most + 1)
    pool.mask = 2 * pool.mask + 1;
  int64_t words = (int64_t)pool.mask + 1 + most + pool.lengths + 1;
  pool.table = run->host->allocate(run, (size_t)words * sizeof(int64_t));
  if (!pool.table)
    return 1;
  for (uint64_t k = 0; k <= pool.mask; ++k)
    pool.table[k] = 0;
  pool.places = pool.table + pool.mask + 1;
  pool.numbers = pool.places + most;
  int64_t status = fill_pool(&pool, most) < 0;
  float *y = out[0].data;
  for (int64_t k = 0; k < rows * width; ++k)
    y[k] = 0;
  for (int64_t row = 0; row < rows && !status; ++row)
    count_row(&pool, in, (const int64_t *)in[0].data + row * length, length, y + row * width, params);
  run->host->release(run, pool.table);
  return (int32_t)status;
}
