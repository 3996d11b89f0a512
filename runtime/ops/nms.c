/* nms(boxes [B, N, 4], scores [B, C, N], most i64, overlap f32, threshold f32) -> [count, 3] i64; params: center_point_box; binds count.
 *
 * Per class, boxes are tried from the highest score down, equal scores in order of their index, and kept where none of those that are kept already
 * overlaps them. Corners of the kept ones lie one dim behind the other, so that a box is compared with many of them at once. */
#include "runtime/ops/ops.h"

#define KEY uint32_t
#define ENTRY uint64_t
#define NAMED(name) narrow_##name
#include "runtime/ops/keys.h"

struct box {
  float low[2], high[2], area;
};

/* Corners of a box: y1, x1, y2, x2 in any order, or center and size. */
static struct box get_box(const float *numbers, int64_t centered) {
  struct box box;
  for (int k = 0; k < 2; ++k) {
    if (centered) {
      box.low[k] = numbers[1 - k] - numbers[3 - k] / 2;
      box.high[k] = numbers[1 - k] + numbers[3 - k] / 2;
    } else {
      box.low[k] = numbers[k] < numbers[k + 2] ? numbers[k] : numbers[k + 2];
      box.high[k] = numbers[k] < numbers[k + 2] ? numbers[k + 2] : numbers[k];
    }
  }
  box.area = (box.high[0] - box.low[0]) * (box.high[1] - box.low[1]);
  return box;
}

/* Kept boxes, in `room` places. */
struct kept {
  float *top, *left, *bottom, *right, *area;
  int64_t count;
};

static void keep(struct kept *kept, struct box box) {
  kept->top[kept->count] = box.low[0];
  kept->left[kept->count] = box.low[1];
  kept->bottom[kept->count] = box.high[0];
  kept->right[kept->count] = box.high[1];
  kept->area[kept->count++] = box.area;
}

/* Whether one of the kept boxes [first, last) overlaps. */
static int overlaps_any(const struct kept *kept, int64_t first, int64_t last, struct box box, float limit) {
  int found = 0;
  for (int64_t k = first; k < last; ++k) {
    float top = box.low[0] > kept->top[k] ? box.low[0] : kept->top[k], bottom = box.high[0] < kept->bottom[k] ? box.high[0] : kept->bottom[k];
    float left = box.low[1] > kept->left[k] ? box.low[1] : kept->left[k], right = box.high[1] < kept->right[k] ? box.high[1] : kept->right[k];
    float height = bottom - top, width = right - left, common = height * width;
    int meets = !(height <= 0) & !(width <= 0) & !(box.area <= 0) & !(kept->area[k] <= 0);
    found |= meets & (common / (box.area + kept->area[k] - common) > limit);
  }
  return found;
}

static int is_suppressed(const struct kept *kept, struct box box, float limit) {
  enum { block = 32 };
  for (int64_t first = 0; first < kept->count; first += block)
    if (overlaps_any(kept, first, kept->count - first < block ? kept->count : first + block, box, limit))
      return 1;
  return 0;
}

/* Fills `entries` with the boxes above the threshold, best first, and returns their number; `scratch` has room for as many. */
static int64_t rank_boxes(const float *scores, int64_t n, float threshold, uint64_t *entries, uint64_t *scratch) {
  int64_t count = 0;
  for (int64_t k = 0; k < n; ++k)
    if (scores[k] > threshold) {
      uint32_t key;
      narrow_read_keys((const char *)(scores + k), sizeof(float), 1, 1, 1, 0, ~0u, &key);
      entries[count++] = narrow_make_entry(key, k);
    }
  narrow_sort_entries(entries, count, scratch, (int)sizeof(uint32_t));
  return count;
}

/* The boxes of one class; returns how many are kept and writes their indices. */
static int64_t select_boxes(const struct box *boxes, const uint64_t *entries, int64_t candidates, int64_t most, float limit, struct kept *kept, int64_t *indices) {
  kept->count = 0;
  for (int64_t k = 0; k < candidates && kept->count < most; ++k) {
    int64_t index = narrow_entry_index(entries[k]);
    if (is_suppressed(kept, boxes[index], limit))
      continue;
    indices[kept->count] = index;
    keep(kept, boxes[index]);
  }
  return kept->count;
}

ONAGER_KERNEL(nms) {
  (void)ins, (void)outs;
  const float *numbers = in[0].data, *scores = in[1].data, limit = *(const float *)in[3].data, threshold = *(const float *)in[4].data;
  int64_t most = *(const int64_t *)in[2].data, batches = in[1].dims[0], classes = in[1].dims[1], n = in[1].dims[2], count = 0, *result = out[0].data;
  if (in[0].dims[0] != batches || in[0].dims[1] != n || n > UINT32_MAX)
    return 1;
  uint64_t *entries = run->host->allocate(run, (size_t)(n + 1) * (3 * sizeof(uint64_t) + 10 * sizeof(float)));
  if (!entries)
    return 1;
  uint64_t *scratch = entries + n;
  int64_t *indices = (int64_t *)(scratch + n);
  float *corners = (float *)(indices + n);
  struct kept kept = {corners, corners + n, corners + 2 * n, corners + 3 * n, corners + 4 * n, 0};
  struct box *boxes = (struct box *)(corners + 5 * n);
  for (int64_t batch = 0; batch < batches; ++batch) {
    for (int64_t k = 0; k < n; ++k)
      boxes[k] = get_box(numbers + (batch * n + k) * 4, params[0]);
    for (int64_t class = 0; class < classes; ++class) {
      int64_t candidates = rank_boxes(scores + (batch * classes + class) * n, n, threshold, entries, scratch);
      int64_t found = select_boxes(boxes, entries, candidates, most, limit, &kept, indices);
      for (int64_t k = 0; k < found; ++k, ++count) {
        result[3 * count] = batch;
        result[3 * count + 1] = class;
        result[3 * count + 2] = indices[k];
      }
    }
  }
  run->host->release(run, entries);
  symbols[0] = count;
  return 0;
}
