// What encode writes, decode reads; anything else is refused or read as something that encode could have written.
#include "runtime/core/manifest.h"
#include "test/unit/Support.h"
#include <gtest/gtest.h>

using namespace onager;
using namespace onager::rt;

static std::string randomText(std::mt19937_64 &generator) {
  std::string text(generator() % 20, '\0');
  for (char &c : text)
    c = static_cast<char>(generator());
  return text;
}

static Expr randomExpr(std::mt19937_64 &generator, size_t symbols) {
  Expr expr;
  for (size_t k = generator() % 6; k > 0; --k) {
    auto op = static_cast<uint64_t>(generator() % Expr::Count);
    if (op == Expr::Symbol && symbols == 0)
      op = Expr::Const;
    expr.tokens.push_back({op, op == Expr::Symbol ? static_cast<int64_t>(generator() % symbols) : op == Expr::Const ? static_cast<int64_t>(generator()) : 0});
  }
  return expr;
}

static std::vector<TensorInfo> randomTensors(std::mt19937_64 &generator, size_t symbols, uint64_t blocks) {
  std::vector<TensorInfo> tensors(generator() % 4);
  for (TensorInfo &tensor : tensors) {
    tensor.name = randomText(generator);
    tensor.dtype = generator() % 30;
    tensor.dims.resize(generator() % 5);
    for (Expr &dim : tensor.dims)
      dim = randomExpr(generator, symbols);
    tensor.block = blocks && generator() % 2 ? static_cast<int64_t>(generator() % blocks) : -1;
  }
  return tensors;
}

static CustomNodeInfo randomOperator(std::mt19937_64 &generator) {
  CustomNodeInfo info{randomText(generator), randomText(generator), randomText(generator), generator(), {}, {}, {}};
  info.inputs.resize(generator() % 3, static_cast<int64_t>(generator() % 27));
  for (size_t k = generator() % 3; k > 0; --k)
    info.results.push_back({generator() % 27, {static_cast<int64_t>(generator() % 9), ResultInfo::kFound, ResultInfo::kKnown}});
  info.attributes.push_back({randomText(generator), 7, {static_cast<int64_t>(generator()), -1}, {}, {}});
  info.attributes.push_back({randomText(generator), 1, {}, {0.5f - static_cast<float>(generator() % 9)}, {}});
  info.attributes.push_back({randomText(generator), 8, {}, {}, {randomText(generator), randomText(generator)}});
  info.attributes.push_back({randomText(generator), 4, {7, 1}, {}, {randomText(generator)}});
  return info;
}

static Manifest randomManifest(std::mt19937_64 &generator) {
  Manifest m;
  m.name = randomText(generator);
  m.features.resize(generator() % 3);
  m.symbols.resize(generator() % 4);
  m.errors.resize(generator() % 3);
  for (auto *list : {&m.features, &m.symbols, &m.errors})
    for (std::string &text : *list)
      text = randomText(generator);
  size_t symbols = m.symbols.size();
  m.blocks = generator() % 3;
  m.inputs = randomTensors(generator, symbols, 0);
  m.outputs = randomTensors(generator, symbols, m.blocks);
  for (size_t k = symbols ? generator() % 3 : 0; k > 0; --k)
    m.derived.push_back({generator() % symbols, randomExpr(generator, symbols)});
  for (size_t k = generator() % 4; k > 0; --k)
    m.slots.push_back({randomExpr(generator, symbols), generator() % 9, generator() % 9, generator() % 2});
  for (size_t k = generator() % 4; k > 0; --k)
    m.launches.push_back({randomText(generator), randomText(generator), randomExpr(generator, symbols)});
  for (size_t k = generator() % 3; k > 0; --k)
    m.operators.push_back(randomOperator(generator));
  m.weightBytes = generator();
  m.work = randomExpr(generator, symbols);
  return m;
}

static bool decodeText(const std::string &bytes, Manifest &manifest, std::string &error) {
  // A copy of exactly this size, so that a sanitiser sees a read beyond it.
  std::vector<uint8_t> exact(bytes.begin(), bytes.end());
  return decode(exact.data(), exact.size(), manifest, error);
}

TEST(Manifest, RoundTrip) {
  auto generator = test::makeGenerator();
  for (int k = 0; k < 300; ++k) {
    std::string bytes = encode(randomManifest(generator)), error;
    Manifest again;
    ASSERT_TRUE(decodeText(bytes, again, error)) << error;
    EXPECT_EQ(encode(again), bytes);
  }
}

TEST(Manifest, EveryTruncationIsRefused) {
  auto generator = test::makeGenerator();
  for (int round = 0; round < 20; ++round) {
    std::string bytes = encode(randomManifest(generator));
    for (size_t size = 0; size < bytes.size(); ++size) {
      Manifest manifest;
      std::string error;
      ASSERT_FALSE(decodeText(bytes.substr(0, size), manifest, error)) << size << " of " << bytes.size();
      EXPECT_FALSE(error.empty());
    }
  }
}

TEST(Manifest, TrailingBytesAreRefused) {
  auto generator = test::makeGenerator();
  Manifest manifest;
  std::string error;
  EXPECT_FALSE(decodeText(encode(randomManifest(generator)) + '\0', manifest, error));
}

/// A flipped bit in a number or a text may give another valid manifest (the artifact's checksum is there for that), but nothing that
/// encode would not write.
TEST(Manifest, EveryFlippedBitIsRefusedOrRoundTrips) {
  auto generator = test::makeGenerator();
  for (int round = 0; round < 10; ++round) {
    std::string bytes = encode(randomManifest(generator));
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string flipped = bytes, error;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
      Manifest manifest;
      if (!decodeText(flipped, manifest, error)) {
        EXPECT_FALSE(error.empty());
        continue;
      }
      EXPECT_EQ(encode(manifest), flipped) << "bit " << bit;
    }
  }
}

TEST(Manifest, IndicesOutsideTheirListsAreRefused) {
  std::string error;
  Manifest symbol, derived, block, read;
  symbol.symbols = {"n"};
  symbol.work.tokens = {{Expr::Symbol, 1}};
  derived.symbols = {"n"};
  derived.derived.push_back({1, {{{Expr::Const, 1}}}});
  block.blocks = 1;
  block.outputs.push_back({"y", 1, {}, 1, "", ""});
  for (const Manifest &manifest : {symbol, derived, block})
    EXPECT_FALSE(decodeText(encode(manifest), read, error));
}

TEST(Manifest, RandomBytesAreRefused) {
  auto generator = test::makeGenerator();
  std::string magic = encode(Manifest()).substr(0, 8);
  for (int k = 0; k < 2000; ++k) {
    std::string bytes = magic + randomText(generator) + randomText(generator), error;
    Manifest manifest;
    EXPECT_FALSE(decodeText(bytes, manifest, error));
  }
}
