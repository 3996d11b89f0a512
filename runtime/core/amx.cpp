// Asking the processor and the system for tile registers; see amx.h.
#include "runtime/core/amx.h"
#if defined(__x86_64__)
#include <cerrno>
#include <cpuid.h>
#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace onager::rt {

#if defined(__x86_64__)

static bool hasTiles(unsigned terms) {
  constexpr unsigned kTiles = 1u << 24;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx & kTiles) && (edx & terms);
}

bool hasAmx() { return hasTiles(1u << 25); }
bool hasAmxBf16() { return hasTiles(1u << 22); }

// ARCH_GET_XCOMP_SUPP, ARCH_REQ_XCOMP_PERM and XFEATURE_XTILEDATA of Linux 5.16.
static constexpr long kGetSupported = 0x1021, kRequestPermission = 0x1023, kTileData = 18;

bool isAmxSupported() {
  unsigned long supported = 0;
  return (hasAmx() || hasAmxBf16()) && !syscall(SYS_arch_prctl, kGetSupported, &supported) && (supported >> kTileData & 1);
}

std::string requestAmx() {
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) ? strerror(errno) : std::string();
}

#else

bool hasAmx() { return false; }
bool hasAmxBf16() { return false; }
bool isAmxSupported() { return false; }
std::string requestAmx() { return "no such processor"; }

#endif

} // namespace onager::rt
