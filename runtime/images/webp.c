/* WebP, lossy and lossless, by libwebp: transparency is dropped. Animations are not read. */
#include "runtime/images/images.h"
#include <webp/decode.h>

int is_webp(const struct image *image) {
  return image->bytes >= 12 && !__builtin_memcmp(image->data, "RIFF", 4) && !__builtin_memcmp(image->data + 8, "WEBP", 4);
}

void read_webp(struct image *image) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(image->data, image->bytes, &features) != VP8_STATUS_OK || features.has_animation || features.height <= 0 || features.width <= 0)
    image_fail();
  if (!image_begin(image, (uint64_t)features.height, (uint64_t)features.width))
    return;
  size_t row = (size_t)image->width * 3;
  if (row > INT32_MAX || !WebPDecodeRGBInto(image->data, image->bytes, image->pixels, row * (size_t)image->height, (int)row))
    image_fail();
}
