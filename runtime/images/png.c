/* PNG, by libpng: 16-bit samples lose their lower byte, transparency is dropped. */
#include "runtime/images/images.h"
#include <png.h>

int is_png(const struct image *image) { return image->bytes >= 8 && !png_sig_cmp(image->data, 0, 8); }

static void fail(png_structp png, png_const_charp message) {
  (void)png, (void)message;
  image_fail();
}

static void ignore(png_structp png, png_const_charp message) { (void)png, (void)message; }

static void read_bytes(png_structp png, png_bytep target, size_t bytes) {
  struct image *rest = png_get_io_ptr(png);
  if (bytes > rest->bytes)
    image_fail();
  __builtin_memcpy(target, rest->data, bytes);
  rest->data += bytes, rest->bytes -= bytes;
}

/* A deflated stream is never longer than this times its bytes. */
enum { GREATEST_EXPANSION = 1032 };

void read_png(struct image *image) {
  struct image rest = *image;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, 0, fail, ignore);
  png_infop info = png ? png_create_info_struct(png) : 0;
  if (!info)
    image_fail();
  png_set_user_limits(png, IMAGE_MAX_PIXELS, IMAGE_MAX_PIXELS);
  png_set_read_fn(png, &rest, read_bytes);
  png_read_info(png, info);
  size_t height = png_get_image_height(png, info), width = png_get_image_width(png, info);
  if (png_get_rowbytes(png, info) * height / GREATEST_EXPANSION > image->bytes)
    image_fail();
  if (!image_begin(image, height, width))
    return;
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != width * 3)
    image_fail();
  png_bytepp rows = image_need(height * sizeof *rows);
  for (size_t row = 0; row < height; ++row)
    rows[row] = image->pixels + row * width * 3;
  png_read_image(png, rows);
  png_read_end(png, 0);
  png_destroy_read_struct(&png, &info, 0);
}
