/* trees(x [N, F], splits [n], nodes [n, 4] i32, roots [t, 2] i32, leaves [m + 1] i32, targets [w] i32, weights [w]) -> scores [N, T];
 * params: aggregate (0 average, 1 sum, 2 min, 3 max), the features that nodes ask for, whether all tests are x <= split. x, splits, weights and scores are all f32 or all f64.
 *
 * A node is (feature, first child, mode + 8 where NaN holds, leaf): the first child is where x[feature] holds against the split, the second is the one behind
 * it. A leaf is a node whose child is itself, with x <= infinity; its (target, weight) pairs are those from leaves[leaf] to leaves[leaf + 1]. Other nodes'
 * children stand behind them, so that each walk ends. A root goes with the nodes on the longest walk from it, less one.
 *
 * A step waits for three loads, each for the one before it: eight walks go side by side, without branches, down one tree for eight rows, or for the rows
 * that are left down eight trees. They take as many steps as the longest walk has, going round at their leaves. Weights are added in the order of trees. Rows
 * with a NaN, and forests of other tests than x <= split, are walked one by one.
 */
#include "runtime/ops/ops.h"

enum mode { LESS_EQUAL, LESS, GREATER_EQUAL, GREATER, EQUAL, NOT_EQUAL, MODES = 8 };
enum aggregate { AVERAGE, SUM, MIN, MAX };
/* Steps of walks side by side between looks whether all have come to leaves. */
enum { LANES = 8, STEPS = 8 };

struct node {
  int32_t feature, child, mode, leaf;
};

struct forest {
  const struct node *nodes;
  const int32_t *roots, *leaves, *targets;
  int64_t features, trees, outputs, aggregate;
  int is_plain; /* all tests are x <= split */
};

static inline int holds(double x, double split, int32_t mode) {
  switch (mode % MODES) {
  case LESS_EQUAL: return x <= split;
  case LESS: return x < split;
  case GREATER_EQUAL: return x >= split;
  case GREATER: return x > split;
  case EQUAL: return x == split;
  default: return x != split;
  }
}

/* Adds what one leaf gives to the row's sums; `seen` tells a first value from a later one for min and max. */
static void add_weight(double *sum, unsigned char *seen, double weight, int64_t aggregate) {
  if (!*seen || (aggregate == MIN ? weight < *sum : weight > *sum))
    *sum = weight;
  *seen = 1;
}

#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full) vectorize(disable)")
#else
#define UNROLLED
#endif

#define DEFINE_RUN(type, name)                                                                                                                       \
  static inline int has_nan_##name(const type *x, int64_t count) {                                                                                   \
    int found = 0;                                                                                                                                   \
    for (int64_t k = 0; k < count; ++k)                                                                                                              \
      found |= x[k] != x[k];                                                                                                                         \
    return found;                                                                                                                                    \
  }                                                                                                                                                  \
  static int32_t walk_##name(const struct forest *f, const type *splits, const type *x, int32_t at) {                                                \
    for (const struct node *node = f->nodes + at; node->child != at; node = f->nodes + at) {                                                         \
      type value = x[node->feature];                                                                                                                 \
      at = node->child + !(holds(value, splits[at], node->mode) || (node->mode >= MODES && value != value));                                         \
    }                                                                                                                                                \
    return at;                                                                                                                                       \
  }                                                                                                                                                  \
  /* Leads walks of at most `steps` steps to their leaves. */                                                                                        \
  static inline void descend_##name(const struct node *nodes, const type *splits, const type *const *x, int32_t *at, int64_t steps) {                \
    for (; steps > 0; steps -= STEPS) {                                                                                                              \
      int32_t moved = 0;                                                                                                                             \
      for (int64_t step = steps < STEPS ? steps : STEPS; step > 0; --step)                                                                           \
        UNROLLED for (int k = 0; k < LANES; ++k) {                                                                                                   \
          const struct node *node = nodes + at[k];                                                                                                   \
          at[k] = node->child + (x[k][node->feature] > splits[at[k]]);                                                                               \
        }                                                                                                                                            \
      if (steps > STEPS)                                                                                                                             \
        UNROLLED for (int k = 0; k < LANES; ++k) moved |= nodes[at[k]].child ^ at[k];                                                                \
      if (!moved)                                                                                                                                    \
        return;                                                                                                                                      \
    }                                                                                                                                                \
  }                                                                                                                                                  \
  static inline void add_leaf_##name(const struct forest *f, const type *weights, int32_t at, double *sums, unsigned char *seen) {                   \
    int32_t leaf = f->nodes[at].leaf;                                                                                                                \
    for (int32_t k = f->leaves[leaf], end = f->leaves[leaf + 1]; k < end; ++k)                                                                       \
      if (f->aggregate <= SUM)                                                                                                                       \
        sums[f->targets[k]] += weights[k];                                                                                                           \
      else                                                                                                                                           \
        add_weight(&sums[f->targets[k]], &seen[f->targets[k]], weights[k], f->aggregate);                                                            \
  }                                                                                                                                                  \
  /* Eight rows, tree by tree. */                                                                                                                    \
  static void add_rows_##name(const struct forest *f, const type *x, const type *splits, const type *weights, double *sums, unsigned char *seen) {   \
    const type *row[LANES];                                                                                                                          \
    for (int k = 0; k < LANES; ++k)                                                                                                                  \
      row[k] = x + k * f->features;                                                                                                                  \
    for (int64_t tree = 0; tree < f->trees; ++tree) {                                                                                                \
      int32_t at[LANES];                                                                                                                             \
      for (int k = 0; k < LANES; ++k)                                                                                                                \
        at[k] = f->roots[2 * tree];                                                                                                                  \
      descend_##name(f->nodes, splits, row, at, f->roots[2 * tree + 1]);                                                                             \
      for (int k = 0; k < LANES; ++k)                                                                                                                \
        add_leaf_##name(f, weights, at[k], sums + k * f->outputs, seen + k * f->outputs);                                                            \
    }                                                                                                                                                \
  }                                                                                                                                                  \
  /* One row, eight trees at a time: those that are missing at the end are the last one again. */                                                    \
  static void add_row_##name(const struct forest *f, const type *x, const type *splits, const type *weights, double *sums, unsigned char *seen) {    \
    const type *row[LANES];                                                                                                                          \
    for (int k = 0; k < LANES; ++k)                                                                                                                  \
      row[k] = x;                                                                                                                                    \
    for (int64_t tree = 0; tree < f->trees; tree += LANES) {                                                                                         \
      int64_t count = f->trees - tree < LANES ? f->trees - tree : LANES;                                                                             \
      int32_t at[LANES], steps = 0;                                                                                                                  \
      for (int k = 0; k < LANES; ++k) {                                                                                                              \
        const int32_t *root = f->roots + 2 * (k < count ? tree + k : f->trees - 1);                                                                  \
        at[k] = root[0];                                                                                                                             \
        steps = root[1] > steps ? root[1] : steps;                                                                                                   \
      }                                                                                                                                              \
      descend_##name(f->nodes, splits, row, at, steps);                                                                                              \
      for (int k = 0; k < count; ++k)                                                                                                                \
        add_leaf_##name(f, weights, at[k], sums, seen);                                                                                              \
    }                                                                                                                                                \
  }                                                                                                                                                  \
  static void add_walks_##name(const struct forest *f, const type *x, const type *splits, const type *weights, double *sums, unsigned char *seen) {  \
    for (int64_t tree = 0; tree < f->trees; ++tree)                                                                                                  \
      add_leaf_##name(f, weights, walk_##name(f, splits, x, f->roots[2 * tree]), sums, seen);                                                        \
  }                                                                                                                                                  \
  static void run_##name(const struct forest *f, const type *x, int64_t row, int64_t rows, const type *splits, const type *weights, type *scores,    \
                         double *sums, unsigned char *seen) {                                                                                        \
    for (int64_t count; row < rows; row += count) {                                                                                                  \
      const type *first = x + row * f->features;                                                                                                     \
      count = f->is_plain && rows - row >= LANES && !has_nan_##name(first, LANES * f->features) ? LANES : 1;                                         \
      for (int64_t k = 0; k < count * f->outputs; ++k)                                                                                               \
        sums[k] = 0, seen[k] = 0;                                                                                                                    \
      if (count == LANES)                                                                                                                            \
        add_rows_##name(f, first, splits, weights, sums, seen);                                                                                      \
      else if (f->is_plain && !has_nan_##name(first, f->features))                                                                                   \
        add_row_##name(f, first, splits, weights, sums, seen);                                                                                       \
      else                                                                                                                                           \
        add_walks_##name(f, first, splits, weights, sums, seen);                                                                                     \
      for (int64_t k = 0; k < count * f->outputs; ++k)                                                                                               \
        scores[row * f->outputs + k] = (type)(f->aggregate == AVERAGE ? sums[k] / (double)f->trees : sums[k]);                                       \
    }                                                                                                                                                \
  }

DEFINE_RUN(float, f32)
DEFINE_RUN(double, f64)

ONAGER_SHARED_KERNEL(trees) {
  struct forest f = {in[2].data, in[3].data, in[4].data, in[5].data, in[0].dims[1], in[3].dims[0], out[0].dims[1], params[0], params[2] && in[0].dims[1]};
  if (f.features < params[1])
    return 1;
  int64_t rows = in[0].dims[0], first = share_start(rows, share, shares), last = share_start(rows, share + 1, shares);
  if (first == last)
    return 0;
  double *sums = run->host->allocate(run, LANES * (size_t)f.outputs * (sizeof(double) + 1) + 8);
  if (!sums)
    return 1;
  unsigned char *seen = (unsigned char *)(sums + LANES * f.outputs);
  if (in[0].dtype == 11)
    run_f64(&f, in[0].data, first, last, in[1].data, in[6].data, out[0].data, sums, seen);
  else
    run_f32(&f, in[0].data, first, last, in[1].data, in[6].data, out[0].data, sums, seen);
  run->host->release(run, sums);
  return 0;
}
