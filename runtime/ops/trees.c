/* trees(x [N, F], splits [n], nodes [n, 4] i32, roots [t] i32, leaves [m + 1] i32, targets [w] i32, weights [w]) -> scores [N, T];
 * params: aggregate (0 average, 1 sum, 2 min, 3 max). x, splits, weights and scores are all f32 or all f64.
 *
 * A node is (feature, mode + 8 * where NaN goes, child where the test fails, child where it holds); a child below 0 is leaf -1 - child, whose
 * (target, weight) pairs are those from leaves[leaf] to leaves[leaf + 1]. Children stand behind their parents, so that each walk ends.
 */
#include "runtime/ops/ops.h"

enum mode { LESS_EQUAL, LESS, GREATER_EQUAL, GREATER, EQUAL, NOT_EQUAL };
enum aggregate { AVERAGE, SUM, MIN, MAX };

struct forest {
  const int32_t *nodes, *roots, *leaves, *targets;
  int64_t features, trees, outputs;
  int uniform; /* the mode that all nodes share without a NaN rule of their own, or -1 */
};

static inline int holds(double x, double split, int32_t mode) {
  switch (mode & 7) {
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
  if (aggregate <= SUM)
    *sum += weight;
  else if (!*seen || (aggregate == MIN ? weight < *sum : weight > *sum))
    *sum = weight;
  *seen = 1;
}

#define DEFINE_WALK(type, name)                                                                                                                      \
  static inline int32_t walk_##name(const struct forest *f, const type *splits, const type *x, int32_t node) {                                      \
    if (f->uniform == LESS_EQUAL)                                                                                                                    \
      while (node >= 0)                                                                                                                              \
        node = f->nodes[4 * node + 2 + (x[f->nodes[4 * node]] <= splits[node])];                                                                     \
    else if (f->uniform == LESS)                                                                                                                     \
      while (node >= 0)                                                                                                                              \
        node = f->nodes[4 * node + 2 + (x[f->nodes[4 * node]] < splits[node])];                                                                      \
    while (node >= 0) {                                                                                                                              \
      type value = x[f->nodes[4 * node]];                                                                                                            \
      int32_t mode = f->nodes[4 * node + 1];                                                                                                         \
      node = f->nodes[4 * node + 2 + (holds(value, splits[node], mode) || (mode >= 8 && value != value))];                                           \
    }                                                                                                                                                \
    return -1 - node;                                                                                                                                \
  }                                                                                                                                                  \
  static void run_##name(const struct forest *f, const type *x, int64_t rows, const type *splits, const type *weights, type *scores, double *sums,   \
                         unsigned char *seen, int64_t aggregate) {                                                                                   \
    for (int64_t row = 0; row < rows; ++row) {                                                                                                       \
      for (int64_t k = 0; k < f->outputs; ++k)                                                                                                       \
        sums[k] = 0, seen[k] = 0;                                                                                                                    \
      for (int64_t tree = 0; tree < f->trees; ++tree) {                                                                                              \
        int32_t leaf = walk_##name(f, splits, x + row * f->features, f->roots[tree]);                                                                \
        for (int32_t k = f->leaves[leaf]; k < f->leaves[leaf + 1]; ++k)                                                                              \
          add_weight(&sums[f->targets[k]], &seen[f->targets[k]], weights[k], aggregate);                                                             \
      }                                                                                                                                              \
      for (int64_t k = 0; k < f->outputs; ++k)                                                                                                       \
        scores[row * f->outputs + k] = (type)(aggregate == AVERAGE ? sums[k] / (double)f->trees : sums[k]);                                          \
    }                                                                                                                                                \
  }

DEFINE_WALK(float, f32)
DEFINE_WALK(double, f64)

/* Returns the mode of all nodes, or -1; 1 in `bad` where a node asks for a feature that the rows lack. */
static int check_nodes(const int32_t *nodes, int64_t count, int64_t features, int *bad) {
  int mode = count ? nodes[1] : 0;
  for (int64_t k = 0; k < count; ++k) {
    *bad |= nodes[4 * k] >= features;
    mode = nodes[4 * k + 1] == mode ? mode : -1;
  }
  return mode >= 8 ? -1 : mode;
}

ONAGER_KERNEL(trees) {
  (void)ins, (void)outs, (void)symbols;
  struct forest f = {in[2].data, in[3].data, in[4].data, in[5].data, in[0].dims[1], in[3].dims[0], out[0].dims[1], 0};
  int bad = 0;
  f.uniform = check_nodes(f.nodes, in[1].dims[0], f.features, &bad);
  if (bad)
    return 1;
  double *sums = run->host->allocate(run, (size_t)f.outputs * (sizeof(double) + 1) + 8);
  if (!sums)
    return 1;
  unsigned char *seen = (unsigned char *)(sums + f.outputs);
  if (in[0].dtype == 11)
    run_f64(&f, in[0].data, in[0].dims[0], in[1].data, in[6].data, out[0].data, sums, seen, params[0]);
  else
    run_f32(&f, in[0].data, in[0].dims[0], in[1].data, in[6].data, out[0].data, sums, seen, params[0]);
  run->host->release(run, sums);
  return 0;
}
