/* Which of libjpeg-turbo's routines in assembly are used: those of SSE2, which every x86-64 has, for the default way of decoding. It replaces the library's
 * own choice, which keeps what the processor can do in a variable of each thread, and so needs the loader.
 */
#include "runtime/images/images.h"
#include <stdio.h>

#include <jpeglib.h>

/* libjpeg-turbo's. */
void jsimd_h2v1_fancy_upsample_sse2(int factor, JDIMENSION width, JSAMPARRAY in, JSAMPARRAY *out);
void jsimd_h2v2_fancy_upsample_sse2(int factor, JDIMENSION width, JSAMPARRAY in, JSAMPARRAY *out);
void jsimd_idct_islow_sse2(void *table, JCOEFPTR block, JSAMPARRAY out, JDIMENSION column);
void jsimd_ycc_rgb_convert_sse2(JDIMENSION width, JSAMPIMAGE in, JDIMENSION row, JSAMPARRAY out, int rows);

/* A routine that is not used. */
#define ABSENT(name)                                                                                                                                 \
  int jsimd_can_##name(void) { return 0; }                                                                                                           \
  void jsimd_##name(void) { image_fail(); }
ABSENT(convsamp)
ABSENT(convsamp_float)
ABSENT(encode_mcu_AC_first_prepare)
ABSENT(encode_mcu_AC_refine_prepare)
ABSENT(fdct_float)
ABSENT(fdct_ifast)
ABSENT(fdct_islow)
ABSENT(h2v1_downsample)
ABSENT(h2v1_merged_upsample)
ABSENT(h2v1_upsample)
ABSENT(h2v2_downsample)
ABSENT(h2v2_merged_upsample)
ABSENT(h2v2_upsample)
ABSENT(huff_encode_one_block)
ABSENT(idct_2x2)
ABSENT(idct_4x4)
ABSENT(idct_float)
ABSENT(idct_ifast)
ABSENT(quantize)
ABSENT(quantize_float)
ABSENT(rgb_gray)
ABSENT(rgb_ycc)
ABSENT(ycc_rgb565)
void jsimd_rgb_gray_convert(void) { image_fail(); }
void jsimd_rgb_ycc_convert(void) { image_fail(); }
void jsimd_ycc_rgb565_convert(void) { image_fail(); }

int jsimd_can_h2v1_fancy_upsample(void) { return 1; }
int jsimd_can_h2v2_fancy_upsample(void) { return 1; }
int jsimd_can_idct_islow(void) { return 1; }
int jsimd_can_ycc_rgb(void) { return 1; }

void jsimd_h2v1_fancy_upsample(j_decompress_ptr jpeg, jpeg_component_info *plane, JSAMPARRAY in, JSAMPARRAY *out) {
  jsimd_h2v1_fancy_upsample_sse2(jpeg->max_v_samp_factor, plane->downsampled_width, in, out);
}

void jsimd_h2v2_fancy_upsample(j_decompress_ptr jpeg, jpeg_component_info *plane, JSAMPARRAY in, JSAMPARRAY *out) {
  jsimd_h2v2_fancy_upsample_sse2(jpeg->max_v_samp_factor, plane->downsampled_width, in, out);
}

void jsimd_idct_islow(j_decompress_ptr jpeg, jpeg_component_info *plane, JCOEFPTR block, JSAMPARRAY out, JDIMENSION column) {
  (void)jpeg;
  jsimd_idct_islow_sse2(plane->dct_table, block, out, column);
}

/* To RGB: no other order is asked for. */
void jsimd_ycc_rgb_convert(j_decompress_ptr jpeg, JSAMPIMAGE in, JDIMENSION row, JSAMPARRAY out, int rows) {
  jsimd_ycc_rgb_convert_sse2(jpeg->output_width, in, row, out, rows);
}
