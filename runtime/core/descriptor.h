// Open files: owned, and written to the end.
#ifndef ONAGER_RUNTIME_CORE_DESCRIPTOR_H
#define ONAGER_RUNTIME_CORE_DESCRIPTOR_H

#include <string_view>
#include <utility>

namespace onager::rt {

/// An open file, closed at the end of its scope.
class Descriptor {
public:
  explicit Descriptor(int file = -1) : file(file) {}
  Descriptor(Descriptor &&other) noexcept : file(std::exchange(other.file, -1)) {}
  Descriptor &operator=(Descriptor &&other) noexcept {
    std::swap(file, other.file);
    return *this;
  }
  ~Descriptor();
  explicit operator bool() const { return file >= 0; }
  int get() const { return file; }

private:
  int file;
};

/// Writes all bytes; returns errno's value, 0 for success.
int writeAll(int file, std::string_view bytes);

} // namespace onager::rt

#endif
