// Locks of entries. A lock is flock's on a file that its holder removes when it is done. Who gets flock of a file that was removed meanwhile has nothing, and
// tries again with the file that others see.
#include "runtime/cache/sha256.h"
#include "runtime/cache/variantcache.h"
#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace onager::rt {

VariantCache::Lock &VariantCache::Lock::operator=(Lock &&other) noexcept {
  if (this == &other)
    return *this;
  release();
  folder = std::move(other.folder);
  file = std::move(other.file);
  name = std::move(other.name);
  owner = other.owner;
  busy = other.busy;
  return *this;
}

void VariantCache::Lock::release() {
  // A forked child has a copy of the object, not of the lock.
  if (file && owner == getpid() && leadsTo(folder.get(), name, file.get()))
    unlinkat(folder.get(), name.c_str(), 0);
  file = Descriptor();
  folder = Descriptor();
}

bool VariantCache::Lock::take(int root, const std::string &group, const std::string &wanted) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    Descriptor place, opened = createFile(root, group, wanted, O_NONBLOCK, place);
    // Where pruning takes the folder away again and again it is as if somebody had the lock.
    busy = !opened && errno == ENOENT;
    if (!opened)
      return false;
    if (flock(opened.get(), LOCK_EX | LOCK_NB)) {
      busy = errno == EWOULDBLOCK;
      return false;
    }
    if (!leadsTo(place.get(), wanted, opened.get()))
      continue;
    folder = std::move(place);
    file = std::move(opened);
    name = wanted;
    owner = getpid();
    return true;
  }
  busy = true;
  return false;
}

static double readClock() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

VariantCache::Lock VariantCache::lock(const std::string &group, const Preimage &preimage, double seconds) const {
  Lock lock;
  if (!writable || !isGroupName(group))
    return lock;
  std::string name = hashSha256(preimage) + kLockSuffix;
  double end = readClock() + seconds;
  for (double pause = 1e-3; !lock.take(root.get(), group, name) && lock.isBusy(); pause = std::min(pause * 2, 20e-3)) {
    double wait = std::min(pause, end - readClock());
    if (!(wait > 0))
      break;
    timespec time{0, static_cast<long>(wait * 1e9)};
    nanosleep(&time, nullptr);
  }
  return lock;
}

} // namespace onager::rt
