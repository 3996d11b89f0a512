/* Windows and OS/2 bitmaps: 1, 4 and 8 bits with a palette, plain or by runs; 16, 24 and 32 bits, with or without masks. */
#include "runtime/images/images.h"

enum { FILE_HEADER = 14, PLAIN = 0, RUNS_OF_8 = 1, RUNS_OF_4 = 2, MASKED = 3, MASKED_WITH_ALPHA = 6 };

struct bitmap {
  struct image *image;
  uint32_t bits, compression, colours;
  const unsigned char *palette; /* colours of `entry` bytes: blue, green, red */
  size_t entry;
  const unsigned char *at, *end; /* the samples */
  int is_top_down;
  uint32_t masks[3]; /* red, green, blue */
};

static uint32_t get16(const unsigned char *p) { return p[0] | (uint32_t)p[1] << 8; }
static uint32_t get32(const unsigned char *p) { return get16(p) | get16(p + 2) << 16; }

int is_bmp(const struct image *image) { return image->bytes >= FILE_HEADER + 12 && image->data[0] == 'B' && image->data[1] == 'M'; }

static unsigned char *pixel(const struct bitmap *b, int64_t y, int64_t x) {
  int64_t row = b->is_top_down ? y : b->image->height - 1 - y;
  return b->image->pixels + (row * b->image->width + x) * 3;
}

/* Blue, green, red. */
static void put_bytes(const struct bitmap *b, int64_t y, int64_t x, const unsigned char *colour) {
  unsigned char *target = pixel(b, y, x);
  target[0] = colour[2], target[1] = colour[1], target[2] = colour[0];
}

static void put_colour(const struct bitmap *b, int64_t y, int64_t x, uint32_t index) {
  if (index >= b->colours)
    image_fail();
  put_bytes(b, y, x, b->palette + index * b->entry);
}

/* The bits of a mask, stretched to 8. */
static unsigned char stretch(uint32_t value, uint32_t mask) {
  if (!mask)
    return 0;
  int shift = __builtin_ctz(mask);
  uint64_t most = mask >> shift;
  return (unsigned char)(((uint64_t)((value & mask) >> shift) * 255 + most / 2) / most);
}

static void put_masked(const struct bitmap *b, int64_t y, int64_t x, uint32_t value) {
  unsigned char *target = pixel(b, y, x);
  for (int c = 0; c < 3; ++c)
    target[c] = stretch(value, b->masks[c]);
}

static void read_rows(struct bitmap *b) {
  for (int64_t y = 0; y < b->image->height; ++y) {
    for (int64_t x = 0; x < b->image->width; ++x) {
      const unsigned char *p = b->at + x * b->bits / 8;
      if (b->bits <= 8)
        put_colour(b, y, x, *p >> (8 - b->bits - x * b->bits % 8) & ((1u << b->bits) - 1));
      else if (b->bits == 24)
        put_bytes(b, y, x, p);
      else
        put_masked(b, y, x, b->bits == 16 ? get16(p) : get32(p));
    }
    b->at += (b->image->width * b->bits + 31) / 32 * 4;
  }
}

/* `count` pixels that alternate between the halves of a byte, or repeat it; what passes the end of a row is dropped. */
static void put_run(struct bitmap *b, int64_t y, int64_t x, uint32_t count, uint32_t value) {
  for (uint32_t k = 0; k < count && x + k < b->image->width; ++k)
    put_colour(b, y, x + k, b->bits == 8 ? value : k % 2 ? value & 15 : value >> 4);
}

/* `count` pixels as they are, padded to two bytes. */
static void copy_run(struct bitmap *b, int64_t y, int64_t x, uint32_t count) {
  size_t bytes = b->bits == 8 ? count : (count + 1) / 2, padded = (bytes + 1) & ~(size_t)1;
  if (padded > (size_t)(b->end - b->at))
    image_fail();
  for (uint32_t k = 0; k < count && x + k < b->image->width; ++k)
    put_colour(b, y, x + k, b->bits == 8 ? b->at[k] : b->at[k / 2] >> (k % 2 ? 0 : 4) & 15u);
  b->at += padded;
}

static void read_runs(struct bitmap *b) {
  for (int64_t y = 0; y < b->image->height; ++y) /* pixels that no run covers have the first colour */
    for (int64_t x = 0; x < b->image->width; ++x)
      put_colour(b, y, x, 0);
  for (int64_t y = 0, x = 0;;) {
    if (b->end - b->at < 2)
      image_fail();
    uint32_t count = *b->at++, value = *b->at++;
    if (!count && value == 1)
      return;
    if (!count && value == 2 && b->end - b->at < 2)
      image_fail();
    if (!count && value == 0)
      ++y, x = 0;
    else if (!count && value == 2)
      x += *b->at++, y += *b->at++;
    else if (y >= b->image->height)
      image_fail();
    else if (count)
      put_run(b, y, x, count, value), x += count;
    else
      copy_run(b, y, x, value), x += value;
  }
}

/* The masks behind or in a header of `header` bytes, or those of files without any. */
static void read_masks(struct bitmap *b, const unsigned char *data, size_t bytes) {
  static const uint32_t usual[2][3] = {{0x7c00, 0x3e0, 0x1f}, {0xff0000, 0xff00, 0xff}};
  int is_masked = b->compression == MASKED || b->compression == MASKED_WITH_ALPHA;
  if (is_masked && bytes < FILE_HEADER + 40 + 12)
    image_fail();
  for (int c = 0; c < 3; ++c)
    b->masks[c] = is_masked ? get32(data + FILE_HEADER + 40 + 4 * c) : usual[b->bits != 16][c];
}

/* Finds the palette, which ends where the samples begin at the latest. */
static void find_palette(struct bitmap *b, const struct image *image, size_t header, size_t start, uint32_t told) {
  size_t at = FILE_HEADER + header, room = start > at ? (start - at) / b->entry : 0, most = (size_t)1 << b->bits;
  b->colours = (uint32_t)(told && told < most ? told : most);
  if (b->colours > room)
    b->colours = (uint32_t)room;
  b->palette = image->data + at;
}

static int is_known(const struct bitmap *b) {
  switch (b->compression) {
  case PLAIN:
    return b->bits == 1 || b->bits == 4 || b->bits == 8 || b->bits == 16 || b->bits == 24 || b->bits == 32;
  case RUNS_OF_8:
  case RUNS_OF_4:
    return b->bits == (b->compression == RUNS_OF_8 ? 8 : 4) && !b->is_top_down;
  case MASKED:
  case MASKED_WITH_ALPHA:
    return b->bits == 16 || b->bits == 32;
  default:
    return 0;
  }
}

void read_bmp(struct image *image) {
  const unsigned char *data = image->data;
  size_t start = get32(data + 10), header = get32(data + FILE_HEADER), is_old = header == 12;
  if ((!is_old && header < 40) || header > image->bytes - FILE_HEADER || start > image->bytes)
    image_fail();
  int64_t width = is_old ? (int32_t)get16(data + 18) : (int32_t)get32(data + 18);
  int64_t height = is_old ? (int32_t)get16(data + 20) : (int32_t)get32(data + 22);
  struct bitmap b = {.image = image, .bits = get16(data + (is_old ? 24 : 28)), .compression = is_old ? PLAIN : get32(data + 30), .entry = is_old ? 3 : 4,
                     .at = data + start, .end = data + image->bytes, .is_top_down = height < 0};
  if (!is_known(&b) || width <= 0)
    image_fail();
  int is_wanted = image_begin(image, (uint64_t)(height < 0 ? -height : height), (uint64_t)width);
  int has_runs = b.compression == RUNS_OF_8 || b.compression == RUNS_OF_4;
  uint64_t row = ((uint64_t)width * b.bits + 31) / 32 * 4;
  if (!has_runs && row * (uint64_t)image->height > image->bytes - start)
    image_fail();
  if (!is_wanted)
    return;
  if (b.bits <= 8)
    find_palette(&b, image, header, start, is_old ? 0 : get32(data + 46));
  read_masks(&b, data, image->bytes);
  if (has_runs)
    read_runs(&b);
  else
    read_rows(&b);
}
