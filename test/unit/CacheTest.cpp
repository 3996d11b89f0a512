// The cache of variants: what was stored is found whole or not at all, whatever lies on the disk, and nothing is loaded that others could have written.
#include "runtime/cache/sha256.h"
#include "runtime/cache/variantcache.h"
#include "test/unit/Support.h"
#include <atomic>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace fs = std::filesystem;
using namespace onager;
using namespace onager::test;
using rt::VariantCache;

namespace {

const std::string kGroup = "00112233445566778899aabbccddeeff", kOther = "ffeeddccbbaa99887766554433221100";
const std::string kPreimage = "build=1.2.3\nguard=batch==4\ntarget=x86-64-v3\n";
constexpr uint64_t kPlenty = 1 << 20;

class Cache : public testing::Test {
protected:
  void SetUp() override {
    folder = getFolder() + "/cache-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(folder);
    fs::permissions(folder, fs::perms::owner_all);
    open(cache);
  }

  void open(VariantCache &opened, uint64_t maxBytes = kPlenty, bool write = true) const {
    rt::Outcome outcome = opened.open(folder, maxBytes, write);
    EXPECT_TRUE(outcome) << outcome.message;
  }
  static rt::Outcome store(const VariantCache &cache, const std::string &preimage, const std::string &payload, const std::string &group = kGroup) {
    return cache.store(group, preimage, payload.data(), payload.size());
  }
  void expectStored(const std::string &preimage, const std::string &payload, const std::string &group = kGroup) const {
    rt::Outcome outcome = store(cache, preimage, payload, group);
    EXPECT_TRUE(outcome) << outcome.message;
  }
  /// What find says, "absent" for nothing.
  static std::string find(const VariantCache &cache, const std::string &preimage, const std::string &group = kGroup) {
    std::string payload;
    return cache.find(group, preimage, payload) ? payload : "absent";
  }
  std::string find(const std::string &preimage, const std::string &group = kGroup) const { return find(cache, preimage, group); }

  std::string getPath(const std::string &preimage, const std::string &group = kGroup, const char *suffix = ".variant") const {
    return folder + "/" + group + "/" + rt::hashSha256(preimage) + suffix;
  }
  static void setAge(const std::string &path, int64_t seconds) {
    timespec times[2] = {{time(nullptr) - seconds, 0}, {time(nullptr) - seconds, 0}};
    EXPECT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
  }
  /// Names in the group's folder.
  size_t countFiles(const std::string &group = kGroup) const {
    std::error_code code;
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder + "/" + group, code), fs::directory_iterator()));
  }

  std::string folder;
  VariantCache cache;
};

/// Runs `body` in a forked child with a time limit; true where it returns true.
bool holdsInChild(const std::function<bool()> &body) {
  pid_t child = fork();
  if (child == 0) {
    alarm(30);
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Becomes another user; for forked children of root.
void becomeUser(uid_t user) {
  if (setgid(user) || setuid(user))
    _exit(2);
}

constexpr uid_t kUser = 12345;
} // namespace

/// FIPS 180-4's examples, and lengths around the padding's borders against Python's hashlib.
TEST(Sha256, TestVectors) {
  EXPECT_EQ(rt::hashSha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(rt::hashSha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(rt::hashSha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(rt::hashSha256(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  const struct {
    size_t length;
    const char *digest;
  } borders[] = {
      {55, "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072"},
      {56, "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e"},
      {63, "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2"},
      {64, "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c"},
      {65, "9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9"},
      {119, "000b48d4edf0fa7bee3c6236ecd2785baa5db4eeb8bb54341b029e0d9fa5fb0c"},
      {120, "13f05a0b594787f5ecd315edc96141bd3243203d1b7d4f0836f37308b276ba98"},
      {128, "24da1b81d0b16df6428eee73c69fcb2a93c76bc6df706f0c6670fe6bfe800464"}};
  for (const auto &border : borders)
    EXPECT_EQ(rt::hashSha256(std::string(border.length, 'x')), border.digest) << border.length;
}

TEST_F(Cache, WhatWasStoredIsFound) {
  std::string payload("\0code\n\xff", 7);
  EXPECT_EQ(find(kPreimage), "absent");
  expectStored(kPreimage, payload);
  EXPECT_EQ(find(kPreimage), payload);
  VariantCache again;
  open(again);
  EXPECT_EQ(find(again, kPreimage), payload);
  EXPECT_EQ(again.listPreimages(kGroup), std::vector<rt::Preimage>{kPreimage});
  EXPECT_TRUE(fs::exists(getPath(kPreimage)));
  EXPECT_EQ(countFiles(), 1u) << "something else was left";
  EXPECT_EQ(fs::status(getPath(kPreimage)).permissions() & ~fs::perms::owner_all, fs::perms::none);
}

TEST_F(Cache, OtherPreimagesAndGroupsAreMisses) {
  expectStored(kPreimage, "code");
  for (const std::string &other : {kPreimage + "x", kPreimage.substr(0, kPreimage.size() - 1), std::string(), "B" + kPreimage.substr(1)})
    EXPECT_EQ(find(other), "absent") << other;
  EXPECT_EQ(find(kPreimage, kOther), "absent");
  EXPECT_TRUE(cache.listPreimages(kOther).empty());
  expectStored(kPreimage, "other code", kOther);
  expectStored(kPreimage + "device=1\n", "third code");
  EXPECT_EQ(find(kPreimage), "code");
  EXPECT_EQ(find(kPreimage, kOther), "other code");
  EXPECT_EQ(cache.listPreimages(kGroup).size(), 2u);
}

TEST_F(Cache, EmptyPreimagesAndPayloadsAreEntries) {
  expectStored("", "");
  expectStored("a=b", "");
  EXPECT_EQ(find(""), "");
  EXPECT_EQ(find("a=b"), "");
  EXPECT_EQ(cache.listPreimages(kGroup).size(), 2u);
}

TEST_F(Cache, StoringAgainReplaces) {
  expectStored(kPreimage, "old");
  expectStored(kPreimage, "newer code");
  EXPECT_EQ(find(kPreimage), "newer code");
  EXPECT_EQ(countFiles(), 1u);
}

TEST_F(Cache, NamesThatAreNoGroupsAreRefused) {
  for (const std::string &name : {std::string(), std::string(".."), std::string("../") + kGroup, kGroup + "0", kGroup.substr(1), "G" + kGroup.substr(1), "A" + kGroup.substr(1)}) {
    rt::Outcome outcome = store(cache, kPreimage, "code", name);
    EXPECT_EQ(outcome.status, ONAGER_BAD_ARGUMENT) << name;
    EXPECT_EQ(find(kPreimage, name), "absent");
    EXPECT_FALSE(cache.lock(name, kPreimage, 0));
  }
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST_F(Cache, NotOpenFindsNothing) {
  VariantCache closed;
  EXPECT_EQ(find(closed, kPreimage), "absent");
  EXPECT_TRUE(closed.listPreimages(kGroup).empty() && closed.list(true).empty());
  EXPECT_FALSE(store(closed, kPreimage, "code"));
  EXPECT_FALSE(closed.lock(kGroup, kPreimage, 0));
  EXPECT_EQ(closed.prune(0).removed, 0u);
}

// ---- damage ------------------------------------------------------------------------------------------------------

/// A file under the name of one entry that holds another: a collision of names must not give its code.
TEST_F(Cache, AnotherPreimageUnderTheNameIsAMiss) {
  expectStored(kPreimage, "code");
  expectStored("guard=batch==8", "other code");
  fs::copy_file(getPath("guard=batch==8"), getPath(kPreimage), fs::copy_options::overwrite_existing);
  EXPECT_EQ(find(kPreimage), "absent");
  EXPECT_FALSE(fs::exists(getPath(kPreimage))) << "is found wrong again and again";
  EXPECT_EQ(find("guard=batch==8"), "other code");
  fs::create_directory(folder + "/" + kOther);
  fs::permissions(folder + "/" + kOther, fs::perms::owner_all);
  fs::copy_file(getPath("guard=batch==8"), getPath("guard=batch==8", kOther));
  EXPECT_EQ(find("guard=batch==8", kOther), "absent") << "an entry of another model";
}

TEST_F(Cache, EveryTruncationIsAMissAndRemoved) {
  expectStored(kPreimage, "code");
  std::string path = getPath(kPreimage), bytes = readFile(path);
  ASSERT_EQ(bytes.size(), sizeof(rt::EntryHeader) + kPreimage.size() + 4);
  for (size_t size = 0; size < bytes.size(); ++size) {
    writeFile(path, bytes.substr(0, size));
    EXPECT_EQ(find(kPreimage), "absent") << size;
    EXPECT_FALSE(fs::exists(path)) << size;
    writeFile(path, bytes.substr(0, size));
    EXPECT_TRUE(cache.listPreimages(kGroup).empty()) << size;
    EXPECT_FALSE(fs::exists(path)) << size;
  }
  writeFile(path, bytes + "x");
  EXPECT_EQ(find(kPreimage), "absent") << "more than the header says";
  writeFile(path, bytes);
  EXPECT_EQ(find(kPreimage), "code");
}

TEST_F(Cache, EveryFlippedBitIsAMissAndRemoved) {
  expectStored(kPreimage, "code");
  std::string path = getPath(kPreimage), bytes = readFile(path);
  for (size_t at = 0; at < bytes.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      writeFile(path, flipped);
      EXPECT_EQ(find(kPreimage), "absent") << "byte " << at << ", bit " << bit;
      EXPECT_FALSE(fs::exists(path)) << "byte " << at << ", bit " << bit;
    }
}

/// Lengths that a header with a right checksum claims are held against the file's before memory is asked for.
TEST_F(Cache, HeadersThatLieAreMisses) {
  expectStored(kPreimage, "code");
  std::string path = getPath(kPreimage), bytes = readFile(path);
  auto claim = [&](uint64_t preimageBytes, uint64_t payloadBytes, uint64_t magic = rt::kEntryMagic) {
    rt::EntryHeader header = rt::describeEntry(kGroup, kPreimage, "code", 4);
    header.magic = magic, header.preimageBytes = preimageBytes, header.payloadBytes = payloadBytes;
    header.headerHash = rt::hashBytes(&header, offsetof(rt::EntryHeader, headerHash));
    writeFile(path, std::string(reinterpret_cast<const char *>(&header), sizeof header) + bytes.substr(sizeof header));
    return find(kPreimage);
  };
  EXPECT_EQ(claim(kPreimage.size(), 4), "code");
  EXPECT_EQ(claim(kPreimage.size(), 4, rt::kEntryMagic + 1), "absent") << "another format";
  EXPECT_EQ(claim(UINT64_MAX, 4), "absent");
  EXPECT_EQ(claim(kPreimage.size(), UINT64_MAX), "absent");
  EXPECT_EQ(claim(UINT64_MAX - 3, kPreimage.size() + 8), "absent");
  EXPECT_EQ(claim(kPreimage.size() + 1, 3), "absent");
  EXPECT_EQ(claim(kPreimage.size() - 1, 5), "absent");
  writeFile(path, bytes);
  fs::resize_file(path, rt::kMaxEntryBytes + 1);
  EXPECT_EQ(cache.list(true)[0].fault, "is larger than entries are");
  EXPECT_EQ(find(kPreimage), "absent");
}

TEST_F(Cache, OtherFilesAreLeftAlone) {
  expectStored(kPreimage, "code");
  std::string group = folder + "/" + kGroup + "/";
  std::vector<std::string> others = {folder + "/model.so", group + "notes.txt", group + std::string(64, 'g') + ".variant", group + std::string(63, 'a') + ".variant"};
  for (const std::string &path : others)
    writeFile(path, "mine");
  EXPECT_EQ(cache.listPreimages(kGroup).size(), 1u);
  EXPECT_EQ(cache.list(true).size(), 1u);
  EXPECT_EQ(cache.prune(0).removed, 1u);
  for (const std::string &path : others)
    EXPECT_EQ(readFile(path), "mine") << path;
}

// ---- whom to trust -----------------------------------------------------------------------------------------------

TEST_F(Cache, FoldersThatOthersMayWriteToAreRefused) {
  for (fs::perms shared : {fs::perms::group_write, fs::perms::others_write}) {
    fs::permissions(folder, fs::perms::owner_all | shared);
    rt::Outcome outcome = VariantCache().open(folder, kPlenty);
    EXPECT_EQ(outcome.status, ONAGER_BAD_FILE);
    EXPECT_EQ(outcome.message, "the cache " + folder + " may be written to by others");
    fs::permissions(folder, fs::perms::owner_all);
    expectStored(kPreimage, "code");
    fs::permissions(folder + "/" + kGroup, fs::perms::owner_all | shared);
    EXPECT_EQ(find(kPreimage), "absent");
    EXPECT_TRUE(cache.listPreimages(kGroup).empty());
    EXPECT_FALSE(store(cache, kPreimage, "code"));
    fs::permissions(folder + "/" + kGroup, fs::perms::owner_all);
    EXPECT_EQ(find(kPreimage), "code");
  }
}

TEST_F(Cache, FilesThatOthersMayWriteToAreMissesAndStay) {
  expectStored(kPreimage, "code");
  for (fs::perms shared : {fs::perms::group_write, fs::perms::others_write}) {
    fs::permissions(getPath(kPreimage), fs::perms::owner_read | shared);
    EXPECT_EQ(find(kPreimage), "absent");
    EXPECT_TRUE(cache.listPreimages(kGroup).empty());
  }
  fs::permissions(getPath(kPreimage), fs::perms::owner_read | fs::perms::others_read);
  EXPECT_EQ(find(kPreimage), "code");
}

TEST_F(Cache, WhatAnotherUserOwnsIsAMiss) {
  if (geteuid() != 0)
    GTEST_SKIP() << "only root gives files away";
  expectStored(kPreimage, "code");
  std::string path = getPath(kPreimage), group = folder + "/" + kGroup;
  for (const std::string &given : {path, group}) {
    ASSERT_EQ(chown(given.c_str(), kUser, kUser), 0);
    EXPECT_EQ(find(kPreimage), "absent") << given;
    EXPECT_TRUE(cache.listPreimages(kGroup).empty());
    ASSERT_EQ(chown(given.c_str(), 0, 0), 0);
    EXPECT_EQ(find(kPreimage), "code");
  }
  ASSERT_EQ(chown(folder.c_str(), kUser, kUser), 0);
  EXPECT_EQ(VariantCache().open(folder, kPlenty).message, "the cache " + folder + " belongs to another user");
}

TEST_F(Cache, LinksAreNotFollowed) {
  expectStored(kPreimage, "code");
  std::string link = folder + "-link", path = getPath(kPreimage), group = folder + "/" + kGroup;
  fs::create_directory_symlink(folder, link);
  for (const char *end : {"", "/", "///"})
    EXPECT_EQ(VariantCache().open(link + end, kPlenty).message, "the cache " + link + " is a link");
  fs::rename(path, path + "-moved");
  fs::create_symlink(path + "-moved", path);
  EXPECT_EQ(find(kPreimage), "absent");
  EXPECT_EQ(cache.list(false)[0].fault, "is a link");
  expectStored(kPreimage, "new code");
  EXPECT_FALSE(fs::is_symlink(path)) << "a link was written through";
  fs::rename(group, group + "-moved");
  fs::create_directory_symlink(group + "-moved", group);
  EXPECT_EQ(find(kPreimage), "absent");
  EXPECT_FALSE(store(cache, kPreimage, "code"));
  EXPECT_FALSE(cache.lock(kGroup, kPreimage, 0));
}

TEST_F(Cache, PathsThatAreNoFoldersAreRefused) {
  writeFile(folder + "/file", "x");
  for (const std::string &bad : {std::string(), folder + "/file", folder + "/file/below", std::string("/dev/null")})
    EXPECT_EQ(VariantCache().open(bad, kPlenty).status, ONAGER_BAD_FILE) << bad;
  EXPECT_EQ(VariantCache().open(folder + "/absent", kPlenty, false).status, ONAGER_BAD_FILE);
  EXPECT_EQ(VariantCache().open(folder + "/absent", kPlenty, true, false).status, ONAGER_BAD_FILE);
  EXPECT_FALSE(fs::exists(folder + "/absent"));
  expectStored(kPreimage, "code");
  EXPECT_FALSE(cache.open(folder + "/absent", kPlenty, false));
  EXPECT_EQ(find(kPreimage), "code") << "a failure closes what was open";
  EXPECT_EQ(cache.getFolder(), folder);
  VariantCache existing;
  EXPECT_TRUE(existing.open(folder, kPlenty, true, false) && existing.isWritable());
}

/// Reading a pipe or a folder in an entry's place must neither wait nor find anything.
TEST_F(Cache, SpecialFilesAreMisses) {
  expectStored(kPreimage, "code");
  fs::remove(getPath(kPreimage));
  ASSERT_EQ(mkfifo(getPath(kPreimage).c_str(), 0600), 0);
  EXPECT_EQ(find(kPreimage), "absent");
  EXPECT_EQ(cache.list(true)[0].fault, "is not a regular file");
  expectStored(kPreimage, "code");
  EXPECT_EQ(find(kPreimage), "code");
  fs::remove(getPath(kPreimage));
  fs::create_directory(getPath(kPreimage));
  EXPECT_EQ(find(kPreimage), "absent");
  EXPECT_FALSE(store(cache, kPreimage, "code"));
  EXPECT_EQ(countFiles(), 1u) << "a temporary file was left";
  cache.prune(0);
  EXPECT_TRUE(fs::is_directory(getPath(kPreimage)));
}

TEST_F(Cache, FoldersAreMadeForTheUserAlone) {
  std::string below = folder + "/a/b/variants";
  VariantCache made;
  EXPECT_TRUE(made.open(below + "/", kPlenty));
  EXPECT_TRUE(made.isWritable());
  EXPECT_EQ(made.getFolder(), below);
  for (const char *path : {"/a", "/a/b", "/a/b/variants"})
    EXPECT_EQ(fs::status(folder + path).permissions(), fs::perms::owner_all) << path;
}

TEST_F(Cache, ReadOnlyFoldersWorkForReading) {
  expectStored(kPreimage, "code");
  setAge(getPath(kPreimage), 1000);
  writeFile(getPath("bad"), "damaged");
  auto holds = [&](bool write) {
    VariantCache reader;
    return reader.open(folder, kPlenty, write) && !reader.isWritable() && find(reader, kPreimage) == "code" && find(reader, "bad") == "absent" &&
           reader.listPreimages(kGroup).size() == 1 && !store(reader, kPreimage, "new") && !reader.lock(kGroup, kPreimage, 0) && !reader.lock(kGroup, kPreimage, 0).isBusy() &&
           reader.prune(0).removed == 0;
  };
  EXPECT_TRUE(holds(false));
  EXPECT_TRUE(fs::exists(getPath("bad")));
  fs::permissions(folder, fs::perms::owner_read | fs::perms::owner_exec);
  fs::permissions(folder + "/" + kGroup, fs::perms::owner_read | fs::perms::owner_exec);
  if (geteuid() == 0) { // for whom modes are no limit
    for (const std::string &path : {folder, folder + "/" + kGroup, getPath(kPreimage), getPath("bad")})
      ASSERT_EQ(chown(path.c_str(), kUser, kUser), 0);
    fs::permissions(getFolder(), fs::perms::others_exec, fs::perm_options::add);
  }
  EXPECT_TRUE(holdsInChild([&] {
    if (geteuid() == 0)
      becomeUser(kUser);
    return holds(true);
  }));
  struct stat info;
  ASSERT_EQ(stat(getPath(kPreimage).c_str(), &info), 0);
  EXPECT_GE(time(nullptr) - info.st_mtime, 1000) << "was touched";
  fs::permissions(folder, fs::perms::owner_all);
  fs::permissions(folder + "/" + kGroup, fs::perms::owner_all);
}

TEST(CacheFolder, IsNamedByTheFirstVariable) {
  EXPECT_TRUE(holdsInChild([] {
    setenv("HOME", "/h", 1), setenv("XDG_CACHE_HOME", "/x", 1), setenv("ONAGER_CACHE_DIR", "/o", 1);
    bool isRight = VariantCache::findFolder() == "/o/variants";
    setenv("ONAGER_CACHE_DIR", "", 1);
    isRight &= VariantCache::findFolder() == "/x/onager/variants";
    unsetenv("XDG_CACHE_HOME");
    isRight &= VariantCache::findFolder() == "/h/.cache/onager/variants";
    unsetenv("HOME");
    return isRight && VariantCache::findFolder().empty();
  }));
}

// ---- pruning -----------------------------------------------------------------------------------------------------

TEST_F(Cache, WhatWasNotUsedForLongestGoesFirst) {
  const std::string payload(1000, 'x');
  for (int k = 0; k < 6; ++k) {
    expectStored("k=" + std::to_string(k), payload, k % 2 ? kGroup : kOther);
    setAge(getPath("k=" + std::to_string(k), k % 2 ? kGroup : kOther), 100 - 10 * k);
  }
  uint64_t each = sizeof(rt::EntryHeader) + 3 + 1000;
  EXPECT_EQ(find("k=0", kOther), payload); // is a use
  VariantCache::Pruned pruned = cache.prune(3 * each);
  EXPECT_EQ(pruned.removed, 3u);
  EXPECT_EQ(pruned.removedBytes, 3 * each);
  EXPECT_EQ(pruned.kept, 3u);
  EXPECT_EQ(pruned.keptBytes, 3 * each);
  for (int k : {0, 4, 5})
    EXPECT_EQ(find("k=" + std::to_string(k), k % 2 ? kGroup : kOther), payload) << k;
  EXPECT_EQ(cache.prune(3 * each).removed, 0u);
  EXPECT_EQ(cache.prune(3 * each - 1).removed, 1u);
  EXPECT_EQ(cache.prune(0).kept, 0u);
  EXPECT_TRUE(fs::is_empty(folder)) << "empty groups stay";
}

TEST_F(Cache, ListingIsNoUseAndTellsTheLastUsedFirst) {
  for (const char *name : {"a", "b", "c", "d"})
    expectStored(name, "1");
  setAge(getPath("a"), 100), setAge(getPath("b"), 50), setAge(getPath("c"), 400), setAge(getPath("d"), 200);
  for (int turn = 0; turn < 2; ++turn)
    EXPECT_EQ(cache.listPreimages(kGroup), (std::vector<rt::Preimage>{"b", "a", "d", "c"}));
  cache.list(true); // is none either
  EXPECT_EQ(find("c"), "1");
  EXPECT_EQ(cache.listPreimages(kGroup), (std::vector<rt::Preimage>{"c", "b", "a", "d"}));
  EXPECT_EQ(cache.prune(2 * (sizeof(rt::EntryHeader) + 2)).removed, 2u);
  EXPECT_EQ(cache.listPreimages(kGroup), (std::vector<rt::Preimage>{"c", "b"}));
}

TEST_F(Cache, StoringKeepsTheLimit) {
  VariantCache small;
  uint64_t each = sizeof(rt::EntryHeader) + 3 + 100;
  open(small, 2 * each + 50);
  for (int k = 0; k < 5; ++k) {
    if (k)
      setAge(getPath("k=" + std::to_string(k - 1)), 100 - k);
    EXPECT_TRUE(store(small, "k=" + std::to_string(k), std::string(100, 'x')));
    EXPECT_EQ(countFiles(), std::min<size_t>(static_cast<size_t>(k) + 1, 2)) << k;
  }
  EXPECT_EQ(find("k=4").size(), 100u);
  // One just stored stays, also where a clock that was wrong has made the others seem newer.
  for (int k : {3, 4})
    setAge(getPath("k=" + std::to_string(k)), -1000);
  EXPECT_TRUE(store(small, "k=5", std::string(100, 'x')));
  EXPECT_EQ(find("k=5").size(), 100u);
  rt::Outcome outcome = store(small, "k=6", std::string(2 * each, 'x'));
  EXPECT_EQ(outcome.status, ONAGER_BAD_FILE);
  EXPECT_NE(outcome.message.find("no more than " + std::to_string(2 * each + 50)), std::string::npos) << outcome.message;
  EXPECT_EQ(countFiles(), 2u);
}

TEST_F(Cache, StaleFilesGoWithPruning) {
  expectStored(kPreimage, "code");
  std::string temporary = getPath(kPreimage, kGroup, ".12-34.tmp"), lock = getPath(kPreimage, kGroup, ".lock"), held = getPath("held", kGroup, ".lock");
  std::string later = getPath(kPreimage, kGroup, ".variant2"); // of another version
  for (const std::string &path : {temporary, lock, later})
    writeFile(path, "x");
  VariantCache::Lock holder = cache.lock(kGroup, "held", 0);
  ASSERT_TRUE(holder);
  setAge(held, 4000);
  EXPECT_EQ(cache.prune(kPlenty).kept, 2u);
  EXPECT_TRUE(fs::exists(temporary) && fs::exists(lock)) << "may be in use";
  setAge(temporary, 4000), setAge(lock, 4000);
  cache.prune(kPlenty);
  EXPECT_FALSE(fs::exists(temporary) || fs::exists(lock));
  EXPECT_TRUE(fs::exists(held)) << "is in use";
  EXPECT_EQ(cache.listPreimages(kGroup).size(), 1u);
  EXPECT_EQ(cache.prune(0).removed, 2u);
  EXPECT_FALSE(fs::exists(later));
}

// ---- full disks --------------------------------------------------------------------------------------------------

/// A limit on the size of files: writing ends halfway. The signal that comes with it by default would end the process.
TEST_F(Cache, LimitOnFileSizesLeavesWhatWasThere) {
  expectStored(kPreimage, "code");
  EXPECT_TRUE(holdsInChild([&] {
    signal(SIGXFSZ, SIG_DFL);
    rlimit limit{300, 300};
    setrlimit(RLIMIT_FSIZE, &limit);
    rt::Outcome outcome = store(cache, kPreimage, std::string(5000, 'x')), second = store(cache, "other", std::string(5000, 'x'));
    sigset_t pending;
    sigpending(&pending);
    return !outcome && !second && outcome.message.find("File too large") != std::string::npos && !sigismember(&pending, SIGXFSZ) && store(cache, "small", "x");
  }));
  EXPECT_EQ(find(kPreimage), "code");
  EXPECT_EQ(find("other"), "absent");
  EXPECT_EQ(countFiles(), 2u) << "a temporary file was left";
}

TEST_F(Cache, FullDiskLeavesWhatWasThere) {
  std::string disk = folder + "/disk";
  fs::create_directory(disk);
  int status = 0;
  pid_t child = fork();
  if (child == 0) { // with mounts of its own
    alarm(30);
    if (unshare(CLONE_NEWNS) || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) || mount("none", disk.c_str(), "tmpfs", 0, "size=64k,mode=700"))
      _exit(2);
    VariantCache full;
    bool holds = full.open(disk, kPlenty) && store(full, kPreimage, std::string(20000, 'x'));
    rt::Outcome outcome = store(full, kPreimage, std::string(200000, 'y'));
    holds &= !outcome && outcome.message.find("No space left") != std::string::npos && find(full, kPreimage) == std::string(20000, 'x');
    holds &= !store(full, "other", std::string(100000, 'y')) && full.listPreimages(kGroup).size() == 1 && store(full, "other", "small");
    _exit(holds ? 0 : 1);
  }
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
    GTEST_SKIP() << "mounting is not allowed here";
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

// ---- locks -------------------------------------------------------------------------------------------------------

TEST_F(Cache, LocksExcludeThreads) {
  VariantCache::Lock first = cache.lock(kGroup, kPreimage, 0);
  ASSERT_TRUE(first);
  VariantCache::Lock second = cache.lock(kGroup, kPreimage, 0);
  EXPECT_FALSE(second);
  EXPECT_TRUE(second.isBusy());
  EXPECT_TRUE(cache.lock(kGroup, "other", 0)) << "is another entry's";
  EXPECT_TRUE(cache.lock(kOther, kPreimage, 0)) << "is another group's";
  auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(cache.lock(kGroup, kPreimage, 0.05).isBusy());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(50));
  VariantCache::Lock moved = std::move(first);
  EXPECT_TRUE(moved && !first);
  EXPECT_TRUE(cache.lock(kGroup, kPreimage, 0).isBusy());
  moved.release();
  EXPECT_TRUE(cache.lock(kGroup, kPreimage, 0));
  EXPECT_EQ(countFiles(), 0u) << "released locks leave files";
}

TEST_F(Cache, WaitingThreadsGetTheLockInTurn) {
  std::atomic<int> inside{0}, shared{0}, turns{0};
  auto work = [&](int count, double seconds) {
    for (int turn = 0; turn < count; ++turn) {
      VariantCache::Lock lock = cache.lock(kGroup, kPreimage, seconds);
      if (!lock)
        continue;
      shared += ++inside > 1;
      std::this_thread::yield();
      --inside, ++turns;
    }
  };
  std::vector<std::thread> threads;
  for (int k = 0; k < 8; ++k)
    threads.emplace_back(work, 20, 60);
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(shared, 0);
  EXPECT_EQ(turns, 8 * 20);
  // Without pauses a released lock's file goes often between another thread's opening and locking it.
  threads.clear();
  for (int k = 0; k < 4; ++k)
    threads.emplace_back(work, 4000, 0);
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(shared, 0);
}

/// Pruning takes an empty group away just when an entry or a lock comes into it.
TEST_F(Cache, EmptyGroupsMayGoAtAnyTime) {
  std::atomic<bool> isDone{false};
  std::thread other([&] {
    while (!isDone)
      cache.prune(kPlenty);
  });
  int wrong = 0;
  for (int turn = 0; turn < 2000; ++turn)
    wrong += !cache.lock(kGroup, kPreimage, 10); // pruning holds a lock for the moment in which it looks whether it is old
  isDone = true;
  other.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Cache, LocksExcludeProcessesAndDieWithThem) {
  int pipes[2];
  ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
  pid_t child = fork();
  if (child == 0) {
    alarm(30);
    VariantCache::Lock lock = cache.lock(kGroup, kPreimage, 0);
    char held = lock ? 1 : 0;
    if (write(pipes[1], &held, 1) == 1)
      pause();
    _exit(0);
  }
  char held = 0;
  EXPECT_EQ(read(pipes[0], &held, 1), 1);
  EXPECT_EQ(held, 1);
  EXPECT_TRUE(cache.lock(kGroup, kPreimage, 0.05).isBusy());
  kill(child, SIGKILL);
  EXPECT_TRUE(cache.lock(kGroup, kPreimage, 20));
  waitpid(child, nullptr, 0);
  close(pipes[0]), close(pipes[1]);
}

/// A forked child, such as a worker of the application, neither gives its parent's lock away nor keeps it.
TEST_F(Cache, ForkedChildrenHaveNoShareInALock) {
  VariantCache::Lock lock = cache.lock(kGroup, kPreimage, 0);
  ASSERT_TRUE(lock);
  EXPECT_TRUE(holdsInChild([&] {
    lock.release();
    return cache.lock(kGroup, kPreimage, 0).isBusy();
  }));
  pid_t child = fork();
  if (child == 0) {
    alarm(30);
    pause();
    _exit(0);
  }
  lock.release();
  EXPECT_TRUE(cache.lock(kGroup, kPreimage, 0)) << "the child keeps it";
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

// ---- many at a time ----------------------------------------------------------------------------------------------

/// Threads that store, find and prune at once: what is found is whole, and the last entries are there.
TEST_F(Cache, ThreadsShareACache) {
  auto makePayload = [](int key) { return std::string(2000 + static_cast<size_t>(key) * 100, static_cast<char>('a' + key)); };
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int k = 0; k < 6; ++k)
    threads.emplace_back([&, k] {
      for (int turn = 0; turn < 30; ++turn) {
        int key = (k + turn) % 5;
        std::string preimage = "k=" + std::to_string(key), found;
        wrong += !store(cache, preimage, makePayload(key));
        wrong += cache.find(kGroup, preimage, found) && found != makePayload(key);
        for (const rt::Preimage &listed : cache.listPreimages(kGroup))
          wrong += cache.find(kGroup, listed, found) && found != makePayload(listed.back() - '0');
        if (k == 0 && turn % 3 == 0)
          cache.prune(0);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
  for (int key = 0; key < 5; ++key)
    expectStored("k=" + std::to_string(key), makePayload(key));
  EXPECT_EQ(cache.listPreimages(kGroup).size(), 5u);
  EXPECT_EQ(countFiles(), 5u) << "temporary files were left";
}

TEST_F(Cache, ListTellsWhatIsWrong) {
  expectStored("good", "code"), expectStored("bad", "code"), expectStored("open", "code", kOther);
  std::string bytes = readFile(getPath("bad"));
  bytes.back() ^= 1;
  writeFile(getPath("bad"), bytes);
  fs::permissions(getPath("open", kOther), fs::perms::all);
  std::vector<std::string> seen;
  for (const VariantCache::Listed &listed : cache.list(true)) {
    EXPECT_EQ(listed.path, folder + "/" + listed.group + "/" + listed.key + ".variant");
    EXPECT_EQ(listed.bytes, fs::file_size(listed.path));
    seen.push_back(listed.preimage + ":" + listed.fault);
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, (std::vector<std::string>{":may be written to by others", "bad:holds code with another checksum", "good:"}));
  EXPECT_TRUE(fs::exists(getPath("bad"))) << "looking removes nothing";
  EXPECT_EQ(cache.list(false).size(), 3u);
}
