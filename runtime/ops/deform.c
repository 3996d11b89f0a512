/* deform(x [N, C, H, W], offset [N, groups * taps * 2, h, w], mask [N, groups * taps, h, w]) -> y [N, C * taps, h * w]; taps are kh * kw; params: kh, kw,
 * strides (2), dilations (2), pads before (2), groups.
 *
 * The columns of a deformable convolution: element (c, tap) under an output pixel is x at the tap's place moved by its offset (row, column), between
 * four pixels, which are 0 outside of x, times the mask. Channels share the offsets of their group. f32 or f64; interpolates in f64. */
#include "runtime/ops/ops.h"

static double pixel(const onager_view *x, int64_t plane, int64_t row, int64_t column) {
  int64_t height = x->dims[2], width = x->dims[3];
  return row < 0 || row >= height || column < 0 || column >= width ? 0 : read_float(x, plane + row * width + column);
}

static double interpolate(const onager_view *x, int64_t plane, double row, double column) {
  if (!(row > -1 && row < (double)x->dims[2] && column > -1 && column < (double)x->dims[3]))
    return 0;
  int64_t top = (int64_t)(row + 1) - 1, left = (int64_t)(column + 1) - 1;
  double down = row - (double)top, right = column - (double)left;
  return (1 - down) * ((1 - right) * pixel(x, plane, top, left) + right * pixel(x, plane, top, left + 1)) +
         down * ((1 - right) * pixel(x, plane, top + 1, left) + right * pixel(x, plane, top + 1, left + 1));
}

/* Columns of the channels of one group for one tap. */
static void fill_tap(const onager_view *in, const onager_view *out, const int64_t *params, int64_t image, int64_t group, int64_t tap) {
  const onager_view *x = &in[0];
  int64_t taps = params[0] * params[1], groups = params[8], channels = x->dims[1] / groups, plane = x->dims[2] * x->dims[3];
  int64_t height = in[1].dims[2], width = in[1].dims[3], pixels = height * width, place = (image * groups + group) * taps + tap;
  for (int64_t p = 0; p < pixels; ++p) {
    double row = (double)(p / width * params[2] - params[6] + tap / params[1] * params[4]) + read_float(&in[1], 2 * place * pixels + p);
    double column = (double)(p % width * params[3] - params[7] + tap % params[1] * params[5]) + read_float(&in[1], (2 * place + 1) * pixels + p);
    double weight = read_float(&in[2], place * pixels + p);
    for (int64_t c = 0; c < channels; ++c) {
      int64_t channel = image * x->dims[1] + group * channels + c;
      write_float(&out[0], (channel * taps + tap) * pixels + p, weight * interpolate(x, channel * plane, row, column));
    }
  }
}

ONAGER_KERNEL(deform) {
  (void)run, (void)ins, (void)outs, (void)symbols;
  for (int64_t image = 0; image < in[0].dims[0]; ++image)
    for (int64_t group = 0; group < params[8]; ++group)
      for (int64_t tap = 0; tap < params[0] * params[1]; ++tap)
        fill_tap(in, out, params, image, group, tap);
  return 0;
}
