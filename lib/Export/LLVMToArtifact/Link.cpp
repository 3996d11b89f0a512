// Linking in process by lld; hiding what one model's object must not share with another's.
#include "lib/Export/LLVMToArtifact/Link.h"
#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Parallel.h"
#include "llvm/Support/raw_ostream.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

extern "C" const char onager_ops_archive_begin[], onager_ops_archive_end[];
extern "C" const char onager_images_begin[], onager_images_end[];

using namespace llvm;

namespace onager {

/// Writes bytes to a new temporary file.
static bool writeTemporary(StringRef suffix, ArrayRef<char> bytes, SmallString<128> &path, std::string &error) {
  int fd;
  if (std::error_code code = sys::fs::createTemporaryFile("onager", suffix, fd, path)) {
    error = "cannot create a temporary file: " + code.message();
    return false;
  }
  raw_fd_ostream out(fd, /*shouldClose=*/true);
  out.write(bytes.data(), bytes.size());
  out.flush();
  if (out.has_error()) {
    error = "cannot write " + path.str().str() + ": " + out.error().message();
    out.clear_error();
    return false;
  }
  return true;
}

/// Returns whether the object calls a kernel of runtime/ops/image.c, by the names of its symbols.
static bool readsImages(ArrayRef<char> object) { return StringRef(object.data(), object.size()).contains("onager_op_image_"); }

/// Runs lld over the objects, the readers of runtime/images where they are called, and the archive of runtime/ops.
static SmallVector<char, 0> link(ArrayRef<ArrayRef<char>> models, ArrayRef<const char *> flags, std::string &error) {
  // Two threads inside lld crash, and a linker that has failed badly must not be called again.
  static std::mutex lock;
  static bool usable = true;
  std::lock_guard<std::mutex> guard(lock);
  SmallVector<ArrayRef<char>> objects(models);
  if (llvm::any_of(models, readsImages))
    objects.push_back(ArrayRef<char>(onager_images_begin, onager_images_end));
  SmallVector<SmallString<128>, 4> inputs(objects.size());
  SmallString<128> archive, output;
  // lld's number of threads would be that of all of LLVM's parallel loops from then on.
  scope_exit cleanup([&, strategy = parallel::strategy] {
    parallel::strategy = strategy;
    for (const auto &path : concat<SmallString<128>>(inputs, MutableArrayRef(archive), MutableArrayRef(output)))
      if (!path.empty())
        sys::fs::remove(path);
  });
  if (!usable) {
    error = "the linker failed before in this process";
    return {};
  }
  ArrayRef<char> ops(onager_ops_archive_begin, onager_ops_archive_end);
  for (auto [object, input] : zip(objects, inputs))
    if (!writeTemporary("o", object, input, error))
      return {};
  if (!writeTemporary("a", ops, archive, error) || !writeTemporary("so", {}, output, error))
    return {};
  SmallVector<const char *> args{"ld.lld", "--threads=1", "--build-id=none"};
  args.append(flags.begin(), flags.end());
  for (SmallString<128> &input : inputs)
    args.push_back(input.c_str());
  args.append({archive.c_str(), "-o", output.c_str()});
  std::string messages;
  raw_string_ostream err(messages), out(messages);
  lld::Result result = lld::lldMain(args, out, err, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  if (result.retCode) {
    error = "linking failed: " + messages;
    return {};
  }
  auto linked = MemoryBuffer::getFile(output);
  if (!linked) {
    error = "cannot read the linked code: " + linked.getError().message();
    return {};
  }
  StringRef bytes = (*linked)->getBuffer();
  return SmallVector<char, 0>(bytes.begin(), bytes.end());
}

/// Returns the first symbol that the linked code needs and that is none of AddressSanitizer's; empty where there is none.
static std::string findForeign(ArrayRef<char> code) {
  auto file = object::ObjectFile::createELFObjectFile(MemoryBufferRef(StringRef(code.data(), code.size()), "code"));
  if (!file)
    return toString(file.takeError());
  for (const object::SymbolRef &symbol : cast<object::ELFObjectFileBase>(**file).getDynamicSymbolIterators()) {
    Expected<uint32_t> flags = symbol.getFlags();
    Expected<StringRef> name = symbol.getName();
    if (!flags || !name) {
      consumeError(flags.takeError());
      consumeError(name.takeError());
      return "a symbol without a name";
    }
    if (*flags & object::SymbolRef::SF_Undefined && !name->empty() && !name->starts_with("__asan_"))
      return name->str();
  }
  return {};
}

SmallVector<char, 0> linkSharedObject(ArrayRef<ArrayRef<char>> objects, const std::string &modelName, bool isSanitized, std::string &error) {
  std::string soname = "-soname=" + modelName + ".so";
  const char *undefined = isSanitized ? "--unresolved-symbols=ignore-all" : "--no-undefined";
  SmallVector<char, 0> linked = link(objects, {"-shared", undefined, "--gc-sections", "-Bsymbolic", "--hash-style=gnu", "-z", "noexecstack", "-z", "now", soname.c_str()}, error);
  std::string foreign = isSanitized && !linked.empty() ? findForeign(linked) : "";
  if (foreign.empty())
    return linked;
  error = "linking failed: undefined symbol: " + foreign;
  return {};
}

/// Makes every defined symbol local but the model's own.
static Expected<SmallVector<char, 0>> hideSymbols(ArrayRef<char> object, const std::string &modelName) {
  objcopy::ConfigManager config;
  config.Common.OutputFilename = "object";
  auto keep = [&](const std::string &symbol) {
    return config.Common.SymbolsToKeepGlobal.addMatcher(objcopy::NameOrPattern::create(symbol, objcopy::MatchStyle::Literal, [](Error failure) { return failure; }));
  };
  std::string model = modelName + "_model";
  if (Error failure = keep(model))
    return failure;
  auto binary = object::ObjectFile::createObjectFile(MemoryBufferRef(StringRef(object.data(), object.size()), "object"));
  if (!binary)
    return binary.takeError();
  SmallVector<char, 0> hidden;
  raw_svector_ostream out(hidden);
  if (Error failure = objcopy::executeObjcopyOnBinary(config, **binary, out))
    return failure;
  return hidden;
}

SmallVector<char, 0> linkRelocatable(ArrayRef<ArrayRef<char>> objects, const std::string &modelName, std::string &error) {
  SmallVector<char, 0> merged = link(objects, {"-r"}, error);
  if (merged.empty())
    return merged;
  auto hidden = hideSymbols(merged, modelName);
  if (hidden)
    return std::move(*hidden);
  error = "cannot hide the object's symbols: " + toString(hidden.takeError());
  return {};
}

} // namespace onager
