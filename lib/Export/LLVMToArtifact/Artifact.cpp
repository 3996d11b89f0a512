// Linking in process by lld, and the artifact file.
#include "lib/Export/LLVMToArtifact/Artifact.h"
#include "lld/Common/Driver.h"
#include "runtime/core/manifest.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

extern "C" const char onager_ops_archive_begin[], onager_ops_archive_end[];

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

SmallVector<char, 0> linkSharedObject(ArrayRef<char> object, const std::string &modelName, std::string &error) {
  // Two threads inside lld crash, and a linker that has failed badly must not be called again.
  static std::mutex lock;
  static bool usable = true;
  std::lock_guard<std::mutex> guard(lock);
  SmallString<128> input, archive, output;
  auto cleanup = make_scope_exit([&] {
    for (const SmallString<128> &path : {input, archive, output})
      if (!path.empty())
        sys::fs::remove(path);
  });
  if (!usable) {
    error = "the linker failed before in this process";
    return {};
  }
  ArrayRef<char> ops(onager_ops_archive_begin, onager_ops_archive_end);
  if (!writeTemporary("o", object, input, error) || !writeTemporary("a", ops, archive, error) || !writeTemporary("so", {}, output, error))
    return {};
  std::string soname = "-soname=" + modelName + ".so";
  std::vector<const char *> args{"ld.lld", "-shared", "--threads=1", "--no-undefined", "--gc-sections", "-Bsymbolic", "--hash-style=gnu", "--build-id=none",
                                 "-z", "noexecstack", "-z", "now", soname.c_str(), input.c_str(), archive.c_str(), "-o", output.c_str()};
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

bool writeArtifact(const std::string &path, ArrayRef<char> code, uint64_t weightBytes, WeightSource weights, std::string &error) {
  SmallString<128> model(path), temporary;
  model += ".tmp-%%%%%%%%";
  int fd;
  if (std::error_code status = sys::fs::createUniqueFile(model, fd, temporary, sys::fs::OF_None, 0755)) {
    error = "cannot create a file beside " + path + ": " + status.message();
    return false;
  }
  sys::RemoveFileOnSignal(temporary);
  bool written = [&] {
    raw_fd_ostream out(fd, /*shouldClose=*/true);
    out.write(code.data(), code.size());
    rt::Footer footer{rt::kFooterMagic, code.size(), rt::hashBytes(code.data(), code.size()), alignTo(code.size(), rt::kWeightAlignment), weightBytes, 0};
    out.write_zeros(footer.weightStart - code.size());
    bool complete = weights([&](ArrayRef<char> bytes) {
      out.write(bytes.data(), bytes.size());
      return !out.has_error();
    });
    footer.footerHash = rt::hashBytes(&footer, offsetof(rt::Footer, footerHash));
    out.write(reinterpret_cast<const char *>(&footer), sizeof footer);
    out.flush();
    if (out.has_error()) {
      error = "cannot write " + path + ": " + out.error().message();
      out.clear_error();
      return false;
    }
    if (!complete && error.empty())
      error = "the weights could not be computed";
    return complete;
  }();
  if (written)
    if (std::error_code status = sys::fs::rename(temporary, path)) {
      error = "cannot rename to " + path + ": " + status.message();
      written = false;
    }
  if (!written)
    sys::fs::remove(temporary);
  sys::DontRemoveFileOnSignal(temporary);
  return written;
}

} // namespace onager
