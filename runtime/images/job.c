/* One call: finds the reader, owns the memory, gives the pixels the order that was asked for. */
#include "runtime/images/images.h"

/* In front of each piece of memory. */
struct block {
  struct block *next, *previous;
  size_t bytes;
  char padding[64 - 2 * sizeof(void *) - sizeof(size_t)];
};

struct job {
  onager_run *run;
  struct block blocks; /* the head of a ring */
  size_t left;         /* bytes that may still be taken */
  void *place[5];      /* where image_fail goes */
};

/* The job of this thread. The model needs no function of the loader for it: its place is fixed when the model is loaded. */
static __thread struct job *current __attribute__((tls_model("initial-exec")));

void image_fail(void) { __builtin_longjmp(current->place, 1); }

/* What an image of so many pixels may take: libraries hold up to three 32-bit numbers a pixel, twice. */
static size_t find_budget(int64_t pixels) { return ((size_t)64 << 20) + (size_t)pixels * 48; }

static void link_block(struct block *block, struct block *behind) {
  block->next = behind->next, block->previous = behind;
  behind->next->previous = block, behind->next = block;
}

static void unlink_block(struct block *block) { block->next->previous = block->previous, block->previous->next = block->next; }

void *image_allocate(size_t bytes) {
  size_t total;
  if (__builtin_add_overflow(bytes, sizeof(struct block), &total) || total > current->left)
    return 0;
  struct block *block = current->run->host->allocate(current->run, total);
  if (!block)
    return 0;
  current->left -= total;
  block->bytes = bytes;
  link_block(block, &current->blocks);
  return block + 1;
}

void image_release(void *memory) {
  if (!memory)
    return;
  struct block *block = (struct block *)memory - 1;
  unlink_block(block);
  current->left += block->bytes + sizeof *block;
  current->run->host->release(current->run, block);
}

void *image_resize(void *memory, size_t bytes) {
  void *larger = image_allocate(bytes);
  if (!larger || !memory)
    return larger;
  size_t held = ((struct block *)memory - 1)->bytes;
  __builtin_memcpy(larger, memory, held < bytes ? held : bytes);
  image_release(memory);
  return larger;
}

void *image_need(size_t bytes) {
  void *memory = image_allocate(bytes);
  if (!memory)
    image_fail();
  return memory;
}

double image_power(double x, double y) { return current->run->host->math2[ONAGER_POW](x, y); }

int image_begin(struct image *image, uint64_t height, uint64_t width) {
  uint64_t pixels;
  if (!height || !width || __builtin_mul_overflow(height, width, &pixels) || pixels > IMAGE_MAX_PIXELS)
    image_fail();
  if (!image->pixels) {
    image->height = (int64_t)height, image->width = (int64_t)width;
    return 0;
  }
  if ((int64_t)height != image->height || (int64_t)width != image->width)
    image_fail(); /* the caller changed the stream between the two calls */
  return 1;
}

static void read_any(struct image *image) {
  static const struct {
    int (*is)(const struct image *);
    void (*read)(struct image *);
  } readers[] = {{is_jpeg, read_jpeg}, {is_png, read_png},   {is_webp, read_webp}, {is_jpeg2000, read_jpeg2000},
                 {is_tiff, read_tiff}, {is_bmp, read_bmp}, {is_pnm, read_pnm}};
  for (size_t k = 0; k < sizeof readers / sizeof *readers; ++k)
    if (readers[k].is(image))
      return readers[k].read(image);
  image_fail();
}

/* Swaps the ends of each pixel, or writes its luma (ITU-R 601-2) to `out`. */
static void arrange(const struct image *image, enum image_format format, unsigned char *out) {
  unsigned char *p = image->pixels;
  for (int64_t k = 0, n = image->height * image->width; k < n; ++k, p += 3) {
    unsigned char red = p[0], green = p[1], blue = p[2];
    if (format == IMAGE_BGR)
      p[0] = blue, p[2] = red;
    else
      out[k] = (unsigned char)((red * 19595u + green * 38470u + blue * 7471u + 0x8000u) >> 16);
  }
}

/* Reads in the job of this thread; 1 where it fails. A function of its own: none that calls setjmp keeps variables in registers over it. */
__attribute__((noinline)) static int32_t attempt(struct image *image, enum image_format format, unsigned char *out) {
  if (__builtin_setjmp(current->place))
    return 1;
  if (out)
    image->pixels = format == IMAGE_GRAYSCALE ? image_need((size_t)(image->height * image->width * 3)) : out;
  read_any(image);
  if (out && format != IMAGE_RGB)
    arrange(image, format, out);
  return 0;
}

static int32_t perform(onager_run *run, struct image *image, size_t budget, enum image_format format, unsigned char *out) {
  struct job job = {.run = run, .left = budget};
  job.blocks.next = job.blocks.previous = &job.blocks;
  struct job *outer = current;
  current = &job;
  int32_t status = attempt(image, format, out);
  while (job.blocks.next != &job.blocks)
    image_release(job.blocks.next + 1);
  current = outer;
  return status;
}

int32_t onager_image_size(onager_run *run, const void *data, int64_t bytes, int64_t *height, int64_t *width) {
  struct image image = {.data = data, .bytes = (size_t)bytes};
  int32_t status = perform(run, &image, find_budget(0), IMAGE_RGB, 0);
  *height = image.height, *width = image.width;
  return status;
}

int32_t onager_image_decode(onager_run *run, const void *data, int64_t bytes, enum image_format format, unsigned char *out, int64_t height, int64_t width) {
  struct image image = {.data = data, .bytes = (size_t)bytes, .height = height, .width = width};
  return perform(run, &image, find_budget(height * width), format, out);
}
