// Encoded images: the size that is told is the one that is decoded, no image takes more than its memory, and all of it is given back.
//
// The formats' libraries are not instrumented. What they allocate is the job's, as it is in an artifact: the linker leads their calls here.
#include "runtime/images/images.h"
#include <cmath>
#include <cstdlib>
#include <vector>

static bool isBusy; // with a job, whose memory all that is asked for is

extern "C" {
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void __real_free(void *memory);

void *__wrap_malloc(size_t bytes) { return isBusy ? image_allocate(bytes) : __real_malloc(bytes); }
void *__wrap_realloc(void *memory, size_t bytes) { return isBusy ? image_resize(memory, bytes) : __real_realloc(memory, bytes); }
void __wrap_free(void *memory) { isBusy ? image_release(memory) : __real_free(memory); }

void *__wrap_calloc(size_t count, size_t bytes) {
  size_t total = 0;
  if (!isBusy || __builtin_mul_overflow(count, bytes, &total))
    return isBusy ? nullptr : __real_calloc(count, bytes);
  void *memory = image_allocate(total);
  return memory ? __builtin_memset(memory, 0, total) : nullptr;
}

int __wrap_posix_memalign(void **memory, size_t, size_t bytes) {
  *memory = image_allocate(bytes);
  return *memory ? 0 : 12;
}
}

static double (*const math2[])(double, double) = {atan2, fmod, pow};
static void *allocate(onager_run *, size_t bytes) { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }
static void release(onager_run *, void *memory) { __real_free(memory); }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  onager_host host{};
  host.math2 = math2;
  host.allocate = allocate;
  host.release = release;
  onager_run run{};
  run.host = &host;
  int64_t height = 0, width = 0, bytes = static_cast<int64_t>(size);
  isBusy = true;
  bool isBad = onager_image_size(&run, data, bytes, &height, &width);
  isBusy = false;
  // Pictures of many pixels take their time, which says nothing.
  if (isBad || height * width > 1 << 18)
    return 0;
  std::vector<unsigned char> pixels(static_cast<size_t>(height * width) * 3);
  isBusy = true;
  onager_image_decode(&run, data, bytes, static_cast<image_format>(size % 3), pixels.data(), height, width);
  isBusy = false;
  return 0;
}
