// Counts allocations of the whole process and lets thread creation fail, by standing before the C library's functions.
#include "test/unit/Support.h"
#include <atomic>
#include <cerrno>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ONAGER_HAS_SANITIZER 1
#endif
#endif

static std::atomic<uint64_t> allocations{0};
static std::atomic<bool> threadsFail{false};

namespace onager::test {
uint64_t countAllocations() { return allocations.load(); }
void failThreadCreation(bool fails) { threadsFail.store(fails); }
#ifdef ONAGER_HAS_SANITIZER
bool canCountAllocations() { return false; }
#else
bool canCountAllocations() { return true; }
#endif
} // namespace onager::test

extern "C" {

#ifndef ONAGER_HAS_SANITIZER
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(memory, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_memalign(alignment, size);
}
int posix_memalign(void **memory, size_t alignment, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  *memory = __libc_memalign(alignment, size);
  return *memory ? 0 : ENOMEM;
}
void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return reinterpret_cast<void *>(syscall(SYS_mmap, address, size, protection, flags, fd, offset));
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) noexcept {
  using Create = int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  static const Create create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  return threadsFail.load() ? EAGAIN : create(thread, attributes, start, argument);
}
#endif
}
