/* What LLVM may call on its own in compiled models: memory functions, linked into every artifact that needs them. */
#include <stddef.h>

#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN void *memcpy(void *restrict target, const void *restrict source, size_t bytes) {
  void *result = target;
#if defined(__x86_64__)
  __asm__ volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(bytes) : : "memory");
#else
  char *t = target;
  const char *s = source;
  while (bytes--)
    *t++ = *s++;
#endif
  return result;
}

HIDDEN void *memset(void *target, int value, size_t bytes) {
  void *result = target;
#if defined(__x86_64__)
  __asm__ volatile("rep stosb" : "+D"(target), "+c"(bytes) : "a"(value) : "memory");
#else
  char *t = target;
  while (bytes--)
    *t++ = (char)value;
#endif
  return result;
}

HIDDEN void *memmove(void *target, const void *source, size_t bytes) {
  char *t = target;
  const char *s = source;
  if (t <= s || t >= s + bytes)
    return memcpy(target, source, bytes);
  while (bytes--)
    t[bytes] = s[bytes];
  return target;
}
