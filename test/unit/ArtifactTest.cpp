// Artifacts that are damaged, cut or foreign are refused with one line before any of their code is loaded.
#include "runtime/core/manifest.h"
#include "test/unit/Support.h"
#include <cstddef>
#include <cstring>
#include <elf.h>
#include <filesystem>
#include <gtest/gtest.h>

using namespace onager;
using namespace onager::test;

namespace {
class Artifact : public testing::Test {
protected:
  static void SetUpTestSuite() {
    std::string weights;
    for (int k = 0; k < 64; ++k)
      weights += (k ? ", " : "") + std::to_string(k);
    path = compileModel(makeModel("(float[N,8] x) => (float[N,8] y) <float[8,8] w = {" + weights + "}>", "h = MatMul(x, w)\ny = Relu(h)"));
    bytes = readFile(path);
    std::memcpy(&footer, bytes.data() + bytes.size() - sizeof footer, sizeof footer);
  }

  /// Opens bytes as a file and from memory; both must agree. Returns the message, empty where they open.
  static std::string open(const std::string &content, onager_status *status = nullptr) {
    std::string file = getFolder() + "/changed.so";
    writeFile(file, content);
    onager_session *fromFile = nullptr, *fromMemory = nullptr;
    onager_status first = onager_session_open(file.c_str(), nullptr, &fromFile);
    std::string message = first ? onager_last_error() : "";
    onager_status second = onager_session_open_memory(content.data(), content.size(), nullptr, &fromMemory);
    EXPECT_EQ(first, second);
    EXPECT_EQ(first != ONAGER_OK, fromFile == nullptr);
    onager_session_close(fromFile);
    onager_session_close(fromMemory);
    if (status)
      *status = first;
    return message;
  }

  static void expectRefused(const std::string &content, const std::string &part, onager_status expected = ONAGER_BAD_FILE) {
    onager_status status;
    std::string message = open(content, &status);
    EXPECT_EQ(status, expected) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << "more than one line: " << message;
  }

  static std::string withFooter(const std::string &body, rt::Footer changed) {
    changed.footerHash = rt::hashBytes(&changed, offsetof(rt::Footer, footerHash));
    return body + std::string(reinterpret_cast<const char *>(&changed), sizeof changed);
  }

  static std::string path, bytes;
  static rt::Footer footer;
};
std::string Artifact::path, Artifact::bytes;
rt::Footer Artifact::footer;
} // namespace

TEST_F(Artifact, OpensUnchanged) { EXPECT_EQ(open(bytes), ""); }

TEST_F(Artifact, EveryTruncationIsRefused) {
  for (size_t size = 0; size < bytes.size(); size += size < 128 || bytes.size() - size < 128 ? 1 : 509) {
    onager_status status;
    EXPECT_NE(open(bytes.substr(0, size), &status), "") << size << " of " << bytes.size();
    EXPECT_EQ(status, ONAGER_BAD_FILE) << size;
  }
}

TEST_F(Artifact, FlippedBitsInCodeAndFooterAreRefused) {
  auto generator = makeGenerator();
  auto flip = [&](size_t at, int bit) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
    EXPECT_NE(open(flipped), "") << "byte " << at << ", bit " << bit;
  };
  for (int k = 0; k < 200; ++k)
    flip(generator() % footer.codeBytes, static_cast<int>(generator() % 8));
  for (size_t at = 0; at < sizeof(Elf64_Ehdr); ++at)
    flip(at, static_cast<int>(generator() % 8));
  for (size_t at = bytes.size() - sizeof footer; at < bytes.size(); ++at)
    flip(at, static_cast<int>(generator() % 8));
}

TEST_F(Artifact, FlippedBitsInWeightsDoNotCrash) {
  auto generator = makeGenerator();
  for (int k = 0; k < 20; ++k) {
    std::string flipped = bytes;
    size_t at = footer.weightStart + generator() % footer.weightBytes;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << generator() % 8));
    writeFile(getFolder() + "/weights.so", flipped);
    Opened opened(getFolder() + "/weights.so");
    Tensor x({2, 8}, 1), y({2, 8});
    EXPECT_EQ(opened.run({x.view()}, {y.view()}), ONAGER_OK);
  }
}

TEST_F(Artifact, TrailingBytesAreRefused) { expectRefused(bytes + "x", "is not an Onager artifact"); }

TEST_F(Artifact, ForeignFilesAreRefused) {
  expectRefused("", "not an Onager artifact");
  expectRefused("hello", "not an Onager artifact");
  expectRefused(std::string(100000, '\0'), "not an Onager artifact");
  expectRefused(std::string(100000, 'x'), "not an Onager artifact");
  expectRefused(readFile("/proc/self/exe"), "not an Onager artifact");
  expectRefused(makeModel("(float[2] x) => (float[2] y)", "y = Relu(x)"), "not an Onager artifact");
}

TEST_F(Artifact, FooterThatLiesIsRefused) {
  std::string body = bytes.substr(0, bytes.size() - sizeof footer);
  auto change = [&](auto edit) {
    rt::Footer changed = footer;
    edit(changed);
    return withFooter(body, changed);
  };
  expectRefused(change([](rt::Footer &f) { f.codeBytes = UINT64_MAX; }), "length");
  expectRefused(change([](rt::Footer &f) { f.codeBytes = 0; }), "length");
  expectRefused(change([](rt::Footer &f) { f.codeBytes -= 8; }), "damaged");
  expectRefused(change([](rt::Footer &f) { f.weightStart = UINT64_MAX - 65535; }), "length");
  expectRefused(change([](rt::Footer &f) { f.weightStart += rt::kWeightAlignment; }), "length");
  expectRefused(change([](rt::Footer &f) { f.weightStart += 1; }), "length");
  expectRefused(change([](rt::Footer &f) { f.weightBytes = UINT64_MAX; }), "length");
  expectRefused(change([](rt::Footer &f) { f.weightBytes -= 1; }), "length");
  expectRefused(change([](rt::Footer &f) { f.magic ^= 1; }), "not an Onager artifact");
  expectRefused(change([](rt::Footer &f) { f.codeHash ^= 1; }), "checksum");
}

TEST_F(Artifact, MissingWeightsAreRefused) {
  rt::Footer changed = footer;
  changed.weightBytes = 0;
  expectRefused(withFooter(bytes.substr(0, footer.weightStart), changed), "weights");
}

/// An ELF file with a right checksum that is no model must not be mistaken for one.
TEST_F(Artifact, OtherCodeIsRefused) {
  auto wrap = [&](std::string code) {
    rt::Footer changed = footer;
    changed.codeBytes = code.size();
    changed.codeHash = rt::hashBytes(code.data(), code.size());
    changed.weightStart = (code.size() + rt::kWeightAlignment - 1) / rt::kWeightAlignment * rt::kWeightAlignment;
    changed.weightBytes = 0;
    code.resize(changed.weightStart);
    return withFooter(code, changed);
  };
  expectRefused(wrap(std::string(5000, '\0')), "does not begin with a shared object");
  std::string relocatable = bytes.substr(0, footer.codeBytes), other = relocatable;
  relocatable[offsetof(Elf64_Ehdr, e_type)] = ET_REL;
  expectRefused(wrap(relocatable), "does not begin with a shared object");
  other[offsetof(Elf64_Ehdr, e_machine)] = static_cast<char>(EM_AARCH64);
  expectRefused(wrap(other), "another kind of processor", ONAGER_BAD_MACHINE);
}

TEST_F(Artifact, PathsThatAreNoFilesAreRefused) {
  onager_session *session = nullptr;
  for (const std::string &bad : {getFolder(), getFolder() + "/absent.so", std::string("/dev/null"), std::string("")}) {
    EXPECT_EQ(onager_session_open(bad.c_str(), nullptr, &session), ONAGER_BAD_FILE) << bad;
    EXPECT_NE(std::string(onager_last_error()), "");
  }
  EXPECT_EQ(session, nullptr);
}

/// The loader knows code by its name: a replaced file must give the new code while the old one is still open.
TEST_F(Artifact, ReplacedFilesGiveNewCode) {
  std::string place = getFolder() + "/replaced.so";
  auto runOne = [&](Opened &opened) {
    Tensor x({2}, 3), y({2});
    EXPECT_EQ(opened.run({x.view()}, {y.view()}), ONAGER_OK);
    return y.data[0];
  };
  std::filesystem::copy_file(compileModel(makeModel("(float[2] x) => (float[2] y)", "y = Neg(x)")), place);
  Opened first(place);
  EXPECT_EQ(runOne(first), -3);
  std::string second = compileModel(makeModel("(float[2] x) => (float[2] y)", "y = Add(x, x)"));
  std::filesystem::rename(second, place);
  Opened replaced(place);
  EXPECT_EQ(runOne(replaced), 6);
  EXPECT_EQ(runOne(first), -3);
}
