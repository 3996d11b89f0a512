// Reading the program headers of ELF files. Every place in the file is checked before it is looked at.
#include "runtime/recompile/elffile.h"
#include "runtime/core/descriptor.h"
#include <cstdint>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace onager::rt {

namespace {

/// Longer notes are no build's name.
constexpr uint64_t kMostIdBytes = 64;

class ElfReader {
public:
  ElfReader(const char *bytes, uint64_t size) : bytes(bytes), size(size) {}
  ElfFacts facts;

  void read() {
    Elf64_Ehdr header;
    if (!load(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64)
      return;
    for (unsigned k = 0; k < header.e_phnum; ++k) {
      Elf64_Phdr segment;
      if (!load(header.e_phoff + uint64_t(k) * header.e_phentsize, segment))
        return;
      segments.push_back(segment);
    }
    for (const Elf64_Phdr &segment : segments) {
      if (segment.p_type == PT_DYNAMIC)
        readDynamic(segment);
      if (segment.p_type == PT_NOTE)
        readNotes(segment);
    }
  }

private:
  template <typename Record>
  bool load(uint64_t at, Record &record) const {
    if (at > size || size - at < sizeof record)
      return false;
    std::memcpy(&record, bytes + at, sizeof record);
    return true;
  }

  void readDynamic(const Elf64_Phdr &segment) {
    std::vector<Elf64_Dyn> entries;
    uint64_t strings = 0;
    Elf64_Dyn entry;
    for (uint64_t at = 0; at < segment.p_filesz && load(segment.p_offset + at, entry) && entry.d_tag != DT_NULL; at += sizeof entry) {
      entries.push_back(entry);
      if (entry.d_tag == DT_STRTAB)
        strings = findOffset(entry.d_un.d_ptr);
    }
    for (const Elf64_Dyn &one : entries) {
      if (one.d_tag == DT_NEEDED)
        facts.libraries.push_back(readText(strings + one.d_un.d_val));
      if (one.d_tag == DT_RUNPATH || one.d_tag == DT_RPATH)
        facts.folders = readText(strings + one.d_un.d_val);
    }
  }

  void readNotes(const Elf64_Phdr &segment) {
    uint64_t unit = segment.p_align == 8 ? 8 : 4, at = segment.p_offset;
    auto pad = [&](uint64_t length) { return (length + unit - 1) / unit * unit; };
    Elf64_Nhdr note;
    for (uint64_t read = 0; read < segment.p_filesz && load(at + read, note);) {
      uint64_t name = at + read + sizeof note, id = name + pad(note.n_namesz);
      if (note.n_type == NT_GNU_BUILD_ID && readText(name) == ELF_NOTE_GNU && note.n_descsz <= kMostIdBytes && id <= size && size - id >= note.n_descsz)
        return setBuildId(id, note.n_descsz);
      read += sizeof note + pad(note.n_namesz) + pad(note.n_descsz);
    }
  }

  void setBuildId(uint64_t at, uint64_t count) {
    static constexpr char kDigits[] = "0123456789abcdef";
    facts.buildId.clear();
    for (uint64_t k = 0; k < count; ++k) {
      auto byte = static_cast<unsigned char>(bytes[at + k]);
      facts.buildId += kDigits[byte >> 4];
      facts.buildId += kDigits[byte & 15];
    }
  }

  /// The place in the file of an address.
  uint64_t findOffset(uint64_t address) const {
    for (const Elf64_Phdr &segment : segments)
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
        return address - segment.p_vaddr + segment.p_offset;
    return size;
  }

  std::string readText(uint64_t at) const { return at < size ? std::string(bytes + at, strnlen(bytes + at, size - at)) : ""; }

  const char *bytes;
  uint64_t size;
  std::vector<Elf64_Phdr> segments;
};

} // namespace

ElfFacts readElf(const std::string &path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (!file || fstat(file.get(), &info) || info.st_size < static_cast<off_t>(sizeof(Elf64_Ehdr)))
    return {};
  auto size = static_cast<uint64_t>(info.st_size);
  void *address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED)
    return {};
  ElfReader reader(static_cast<const char *>(address), size);
  reader.read();
  munmap(address, size);
  return std::move(reader.facts);
}

} // namespace onager::rt
