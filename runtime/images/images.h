/* Reads encoded images to pixels of three bytes: red, green, blue.
 *
 * A job is one call of the two functions at the end. Everything that readers and the libraries behind them allocate belongs to it: a reader that finds damage
 * leaves by image_fail from wherever it is, and the job gives all memory back.
 */
#ifndef ONAGER_RUNTIME_IMAGES_IMAGES_H
#define ONAGER_RUNTIME_IMAGES_IMAGES_H

#include "onager-rt/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An image of more pixels is refused. */
#define IMAGE_MAX_PIXELS 178956970

enum image_format { IMAGE_RGB, IMAGE_BGR, IMAGE_GRAYSCALE };

struct image {
  const unsigned char *data; /* the encoded stream */
  size_t bytes;
  int64_t height, width; /* what the caller expects while pixels are read */
  unsigned char *pixels; /* [height, width, 3]; NULL where only the size is asked for */
};

/* Ends the job: the image is damaged, too large or of a kind that is not read. */
__attribute__((noreturn)) void image_fail(void);

/* States what size the header tells; nonzero where the pixels are wanted, too. */
int image_begin(struct image *image, uint64_t height, uint64_t width);

/* Memory of the job, aligned to 64 bytes. NULL where there is none, or where the job has taken all that an image of its size may. */
void *image_allocate(size_t bytes);
void *image_resize(void *memory, size_t bytes);
void image_release(void *memory);
/* The same, but ends the job instead of returning NULL. */
void *image_need(size_t bytes);

/* x to the power of y. */
double image_power(double x, double y);

/* One for each family of formats: whether the stream begins as one of them does, and reading it. */
int is_bmp(const struct image *image);
int is_jpeg(const struct image *image);
int is_jpeg2000(const struct image *image);
int is_png(const struct image *image);
int is_pnm(const struct image *image);
int is_tiff(const struct image *image);
int is_webp(const struct image *image);
void read_bmp(struct image *image);
void read_jpeg(struct image *image);
void read_jpeg2000(struct image *image);
void read_png(struct image *image);
void read_pnm(struct image *image);
void read_tiff(struct image *image);
void read_webp(struct image *image);

/* The size that an encoded image tells. Returns 0, or 1 where it cannot be read. */
int32_t onager_image_size(onager_run *run, const void *data, int64_t bytes, int64_t *height, int64_t *width);

/* Decodes to [height, width, 3] bytes, [height, width, 1] as IMAGE_GRAYSCALE. Returns 0, or 1 where it cannot be read or is of another size. */
int32_t onager_image_decode(onager_run *run, const void *data, int64_t bytes, enum image_format format, unsigned char *out, int64_t height, int64_t width);

#ifdef __cplusplus
}
#endif

#endif
