// Folders for the compiler: gone with all that lies in them, also where their process has ended before it removed them.
#include "runtime/recompile/outputfolder.h"
#include "test/unit/Support.h"
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fs = std::filesystem;
using namespace onager::test;
using onager::rt::OutputFolder;

namespace {

/// Makes a folder as a process that has ended leaves it.
std::string leaveFolder() {
  std::string path = (fs::exists("/dev/shm") ? std::string("/dev/shm") : fs::temp_directory_path().string()) + "/onager-specialize-XXXXXX";
  EXPECT_TRUE(mkdtemp(path.data()));
  fs::create_directories(path + "/below/deeper");
  writeFile(path + "/below/deeper/temporary.o", "x");
  return path;
}

} // namespace

TEST(OutputFolder, GoesWithWhatLiesInIt) {
  std::string path, outside = getFolder() + "/outside";
  writeFile(outside, "mine");
  {
    OutputFolder folder;
    ASSERT_TRUE(bool(folder.make()));
    path = folder.path;
    fs::create_directories(path + "/below");
    writeFile(path + "/below/temporary.o", "x");
    writeFile(folder.output(), "code");
    fs::create_symlink(outside, path + "/link");
    std::string payload;
    EXPECT_TRUE(bool(folder.read(payload)));
    EXPECT_EQ(payload, "code");
    EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_all);
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(readFile(outside), "mine") << "a link was followed";
}

TEST(OutputFolder, FoldersOfEndedProcessesAreRemoved) {
  std::string left = leaveFolder(), held = leaveFolder(), other = left + "x", link = held.substr(0, held.size() - 6) + "linked";
  fs::create_directory(other);
  fs::create_directory_symlink(getFolder(), link);
  int lock = open(held.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  OutputFolder first, second;
  EXPECT_TRUE(first.make() && second.make());
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(held + "/below/deeper/temporary.o")) << "somebody holds its lock";
  EXPECT_TRUE(fs::exists(first.path)) << "it is in use";
  EXPECT_TRUE(fs::exists(other)) << "it has a name of another kind";
  EXPECT_TRUE(fs::is_symlink(link) && fs::exists(getFolder()));
  close(lock);
  OutputFolder third;
  EXPECT_TRUE(bool(third.make()));
  EXPECT_FALSE(fs::exists(held));
  fs::remove(other);
  fs::remove(link);
}

TEST(OutputFolder, AKilledProcessLeavesNothingForLong) {
  int pipes[2];
  ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
  pid_t child = fork();
  if (child == 0) {
    alarm(30);
    OutputFolder folder;
    if (!folder.make() || write(pipes[1], folder.path.data(), folder.path.size()) < 0)
      _exit(1);
    pause();
    _exit(0);
  }
  char text[256] = "";
  ASSERT_GT(read(pipes[0], text, sizeof text - 1), 0);
  {
    OutputFolder meanwhile;
    EXPECT_TRUE(bool(meanwhile.make()));
    EXPECT_TRUE(fs::exists(text));
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(fs::exists(text));
  OutputFolder later;
  EXPECT_TRUE(bool(later.make()));
  EXPECT_FALSE(fs::exists(text));
  close(pipes[0]), close(pipes[1]);
}
