// The table of a run's texts, letters of other case, numbers as text.
#include "runtime/core/strings.h"
#include "test/unit/Support.h"
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <random>

using namespace onager::rt;

namespace {

std::string find(const StringTable &table, int64_t number) {
  const char *text = nullptr;
  uint64_t size = 0;
  return table.find(number, text, size) ? std::string(text, size) : "(none)";
}

int64_t intern(StringTable &table, const std::string &text) { return table.intern(text.data(), text.size()); }

TEST(StringTable, EqualTextsHaveEqualNumbers) {
  onager_allocator allocator = getSystemAllocator();
  StringTable table(allocator);
  std::vector<std::string> constants{"", "b", std::string("zero\0inside", 11)};
  ASSERT_TRUE(table.reset(constants));
  for (size_t k = 0; k < constants.size(); ++k)
    EXPECT_EQ(intern(table, constants[k]), static_cast<int64_t>(k));
  EXPECT_EQ(intern(table, "zero"), 3);
  EXPECT_EQ(intern(table, "zero"), 3);
  EXPECT_EQ(find(table, 2), constants[2]);
  EXPECT_EQ(find(table, 4), "(none)");
  EXPECT_EQ(find(table, -1), "(none)");
}

TEST(StringTable, GrowsAndForgetsAllButConstants) {
  std::mt19937_64 generator = onager::test::makeGenerator();
  onager_allocator allocator = getSystemAllocator();
  StringTable table(allocator);
  std::vector<std::string> constants{"", "a", "b"};
  for (int run = 0; run < 5; ++run) {
    ASSERT_TRUE(table.reset(constants));
    std::map<std::string, int64_t> known;
    for (int k = 0; k < 3000; ++k) {
      std::string text = std::to_string(generator() % 2000);
      auto [it, isNew] = known.try_emplace(text, intern(table, text));
      ASSERT_EQ(intern(table, text), it->second);
    }
    for (const auto &[text, number] : known)
      ASSERT_EQ(find(table, number), text);
    for (size_t k = 0; k < constants.size(); ++k)
      ASSERT_EQ(intern(table, constants[k]), static_cast<int64_t>(k));
  }
}

TEST(StringTable, TakesPartsOfItsOwnTexts) {
  onager_allocator allocator = getSystemAllocator();
  StringTable table(allocator);
  ASSERT_TRUE(table.reset({"abcdefgh"}));
  for (uint64_t length = 1; length < 8; ++length)
    for (uint64_t start = 0; start + length <= 8; ++start) {
      const char *text = nullptr;
      uint64_t size = 0;
      ASSERT_TRUE(table.find(0, text, size));
      ASSERT_EQ(find(table, table.intern(text + start, length)), std::string("abcdefgh").substr(start, length));
    }
}

TEST(StringTable, SaysThatThereIsNoMemory) {
  onager_allocator none{sizeof none, 0, nullptr, [](void *, size_t, size_t) -> void * { return nullptr; }, [](void *, void *, size_t, size_t) {}};
  StringTable table(none);
  EXPECT_FALSE(table.reset({"a"}));
  EXPECT_EQ(intern(table, "b"), -1);
}

TEST(Text, ChangesLettersOfAllScripts) {
  auto upper = [](const std::string &text) { return changeCase(text.data(), text.size(), true); };
  auto lower = [](const std::string &text) { return changeCase(text.data(), text.size(), false); };
  EXPECT_EQ(upper("aé日ж\xff-ß"), "AÉ日Ж\xff-ß");
  EXPECT_EQ(lower("AÉ日Ж\xc3"), "aé日ж\xc3");
  EXPECT_EQ(upper(""), "");
}

TEST(Text, WritesTheFewestDigits) {
  auto single = [](float value) { return printNumber(ONAGER_F32, &value); };
  auto wide = [](double value) { return printNumber(ONAGER_F64, &value); };
  EXPECT_EQ(single(0.1f), "0.1");
  EXPECT_EQ(single(-2), "-2.0");
  EXPECT_EQ(single(16777216), "16777216.0");
  EXPECT_EQ(wide(1e16), "1e+16");
  EXPECT_EQ(wide(123456789012345.25), "123456789012345.25");
  EXPECT_EQ(wide(0.0001), "0.0001");
  EXPECT_EQ(wide(0.00001234), "1.234e-05");
  EXPECT_EQ(wide(NAN), "nan");
  EXPECT_EQ(wide(-INFINITY), "-inf");
  int64_t least = INT64_MIN;
  EXPECT_EQ(printNumber(ONAGER_I64, &least), "-9223372036854775808");
}

TEST(Text, ReadsNumbersAndNothingElse) {
  double number = 0;
  int64_t integer = 0;
  EXPECT_TRUE(parseNumber("-1.5e3", 6, ONAGER_F64, &number));
  EXPECT_EQ(number, -1500);
  EXPECT_TRUE(parseNumber("-7", 2, ONAGER_I64, &integer));
  EXPECT_EQ(integer, -7);
  for (const char *bad : {"", "1x", "x", "1 "})
    EXPECT_FALSE(parseNumber(bad, std::string(bad).size(), ONAGER_F64, &number)) << bad;
  EXPECT_FALSE(parseNumber("1\0", 2, ONAGER_F64, &number));
}

} // namespace
