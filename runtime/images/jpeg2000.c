/* JPEG 2000, a file or a bare codestream, by OpenJPEG: samples of any depth become 8 bits, what is subsampled is repeated, transparency is dropped. */
#include "runtime/images/images.h"
#include <openjpeg.h>

static const unsigned char signature[] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', '\r', '\n', 0x87, '\n'}, codestream[] = {0xff, 0x4f, 0xff, 0x51};

static int begins_with(const struct image *image, const unsigned char *start, size_t bytes) {
  return image->bytes >= bytes && !__builtin_memcmp(image->data, start, bytes);
}

int is_jpeg2000(const struct image *image) { return begins_with(image, signature, sizeof signature) || begins_with(image, codestream, sizeof codestream); }

struct source {
  const unsigned char *data;
  size_t bytes, at;
};

static OPJ_SIZE_T read_bytes(void *target, OPJ_SIZE_T bytes, void *user) {
  struct source *source = user;
  size_t rest = source->bytes - source->at, taken = bytes < rest ? bytes : rest;
  __builtin_memcpy(target, source->data + source->at, taken);
  source->at += taken;
  return taken ? taken : (OPJ_SIZE_T)-1;
}

static OPJ_BOOL seek_bytes(OPJ_OFF_T to, void *user) {
  struct source *source = user;
  if (to < 0 || (size_t)to > source->bytes)
    return OPJ_FALSE;
  source->at = (size_t)to;
  return OPJ_TRUE;
}

static OPJ_OFF_T skip_bytes(OPJ_OFF_T by, void *user) {
  struct source *source = user;
  OPJ_OFF_T to;
  return !__builtin_add_overflow((OPJ_OFF_T)source->at, by, &to) && seek_bytes(to, user) ? by : -1;
}

static opj_stream_t *open_stream(struct source *source) {
  opj_stream_t *stream = opj_stream_create((size_t)1 << 16, OPJ_TRUE);
  if (!stream)
    image_fail();
  opj_stream_set_user_data(stream, source, 0);
  opj_stream_set_user_data_length(stream, source->bytes);
  opj_stream_set_read_function(stream, read_bytes);
  opj_stream_set_skip_function(stream, skip_bytes);
  opj_stream_set_seek_function(stream, seek_bytes);
  return stream;
}

/* A sample as 8 bits, for the pixel at (y, x). */
static int read_sample(const opj_image_t *decoded, const opj_image_comp_t *plane, int64_t y, int64_t x) {
  int64_t row = (y + decoded->y0) / plane->dy - plane->y0, column = (x + decoded->x0) / plane->dx - plane->x0;
  row = row < 0 ? 0 : row >= plane->h ? plane->h - 1 : row;
  column = column < 0 ? 0 : column >= plane->w ? plane->w - 1 : column;
  int64_t value = plane->data[row * plane->w + column] + (plane->sgnd ? (int64_t)1 << (plane->prec - 1) : 0);
  int shift = (int)plane->prec - 8;
  value = shift > 0 ? (value + ((int64_t)1 << (shift - 1))) >> shift : value * (1 << -shift);
  return value < 0 ? 0 : value > 255 ? 255 : (int)value;
}

static unsigned char to_byte(double value) { return value <= 0 ? 0 : value >= 255 ? 255 : (unsigned char)(value + 0.5); }

static void mix_luma(unsigned char *target, double luma, double blue, double red) {
  target[0] = to_byte(luma + 1.402 * red);
  target[1] = to_byte(luma - 0.344136 * blue - 0.714136 * red);
  target[2] = to_byte(luma + 1.772 * blue);
}

static int has_luma(const opj_image_t *decoded) {
  return decoded->color_space == OPJ_CLRSPC_SYCC || decoded->color_space == OPJ_CLRSPC_EYCC ||
         (decoded->color_space != OPJ_CLRSPC_SRGB && decoded->comps[1].dx > decoded->comps[0].dx);
}

static void write_pixels(const opj_image_t *decoded, struct image *image) {
  const opj_image_comp_t *planes = decoded->comps;
  int is_grey = decoded->numcomps < 3, is_luma = !is_grey && has_luma(decoded);
  unsigned char *target = image->pixels;
  for (int64_t y = 0; y < image->height; ++y)
    for (int64_t x = 0; x < image->width; ++x, target += 3) {
      for (int c = 0; c < 3; ++c)
        target[c] = (unsigned char)read_sample(decoded, planes + (is_grey ? 0 : c), y, x);
      if (is_luma)
        mix_luma(target, target[0], target[1] - 128.0, target[2] - 128.0);
    }
}

static void check_planes(const opj_image_t *decoded) {
  if (!decoded->numcomps || decoded->numcomps > 4 || decoded->color_space == OPJ_CLRSPC_CMYK)
    image_fail();
  for (uint32_t c = 0; c < decoded->numcomps; ++c) {
    const opj_image_comp_t *plane = decoded->comps + c;
    if (!plane->data || !plane->w || !plane->h || !plane->dx || !plane->dy || plane->prec < 1 || plane->prec > 31)
      image_fail();
  }
}

void read_jpeg2000(struct image *image) {
  struct source source = {image->data, image->bytes, 0};
  opj_stream_t *stream = open_stream(&source);
  opj_codec_t *codec = opj_create_decompress(begins_with(image, codestream, sizeof codestream) ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  opj_image_t *decoded = 0;
  if (!codec || !opj_setup_decoder(codec, &parameters) || !opj_read_header(stream, codec, &decoded) || decoded->x1 <= decoded->x0 || decoded->y1 <= decoded->y0)
    image_fail();
  if (image_begin(image, decoded->y1 - decoded->y0, decoded->x1 - decoded->x0)) {
    if (!opj_decode(codec, stream, decoded) || !opj_end_decompress(codec, stream))
      image_fail();
    check_planes(decoded);
    write_pixels(decoded, image);
  }
}
