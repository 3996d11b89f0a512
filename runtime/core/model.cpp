// Opening, checking and loading artifacts.
#include "runtime/core/model.h"
#include "runtime/core/amx.h"
#include "runtime/core/block.h"
#include "runtime/core/descriptor.h"
#include "runtime/core/sanitizer.h"
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
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
               ONAGER_FEATURE("vpclmulqdq"), {"f16c", __builtin_cpu_supports("avx2") != 0}, {"avx512fp16", __builtin_cpu_supports("avx512fp16") != 0}, {kSanitizerFeature, hasSanitizer()}, {kAmxFeature, hasAmx()}, {kAmxBf16Feature, hasAmxBf16()}};
#undef ONAGER_FEATURE
  for (const std::string &feature : features) {
    bool present = false;
    for (const auto &entry : known)
      present |= entry.present && feature == entry.name;
    if (!present)
      return feature;
    if (std::string refusal = feature == kAmxFeature || feature == kAmxBf16Feature ? requestAmx() : std::string(); !refusal.empty())
      return feature + ", which the system does not let this process use (" + refusal + ")";
  }
#endif
  return {};
}

Model::~Model() {
  if (library)
    dlclose(library);
  for (int descriptor : {codeDescriptor, weightsDescriptor})
    if (descriptor >= 0)
      close(descriptor);
}

Mapping::~Mapping() {
  if (bytes)
    munmap(const_cast<char *>(bytes), size);
}

Outcome Mapping::map(int fd, const std::string &name) {
  struct stat info;
  if (fstat(fd, &info) || !S_ISREG(info.st_mode))
    return failure(ONAGER_BAD_FILE, name + " is not a regular file");
  auto length = static_cast<size_t>(info.st_size);
  void *address = length ? mmap(nullptr, length, PROT_READ, MAP_SHARED, fd, 0) : nullptr;
  if (address == MAP_FAILED)
    return failure(ONAGER_OUT_OF_MEMORY, "cannot map " + name + ": " + strerror(errno));
  bytes = static_cast<const char *>(address);
  size = length;
  return {};
}

bool Mapping::copy(const char *from, size_t length) {
  size_t room = (length + kHugePage - 1) / kHugePage * kHugePage;
  void *address = mmap(nullptr, room + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED)
    return false;
  char *begin = static_cast<char *>(address), *start = begin + (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  if (start != begin)
    munmap(begin, static_cast<size_t>(start - begin));
  munmap(start + room, static_cast<size_t>(begin + kHugePage - start));
  madvise(start, room, MADV_HUGEPAGE);
  std::memcpy(start, from, length);
  mprotect(start, room, PROT_READ);
  bytes = start;
  size = room;
  return true;
}

/// Writes all bytes to a new anonymous file.
static int copyToMemory(const char *bytes, size_t size) {
  int fd = memfd_create("onager", MFD_CLOEXEC);
  if (fd < 0 || !writeAll(fd, {bytes, size}))
    return fd;
  close(fd);
  return -1;
}

/// Writes all bytes to a new file of a folder, where profilers find them by name, also when the process has ended. Empty where that fails.
static std::string copyToFolder(const char *bytes, size_t size, const char *folder) {
  std::string path = std::string(folder) + "/onager-XXXXXX.so";
  int fd = mkostemps(path.data(), 3, O_CLOEXEC);
  if (fd < 0)
    return {};
  bool isWritten = !writeAll(fd, {bytes, size});
  return close(fd) || !isWritten ? std::string() : path;
}

Outcome Model::openFile(const char *path, const char *weightsPath) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return failure(ONAGER_BAD_FILE, std::string("cannot open ") + path + ": " + strerror(errno));
  std::string beside = std::string(path) + ".weights";
  Outcome outcome = openDescriptor(fd, path, weightsPath ? weightsPath : beside.c_str());
  close(fd);
  return outcome;
}

Outcome Model::openMemory(const void *data, size_t bytes, const char *weightsPath) {
  int fd = copyToMemory(static_cast<const char *>(data), bytes);
  if (fd < 0)
    return failure(ONAGER_OUT_OF_MEMORY, "no memory for a copy of the artifact");
  Outcome outcome = openDescriptor(fd, "the artifact", weightsPath);
  close(fd);
  return outcome;
}

Outcome Model::openDescriptor(int fd, const std::string &name, const char *weightsPath) {
  if (Outcome outcome = file.map(fd, name); !outcome)
    return outcome;
  Footer footer;
  uint64_t start = 0;
  if (const char *reason = findArtifact(file.bytes, file.size, footer, start))
    return failure(ONAGER_BAD_FILE, name + " " + reason);
  const char *bytes = file.bytes + start;
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
  if (!footer.weightBytes && needsWeights())
    return openWeights(weightsPath, name);
  if (footer.weightBytes < neededBytes())
    return failure(ONAGER_BAD_FILE, name + " holds fewer weights than its manifest says");
  placeWeights(bytes + footer.weightStart, footer.weightBytes, fd, start + footer.weightStart);
  return {};
}

Outcome Model::openWeights(const char *path, const std::string &name) {
  if (!path)
    return failure(ONAGER_BAD_FILE, name + " carries no weights, and no file of weights is named");
  std::string who = std::string("the file of weights ") + path;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return failure(ONAGER_BAD_FILE, "cannot open " + who + ": " + strerror(errno));
  Outcome outcome = readWeights(fd, who, name);
  close(fd);
  return outcome;
}

Outcome Model::readWeights(int fd, const std::string &who, const std::string &name) {
  if (Outcome outcome = weightsFile.map(fd, who); !outcome)
    return outcome;
  WeightFooter footer{};
  if (weightsFile.size >= sizeof footer)
    std::memcpy(&footer, weightsFile.bytes + weightsFile.size - sizeof footer, sizeof footer);
  if (footer.magic != kWeightFooterMagic || footer.footerHash != hashBytes(&footer, offsetof(WeightFooter, footerHash)))
    return failure(ONAGER_BAD_FILE, who + " is none, or was cut off");
  if (footer.manifestHash != manifestHash || footer.weightBytes < neededBytes() || weightsFile.size != footer.weightBytes + sizeof footer)
    return failure(ONAGER_BAD_FILE, who + " belongs to another model than " + name);
  placeWeights(weightsFile.bytes, footer.weightBytes, fd, 0);
  return {};
}

static Outcome failAsan(const std::string &name) {
  return failure(ONAGER_BAD_MACHINE, name + " is sanitized: the process that runs it needs AddressSanitizer's runtime (LD_PRELOAD=libclang_rt.asan-x86_64.so)");
}

Outcome Model::loadCode(const char *code, size_t bytes, const std::string &name) {
  std::string path;
  if (const char *folder = getenv("ONAGER_CODE_DIR"); folder && *folder)
    path = copyToFolder(code, bytes, folder);
  if (path.empty()) {
    codeDescriptor = copyToMemory(code, bytes);
    if (codeDescriptor < 0)
      return failure(ONAGER_OUT_OF_MEMORY, "no memory for the code of " + name);
    // Not /proc/self: a debugger opens the path as well, from a process of its own.
    path = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(codeDescriptor);
  }
  library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    std::string reason = dlerror();
    if (reason.find("__asan_") != std::string::npos)
      return failAsan(name);
    return failure(ONAGER_BAD_FILE, "cannot load the code of " + name + ": " + reason);
  }
  const auto *model = static_cast<const onager_model *>(dlsym(library, "onager_model"));
  if (!model)
    return failure(ONAGER_BAD_FILE, name + " exports no model");
  return adopt(model, name);
}

Outcome Model::openLinked(const onager_model *model, const void *given, const char *weightsPath) {
  if (!model)
    return failure(ONAGER_BAD_ARGUMENT, "the model is NULL");
  if (Outcome outcome = adopt(model, "the linked model"); !outcome)
    return outcome;
  const char *section = given ? static_cast<const char *>(given) : model->weights;
  if (!section && needsWeights())
    return openWeights(weightsPath, "the linked model");
  if (section)
    placeWeights(section, 0, -1, 0);
  return {};
}

uint64_t Model::neededBytes() const {
  uint64_t needed = weightStart + generic.manifest.weightBytes;
  for (size_t k = 0; k < variants.size(); ++k)
    needed = std::max(needed, ownStarts[k] + variants[k].manifest.weightBytes);
  return needed;
}

bool Model::needsWeights() const {
  return generic.manifest.weightBytes || std::any_of(variants.begin(), variants.end(), [](const Code &variant) { return variant.manifest.weightBytes != 0; });
}

/// Weights that second-level caches may hold. Pages of a file lie anywhere in memory, so that a cache has room for some twice and for others not at all, and no run
/// finds all of its weights there; a huge page fills it evenly.
static constexpr uint64_t kFewestCached = 256 << 10, kMostCached = 4 << 20;

void Model::placeWeights(const char *section, uint64_t bytes, int fd, uint64_t offset) {
  if (bytes >= kFewestCached && bytes <= kMostCached && weightsCopy.copy(section, bytes))
    section = weightsCopy.bytes;
  if (fd >= 0 && form)
    weightsDescriptor = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  sectionOffset = offset;
  generic.weights = section + weightStart;
  weightBytes = bytes > weightStart ? bytes - weightStart : 0;
  for (size_t k = 0; k < variants.size(); ++k) {
    variants[k].weights = generic.weights;
    variants[k].ownWeights = section + ownStarts[k];
  }
}

/// Describes a level of a model; the first stands in the model's own fields as well.
static onager_code_level getLevel(const onager_model &model, uint64_t index) {
  onager_code_level level{};
  if (model.size < sizeof model || !model.levels || model.levels->size < offsetof(onager_code_level, variants))
    return {sizeof level, 0, model.manifest, model.manifest_bytes, model.main, 0, nullptr, 0, nullptr, 0};
  std::memcpy(&level, reinterpret_cast<const char *>(model.levels) + index * model.levels->size, std::min<size_t>(sizeof level, model.levels->size));
  return level;
}

static bool isSanitized(const Manifest &manifest) { return std::find(manifest.features.begin(), manifest.features.end(), kSanitizerFeature) != manifest.features.end(); }

Outcome Model::adoptVariants(const onager_code_level &level, const std::string &name) {
  for (uint64_t k = 0; k < level.variant_count; ++k) {
    onager_variant described{};
    std::memcpy(&described, reinterpret_cast<const char *>(level.variants) + k * level.variants->size, std::min<size_t>(sizeof described, level.variants->size));
    Code variant;
    std::string error;
    if (!decode(described.manifest, described.manifest_bytes, variant.manifest, error))
      return failure(ONAGER_BAD_FILE, name + ": " + error);
    // Code for some shapes may take instructions that the code for all does not.
    if (!findMissingFeature(variant.manifest.features).empty())
      continue;
    variant.main = described.main;
    variant.isSanitized = isSanitized(variant.manifest);
    ownStarts.push_back(described.weight_start);
    variants.push_back(std::move(variant));
  }
  return {};
}

Outcome Model::adopt(const onager_model *model, const std::string &name) {
  if (model->size < offsetof(onager_model, levels) || model->abi != ONAGER_ABI_VERSION)
    return failure(ONAGER_BAD_FILE, name + " was made for version " + std::to_string(model->abi) + " of the interface, this runtime has version " +
                                        std::to_string(ONAGER_ABI_VERSION));
  manifestHash = hashBytes(model->manifest, model->manifest_bytes);
  uint64_t count = model->size >= sizeof(onager_model) && model->levels ? model->level_count : 1;
  std::string missing;
  for (uint64_t k = count; k-- > 0;) {
    onager_code_level level = getLevel(*model, k);
    std::string error;
    if (generic.manifest = {}; !decode(level.manifest, level.manifest_bytes, generic.manifest, error))
      return failure(ONAGER_BAD_FILE, name + ": " + error);
    missing = findMissingFeature(generic.manifest.features);
    if (!missing.empty())
      continue;
    generic.main = level.main;
    generic.isSanitized = isSanitized(generic.manifest);
    weightStart = level.weight_start;
    if (model->size >= sizeof(onager_model) && model->generic && level.recipes) {
      form = reinterpret_cast<const char *>(model->generic);
      formBytes = model->generic_bytes;
      recipes = reinterpret_cast<const char *>(level.recipes);
      recipeBytes = level.recipe_bytes;
    }
    return adoptVariants(level, name);
  }
  if (missing == kSanitizerFeature)
    return failAsan(name);
  return failure(ONAGER_BAD_MACHINE, name + " needs a processor with " + missing + (count > 1 ? "" : "; compile it with --target=portable"));
}

} // namespace onager::rt
