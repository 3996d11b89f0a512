/* TIFF, its first page, by libtiff: without compression, packed bits, LZW, deflate, CCITT's, JPEG. Colours under transparency come out as libtiff weighs them.
 *
 * What libtiff takes from the operating system, and its readers of rarer compressions, are replaced here, so that nothing of them is linked.
 */
#include "runtime/images/images.h"
#include <tiffio.h>

int is_tiff(const struct image *image) {
  const unsigned char *data = image->data;
  if (image->bytes < 8)
    return 0;
  return (data[0] == 'I' && data[1] == 'I' && (data[2] == 42 || data[2] == 43) && !data[3]) || (data[0] == 'M' && data[1] == 'M' && !data[2] && (data[3] == 42 || data[3] == 43));
}

struct source {
  const unsigned char *data;
  uint64_t bytes, at;
};

static tmsize_t read_bytes(thandle_t user, void *target, tmsize_t bytes) {
  struct source *source = user;
  uint64_t rest = source->at < source->bytes ? source->bytes - source->at : 0, taken = (uint64_t)bytes < rest ? (uint64_t)bytes : rest;
  __builtin_memcpy(target, source->data + source->at, taken);
  source->at += taken;
  return (tmsize_t)taken;
}

static tmsize_t write_bytes(thandle_t user, void *data, tmsize_t bytes) {
  (void)user, (void)data, (void)bytes;
  return 0;
}

/* Libtiff seeks from the start alone (0), or to the end (2). */
static toff_t seek_bytes(thandle_t user, toff_t to, int origin) {
  struct source *source = user;
  source->at = origin == 0 ? to : origin == 2 ? source->bytes + to : source->at + to;
  return source->at;
}

static int close_source(thandle_t user) {
  (void)user;
  return 0;
}

static toff_t get_size(thandle_t user) { return ((struct source *)user)->bytes; }

static void write_pixels(const uint32_t *raster, struct image *image) {
  unsigned char *target = image->pixels;
  for (int64_t k = 0, n = image->height * image->width; k < n; ++k, target += 3) {
    target[0] = (unsigned char)TIFFGetR(raster[k]);
    target[1] = (unsigned char)TIFFGetG(raster[k]);
    target[2] = (unsigned char)TIFFGetB(raster[k]);
  }
}

void read_tiff(struct image *image) {
  struct source source = {image->data, image->bytes, 0};
  TIFF *tiff = TIFFClientOpen("image", "rm", &source, read_bytes, write_bytes, seek_bytes, close_source, get_size, 0, 0);
  uint32_t height = 0, width = 0;
  if (!tiff || !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height) || !TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width))
    image_fail();
  if (image_begin(image, height, width)) {
    uint32_t *raster = image_need((size_t)height * width * sizeof *raster);
    if (!TIFFReadRGBAImageOriented(tiff, width, height, raster, ORIENTATION_TOPLEFT, /*stop=*/1))
      image_fail();
    write_pixels(raster, image);
  }
  TIFFClose(tiff);
}

static void fail(const char *module, const char *format, va_list values) {
  (void)module, (void)format, (void)values;
  image_fail();
}

TIFFErrorHandler _TIFFerrorHandler = fail, _TIFFwarningHandler = 0;

void *_TIFFmalloc(tmsize_t bytes) { return bytes > 0 ? image_allocate((size_t)bytes) : 0; }

void *_TIFFcalloc(tmsize_t count, tmsize_t bytes) {
  tmsize_t total;
  void *memory = __builtin_mul_overflow(count, bytes, &total) ? 0 : _TIFFmalloc(total);
  if (memory)
    __builtin_memset(memory, 0, (size_t)total);
  return memory;
}

void *_TIFFrealloc(void *memory, tmsize_t bytes) { return image_resize(memory, (size_t)bytes); }
void _TIFFfree(void *memory) { image_release(memory); }
void _TIFFmemset(void *target, int value, tmsize_t bytes) { __builtin_memset(target, value, (size_t)bytes); }
void _TIFFmemcpy(void *target, const void *source, tmsize_t bytes) { __builtin_memcpy(target, source, (size_t)bytes); }
int _TIFFmemcmp(const void *a, const void *b, tmsize_t bytes) { return __builtin_memcmp(a, b, (size_t)bytes); }

/* Makes the reader of a compression that is not linked. */
#define ABSENT_READER(name)                                                                                                                          \
  int TIFFInit##name(TIFF *tiff, int scheme);                                                                                                        \
  int TIFFInit##name(TIFF *tiff, int scheme) {                                                                                                       \
    (void)tiff, (void)scheme;                                                                                                                        \
    image_fail();                                                                                                                                    \
  }
ABSENT_READER(JBIG)
ABSENT_READER(LERC)
ABSENT_READER(LZMA)
ABSENT_READER(NeXT)
ABSENT_READER(OJPEG)
ABSENT_READER(PixarLog)
ABSENT_READER(SGILog)
ABSENT_READER(ThunderScan)
ABSENT_READER(WebP)
ABSENT_READER(ZSTD)
