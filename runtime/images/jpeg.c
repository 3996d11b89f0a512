/* JPEG, by libjpeg-turbo as it is by default: exact integer transform, smooth upsampling of colours. */
#include "runtime/images/images.h"
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

int is_jpeg(const struct image *image) { return image->bytes >= 3 && image->data[0] == 0xff && image->data[1] == 0xd8 && image->data[2] == 0xff; }

static void fail(j_common_ptr info) {
  (void)info;
  image_fail();
}

static void ignore(j_common_ptr info) { (void)info; }

/* Warnings of damaged data end the job; -1 is the level of warnings. */
static void judge(j_common_ptr info, int level) {
  int code = info->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE))
    image_fail();
}

/* Each scan of a small file may cost as much as a whole image. */
enum { MOST_SCANS = 500 };

static void limit_scans(j_common_ptr info) {
  if (((j_decompress_ptr)info)->input_scan_number > MOST_SCANS)
    image_fail();
}

/* Four inks to three colours, in place; Adobe's files have them inverted. */
static void mix_inks(unsigned char *target, const unsigned char *inks, size_t pixels, int is_inverted) {
  for (size_t k = 0; k < pixels; ++k)
    for (size_t c = 0; c < 3; ++c) {
      unsigned ink = inks[4 * k + c], black = inks[4 * k + 3];
      target[3 * k + c] = (unsigned char)((is_inverted ? ink * black : (255 - ink) * (255 - black)) / 255);
    }
}

static void read_rows(struct jpeg_decompress_struct *jpeg, struct image *image) {
  size_t width = (size_t)image->width;
  int has_inks = jpeg->out_color_space == JCS_CMYK;
  unsigned char *inks = has_inks ? image_need(width * 4) : 0;
  while (jpeg->output_scanline < jpeg->output_height) {
    unsigned char *target = image->pixels + (size_t)jpeg->output_scanline * width * 3, *row = has_inks ? inks : target;
    if (jpeg_read_scanlines(jpeg, &row, 1) != 1)
      image_fail();
    if (has_inks)
      mix_inks(target, inks, width, jpeg->saw_Adobe_marker);
  }
}

void read_jpeg(struct image *image) {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress = {.progress_monitor = limit_scans};
  jpeg.err = jpeg_std_error(&errors);
  errors.error_exit = fail, errors.output_message = ignore, errors.emit_message = judge;
  jpeg_create_decompress(&jpeg);
  jpeg.progress = &progress;
  jpeg_mem_src(&jpeg, image->data, image->bytes);
  jpeg_read_header(&jpeg, TRUE);
  if (!image_begin(image, jpeg.image_height, jpeg.image_width))
    return;
  jpeg.out_color_space = jpeg.num_components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&jpeg);
  read_rows(&jpeg, image);
  jpeg_finish_decompress(&jpeg);
}
