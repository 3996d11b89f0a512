/* deform(x [N, C, H, W], offset [N, groups * taps * 2, h, w], mask [N, groups * taps, h, w], extents [4] i64: kh, kw, pads before (2))
 *   -> y [N, C * taps, h * w]; taps are kh * kw; params: strides (2), dilations (2), groups.
 *
 * The columns of a deformable convolution: element (c, tap) under an output pixel is x at the tap's place moved by its offset (row, column), between
 * four pixels, which are 0 outside of x, times the mask. Channels share the offsets of their group. f32 or f64; interpolates in f64.
 * Shares take taps of groups. Planes lie in memory with a zero around them and two rows of zeros below, where places outside of x point to. */
#include "runtime/ops/ops.h"

enum { PIXELS = 128 };

/* Where some output pixels read: the first of four pixels in a plane, how far below and to the right of it, and the mask. */
struct places {
  int64_t count, pitch;
  int32_t at[PIXELS];
  double down[PIXELS], right[PIXELS], weight[PIXELS];
};

static int64_t count_taps(const onager_view *in) {
  const int64_t *extents = in[3].data;
  return extents[0] * extents[1];
}

/* Copies the planes of one group's channels with zeros around them. */
static void pad_planes(const onager_view *x, int64_t first, int64_t channels, double *planes) {
  int64_t height = x->dims[2], width = x->dims[3], pitch = width + 2;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t row = -1; row < height + 2; ++row)
      for (int64_t column = -1; column < width + 1; ++column) {
        int isInside = row >= 0 && row < height && column >= 0 && column < width;
        *planes++ = isInside ? read_float(x, ((first + c) * height + row) * (pitch - 2) + column) : 0;
      }
}

/* Finds the places of pixels [first, first + count) for a tap; `place` numbers it among those of all images and groups. */
static void find_places(const onager_view *in, const int64_t *params, int64_t place, int64_t tap, int64_t first, int64_t count, struct places *places) {
  int64_t height = in[0].dims[2], width = in[0].dims[3], columns = in[1].dims[3], pixels = in[1].dims[2] * columns;
  const int64_t *extents = in[3].data;
  int64_t fromTop = tap / extents[1] * params[2] - extents[2], fromLeft = tap % extents[1] * params[3] - extents[3], y = first / columns, x = first % columns;
  places->count = count;
  places->pitch = width + 2;
  for (int64_t k = 0; k < count; ++k, ++x) {
    int64_t p = first + k;
    if (x == columns) {
      x = 0;
      ++y;
    }
    double row = (double)(y * params[0] + fromTop) + read_float(&in[1], 2 * place * pixels + p);
    double column = (double)(x * params[1] + fromLeft) + read_float(&in[1], (2 * place + 1) * pixels + p);
    int isInside = row > -1 && row < (double)height && column > -1 && column < (double)width;
    int64_t top = isInside ? (int64_t)(row + 1) : height + 1, left = isInside ? (int64_t)(column + 1) : 0;
    places->at[k] = (int32_t)(top * places->pitch + left);
    places->down[k] = isInside ? row - (double)(top - 1) : 0;
    places->right[k] = isInside ? column - (double)(left - 1) : 0;
    places->weight[k] = read_float(&in[2], place * pixels + p);
  }
}

static void interpolate(const double *restrict plane, const struct places *places, double *restrict result) {
  for (int64_t k = 0; k < places->count; ++k) {
    const double *pixel = plane + places->at[k], *below = pixel + places->pitch;
    double down = places->down[k], right = places->right[k];
    result[k] = places->weight[k] * ((1 - down) * ((1 - right) * pixel[0] + right * pixel[1]) + down * ((1 - right) * below[0] + right * below[1]));
  }
}

/* Columns of the channels of one group for one tap. */
static void fill_tap(const onager_view *in, const onager_view *out, const int64_t *params, int64_t group, int64_t tap, const double *planes) {
  int64_t taps = count_taps(in), channels = in[0].dims[1] / params[4], pixels = in[1].dims[2] * in[1].dims[3];
  int64_t planeSize = (in[0].dims[2] + 3) * (in[0].dims[3] + 2);
  struct places places;
  double result[PIXELS];
  for (int64_t first = 0; first < pixels; first += PIXELS) {
    find_places(in, params, group * taps + tap, tap, first, pixels - first < PIXELS ? pixels - first : PIXELS, &places);
    for (int64_t c = 0; c < channels; ++c) {
      interpolate(planes + c * planeSize, &places, result);
      int64_t start = ((group * channels + c) * taps + tap) * pixels + first;
      for (int64_t k = 0; k < places.count; ++k)
        write_float(&out[0], start + k, result[k]);
    }
  }
}

ONAGER_SHARED_KERNEL(deform) {
  int64_t taps = count_taps(in), groups = in[0].dims[0] * params[4], channels = in[0].dims[1] / params[4];
  int64_t planeSize = (in[0].dims[2] + 3) * (in[0].dims[3] + 2), first = share_start(groups * taps, share, shares), last = share_start(groups * taps, share + 1, shares);
  if (planeSize > INT32_MAX)
    return 1;
  double *planes = run->host->allocate(run, (size_t)(channels * planeSize + 1) * sizeof(double));
  if (!planes)
    return 1;
  for (int64_t item = first; item < last; ++item) {
    if (item == first || item % taps == 0)
      pad_planes(&in[0], item / taps * channels, channels, planes);
    fill_tap(in, out, params, item / taps, item % taps, planes);
  }
  run->host->release(run, planes);
  return 0;
}
