// Opening, checking and loading artifacts.
#include "runtime/core/model.h"
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace onager::rt {

std::string findMissingFeature(const std::vector<std::string> &features) {
#if defined(__x86_64__)
  __builtin_cpu_init();
#define ONAGER_FEATURE(name) {name, __builtin_cpu_supports(name) != 0}
  const struct {
    const char *name;
    bool present;
  } known[] = {ONAGER_FEATURE("sse4.2"), ONAGER_FEATURE("popcnt"), ONAGER_FEATURE("avx2"), ONAGER_FEATURE("fma"), ONAGER_FEATURE("bmi2"),
               ONAGER_FEATURE("avx512f"), ONAGER_FEATURE("avx512bw"), ONAGER_FEATURE("avx512dq"), ONAGER_FEATURE("avx512vl"), ONAGER_FEATURE("avx512cd"),
               ONAGER_FEATURE("avx512vnni"), ONAGER_FEATURE("avx512bf16"), ONAGER_FEATURE("avx512vbmi"), ONAGER_FEATURE("gfni"),
               ONAGER_FEATURE("vpclmulqdq"), {"f16c", __builtin_cpu_supports("avx2") != 0}, {"avx512fp16", __builtin_cpu_supports("avx512fp16") != 0}};
#undef ONAGER_FEATURE
  for (const std::string &feature : features) {
    bool present = false;
    for (const auto &entry : known)
      present |= entry.present && feature == entry.name;
    if (!present)
      return feature;
  }
#endif
  return {};
}

Model::~Model() {
  if (library)
    dlclose(library);
  if (codeDescriptor >= 0)
    close(codeDescriptor);
  if (mapped)
    munmap(mapped, mappedBytes);
}

/// Writes all bytes to a new anonymous file.
static int copyToMemory(const char *bytes, size_t size) {
  int fd = memfd_create("onager", MFD_CLOEXEC);
  while (fd >= 0 && size > 0) {
    ssize_t written = write(fd, bytes, size);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0) {
      close(fd);
      return -1;
    }
    bytes += written;
    size -= static_cast<size_t>(written);
  }
  return fd;
}

Outcome Model::openFile(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return failure(ONAGER_BAD_FILE, std::string("cannot open ") + path + ": " + strerror(errno));
  Outcome outcome = openDescriptor(fd, path);
  close(fd);
  return outcome;
}

Outcome Model::openMemory(const void *data, size_t bytes) {
  int fd = copyToMemory(static_cast<const char *>(data), bytes);
  if (fd < 0)
    return failure(ONAGER_OUT_OF_MEMORY, "no memory for a copy of the artifact");
  Outcome outcome = openDescriptor(fd, "the artifact");
  close(fd);
  return outcome;
}

/// Checks the footer against the file; the reason where it does not fit.
static const char *checkFooter(const Footer &footer, size_t size) {
  if (footer.magic != kFooterMagic)
    return "is not an Onager artifact, or was cut off";
  if (footer.footerHash != hashBytes(&footer, offsetof(Footer, footerHash)))
    return "has a damaged footer";
  bool fits = footer.codeBytes >= sizeof(Elf64_Ehdr) && footer.codeBytes <= footer.weightStart && footer.weightStart % kWeightAlignment == 0 &&
              footer.weightStart <= size && footer.weightBytes <= size - footer.weightStart &&
              footer.weightStart + footer.weightBytes + sizeof(Footer) == size;
  return fits ? nullptr : "has a length that its footer does not describe";
}

Outcome Model::openDescriptor(int fd, const std::string &name) {
  struct stat info;
  if (fstat(fd, &info) || !S_ISREG(info.st_mode))
    return failure(ONAGER_BAD_FILE, name + " is not a regular file");
  auto size = static_cast<size_t>(info.st_size);
  if (size < sizeof(Footer) + sizeof(Elf64_Ehdr))
    return failure(ONAGER_BAD_FILE, name + " is not an Onager artifact: it has only " + std::to_string(size) + " bytes");
  void *address = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED)
    return failure(ONAGER_OUT_OF_MEMORY, "cannot map " + name + ": " + strerror(errno));
  mapped = address;
  mappedBytes = size;
  const char *bytes = static_cast<const char *>(address);
  Footer footer;
  std::memcpy(&footer, bytes + size - sizeof footer, sizeof footer);
  if (const char *reason = checkFooter(footer, size))
    return failure(ONAGER_BAD_FILE, name + " " + reason);
  if (hashBytes(bytes, footer.codeBytes) != footer.codeHash)
    return failure(ONAGER_BAD_FILE, name + " is damaged: the checksum of its code differs");
  Elf64_Ehdr header;
  std::memcpy(&header, bytes, sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_type != ET_DYN)
    return failure(ONAGER_BAD_FILE, name + " does not begin with a shared object");
#if defined(__x86_64__)
  if (header.e_machine != EM_X86_64)
    return failure(ONAGER_BAD_MACHINE, name + " holds code for another kind of processor");
#endif
  if (Outcome outcome = loadCode(bytes, footer.codeBytes, name); !outcome)
    return outcome;
  if (footer.weightBytes < manifest.weightBytes)
    return failure(ONAGER_BAD_FILE, name + " holds fewer weights than its manifest says");
  weights = bytes + footer.weightStart;
  return {};
}

Outcome Model::loadCode(const char *code, size_t bytes, const std::string &name) {
  codeDescriptor = copyToMemory(code, bytes);
  if (codeDescriptor < 0)
    return failure(ONAGER_OUT_OF_MEMORY, "no memory for the code of " + name);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", codeDescriptor);
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return failure(ONAGER_BAD_FILE, "cannot load the code of " + name + ": " + dlerror());
  const auto *model = static_cast<const onager_model *>(dlsym(library, "onager_model"));
  if (!model)
    return failure(ONAGER_BAD_FILE, name + " exports no model");
  return adopt(model, name);
}

Outcome Model::openLinked(const onager_model *model, const void *given) {
  if (!model)
    return failure(ONAGER_BAD_ARGUMENT, "the model is NULL");
  if (Outcome outcome = adopt(model, "the linked model"); !outcome)
    return outcome;
  weights = given ? static_cast<const char *>(given) : model->weights;
  if (!weights && manifest.weightBytes)
    return failure(ONAGER_BAD_ARGUMENT, "the linked model carries no weights and none were given");
  return {};
}

Outcome Model::adopt(const onager_model *model, const std::string &name) {
  if (model->size < sizeof(onager_model) || model->abi != ONAGER_ABI_VERSION)
    return failure(ONAGER_BAD_FILE, name + " was made for version " + std::to_string(model->abi) + " of the interface, this runtime has version " +
                                        std::to_string(ONAGER_ABI_VERSION));
  std::string error;
  if (!decode(model->manifest, model->manifest_bytes, manifest, error))
    return failure(ONAGER_BAD_FILE, name + ": " + error);
  if (std::string missing = findMissingFeature(manifest.features); !missing.empty())
    return failure(ONAGER_BAD_MACHINE, name + " needs a processor with " + missing + "; compile it with --target=portable");
  main = model->main;
  return {};
}

} // namespace onager::rt
