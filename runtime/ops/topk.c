/* topk(x) -> values, indices; params: axis, largest, sorted. Equal elements in order of their index. Shares take lines along the axis.
 *
 * Elements become entries (keys.h), whose order is that of the result. Where k is the whole line they are sorted; else a heap keeps the k first ones,
 * and few of the others are below its root. Lines that lie side by side are read together. */
#include "runtime/ops/ops.h"

enum { MOST_LANES = 16 };

struct lines {
  int64_t extent, inner, k;
  size_t step, bytes; /* from one element of a line to the next, and of an element */
  int32_t dtype;
  int largest;
};

#define KEY uint32_t
#define ENTRY uint64_t
#define NAMED(name) narrow_##name
#include "runtime/ops/keys.h"
#include "runtime/ops/select.h"
#undef KEY
#undef ENTRY
#undef NAMED

#define KEY uint64_t
#define ENTRY unsigned __int128
#define NAMED(name) wide_##name
#include "runtime/ops/keys.h"
#include "runtime/ops/select.h"

ONAGER_SHARED_KERNEL(topk) {
  int32_t axis = (int32_t)params[0], rank = in[0].rank;
  size_t bytes = element_bytes(in[0].dtype);
  int64_t inner = product(in[0].dims, axis + 1, rank), count = product(in[0].dims, 0, axis) * inner, extent = in[0].dims[axis], k = out[0].dims[axis];
  if (k < 0 || k > extent)
    return 1;
  int64_t first = share_start(count, share, shares), last = share_start(count, share + 1, shares), most = (1 << 16) / (k + 1) + 1;
  if (k == 0 || first == last)
    return 0;
  struct lines lines = {extent, inner, k, (size_t)inner * bytes, bytes, in[0].dtype, params[1] != 0};
  int64_t lanes = inner < MOST_LANES ? inner : MOST_LANES;
  lanes = lanes < most ? lanes : most;
  int isNarrow = bytes <= 4 && extent <= UINT32_MAX;
  void *room = run->host->allocate(run, (size_t)((lanes + 1) * k) * 2 * (isNarrow ? sizeof(uint32_t) : sizeof(uint64_t)));
  if (!room)
    return 1;
  if (isNarrow)
    narrow_select_lines(&lines, in, out, first, last, room, lanes);
  else
    wide_select_lines(&lines, in, out, first, last, room, lanes);
  run->host->release(run, room);
  return 0;
}
