/* gather_packed(data [v, bytes] u8, rows [n] i64; format) -> numbers [n, k] f32. Shares take rows; a row that is none of the data's is the first.
 *
 * A row is a run of blocks; formats are numbered as the files of ggml number their types:
 *   0 f32, 1 f16, 30 bf16
 *   2   32 numbers: scale f16, 16 bytes; byte j holds numbers j and j + 16 in 4 bits each, from the low ones up, as q + 8
 *   6   the same with the fifth bits of all numbers in 4 bytes behind the scale, as q + 16
 *   8   32 numbers: scale f16, 32 bytes
 *   13  256 numbers: scale and offset f16, 12 bytes with eight scales and eight offsets of 6 bits, 32 bytes of fifth bits, 128 bytes
 *   14  256 numbers: 128 bytes of 4 bits, 64 bytes of 2 bits above them, 16 scales of 8 bits, scale f16; as q + 32
 *   20  as 2, where 4 bits number a level
 *   23  256 numbers: scale f16, eight scales of 6 bits (2 bytes with the high 2 bits, 4 bytes with the low 4 bits) as s + 32, 128 bytes as in 20 */
#include "runtime/ops/ops.h"

static const signed char kLevels[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static float from_bits(uint32_t bits) {
  union {
    uint32_t bits;
    float number;
  } both = {bits};
  return both.number;
}

static uint32_t read_short(const uint8_t *bytes) { return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8; }

static float read_half(const uint8_t *bytes) {
  uint32_t half = read_short(bytes), sign = (half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;
  if (exponent == 31)
    return from_bits(sign | 0x7f800000 | fraction << 13);
  if (exponent)
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
  float number = (float)fraction * 0x1p-24f;
  return sign ? -number : number;
}

static int low(const uint8_t *bytes, int at) { return bytes[at] & 15; }
static int high(const uint8_t *bytes, int at) { return bytes[at] >> 4; }

static void read_plain(const uint8_t *in, float *out, int64_t format) {
  if (format == 0)
    *out = from_bits(read_short(in) | read_short(in + 2) << 16);
  else
    *out = format == 1 ? read_half(in) : from_bits(read_short(in) << 16);
}

/* Formats 2, 6, 8 and 20. */
static void read_short_block(const uint8_t *in, float *out, int64_t format) {
  float scale = read_half(in);
  const uint8_t *fifth = in + 2, *bytes = in + (format == 6 ? 6 : 2);
  for (int j = 0; j < 32; ++j) {
    int number = j < 16 ? low(bytes, j) : high(bytes, j - 16);
    if (format == 8)
      number = (signed char)bytes[j];
    else if (format == 20)
      number = kLevels[number];
    else
      number = format == 6 ? (number | (fifth[j >> 3] >> (j & 7) & 1) << 4) - 16 : number - 8;
    out[j] = (float)number * scale;
  }
}

static void read_block_13(const uint8_t *in, float *out) {
  float scale = read_half(in), offset = read_half(in + 2);
  const uint8_t *scales = in + 4, *fifth = in + 16, *bytes = in + 48;
  for (int part = 0; part < 8; ++part) {
    int of = part < 4 ? scales[part] & 63 : low(scales, part + 4) | scales[part - 4] >> 6 << 4;
    int least = part < 4 ? scales[part + 4] & 63 : high(scales, part + 4) | scales[part] >> 6 << 4;
    for (int j = 0; j < 32; ++j) {
      int at = part / 2 * 32 + j, number = (part & 1 ? high(bytes, at) : low(bytes, at)) + (fifth[j] >> part & 1) * 16;
      out[part * 32 + j] = scale * (float)of * (float)number - offset * (float)least;
    }
  }
}

static void read_block_14(const uint8_t *in, float *out) {
  const uint8_t *two = in + 128;
  const signed char *scales = (const signed char *)in + 192;
  float scale = read_half(in + 208);
  for (int k = 0; k < 256; ++k) {
    int half = k >> 7, part = k >> 5 & 3, j = k & 31, at = half * 64 + (part & 1) * 32 + j;
    int number = (part < 2 ? low(in, at) : high(in, at)) | (two[half * 32 + j] >> (2 * part) & 3) << 4;
    out[k] = scale * (float)scales[k >> 4] * (float)(number - 32);
  }
}

static void read_block_23(const uint8_t *in, float *out) {
  float scale = read_half(in);
  uint32_t top = read_short(in + 2);
  for (int part = 0; part < 8; ++part) {
    const uint8_t *bytes = in + 8 + part * 16;
    int of = (in[4 + part / 2] >> (part & 1) * 4 & 15) | (int)(top >> (2 * part) & 3) << 4;
    for (int j = 0; j < 32; ++j)
      out[part * 32 + j] = scale * (float)(of - 32) * (float)kLevels[j < 16 ? low(bytes, j) : high(bytes, j - 16)];
  }
}

ONAGER_SHARED_KERNEL(gather_packed) {
  (void)run;
  int64_t format = params[0], numbers = params[1], bytes = params[2], rows = in[1].dims[0], blocks = out[0].dims[1] / numbers;
  int64_t first = share_start(rows, share, shares), last = share_start(rows, share + 1, shares);
  if (rows && !in[0].dims[0])
    return 1;
  for (int64_t row = first; row < last; ++row) {
    int64_t at = ((const int64_t *)in[1].data)[row];
    const uint8_t *from = (const uint8_t *)in[0].data + (at < 0 || at >= in[0].dims[0] ? 0 : at) * in[0].dims[1];
    float *to = (float *)out[0].data + row * out[0].dims[1];
    for (int64_t block = 0; block < blocks; ++block, from += bytes, to += numbers) {
      if (numbers == 1)
        read_plain(from, to, format);
      else if (numbers == 32)
        read_short_block(from, to, format);
      else if (format == 13)
        read_block_13(from, to);
      else if (format == 14)
        read_block_14(from, to);
      else
        read_block_23(from, to);
    }
  }
  return 0;
}
