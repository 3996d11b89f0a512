// Finds the manifest through the code's ELF sections: onager_model among the symbols, the manifest's place among the relocations.
#include "ArtifactManifest.h"
#include "Cli.h"
#include "onager-rt/abi.h"
#include "llvm/Object/ELF.h"
#include <cstddef>
#include <cstring>

using llvm::StringRef;
using llvm::object::ELF64LE;
using llvm::object::ELF64LEFile;

namespace onager::cli {

/// Returns the value, or fails with the reason that LLVM gives.
template <typename T>
static T unwrap(llvm::Expected<T> value, const std::string &who) {
  if (!value)
    throw Failure(Status::badFile, who + " is damaged: " + llvm::toString(value.takeError()));
  return *value;
}

/// Returns the ELF file at the artifact's start, after checking the footer and the code.
static StringRef findCode(StringRef bytes, const std::string &who) {
  rt::Footer footer;
  uint64_t start = 0;
  if (const char *reason = rt::findArtifact(bytes.data(), bytes.size(), footer, start))
    throw Failure(Status::badFile, who + " " + reason);
  StringRef code = bytes.substr(start, footer.codeBytes);
  if (footer.codeHash != rt::hashBytes(code.data(), code.size()))
    throw Failure(Status::badFile, who + " is damaged: the checksum of its code differs");
  return code;
}

/// Returns the address of the exported onager_model, 0 where there is none.
static uint64_t findModel(const ELF64LEFile &file, const std::string &who) {
  for (const ELF64LE::Shdr &section : unwrap(file.sections(), who)) {
    if (section.sh_type != llvm::ELF::SHT_DYNSYM)
      continue;
    StringRef names = unwrap(file.getStringTableForSymtab(section), who);
    for (const ELF64LE::Sym &symbol : unwrap(file.symbols(&section), who))
      if (unwrap(symbol.getName(names), who) == "onager_model")
        return symbol.st_value;
  }
  return 0;
}

/// Returns the address that the loader stores at a place.
static uint64_t findPointer(const ELF64LEFile &file, uint64_t place, const std::string &who) {
  for (const ELF64LE::Shdr &section : unwrap(file.sections(), who)) {
    if (section.sh_type != llvm::ELF::SHT_RELA)
      continue;
    for (const ELF64LE::Rela &relocation : unwrap(file.relas(section), who))
      if (relocation.r_offset == place)
        return static_cast<uint64_t>(relocation.r_addend);
  }
  return 0;
}

/// Returns the bytes at an address of the loaded code.
static const uint8_t *findBytes(const ELF64LEFile &file, uint64_t address, uint64_t size, const std::string &who) {
  const uint8_t *at = unwrap(file.toMappedAddr(address), who);
  if (size > static_cast<uint64_t>(file.base() + file.getBufSize() - at))
    throw Failure(Status::badFile, who + " is damaged: its manifest lies beyond the code");
  return at;
}

/// Reads a struct at an address.
template <typename T> static T readStruct(const ELF64LEFile &file, uint64_t address, const std::string &who) {
  T value;
  std::memcpy(&value, findBytes(file, address, sizeof value, who), sizeof value);
  return value;
}

/// Reads the manifest that a struct at `place` points to.
template <typename T> static rt::Manifest readManifest(const ELF64LEFile &file, uint64_t place, const std::string &who) {
  uint64_t address = findPointer(file, place + offsetof(T, manifest), who), size = readStruct<T>(file, place, who).manifest_bytes;
  rt::Manifest manifest;
  std::string error;
  if (!rt::decode(findBytes(file, address, size, who), size, manifest, error))
    throw Failure(Status::badFile, who + ": " + error);
  return manifest;
}

/// Returns the bytes that a pointer at a place leads to; none where it is null.
static StringRef readBytes(const ELF64LEFile &file, uint64_t place, uint64_t size, const std::string &who) {
  uint64_t address = findPointer(file, place, who);
  return address ? StringRef(reinterpret_cast<const char *>(findBytes(file, address, size, who)), size) : StringRef();
}

static ArtifactDescription::Level readLevel(const ELF64LEFile &file, uint64_t place, StringRef section, const std::string &who) {
  ArtifactDescription::Level level;
  auto described = readStruct<onager_code_level>(file, place, who);
  level.generic = readManifest<onager_code_level>(file, place, who);
  uint64_t variants = findPointer(file, place + offsetof(onager_code_level, variants), who);
  for (uint64_t k = 0; k < described.variant_count; ++k)
    level.variants.push_back(readManifest<onager_variant>(file, variants + k * sizeof(onager_variant), who));
  level.recipes = readBytes(file, place + offsetof(onager_code_level, recipes), described.recipe_bytes, who);
  level.weights = section.substr(std::min<uint64_t>(described.weight_start, section.size()), level.generic.weightBytes);
  return level;
}

ArtifactDescription parseArtifact(StringRef bytes, const std::string &who) {
  StringRef code = findCode(bytes, who);
  auto file = unwrap(ELF64LEFile::create(code), who);
  uint64_t place = findModel(file, who);
  if (!place)
    throw Failure(Status::badFile, who + " exports no model");
  auto model = readStruct<onager_model>(file, place, who);
  if (model.abi != ONAGER_ABI_VERSION)
    throw Failure(Status::badFile, who + " was made for another version of Onager");
  rt::Footer footer;
  uint64_t start = 0;
  rt::findArtifact(bytes.data(), bytes.size(), footer, start);
  ArtifactDescription description;
  description.isProgram = start > 0;
  description.form = readBytes(file, place + offsetof(onager_model, generic), model.generic_bytes, who);
  StringRef section = bytes.substr(start + footer.weightStart, footer.weightBytes);
  uint64_t levels = findPointer(file, place + offsetof(onager_model, levels), who);
  for (uint64_t k = 0; levels && k < model.level_count; ++k)
    description.levels.push_back(readLevel(file, levels + k * sizeof(onager_code_level), section, who));
  if (description.levels.empty())
    description.levels.push_back({readManifest<onager_model>(file, place, who), {}, {}, {}});
  return description;
}

} // namespace onager::cli
