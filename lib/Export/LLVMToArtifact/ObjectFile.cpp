// Adds the weight section to an object without rewriting what is there.
//
// result := object (its header and one symbol patched), padding to 64, weights, section names, padding to 8, section headers
//
// The section is marked as large, so that linkers place it behind the code and reach it by 64-bit addresses alone.
#include "lib/Export/LLVMToArtifact/ObjectFile.h"
#include "onager-rt/abi.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>

using namespace llvm;
using namespace llvm::ELF;

namespace onager {

namespace {

/// An ELF object as its headers describe it. REQUIRES: LLVM wrote it; it is not checked as a stranger's file would be.
struct ObjectEditor {
  SmallVector<char, 0> bytes;
  Elf64_Ehdr header;
  SmallVector<Elf64_Shdr> sections;

  explicit ObjectEditor(ArrayRef<char> object) : bytes(object.begin(), object.end()) {
    std::memcpy(&header, bytes.data(), sizeof header);
    sections.resize(header.e_shnum);
    std::memcpy(sections.data(), bytes.data() + header.e_shoff, sections.size() * sizeof(Elf64_Shdr));
  }
  StringRef contents(const Elf64_Shdr &section) const { return StringRef(bytes.data() + section.sh_offset, section.sh_size); }

  /// Defines an undefined symbol as the start of the section that comes next; false where there is no such symbol.
  bool define(StringRef name, uint64_t size) {
    for (const Elf64_Shdr &table : sections) {
      if (table.sh_type != SHT_SYMTAB)
        continue;
      StringRef names = contents(sections[table.sh_link]);
      for (uint64_t at = table.sh_offset; at < table.sh_offset + table.sh_size; at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        std::memcpy(&symbol, bytes.data() + at, sizeof symbol);
        if (symbol.st_shndx != SHN_UNDEF || StringRef(names.data() + symbol.st_name) != name)
          continue;
        symbol.st_shndx = static_cast<uint16_t>(sections.size());
        symbol.st_value = 0;
        symbol.st_size = size;
        symbol.setBindingAndType(STB_GLOBAL, STT_OBJECT);
        symbol.st_other = STV_HIDDEN;
        std::memcpy(bytes.data() + at, &symbol, sizeof symbol);
        return true;
      }
    }
    return false;
  }
};

} // namespace

bool appendWeights(ArrayRef<char> object, const std::string &modelName, uint64_t weightBytes, WeightSource weights, raw_ostream &out, std::string &error) {
  ObjectEditor editor(object);
  std::string symbol = modelName + "_weights";
  if (!editor.define(symbol, weightBytes)) {
    error = "the object does not refer to " + symbol;
    return false;
  }
  uint64_t start = alignTo(editor.bytes.size(), ONAGER_ALIGNMENT);
  Elf64_Shdr &nameTable = editor.sections[editor.header.e_shstrndx];
  std::string names = editor.contents(nameTable).str();
  auto name = static_cast<Elf64_Word>(names.size());
  names += ".lrodata." + symbol + '\0';
  nameTable.sh_offset = start + weightBytes;
  nameTable.sh_size = names.size();
  editor.sections.push_back({name, SHT_PROGBITS, SHF_ALLOC | SHF_X86_64_LARGE, 0, start, weightBytes, 0, 0, ONAGER_ALIGNMENT, 0});
  uint64_t namesEnd = start + weightBytes + names.size();
  editor.header.e_shoff = alignTo(namesEnd, 8);
  editor.header.e_shnum = static_cast<uint16_t>(editor.sections.size());
  std::memcpy(editor.bytes.data(), &editor.header, sizeof editor.header);
  out.write(editor.bytes.data(), editor.bytes.size());
  out.write_zeros(start - editor.bytes.size());
  uint64_t written = 0;
  bool isComplete = weights([&](ArrayRef<char> piece) {
    out.write(piece.data(), piece.size());
    written += piece.size();
    return true;
  });
  if (!isComplete || written != weightBytes) {
    error = "the weights could not be computed";
    return false;
  }
  out << names;
  out.write_zeros(editor.header.e_shoff - namesEnd);
  out.write(reinterpret_cast<const char *>(editor.sections.data()), editor.sections.size() * sizeof(Elf64_Shdr));
  return true;
}

bool writeStaticLibrary(StringRef objectPath, const std::string &memberName, raw_ostream &out, std::string &error) {
  auto object = MemoryBuffer::getFile(objectPath, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!object) {
    error = "cannot read the object: " + object.getError().message();
    return false;
  }
  NewArchiveMember member;
  member.Buf = std::move(*object);
  member.MemberName = memberName;
  SmallVector<NewArchiveMember> members;
  members.push_back(std::move(member));
  if (Error failure = writeArchiveToStream(out, members, SymtabWritingMode::NormalSymtab, object::Archive::K_GNU, /*Deterministic=*/true, /*Thin=*/false)) {
    error = "cannot write the library: " + toString(std::move(failure));
    return false;
  }
  return true;
}

} // namespace onager
