/* nms(boxes [B, N, 4], scores [B, C, N], most i64, overlap f32, threshold f32) -> [count, 3] i64; params: center_point_box; binds count. */
#include "runtime/ops/ops.h"

struct scores {
  const float *values;
};

static int is_better(const void *context, int64_t a, int64_t b) {
  const struct scores *s = context;
  return s->values[a] > s->values[b];
}

/* Corners of a box: y1, x1, y2, x2 in any order, or center and size. */
static void get_corners(const float *box, int64_t centered, float *corners) {
  if (centered) {
    corners[0] = box[1] - box[3] / 2;
    corners[1] = box[0] - box[2] / 2;
    corners[2] = box[1] + box[3] / 2;
    corners[3] = box[0] + box[2] / 2;
    return;
  }
  for (int k = 0; k < 2; ++k) {
    corners[k] = box[k] < box[k + 2] ? box[k] : box[k + 2];
    corners[k + 2] = box[k] < box[k + 2] ? box[k + 2] : box[k];
  }
}

static int overlaps(const float *a, const float *b, int64_t centered, float limit) {
  float p[4], q[4], size[2];
  get_corners(a, centered, p);
  get_corners(b, centered, q);
  for (int k = 0; k < 2; ++k) {
    float low = p[k] > q[k] ? p[k] : q[k], high = p[k + 2] < q[k + 2] ? p[k + 2] : q[k + 2];
    size[k] = high - low;
    if (size[k] <= 0)
      return 0;
  }
  float common = size[0] * size[1], areaP = (p[2] - p[0]) * (p[3] - p[1]), areaQ = (q[2] - q[0]) * (q[3] - q[1]);
  if (areaP <= 0 || areaQ <= 0)
    return 0;
  return common / (areaP + areaQ - common) > limit;
}

ONAGER_KERNEL(nms) {
  (void)ins, (void)outs;
  const float *boxes = in[0].data, *scores = in[1].data, limit = *(const float *)in[3].data, threshold = *(const float *)in[4].data;
  int64_t most = *(const int64_t *)in[2].data, batches = in[1].dims[0], classes = in[1].dims[1], n = in[1].dims[2], count = 0, *result = out[0].data;
  if (in[0].dims[0] != batches || in[0].dims[1] != n)
    return 1;
  int64_t *order = run->host->allocate(run, (size_t)(n + 1) * 2 * sizeof(int64_t));
  if (!order)
    return 1;
  for (int64_t batch = 0; batch < batches; ++batch)
    for (int64_t class = 0; class < classes; ++class) {
      struct scores s = {scores + (batch * classes + class) * n};
      int64_t candidates = 0, start = count;
      for (int64_t k = 0; k < n; ++k)
        if (s.values[k] > threshold)
          order[candidates++] = k;
      sort_indices(order, candidates, order + n + 1, is_better, &s);
      for (int64_t k = 0; k < candidates && count - start < most; ++k) {
        const float *box = boxes + (batch * n + order[k]) * 4;
        int keeps = 1;
        for (int64_t other = start; other < count && keeps; ++other)
          keeps = !overlaps(box, boxes + (batch * n + result[3 * other + 2]) * 4, params[0], limit);
        if (!keeps)
          continue;
        result[3 * count] = batch;
        result[3 * count + 1] = class;
        result[3 * count + 2] = order[k];
        ++count;
      }
    }
  run->host->release(run, order);
  symbols[0] = count;
  return 0;
}
