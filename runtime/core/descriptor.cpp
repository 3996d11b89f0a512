// Closing and writing.
#include "runtime/core/descriptor.h"
#include <cerrno>
#include <unistd.h>

namespace onager::rt {

Descriptor::~Descriptor() {
  if (file >= 0)
    close(file);
}

int writeAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = write(file, bytes.data(), bytes.size());
    if (count == 0)
      return ENOSPC;
    if (count > 0)
      bytes.remove_prefix(static_cast<size_t>(count));
    else if (errno != EINTR)
      return errno;
  }
  return 0;
}

} // namespace onager::rt
