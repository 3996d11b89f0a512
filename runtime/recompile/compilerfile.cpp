// Finding the compiler, and telling compilers apart by its file and the libraries that its code generation lies in.
#include "runtime/recompile/compilerfile.h"
#include "runtime/recompile/elffile.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

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

/// Where the loader looks for the libraries of a file that asks for further folders, those separated by colons.
static std::string listFolders(const std::string &further) {
  const char *first = getenv("LD_LIBRARY_PATH");
  return std::string(first ? first : "") + ":" + further + ":/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib64:/usr/lib64:/lib:/usr/lib";
}

/// Finds a library in one of the folders, "" where it is in none; `origin` is what $ORIGIN stands for.
static std::string findLibrary(const std::string &name, const std::string &folders, const std::string &origin) {
  for (size_t begin = 0; begin < folders.size();) {
    size_t end = std::min(folders.find(':', begin), folders.size());
    std::string folder = folders.substr(begin, end - begin);
    if (size_t at = folder.find("$ORIGIN"); at != std::string::npos)
      folder.replace(at, strlen("$ORIGIN"), origin);
    if (!folder.empty() && !access((folder + "/" + name).c_str(), R_OK))
      return folder + "/" + name;
    begin = end + 1;
  }
  return {};
}

std::string findCompilerLibrary(const std::string &named) {
  static constexpr char kName[] = "libonager-specialize.so.0";
  std::string folder = named.empty() ? findOwnFolder() : "";
  for (const char *place : {"/", "/../lib/"})
    if (!folder.empty() && !access((folder + place + kName).c_str(), R_OK))
      return folder + place + kName;
  std::string name = named.empty() ? kName : named;
  std::string found = name.find('/') == std::string::npos ? findLibrary(name, listFolders({}), {}) : "";
  return found.empty() ? name : found;
}

/// Size, time and build of a file, "" where there is none. Times alone would not do: packages and reproducible images set them all alike.
static std::string describeFile(const std::string &path, const std::string &buildId) {
  struct stat info;
  if (stat(path.c_str(), &info))
    return {};
  return std::to_string(info.st_size) + "-" + std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec) + (buildId.empty() ? "" : "-") + buildId;
}

std::string describeCompiler(const std::string &path) {
  ElfFacts facts = readElf(path);
  std::string text = describeFile(path, facts.buildId), folders = listFolders(facts.folders);
  size_t slash = path.rfind('/');
  for (const std::string &name : facts.libraries)
    if (name.rfind("libLLVM", 0) == 0 || name.rfind("libMLIR", 0) == 0) {
      std::string found = findLibrary(name, folders, slash == std::string::npos ? "." : path.substr(0, slash));
      text += "," + name + ":" + describeFile(found, readElf(found).buildId);
    }
  return text;
}

} // namespace onager::rt
