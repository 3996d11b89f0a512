/* roi_align(x [N, C, H, W], rois [R, 4], images i64 [R], scale f32) -> y [R, C, h, w]; params: sampling ratio (0: by the size of a region), takes the
 * largest, half a pixel is taken off.
 *
 * Each region is cut into h x w bins, each sampled at a grid of points, at which x is interpolated between four pixels. Averages sum the points; the
 * largest is that of the weighted pixels. f32 or f64; computes in f64. */
#include "runtime/ops/ops.h"

enum { kLargestBin = 1 << 20 };

/* One coordinate between two pixels. */
struct tap {
  int64_t low, high;
  double share; /* of the high one */
};

static int make_tap(struct tap *tap, double at, int64_t size) {
  if (!(at >= -1 && at <= (double)size) || size == 0)
    return 0;
  if (at < 0)
    at = 0;
  tap->low = (int64_t)at;
  if (tap->low >= size - 1) {
    tap->low = tap->high = size - 1;
    tap->share = 0;
    return 1;
  }
  tap->high = tap->low + 1;
  tap->share = at - (double)tap->low;
  return 1;
}

/* The range of a region along one dim: start, size of a bin, points of a bin. */
struct range {
  double start, bin;
  int64_t points;
};

static struct range make_range(double low, double high, int64_t bins, const int64_t *params) {
  double size = high - low;
  if (!params[2] && size < 1)
    size = 1;
  struct range range = {low, bins ? size / (double)bins : 0, params[0]};
  if (range.points <= 0) {
    /* A region that is no region, or one beyond any image, has no points. */
    range.points = range.bin >= 0 && range.bin < kLargestBin ? (int64_t)range.bin : 0;
    range.points += (double)range.points < range.bin && range.bin < kLargestBin;
  }
  return range;
}

static double at_point(const struct range *range, int64_t bin, int64_t point) {
  return range->start + (double)bin * range->bin + ((double)point + 0.5) * range->bin / (double)range->points;
}

static double sample(const onager_view *x, int64_t plane, const struct range *rows, const struct range *columns, int64_t row, int64_t column, int64_t is_max) {
  int64_t height = x->dims[2], width = x->dims[3];
  double result = 0, points = (double)rows->points * (double)columns->points;
  int is_first = 1;
  for (int64_t i = 0; i < rows->points; ++i)
    for (int64_t j = 0; j < columns->points; ++j) {
      struct tap y, z;
      double parts[4] = {0, 0, 0, 0};
      if (make_tap(&y, at_point(rows, row, i), height) && make_tap(&z, at_point(columns, column, j), width)) {
        const int64_t lines[2] = {plane + y.low * width, plane + y.high * width};
        parts[0] = (1 - y.share) * (1 - z.share) * read_float(x, lines[0] + z.low);
        parts[1] = (1 - y.share) * z.share * read_float(x, lines[0] + z.high);
        parts[2] = y.share * (1 - z.share) * read_float(x, lines[1] + z.low);
        parts[3] = y.share * z.share * read_float(x, lines[1] + z.high);
      }
      if (!is_max) {
        result += parts[0] + parts[1] + parts[2] + parts[3];
        continue;
      }
      for (int k = 0; k < 4; ++k)
        if (is_first || parts[k] > result) {
          result = parts[k];
          is_first = 0;
        }
    }
  return is_max || points == 0 ? result : result / points;
}

ONAGER_KERNEL(roi_align) {
  (void)run, (void)ins, (void)outs, (void)symbols;
  const onager_view *x = &in[0], *y = &out[0];
  int64_t channels = x->dims[1], plane = x->dims[2] * x->dims[3], bins[2] = {y->dims[2], y->dims[3]};
  double scale = read_float(&in[3], 0), offset = params[2] ? 0.5 : 0;
  for (int64_t region = 0; region < in[1].dims[0]; ++region) {
    int64_t image = ((const int64_t *)in[2].data)[region];
    if (image < 0 || image >= x->dims[0])
      return 1;
    double box[4];
    for (int k = 0; k < 4; ++k)
      box[k] = read_float(&in[1], region * 4 + k) * scale - offset;
    struct range columns = make_range(box[0], box[2], bins[1], params), rows = make_range(box[1], box[3], bins[0], params);
    for (int64_t channel = 0; channel < channels; ++channel)
      for (int64_t row = 0; row < bins[0]; ++row)
        for (int64_t column = 0; column < bins[1]; ++column)
          write_float(y, ((region * channels + channel) * bins[0] + row) * bins[1] + column,
                      sample(x, (image * channels + channel) * plane, &rows, &columns, row, column, params[1]));
  }
  return 0;
}
