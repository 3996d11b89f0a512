/* max_roi_pool(x [N, C, H, W], rois [R, 5], scale f32) -> y [R, C, h, w]: the largest pixel of each of h x w bins of a region, 0 of an empty one.
 *
 * A region is its image and the corners x1, y1, x2, y2, scaled and rounded half away from 0, both inside. x and y are f32 or f64; bins are measured in
 * f32, as ONNX Runtime does. */
#include "runtime/ops/ops.h"

enum { kFarthest = 1 << 30 };

static int64_t round_away(float value) {
  if (!(value > -(float)kFarthest && value < (float)kFarthest))
    return value > 0 ? kFarthest : -kFarthest;
  return (int64_t)(value < 0 ? value - 0.5f : value + 0.5f);
}

static int64_t clamp(int64_t value, int64_t most) { return value < 0 ? 0 : value > most ? most : value; }

/* The pixels [*first, *end) of bin `index` of `count` along a side that begins at `start` and has `size` pixels. */
static void find_bin(int64_t index, int64_t count, int64_t start, int64_t size, int64_t extent, int64_t *first, int64_t *end) {
  float bin = (float)size / (float)count, upper = (float)(index + 1) * bin;
  int64_t above = (int64_t)upper;
  above += (float)above < upper;
  *first = clamp(start + (int64_t)((float)index * bin), extent);
  *end = clamp(start + above, extent);
}

ONAGER_KERNEL(max_roi_pool) {
  (void)run, (void)ins, (void)outs, (void)params, (void)symbols;
  const int64_t *dims = in[0].dims, *size = out[0].dims;
  float scale = *(const float *)in[2].data;
  int64_t at = 0;
  for (int64_t region = 0; region < size[0]; ++region) {
    double image = read_float(&in[1], region * 5);
    if (!(image >= 0 && image < (double)dims[0]))
      return 1;
    int64_t corners[4];
    for (int k = 0; k < 4; ++k)
      corners[k] = round_away((float)read_float(&in[1], region * 5 + 1 + k) * scale);
    int64_t width = corners[2] - corners[0] + 1, height = corners[3] - corners[1] + 1;
    for (int64_t channel = 0; channel < size[1]; ++channel)
      for (int64_t row = 0; row < size[2]; ++row)
        for (int64_t column = 0; column < size[3]; ++column, ++at) {
          int64_t top, bottom, left, right, plane = ((int64_t)image * dims[1] + channel) * dims[2];
          find_bin(row, size[2], corners[1], height > 1 ? height : 1, dims[2], &top, &bottom);
          find_bin(column, size[3], corners[0], width > 1 ? width : 1, dims[3], &left, &right);
          int is_empty = bottom <= top || right <= left;
          double largest = is_empty ? 0 : read_float(&in[0], (plane + top) * dims[3] + left);
          for (int64_t y = top; y < bottom; ++y)
            for (int64_t x = left; x < right; ++x) {
              double value = read_float(&in[0], (plane + y) * dims[3] + x);
              largest = value > largest ? value : largest;
            }
          write_float(&out[0], at, largest);
        }
  }
  return 0;
}
