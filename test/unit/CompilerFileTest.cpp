// What tells compilers apart.
#include "runtime/recompile/compilerfile.h"
#include "test/unit/Support.h"
#include <filesystem>
#include <gtest/gtest.h>

using namespace onager::test;
using onager::rt::describeCompiler;
using onager::rt::findCompilerLibrary;

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

TEST(CompilerFile, BuildsOfOneSizeAndTimeAreToldApart) {
  std::string path = getFolder() + "/program", whole = readFile(std::filesystem::read_symlink("/proc/self/exe")).substr(0, 4096);
  auto time = std::filesystem::file_time_type::clock::now();
  auto describe = [&](const std::string &bytes) {
    writeFile(path, bytes);
    std::filesystem::last_write_time(path, time);
    return describeCompiler(path);
  };
  std::string text = describe(whole), id = text.substr(text.rfind('-') + 1);
  ASSERT_GE(id.size(), 16u) << "the linker gave the program a name for its build: " << text;
  std::string bytes;
  for (size_t k = 0; k < id.size(); k += 2)
    bytes += static_cast<char>(std::stoi(id.substr(k, 2), nullptr, 16));
  size_t place = whole.find(bytes);
  ASSERT_NE(place, std::string::npos);
  whole[place + 3] = static_cast<char>(whole[place + 3] ^ 1);
  std::string other = describe(whole);
  EXPECT_NE(other, text);
  EXPECT_EQ(other.size(), text.size());
}

TEST(CompilerFile, TheCompilersAndItsLibrarysBuildsHaveNames) {
  std::string self = std::filesystem::read_symlink("/proc/self/exe"), folder = self.substr(0, self.rfind('/'));
  for (const std::string &path : {folder + "/onager", findCompilerLibrary("")}) {
    std::string text = describeCompiler(path);
    size_t end = text.find(','), dash = text.rfind('-', end);
    EXPECT_GE(end - dash, 17u) << path << ": " << text;
    EXPECT_EQ(text.find_first_not_of("0123456789abcdef", dash + 1), end) << text;
  }
}

TEST(CompilerFile, LibrariesWithoutFolderAreLookedFor) {
  std::string folder = getFolder() + "/named";
  std::filesystem::create_directories(folder);
  writeFile(folder + "/libcompiler.so.9", "x");
  EXPECT_EQ(findCompilerLibrary("libcompiler.so.9"), "libcompiler.so.9") << "it is nowhere";
  EXPECT_EQ(describeCompiler("libcompiler.so.9"), "");
  setenv("LD_LIBRARY_PATH", ("/nowhere:" + folder).c_str(), 1);
  EXPECT_EQ(findCompilerLibrary("libcompiler.so.9"), folder + "/libcompiler.so.9");
  unsetenv("LD_LIBRARY_PATH");
  EXPECT_EQ(findCompilerLibrary("libm.so.6")[0], '/') << "the system's folders count";
  EXPECT_EQ(findCompilerLibrary("/nowhere/lib.so"), "/nowhere/lib.so");
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
