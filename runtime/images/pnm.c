/* The portable formats of bitmaps, greys and colours, as text and as bytes: P1 to P6. */
#include "runtime/images/images.h"

int is_pnm(const struct image *image) {
  const unsigned char *data = image->data;
  return image->bytes >= 3 && data[0] == 'P' && data[1] >= '1' && data[1] <= '6' && (data[2] == '#' || data[2] == ' ' || (data[2] >= '\t' && data[2] <= '\r'));
}

struct reader {
  const unsigned char *at, *end;
};

static void skip_space(struct reader *r) {
  while (r->at < r->end) {
    if (*r->at == '#')
      while (r->at < r->end && *r->at != '\n' && *r->at != '\r')
        ++r->at;
    else if (*r->at == ' ' || (*r->at >= '\t' && *r->at <= '\r'))
      ++r->at;
    else
      return;
  }
}

static uint32_t read_number(struct reader *r) {
  skip_space(r);
  uint32_t value = 0;
  if (r->at == r->end || *r->at < '0' || *r->at > '9')
    image_fail();
  for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; ++r->at)
    if ((value = value * 10 + (uint32_t)(*r->at - '0')) > INT32_MAX / 16)
      image_fail();
  return value;
}

/* A digit of a bitmap as text: they need no space between them. */
static uint32_t read_digit(struct reader *r) {
  skip_space(r);
  if (r->at == r->end || (*r->at != '0' && *r->at != '1'))
    image_fail();
  return (uint32_t)(*r->at++ - '0');
}

static uint32_t read_sample(struct reader *r, int is_text, uint32_t greatest) {
  if (is_text)
    return read_number(r);
  uint32_t value = *r->at++;
  return greatest > 255 ? value << 8 | *r->at++ : value;
}

static void read_bits(struct reader *r, struct image *image, int is_text) {
  unsigned char *target = image->pixels;
  for (int64_t y = 0; y < image->height; ++y) {
    for (int64_t x = 0; x < image->width; ++x, target += 3) {
      uint32_t bit = is_text ? read_digit(r) : r->at[x / 8] >> (7 - x % 8) & 1u;
      target[0] = target[1] = target[2] = bit ? 0 : 255;
    }
    if (!is_text)
      r->at += (image->width + 7) / 8;
  }
}

static void read_levels(struct reader *r, struct image *image, int is_text, int samples, uint32_t greatest) {
  unsigned char *target = image->pixels;
  if (!is_text && samples == 3 && greatest == 255) {
    __builtin_memcpy(target, r->at, (size_t)(image->height * image->width * 3));
    return;
  }
  for (int64_t k = 0, n = image->height * image->width; k < n; ++k, target += 3) {
    for (int c = 0; c < samples; ++c) {
      uint32_t value = read_sample(r, is_text, greatest);
      target[c] = (unsigned char)(greatest == 255 ? value : ((value > greatest ? greatest : value) * 255 + greatest / 2) / greatest);
      if (value > greatest)
        image_fail();
    }
    if (samples == 1)
      target[1] = target[2] = target[0];
  }
}

void read_pnm(struct image *image) {
  struct reader r = {image->data + 2, image->data + image->bytes};
  int kind = image->data[1] - '0', is_text = kind <= 3, is_bitmap = kind == 1 || kind == 4, samples = kind == 3 || kind == 6 ? 3 : 1;
  uint64_t width = read_number(&r), height = read_number(&r);
  uint32_t greatest = is_bitmap ? 1 : read_number(&r);
  if (!greatest || greatest > 65535)
    image_fail();
  r.at += r.at < r.end; /* one white space ends the header */
  int is_wanted = image_begin(image, height, width);
  uint64_t row = is_bitmap ? (is_text ? width : (width + 7) / 8) : width * (uint64_t)samples * (greatest > 255 && !is_text ? 2 : 1);
  if (row * height > (uint64_t)(r.end - r.at))
    image_fail(); /* text has at least one character for each */
  if (!is_wanted)
    return;
  if (is_bitmap)
    read_bits(&r, image, is_text);
  else
    read_levels(&r, image, is_text, samples, greatest);
}
