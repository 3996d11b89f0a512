/* Kernels that compiled models call through graph.call: sorting, selection, trees, Fourier transforms. Freestanding.
 *
 * Each takes views of its inputs and outputs, the operation's integer parameters, and the symbols that it binds, and returns 0, or 1 for
 * values that it cannot work with. Outputs whose extents it decides have -1 there and room for the capacity that the operation states.
 * One thread runs a kernel; all threads run a shared one, each its share: those bind no symbols and are listed in DriverControl.cpp.
 */
#ifndef ONAGER_RUNTIME_OPS_OPS_H
#define ONAGER_RUNTIME_OPS_OPS_H

#include "onager-rt/abi.h"

/* Names that stand once for each level of processors: the file is compiled for all of them. */
#define ONAGER_JOIN_NAMES(name, level) name##level
#define ONAGER_JOIN(name, level) ONAGER_JOIN_NAMES(name, level)
#define ONAGER_LEVELLED(name) ONAGER_JOIN(name, ONAGER_KERNEL_LEVEL)

#define ONAGER_KERNEL(name)                                                                                                                          \
  __attribute__((visibility("hidden"))) int32_t ONAGER_LEVELLED(onager_op_##name)(onager_run *run, const onager_view *in, int32_t ins, const onager_view *out, \
                                                                                  int32_t outs, const int64_t *params, int64_t *symbols)
#define ONAGER_SHARED_KERNEL(name)                                                                                                                   \
  __attribute__((visibility("hidden"))) int32_t ONAGER_LEVELLED(onager_shared_op_##name)(onager_run *run, const onager_view *in, const onager_view *out, \
                                                                                         const int64_t *params, int64_t share, int64_t shares)

#define compare_elements ONAGER_LEVELLED(compare_elements)
#define sort_indices ONAGER_LEVELLED(sort_indices)

/* Bytes of an element in memory, by ONNX's number of its type. */
static inline size_t element_bytes(int32_t dtype) {
  static const unsigned char bytes[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 8, 16, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  return dtype >= 0 && dtype < (int32_t)sizeof bytes ? bytes[dtype] : 0;
}

/* Element `at` of a tensor of f32 or f64. */
static inline double read_float(const onager_view *view, int64_t at) {
  return view->dtype == 11 ? ((const double *)view->data)[at] : (double)((const float *)view->data)[at];
}

static inline void write_float(const onager_view *view, int64_t at, double value) {
  if (view->dtype == 11)
    ((double *)view->data)[at] = value;
  else
    ((float *)view->data)[at] = (float)value;
}

static inline int64_t product(const int64_t *dims, int32_t from, int32_t to) {
  int64_t n = 1;
  for (int32_t k = from; k < to; ++k)
    n *= dims[k];
  return n;
}

/* The first of `count` items that share number `share` of `shares` takes; the next share's first ends it. */
static inline int64_t share_start(int64_t count, int64_t share, int64_t shares) { return count / shares * share + count % shares * share / shares; }

/* Orders two elements: -1, 0, 1. NaN is above every number, as in NumPy's sort. */
int compare_elements(const void *a, const void *b, int32_t dtype);

/* Sorts `order` (indices) stably so that less(context, order[i], order[i + 1]) or they are equal; `scratch` has room for as many. */
void sort_indices(int64_t *order, int64_t count, int64_t *scratch, int (*less)(const void *context, int64_t a, int64_t b), const void *context);

#endif
