// What the folder holds, and what is removed from it.
#include "runtime/cache/variantcache.h"
#include <algorithm>
#include <ctime>
#include <fcntl.h>
#include <sys/file.h>
#include <tuple>
#include <unistd.h>

namespace onager::rt {

/// Temporary files and locks that are older belong to processes that ended without removing them.
constexpr int64_t kStaleSeconds = 3600;

static int64_t getAge(const struct stat &info) { return std::max<int64_t>(time(nullptr) - info.st_mtim.tv_sec, 0); }

static bool hasSuffix(const std::string &name, const std::string &suffix) {
  return hasDigits(name, kKeyDigits) && name.size() >= kKeyDigits + suffix.size() && !name.compare(name.size() - suffix.size(), suffix.size(), suffix);
}

/// True for entries, also of other versions, whose suffix goes on behind ours.
static bool isPrunable(const std::string &name) { return hasDigits(name, kKeyDigits) && !name.compare(kKeyDigits, sizeof kEntrySuffix - 1, kEntrySuffix); }

std::vector<VariantCache::Listed> VariantCache::list(bool whole) const {
  std::vector<Listed> all;
  for (const std::string &group : root ? listNames(root.get()) : std::vector<std::string>()) {
    Descriptor folder = isGroupName(group) ? openFolder(root.get(), group) : Descriptor();
    for (const std::string &name : folder ? listNames(folder.get()) : std::vector<std::string>()) {
      struct stat info;
      if (!isEntryName(name) || fstatat(folder.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW))
        continue;
      Listed listed{group, name.substr(0, kKeyDigits), path + "/" + group + "/" + name, static_cast<uint64_t>(info.st_size), getAge(info), {}, {}};
      std::string payload;
      Descriptor file(openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
      if (!file)
        listed.fault = S_ISLNK(info.st_mode) ? "is a link" : "cannot be opened";
      else if (EntryFault fault = readEntry(file.get(), group, listed.key, listed.preimage, whole ? &payload : nullptr))
        listed.fault = fault.reason;
      all.push_back(std::move(listed));
    }
  }
  return all;
}

namespace {

struct Candidate {
  timespec used;
  std::string group, name;
  uint64_t bytes;
  auto order() const { return std::tie(used.tv_sec, used.tv_nsec, group, name); }
};

} // namespace

/// Removes a temporary file or lock that nobody uses any more.
static void removeStale(int folder, const std::string &name) {
  if (hasSuffix(name, kTemporarySuffix))
    unlinkat(folder, name.c_str(), 0);
  Descriptor lock(hasSuffix(name, kLockSuffix) ? openat(folder, name.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1);
  // Only who holds a lock may remove its file.
  if (lock && !flock(lock.get(), LOCK_EX | LOCK_NB) && leadsTo(folder, name, lock.get()))
    unlinkat(folder, name.c_str(), 0);
}

/// Adds what may be removed of a group, and removes what is stale.
static void scanGroup(int root, const std::string &group, std::vector<Candidate> &candidates) {
  Descriptor folder = openFolder(root, group);
  for (const std::string &name : folder ? listNames(folder.get()) : std::vector<std::string>()) {
    struct stat info;
    if (fstatat(folder.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) || S_ISDIR(info.st_mode))
      continue;
    if (isPrunable(name))
      candidates.push_back({info.st_mtim, group, name, static_cast<uint64_t>(info.st_size)});
    else if (getAge(info) > kStaleSeconds)
      removeStale(folder.get(), name);
  }
}

VariantCache::Pruned VariantCache::prune(uint64_t limit) const { return prune(limit, {}); }

VariantCache::Pruned VariantCache::prune(uint64_t limit, const std::string &spared) const {
  Pruned result;
  std::vector<Candidate> candidates;
  std::vector<std::string> groups = writable ? listNames(root.get()) : std::vector<std::string>();
  groups.erase(std::remove_if(groups.begin(), groups.end(), [](const std::string &name) { return !isGroupName(name); }), groups.end());
  for (const std::string &group : groups)
    scanGroup(root.get(), group, candidates);
  for (const Candidate &candidate : candidates)
    result.kept += 1, result.keptBytes += candidate.bytes;
  std::sort(candidates.begin(), candidates.end(), [](const Candidate &a, const Candidate &b) { return a.order() < b.order(); });
  for (const Candidate &oldest : candidates) {
    if (limit && result.keptBytes <= limit)
      break;
    std::string place = oldest.group + "/" + oldest.name;
    if (place == spared || unlinkat(root.get(), place.c_str(), 0))
      continue;
    result.removed += 1, result.removedBytes += oldest.bytes;
    result.kept -= 1, result.keptBytes -= oldest.bytes;
  }
  for (const std::string &group : groups)
    unlinkat(root.get(), group.c_str(), AT_REMOVEDIR);
  return result;
}

} // namespace onager::rt
