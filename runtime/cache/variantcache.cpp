// Opening the folder, finding and storing entries.
#include "runtime/cache/variantcache.h"
#include "runtime/cache/sha256.h"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <initializer_list>
#include <string_view>
#include <sys/random.h>
#include <tuple>
#include <unistd.h>

namespace onager::rt {

std::string VariantCache::findFolder() {
  const struct {
    const char *variable, *below;
  } places[] = {{"ONAGER_CACHE_DIR", "/variants"}, {"XDG_CACHE_HOME", "/onager/variants"}, {"HOME", "/.cache/onager/variants"}};
  for (const auto &place : places)
    if (const char *value = secure_getenv(place.variable); value && *value)
      return std::string(value) + place.below;
  return {};
}

/// Makes a folder and those above it where they are missing.
static void makeFolders(const std::string &path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    mkdir(path.substr(0, at).c_str(), 0700);
  mkdir(path.c_str(), 0700);
}

Outcome VariantCache::open(const std::string &folder, uint64_t limit, bool write, bool make) {
  std::string wanted = folder;
  while (wanted.size() > 1 && wanted.back() == '/') // a link would be followed
    wanted.pop_back();
  auto fail = [&](const std::string &reason) { return failure(ONAGER_BAD_FILE, "the cache " + wanted + " " + reason); };
  if (wanted.empty())
    return failure(ONAGER_BAD_FILE, "no variable names a folder for the cache");
  if (write && make)
    makeFolders(wanted);
  struct stat info;
  if (!lstat(wanted.c_str(), &info) && S_ISLNK(info.st_mode))
    return fail("is a link");
  Descriptor opened(::open(wanted.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!opened || fstat(opened.get(), &info))
    return fail(std::string("cannot be opened: ") + strerror(errno));
  if (const char *reason = findDistrust(info, S_IFDIR))
    return fail(reason);
  root = std::move(opened);
  path = std::move(wanted);
  maxBytes = limit;
  writable = write && !faccessat(root.get(), ".", W_OK | X_OK, AT_EACCESS);
  return {};
}

EntryFault VariantCache::load(int folder, const std::string &group, const std::string &key, Preimage &preimage, std::string *payload) const {
  std::string name = key + kEntrySuffix;
  // A pipe of this name must not be waited for.
  Descriptor file(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file)
    return {"cannot be opened", false};
  EntryFault fault = readEntry(file.get(), group, key, preimage, payload);
  if (writable && fault.isDamaged && leadsTo(folder, name, file.get()))
    unlinkat(folder, name.c_str(), 0);
  else if (writable && !fault && payload)
    futimens(file.get(), nullptr);
  return fault;
}

std::vector<Preimage> VariantCache::listPreimages(const std::string &group) const {
  std::vector<Preimage> preimages;
  std::vector<timespec> uses;
  Descriptor folder = isGroupName(group) ? openFolder(root.get(), group) : Descriptor();
  for (const std::string &name : folder ? listNames(folder.get()) : std::vector<std::string>()) {
    Preimage preimage;
    struct stat info;
    if (!isEntryName(name) || fstatat(folder.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) || load(folder.get(), group, name.substr(0, kKeyDigits), preimage, nullptr))
      continue;
    auto isOlder = [&](const timespec &use) { return std::tie(use.tv_sec, use.tv_nsec) < std::tie(info.st_mtim.tv_sec, info.st_mtim.tv_nsec); };
    auto place = std::find_if(uses.begin(), uses.end(), isOlder);
    preimages.insert(preimages.begin() + (place - uses.begin()), std::move(preimage));
    uses.insert(place, info.st_mtim);
  }
  return preimages;
}

bool VariantCache::find(const std::string &group, const Preimage &preimage, std::string &payload) const {
  Preimage found;
  Descriptor folder = isGroupName(group) ? openFolder(root.get(), group) : Descriptor();
  return folder && !load(folder.get(), group, hashSha256(preimage), found, &payload) && found == preimage;
}

namespace {

/// Turns the signal of the limit on file sizes into an error of write() for the calling thread.
class NoSizeSignal {
public:
  NoSizeSignal() {
    sigset_t pending;
    sigemptyset(&signals);
    sigaddset(&signals, SIGXFSZ);
    sigpending(&pending);
    wasPending = sigismember(&pending, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
  }
  ~NoSizeSignal() {
    const timespec none{};
    while (!wasPending && sigtimedwait(&signals, nullptr, &none) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

private:
  sigset_t signals, before;
  bool wasPending;
};

} // namespace

/// Writes the parts of an entry to the disk; returns as writeAll does.
static int writeParts(int file, std::initializer_list<std::string_view> parts) {
  NoSizeSignal guard;
  for (std::string_view part : parts)
    if (int error = writeAll(file, part))
      return error;
  return fsync(file) ? errno : 0;
}

/// Returns a name that no other process draws.
static std::string drawName(const std::string &key) {
  uint64_t bits[2] = {};
  if (getrandom(bits, sizeof bits, 0) < 0) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    bits[0] = static_cast<uint64_t>(getpid());
    bits[1] = static_cast<uint64_t>(now.tv_nsec);
  }
  return key + "." + std::to_string(bits[0]) + "-" + std::to_string(bits[1]) + kTemporarySuffix;
}

void VariantCache::remove(const std::string &group, const Preimage &preimage) const {
  Descriptor folder = writable && isGroupName(group) ? openFolder(root.get(), group) : Descriptor();
  if (folder && !unlinkat(folder.get(), (hashSha256(preimage) + kEntrySuffix).c_str(), 0))
    fsync(folder.get());
}

Outcome VariantCache::store(const std::string &group, const Preimage &preimage, const char *payload, size_t bytes) const {
  std::string key = hashSha256(preimage), name = key + kEntrySuffix, place = path + "/" + group + "/" + name;
  auto fail = [&](const std::string &reason) { return failure(ONAGER_BAD_FILE, "cannot write " + place + ": " + reason); };
  if (!isGroupName(group))
    return failure(ONAGER_BAD_ARGUMENT, "'" + group + "' is no group of variants: expected 32 hex digits");
  if (!writable)
    return fail("the cache can only be read");
  uint64_t size = sizeof(EntryHeader) + preimage.size() + bytes, limit = maxBytes < kMaxEntryBytes ? maxBytes : kMaxEntryBytes;
  if (size > limit)
    return fail("it has " + std::to_string(size) + " bytes, and no more than " + std::to_string(limit) + " may be stored");
  EntryHeader header = describeEntry(group, preimage, payload, bytes);
  std::string temporary = drawName(key);
  Descriptor folder, file = createFile(root.get(), group, temporary, O_EXCL, folder);
  if (!file)
    return fail(strerror(errno));
  int error = writeParts(file.get(), {{reinterpret_cast<const char *>(&header), sizeof header}, preimage, {payload, bytes}});
  if (!error && renameat(folder.get(), temporary.c_str(), folder.get(), name.c_str()))
    error = errno;
  if (error) {
    unlinkat(folder.get(), temporary.c_str(), 0);
    return fail(strerror(error));
  }
  fsync(folder.get());
  fsync(root.get());
  prune(maxBytes, group + "/" + name);
  return {};
}

} // namespace onager::rt
