// What tells compilers apart.
#include "runtime/recompile/compilerfile.h"
#include "test/unit/Support.h"
#include <filesystem>
#include <gtest/gtest.h>

using namespace onager::test;
using onager::rt::describeCompiler;

TEST(CompilerFile, ProgramsHaveTheLibrariesThatGenerateCode) {
  std::string self = std::filesystem::read_symlink("/proc/self/exe"), text = describeCompiler(self);
  EXPECT_NE(text.find(",libLLVM"), std::string::npos) << text;
  EXPECT_NE(text.find(",libMLIR"), std::string::npos) << text;
  EXPECT_EQ(text.find(":,"), std::string::npos) << "each of them is found: " << text;
  EXPECT_NE(text.back(), ':') << text;
  EXPECT_EQ(text.find("libc.so"), std::string::npos) << text;
}

TEST(CompilerFile, AnotherLibraryIsAnotherCompiler) {
  std::string self = std::filesystem::read_symlink("/proc/self/exe"), before = describeCompiler(self), folder = getFolder() + "/libraries";
  size_t at = before.find(",libLLVM"), end = before.find(':', at);
  std::string library = before.substr(at + 1, end - at - 1);
  std::filesystem::create_directories(folder);
  writeFile(folder + "/" + library, "newer");
  setenv("LD_LIBRARY_PATH", folder.c_str(), 1);
  std::string after = describeCompiler(self);
  unsetenv("LD_LIBRARY_PATH");
  EXPECT_NE(before, after);
  EXPECT_NE(after.find("," + library + ":5-"), std::string::npos) << after;
}

TEST(CompilerFile, FilesThatAreNoProgramsAreDescribedByThemselves) {
  std::string path = getFolder() + "/script";
  writeFile(path, "#!/bin/sh\nexit 1\n");
  std::string text = describeCompiler(path);
  EXPECT_EQ(text.find("17-"), 0u) << text;
  EXPECT_EQ(text.find(','), std::string::npos);
  EXPECT_EQ(describeCompiler(getFolder() + "/nowhere"), "");
  EXPECT_EQ(describeCompiler(""), "");
}

TEST(CompilerFile, DamagedProgramsAreRead) {
  std::string whole = readFile(std::filesystem::read_symlink("/proc/self/exe")).substr(0, 4096), path = getFolder() + "/damaged";
  for (size_t size : {0, 1, 63, 64, 65, 120, 400, 1000, 4096}) {
    writeFile(path, whole.substr(0, size));
    EXPECT_EQ(describeCompiler(path).find(std::to_string(size) + "-"), 0u);
  }
  // Every field of the header and of the segments says something else once.
  for (size_t at = 16; at < 700; at += 2) {
    std::string changed = whole;
    changed[at] = changed[at + 1] = static_cast<char>(0xff);
    writeFile(path, changed);
    EXPECT_EQ(describeCompiler(path).find("4096-"), 0u);
  }
}
