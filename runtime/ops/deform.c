/* deform(x [N, C, H, W], offset [N, groups * taps * 2, h, w], mask [N, groups * taps, h, w], extents [4] i64: kh, kw, pads before (2))
 *   -> y [N, parts, h * w, taps * C / parts]; taps are kh * kw; params: strides (2), dilations (2), groups, parts.
 *
 * The windows of a deformable convolution: element (part, pixel, tap, c) is x's channel c of the part at the tap's place moved by its offset (row, column),
 * between four pixels, which are 0 outside of x, times the mask. Channels share the offsets of their group. f32 or f64; interpolates in f64.
 * Shares take taps of groups. A group's channels lie side by side in memory, by LANES of them, so that a place is found once for all and read in whole
 * vectors: [blocks of channels, H + 3, W + 2, LANES], with zeros around the pixels and two rows of them below, where places outside of x point to. */
#include "runtime/ops/ops.h"

enum { PIXELS = 128, LANES = 8 };
typedef double lanes __attribute__((vector_size(LANES * sizeof(double)), aligned(sizeof(double)), may_alias));
typedef float short_lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

/* Where some output pixels read: the first of four pixels in a plane, and the shares of the four: it, the next, those below. */
struct places {
  int64_t count, pitch;
  int32_t at[PIXELS];
  double shares[PIXELS][4];
};

static int64_t count_taps(const onager_view *in) {
  const int64_t *extents = in[3].data;
  return extents[0] * extents[1];
}

static int64_t count_plane(const onager_view *x) { return (x->dims[2] + 3) * (x->dims[3] + 2); }

/* Puts the channels of one group, from `first` on, side by side with zeros around them and behind the last. */
static void pad_planes(const onager_view *x, int64_t first, int64_t channels, double *planes) {
  int64_t height = x->dims[2], width = x->dims[3];
  for (int64_t c = 0; c < channels; c += LANES)
    for (int64_t row = -1; row < height + 2; ++row)
      for (int64_t column = -1; column < width + 1; ++column, planes += LANES) {
        int isInside = row >= 0 && row < height && column >= 0 && column < width;
        for (int64_t lane = 0; lane < LANES; ++lane)
          planes[lane] = isInside && c + lane < channels ? read_float(x, ((first + c + lane) * height + row) * width + column) : 0;
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
    double down = isInside ? row - (double)(top - 1) : 0, right = isInside ? column - (double)(left - 1) : 0, weight = read_float(&in[2], place * pixels + p);
    places->shares[k][0] = weight * (1 - down) * (1 - right);
    places->shares[k][1] = weight * (1 - down) * right;
    places->shares[k][2] = weight * down * (1 - right);
    places->shares[k][3] = weight * down * right;
  }
}

/* Writes LANES channels from `first` on, of `count` in all, of one tap of window number `pixel`. */
static void write_lanes(const onager_view *out, lanes values, int64_t first, int64_t count, int64_t image, int64_t pixel, int64_t tap, int64_t taps) {
  int64_t parts = out->dims[1], pixels = out->dims[2], channels = out->dims[3] / taps;
  for (int64_t lane = 0; lane < LANES && first + lane < count; ++lane) {
    int64_t part = (first + lane) / channels, at = (((image * parts + part) * pixels + pixel) * taps + tap) * channels + (first + lane) % channels;
    if (lane == 0 && first + LANES <= count && first % channels + LANES <= channels) {
      if (out->dtype == 11)
        *(lanes *)((double *)out->data + at) = values;
      else
        *(short_lanes *)((float *)out->data + at) = __builtin_convertvector(values, short_lanes);
      return;
    }
    write_float(out, at, values[lane]);
  }
}

/* One tap of all windows, for the channels of a group. */
static void fill_tap(const onager_view *in, const onager_view *out, const int64_t *params, int64_t group, int64_t tap, const double *planes) {
  int64_t taps = count_taps(in), channels = in[0].dims[1] / params[4], pixels = in[1].dims[2] * in[1].dims[3];
  int64_t image = group / params[4], firstChannel = group % params[4] * channels, size = count_plane(&in[0]);
  struct places places;
  for (int64_t first = 0; first < pixels; first += PIXELS) {
    find_places(in, params, group * taps + tap, tap, first, pixels - first < PIXELS ? pixels - first : PIXELS, &places);
    for (int64_t c = 0; c < channels; c += LANES)
      for (int64_t k = 0; k < places.count; ++k) {
        const lanes *pixel = (const lanes *)(planes + (c * size + places.at[k] * (int64_t)LANES)), *below = pixel + places.pitch;
        const double *shares = places.shares[k];
        lanes sum = shares[0] * pixel[0] + shares[1] * pixel[1] + (shares[2] * below[0] + shares[3] * below[1]);
        write_lanes(out, sum, firstChannel + c, firstChannel + channels, image, first + k, tap, taps);
      }
  }
}

ONAGER_SHARED_KERNEL(deform) {
  int64_t taps = count_taps(in), groups = in[0].dims[0] * params[4], channels = in[0].dims[1] / params[4], blocks = (channels + LANES - 1) / LANES;
  int64_t planeSize = count_plane(&in[0]), first = share_start(groups * taps, share, shares), last = share_start(groups * taps, share + 1, shares);
  if (planeSize > INT32_MAX)
    return 1;
  double *planes = run->host->allocate(run, (size_t)(blocks * planeSize * LANES + 1) * sizeof(double));
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
