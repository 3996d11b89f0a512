/* image_size(stream) -> symbols: height, width                           both fail for what is damaged, too large or of a kind that is not read
 * image_decode(stream) -> [height, width, channels]                      params: the order of channels, enum image_format
 *
 * The readers are those of runtime/images, linked into models that have these kernels. */
#include "runtime/images/images.h"
#include "runtime/ops/ops.h"

ONAGER_KERNEL(image_size) {
  (void)ins, (void)out, (void)outs, (void)params;
  return onager_image_size(run, in[0].data, in[0].dims[0], symbols, symbols + 1);
}

ONAGER_KERNEL(image_decode) {
  (void)ins, (void)outs, (void)symbols;
  return onager_image_decode(run, in[0].data, in[0].dims[0], (enum image_format)params[0], out[0].data, out[0].dims[0], out[0].dims[1]);
}
