/* What the image libraries call of the C library, so that a model with images inside stays closed: memory of the job, texts, sorting, locks. Messages are not
 * made; files, other processes and the environment are not there: whoever asks for them ends the job.
 */
#include "runtime/images/images.h"

void *malloc(size_t bytes) { return image_allocate(bytes); }
void *realloc(void *memory, size_t bytes) { return image_resize(memory, bytes); }
void free(void *memory) { image_release(memory); }

void *calloc(size_t count, size_t bytes) {
  size_t total;
  void *memory = __builtin_mul_overflow(count, bytes, &total) ? 0 : image_allocate(total);
  return memory ? __builtin_memset(memory, 0, total) : 0;
}

/* ENOMEM is 12; more than a job's memory is aligned to is not asked for. */
int posix_memalign(void **memory, size_t alignment, size_t bytes) {
  *memory = alignment <= 64 ? image_allocate(bytes) : 0;
  return *memory ? 0 : 12;
}

void *__memcpy_chk(void *target, const void *source, size_t bytes, size_t room) {
  if (bytes > room)
    image_fail();
  return __builtin_memcpy(target, source, bytes);
}

int memcmp(const void *a, const void *b, size_t bytes) {
  const unsigned char *x = a, *y = b;
  for (size_t k = 0; k < bytes; ++k)
    if (x[k] != y[k])
      return x[k] < y[k] ? -1 : 1;
  return 0;
}

size_t strlen(const char *text) {
  size_t bytes = 0;
  while (text[bytes])
    ++bytes;
  return bytes;
}

int strncmp(const char *a, const char *b, size_t most) {
  for (size_t k = 0; k < most; ++k)
    if (a[k] != b[k] || !a[k])
      return (unsigned char)a[k] - (unsigned char)b[k];
  return 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, SIZE_MAX); }
char *strcpy(char *target, const char *source) { return __builtin_memcpy(target, source, strlen(source) + 1); }

char *strncpy(char *target, const char *source, size_t most) {
  size_t k = 0;
  for (; k < most && source[k]; ++k)
    target[k] = source[k];
  for (; k < most; ++k)
    target[k] = 0;
  return target;
}

static void swap_items(char *a, char *b, size_t bytes) {
  for (size_t k = 0; k < bytes; ++k) {
    char c = a[k];
    a[k] = b[k], b[k] = c;
  }
}

/* Restores the order of a heap below `at`. */
static void sink(char *items, size_t at, size_t count, size_t bytes, int (*compare)(const void *, const void *)) {
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && compare(items + child * bytes, items + (child + 1) * bytes) < 0)
      ++child;
    if (compare(items + at * bytes, items + child * bytes) >= 0)
      return;
    swap_items(items + at * bytes, items + child * bytes, bytes);
  }
}

void qsort(void *items, size_t count, size_t bytes, int (*compare)(const void *, const void *)) {
  for (size_t k = count / 2; k-- > 0;)
    sink(items, k, count, bytes, compare);
  for (size_t rest = count; rest-- > 1;) {
    swap_items(items, (char *)items + rest * bytes, bytes);
    sink(items, 0, rest, bytes, compare);
  }
}

double pow(double x, double y) { return image_power(x, y); }
double sqrt(double x) {
  double root;
  __asm__("sqrtsd %1, %0" : "=x"(root) : "x"(x));
  return root;
}

long lrintf(float x) {
  long nearest;
  __asm__("cvtss2si %1, %0" : "=r"(nearest) : "x"(x));
  return nearest;
}

double floor(double x) {
  if (!(x > -0x1p52 && x < 0x1p52))
    return x; /* has no fraction */
  double whole = (double)(int64_t)x;
  return whole > x ? whole - 1 : whole;
}

int __popcountdi2(int64_t value) {
  int count = 0;
  for (uint64_t rest = (uint64_t)value; rest; rest &= rest - 1)
    ++count;
  return count;
}

/* The first word of what the libraries hold for a mutex. */
int pthread_mutex_lock(int *mutex) {
  while (__atomic_exchange_n(mutex, 1, __ATOMIC_ACQUIRE))
    __builtin_ia32_pause();
  return 0;
}

int pthread_mutex_unlock(int *mutex) {
  __atomic_store_n(mutex, 0, __ATOMIC_RELEASE);
  return 0;
}

int pthread_mutex_init(int *mutex, const void *attributes) {
  (void)attributes;
  *mutex = 0;
  return 0;
}

int pthread_mutex_destroy(int *mutex) {
  (void)mutex;
  return 0;
}

/* Errors never come back to where they were to be caught: they end the job. */
int _setjmp(void *place) {
  (void)place;
  return 0;
}

int *__errno_location(void) {
  static int number;
  return &number;
}

char *getenv(const char *name) {
  (void)name;
  return 0;
}

/* Messages are empty. */
int __snprintf_chk(char *target, size_t room) {
  if (room)
    *target = 0;
  return 0;
}
int __vsnprintf_chk(char *target, size_t room) { return __snprintf_chk(target, room); }
int __sprintf_chk(char *target) { return __snprintf_chk(target, 1); }
int __fprintf_chk(void) { return 0; }
int __vfprintf_chk(void) { return 0; }
int fputc(void) { return 0; }
int fflush(void) { return 0; }
void *stderr, *stdout;

static void absent(void) { image_fail(); }
#define ABSENT(name) void name(void) __attribute__((alias("absent")));
ABSENT(__assert_fail)
ABSENT(__isoc99_sscanf)
ABSENT(__longjmp_chk)
ABSENT(__stack_chk_fail)
ABSENT(abort)
ABSENT(exit)
ABSENT(fclose)
ABSENT(ferror)
ABSENT(fopen)
ABSENT(fread)
ABSENT(frexp)
ABSENT(fseeko)
ABSENT(ftello)
ABSENT(fwrite)
ABSENT(gmtime)
ABSENT(modf)
ABSENT(pthread_attr_init)
ABSENT(pthread_attr_setdetachstate)
ABSENT(pthread_cond_destroy)
ABSENT(pthread_cond_init)
ABSENT(pthread_cond_signal)
ABSENT(pthread_cond_wait)
ABSENT(pthread_create)
ABSENT(pthread_join)
ABSENT(remove)
ABSENT(strerror)
ABSENT(strtod)
ABSENT(strtol)
ABSENT(sysconf)
