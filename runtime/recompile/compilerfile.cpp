// Finding the compiler, and telling compilers apart by its file and the libraries that its code generation lies in.
#include "runtime/recompile/compilerfile.h"
#include "runtime/core/descriptor.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace onager::rt {

static bool isProgram(const std::string &path) {
  struct stat info;
  return !stat(path.c_str(), &info) && S_ISREG(info.st_mode) && !access(path.c_str(), X_OK);
}

/// The folder of this library, or of the program that it is linked into.
static std::string findOwnFolder() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&findOwnFolder), &info) || !info.dli_fname)
    return {};
  std::string path = info.dli_fname;
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string findCompiler(const char *named) {
  if (!named)
    named = getenv("ONAGER_COMPILER");
  if (named)
    return isProgram(named) ? named : "";
  std::string folder = findOwnFolder();
  for (const char *place : {"/onager", "/bin/onager", "/../bin/onager", "/../../bin/onager"})
    if (!folder.empty() && isProgram(folder + place))
      return folder + place;
  const char *path = getenv("PATH");
  std::string folders = path ? path : "";
  for (size_t begin = 0; begin < folders.size();) {
    size_t end = std::min(folders.find(':', begin), folders.size());
    std::string program = folders.substr(begin, end - begin) + "/onager";
    if (end > begin && isProgram(program))
      return program;
    begin = end + 1;
  }
  return {};
}

Outcome requireCompiler(const char *named, std::string &path) {
  path = findCompiler(named);
  return path.empty() ? failure(ONAGER_BAD_FILE, "no compiler was found; ONAGER_COMPILER may name one") : Outcome();
}

std::string findCompilerLibrary(const std::string &named) {
  static constexpr char kName[] = "libonager-specialize.so.0";
  if (!named.empty())
    return named;
  std::string folder = findOwnFolder();
  for (const char *place : {"/", "/../lib/"})
    if (!folder.empty() && !access((folder + place + kName).c_str(), R_OK))
      return folder + place + kName;
  return kName;
}

namespace {

/// What a 64-bit ELF file asks of the loader. Empty for all else.
class LoaderNeeds {
public:
  explicit LoaderNeeds(const std::string &path) {
    Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info;
    if (!file || fstat(file.get(), &info) || info.st_size < static_cast<off_t>(sizeof(Elf64_Ehdr)))
      return;
    size = static_cast<uint64_t>(info.st_size);
    void *address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (address == MAP_FAILED)
      return;
    bytes = static_cast<const char *>(address);
    read();
    munmap(address, size);
  }
  std::vector<std::string> libraries;
  std::string folders; ///< where they are looked for, separated by colons

private:
  template <typename Record>
  bool load(uint64_t at, Record &record) const {
    if (at > size || size - at < sizeof record)
      return false;
    std::memcpy(&record, bytes + at, sizeof record);
    return true;
  }

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
    for (const Elf64_Phdr &segment : segments)
      if (segment.p_type == PT_DYNAMIC)
        readDynamic(segment);
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
        libraries.push_back(readText(strings + one.d_un.d_val));
      if (one.d_tag == DT_RUNPATH || one.d_tag == DT_RPATH)
        folders = readText(strings + one.d_un.d_val);
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

  const char *bytes = nullptr;
  uint64_t size = 0;
  std::vector<Elf64_Phdr> segments;
};

std::string describeFile(const std::string &path) {
  struct stat info;
  if (stat(path.c_str(), &info))
    return {};
  return std::to_string(info.st_size) + "-" + std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec);
}

/// Describes a library that lies in one of the folders; `origin` is what $ORIGIN stands for.
std::string describeLibrary(const std::string &name, const std::string &folders, const std::string &origin) {
  for (size_t begin = 0; begin < folders.size();) {
    size_t end = std::min(folders.find(':', begin), folders.size());
    std::string folder = folders.substr(begin, end - begin);
    if (size_t at = folder.find("$ORIGIN"); at != std::string::npos)
      folder.replace(at, strlen("$ORIGIN"), origin);
    if (std::string found = folder.empty() ? "" : describeFile(folder + "/" + name); !found.empty())
      return found;
    begin = end + 1;
  }
  return {};
}

} // namespace

std::string describeCompiler(const std::string &path) {
  std::string text = describeFile(path);
  LoaderNeeds needs(path);
  size_t slash = path.rfind('/');
  const char *first = getenv("LD_LIBRARY_PATH");
  std::string folders = std::string(first ? first : "") + ":" + needs.folders + ":/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib64:/usr/lib64:/lib:/usr/lib";
  for (const std::string &name : needs.libraries)
    if (name.rfind("libLLVM", 0) == 0 || name.rfind("libMLIR", 0) == 0)
      text += "," + name + ":" + describeLibrary(name, folders, slash == std::string::npos ? "." : path.substr(0, slash));
  return text;
}

} // namespace onager::rt
