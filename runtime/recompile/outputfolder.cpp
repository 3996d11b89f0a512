// Where the compiler leaves a variant for the runtime.
#include "runtime/recompile/outputfolder.h"
#include "runtime/core/descriptor.h"
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
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

Outcome OutputFolder::make() {
  for (const char *place : {"/dev/shm", static_cast<const char *>(getenv("TMPDIR")), "/tmp"}) {
    std::string name = std::string(place ? place : "/tmp") + "/onager-XXXXXX";
    if (mkdtemp(name.data())) {
      path = name;
      return {};
    }
  }
  return failure(ONAGER_BAD_FILE, std::string("cannot make a folder for the compiler: ") + strerror(errno));
}

OutputFolder::~OutputFolder() {
  if (path.empty())
    return;
  unlink(output().c_str());
  rmdir(path.c_str());
}

Outcome OutputFolder::read(std::string &payload) const {
  Descriptor file(open(output().c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return failure(ONAGER_RUN_FAILED, "the compiler left no variant");
  payload = readAll(file.get(), SIZE_MAX);
  return {};
}

} // namespace onager::rt
