// Where the compiler leaves a variant for the runtime.
#include "runtime/recompile/outputfolder.h"
#include "runtime/cache/folder.h"
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <ftw.h>
#include <sys/file.h>
#include <unistd.h>

namespace onager::rt {

std::string readAll(int fd, size_t most) {
  std::string text;
  char buffer[65536];
  lseek(fd, 0, SEEK_SET);
  for (ssize_t got; text.size() < most && (got = ::read(fd, buffer, sizeof buffer)) != 0;) {
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      break;
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

static constexpr char kPrefix[] = "onager-specialize-", kPattern[] = "onager-specialize-XXXXXX";

/// Removes a folder and what is in it; follows no links.
static void removeTree(const std::string &path) {
  auto removeOne = [](const char *name, const struct stat *, int, FTW *) {
    remove(name);
    return 0;
  };
  nftw(path.c_str(), removeOne, /*descriptors=*/8, FTW_DEPTH | FTW_PHYS);
}

/// Opens and locks a folder of this user's; none where that fails, or where another has removed it before the lock was taken.
static Descriptor lockFolder(const std::string &path, int how) {
  Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  bool isOwn = folder && !fstat(folder.get(), &info) && info.st_uid == geteuid();
  return isOwn && !flock(folder.get(), how) && leadsTo(AT_FDCWD, path, folder.get()) ? std::move(folder) : Descriptor();
}

/// Removes folders whose processes have ended: nobody holds their locks.
static void sweep(const std::string &place) {
  Descriptor folder(open(place.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const std::string &name : folder ? listNames(folder.get()) : std::vector<std::string>())
    if (name.size() == sizeof kPattern - 1 && name.compare(0, sizeof kPrefix - 1, kPrefix) == 0)
      if (std::string path = place + "/" + name; Descriptor lock = lockFolder(path, LOCK_EX | LOCK_NB))
        removeTree(path);
}

bool OutputFolder::makeIn(const std::string &place) {
  // One that is not locked yet may be swept away.
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string name = place + "/" + kPattern;
    if (!mkdtemp(name.data()))
      return false;
    lock = lockFolder(name, LOCK_EX);
    if (lock) {
      path = name;
      return true;
    }
    rmdir(name.c_str());
  }
  return false;
}

Outcome OutputFolder::make() {
  for (const char *place : {"/dev/shm", static_cast<const char *>(getenv("TMPDIR")), "/tmp"}) {
    std::string wanted = place ? place : "/tmp";
    sweep(wanted);
    if (makeIn(wanted))
      return {};
  }
  return failure(ONAGER_BAD_FILE, std::string("cannot make a folder for the compiler: ") + strerror(errno));
}

OutputFolder::~OutputFolder() {
  if (!path.empty())
    removeTree(path);
}

Outcome OutputFolder::read(std::string &payload) const {
  Descriptor file(open(output().c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return failure(ONAGER_RUN_FAILED, "the compiler left no variant");
  payload = readAll(file.get(), SIZE_MAX);
  return {};
}

} // namespace onager::rt
