// Variants on the disk: what one process compiled for a model's hot shapes, later ones load.
//
//   VariantCache cache;
//   if (cache.open(VariantCache::findFolder(), VariantCache::kDefaultBytes))
//     for (const Preimage &preimage : cache.listPreimages(group))    // at the start of a session
//       if (cache.find(group, preimage, code))
//         ...
//   if (VariantCache::Lock lock = cache.lock(group, preimage, 60))   // on the thread that compiles
//     if (!cache.find(group, preimage, code))                        // another process may have been first
//       cache.store(group, preimage, code.data(), code.size());      // after compiling
//
// The folder holds one folder for each group, and in it, named by the key, the SHA-256 of the preimage:
//
//   GROUP/KEY.variant               an entry, see entry.h
//   GROUP/KEY.lock                  held by flock while somebody compiles the entry
//   GROUP/KEY.RANDOM.tmp            an entry that is being written
//
// An entry's time of modification is that of its last use.
#ifndef ONAGER_RUNTIME_CACHE_VARIANTCACHE_H
#define ONAGER_RUNTIME_CACHE_VARIANTCACHE_H

#include "runtime/cache/entry.h"
#include "runtime/cache/folder.h"
#include "runtime/core/model.h"
#include <sys/types.h>

namespace onager::rt {

/// What decides the code of a variant, in readable `key=value` lines.
using Preimage = std::string;

/// A folder of variants. After open() any number of threads may call anything; other processes may use the folder at the same time. A cache that is not open
/// finds nothing and stores nothing. A group is 32 lower-case hex digits, a hash of the model's generic IR.
class VariantCache {
public:
  /// The limit of the folder's size where nobody says another.
  static constexpr uint64_t kDefaultBytes = 1ull << 30;

  VariantCache() = default;
  VariantCache(const VariantCache &) = delete;

  /// Names the folder: ONAGER_CACHE_DIR/variants, else XDG_CACHE_HOME/onager/variants, else HOME/.cache/onager/variants; "" where no variable names one.
  static std::string findFolder();

  /// Opens a folder, instead of one that was opened before. With `write` it is made (mode 0700) where it is missing and `make` allows it; without `write` nothing on the
  /// disk changes by this object: no use is noted, nothing damaged removed. Fails where the folder is missing, a link, of another user, or others may write to
  /// it; then the object stays as it was. No other thread may use the object meanwhile.
  Outcome open(const std::string &folder, uint64_t maxBytes, bool write = true, bool make = true);
  /// False where the folder can only be read.
  bool isWritable() const { return writable; }
  const std::string &getFolder() const { return path; }

  /// Returns the preimages of a group's entries, those that were used last first. It is no use of them, and reads no code. Damaged entries are removed and count as
  /// missing; so do, but stay, those that cannot be read or that another user owns or may write to. One failed system call where the group has no folder.
  std::vector<Preimage> listPreimages(const std::string &group) const;
  /// Finds an entry, under the same conditions, and notes its use; `payload` is unspecified where there is none.
  bool find(const std::string &group, const Preimage &preimage, std::string &payload) const;

  /// Stores an entry, in the place of an older one of its key, and prunes the folder to the limit. The entry appears complete or, on any failure, not at all;
  /// one that was there then stays. It is on the disk when the call returns. Raises no SIGXFSZ.
  Outcome store(const std::string &group, const Preimage &preimage, const char *payload, size_t bytes) const;

  /// Removes an entry, where there is one and the folder may be written to.
  void remove(const std::string &group, const Preimage &preimage) const;

  /// The right to compile an entry. Goes with its object, and with the process if no child was forked meanwhile without exec.
  class Lock {
  public:
    Lock() = default;
    Lock(Lock &&other) noexcept { *this = std::move(other); }
    Lock &operator=(Lock &&other) noexcept;
    ~Lock() { release(); }
    /// True where this object holds the lock.
    explicit operator bool() const { return static_cast<bool>(file); }
    /// True where another thread or process held it to the end of the time; false without a lock: there can be none here, as in a folder that can only be read.
    bool isBusy() const { return busy; }
    /// Gives the lock to the next who asks for it.
    void release();

  private:
    friend class VariantCache;
    /// Tries once to lock a file.
    bool take(int root, const std::string &group, const std::string &wanted);
    Descriptor folder, file;
    std::string name;
    pid_t owner = 0;
    bool busy = false;
  };
  /// Takes the lock of an entry, waiting at most so many seconds for others to release it; 0: not at all. At most one of all threads and processes holds it.
  Lock lock(const std::string &group, const Preimage &preimage, double seconds) const;

  struct Listed {
    std::string group, key, path;
    uint64_t bytes = 0;
    int64_t age = 0; ///< seconds since the last use
    Preimage preimage;
    std::string fault; ///< why it is not loaded, "" for a good one
  };
  /// Returns all files with names of entries, by group and key; with `whole` their code is read and checked as well. Is no use of them, and removes none.
  std::vector<Listed> list(bool whole) const;

  struct Pruned {
    uint64_t removed = 0, removedBytes = 0, kept = 0, keptBytes = 0;
  };
  /// Removes the entries that were not used for the longest time until the others have no more than `limit` bytes, temporary files and locks of dead processes that are
  /// older than an hour, and empty groups.
  Pruned prune(uint64_t limit) const;

private:
  Pruned prune(uint64_t limit, const std::string &spared) const;
  EntryFault load(int folder, const std::string &group, const std::string &key, Preimage &preimage, std::string *payload) const;

  Descriptor root;
  std::string path;
  uint64_t maxBytes = 0;
  bool writable = false;
};

} // namespace onager::rt

#endif
