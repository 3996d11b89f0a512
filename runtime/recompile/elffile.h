// What an ELF file says of itself, without loading it.
#ifndef ONAGER_RUNTIME_RECOMPILE_ELFFILE_H
#define ONAGER_RUNTIME_RECOMPILE_ELFFILE_H

#include <string>
#include <vector>

namespace onager::rt {

/// What a 64-bit ELF file asks of the loader, and which build it is.
struct ElfFacts {
  std::vector<std::string> libraries;
  std::string folders; ///< where they are looked for, separated by colons
  std::string buildId; ///< hex digits that the linker derived from the contents; "" where it was not asked to
};

/// Reads a file; nothing is known of files of other kinds, and of damaged ones what comes before the damage.
ElfFacts readElf(const std::string &path);

} // namespace onager::rt

#endif
