// Ranges from histograms, and weights as small integers.
#include "lib/Compress/Gptq.h"
#include "lib/Compress/Histogram.h"
#include "lib/Compress/LayerForms.h"
#include "lib/Compress/Moves.h"
#include "lib/Compress/Rounding.h"
#include "llvm/Support/Parallel.h"
#include "test/unit/Support.h"
#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace onager::compress;

namespace {

std::vector<float> draw(size_t count, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float &value : values)
    value = normal(engine);
  return values;
}

Range choose(const std::vector<float> &values, RangeMethod method) {
  Histogram histogram;
  histogram.add(values.data(), values.size());
  return histogram.choose(method);
}

/// The mean squared error of 256 steps.
double measure(const std::vector<float> &values, Range range) {
  double step = (range.most - range.least) / 255, zero = std::nearbyint(-range.least / step), sum = 0;
  for (float value : values) {
    double level = std::clamp(std::nearbyint(value / step) + zero, 0.0, 255.0);
    sum += std::pow(value - (level - zero) * step, 2);
  }
  return sum / static_cast<double>(values.size());
}

double measure(const std::vector<float> &weights, const RoundedGroup &group) {
  double sum = 0;
  for (size_t k = 0; k < weights.size(); ++k)
    sum += std::pow(weights[k] - group.scale * (static_cast<float>(group.integers[k]) - group.zero), 2);
  return sum;
}

constexpr RangeMethod kMethods[] = {RangeMethod::minmax, RangeMethod::percentile, RangeMethod::entropy, RangeMethod::mse};

} // namespace

TEST(Histogram, MinmaxIsWhatWasSeen) {
  Range range = choose({-1.5f, 0.25f, 7}, RangeMethod::minmax);
  EXPECT_EQ(range.least, -1.5);
  EXPECT_EQ(range.most, 7);
}

TEST(Histogram, ZeroLiesInEveryRange) {
  for (RangeMethod method : kMethods) {
    Range above = choose({3, 4, 5}, method), below = choose({-3, -4, -5}, method);
    EXPECT_EQ(above.least, 0);
    EXPECT_GT(above.most, 0);
    EXPECT_EQ(below.most, 0);
    EXPECT_LT(below.least, 0);
  }
}

TEST(Histogram, OutliersAreCutOffByAllMethodsButMinmax) {
  std::vector<float> values = draw(100000, 1);
  values[17] = 400;
  EXPECT_EQ(choose(values, RangeMethod::minmax).most, 400);
  for (RangeMethod method : {RangeMethod::percentile, RangeMethod::entropy, RangeMethod::mse})
    EXPECT_LT(choose(values, method).most, 390) << static_cast<int>(method);
}

TEST(Histogram, TheSmallestErrorIsNoLargerThanThatOfOtherRanges) {
  for (uint32_t seed = 0; seed < 8; ++seed) {
    std::vector<float> values = draw(20000, seed);
    if (seed % 2)
      for (float &value : values)
        value = std::max(0.0f, value * value * value);
    double smallest = measure(values, choose(values, RangeMethod::mse));
    for (RangeMethod method : kMethods)
      EXPECT_LE(smallest, 1.02 * measure(values, choose(values, method))) << "seed " << seed << ", method " << static_cast<int>(method);
  }
}

TEST(Histogram, PartsOfDataGiveWhatTheWholeGives) {
  std::vector<float> values = draw(30000, 3);
  for (size_t k = 0; k < values.size(); ++k)
    values[k] *= 1 + static_cast<float>(k) / 1000; // grows, so that bins are merged on the way
  Histogram parts;
  for (size_t k = 0; k < values.size(); k += 1000)
    parts.add(values.data() + k, 1000);
  for (RangeMethod method : kMethods) {
    Range whole = choose(values, method), found = parts.choose(method);
    EXPECT_NEAR(found.most, whole.most, 0.06 * whole.most) << static_cast<int>(method);
    EXPECT_NEAR(found.least, whole.least, -0.06 * whole.least) << static_cast<int>(method);
  }
}

TEST(Histogram, WhatIsNotFiniteCountsForNothing) {
  for (RangeMethod method : kMethods) {
    Range range = choose({NAN, INFINITY, -INFINITY, 2, -1}, method);
    EXPECT_TRUE(std::isfinite(range.least) && std::isfinite(range.most));
    EXPECT_GT(range.most, 1);
  }
  Histogram none;
  float value = NAN;
  none.add(&value, 1);
  EXPECT_TRUE(none.isEmpty());
}

TEST(Histogram, ZerosAloneAreARangeOfNothing) {
  for (RangeMethod method : kMethods) {
    Range range = choose({0, 0, 0}, method);
    EXPECT_EQ(range.least, 0);
    EXPECT_EQ(range.most, 0);
  }
}

TEST(Rounding, GroupsAreWithinHalfAStep) {
  for (int bits : {4, 8}) {
    std::vector<float> weights = draw(64, 5);
    RoundedGroup group = roundGroup(weights.data(), weights.size(), bits, RoundingMethod::rtn);
    for (size_t k = 0; k < weights.size(); ++k) {
      EXPECT_LT(group.integers[k], 1 << bits);
      // The zero point is rounded as well, which moves the ends by half a step more.
      EXPECT_LE(std::abs(weights[k] - group.scale * (static_cast<float>(group.integers[k]) - group.zero)), 1.001f * group.scale);
    }
  }
}

TEST(Rounding, ScalesTakeTheUpperHalfOfTheirBits) {
  for (uint32_t seed = 0; seed < 20; ++seed)
    for (RoundingMethod method : {RoundingMethod::rtn, RoundingMethod::mse, RoundingMethod::hqq}) {
      std::vector<float> weights = draw(32, seed);
      EXPECT_EQ(std::bit_cast<uint32_t>(roundGroup(weights.data(), 32, 4, method).scale) & 0xffff, 0u);
    }
  EXPECT_EQ(roundScale(1.5f), 1.5f);
  EXPECT_EQ(roundScale(std::nextafter(1.5f, 2.0f)), 1.5f);
  EXPECT_EQ(roundScale(1.5f + 1 / 200.0f), 1.5f + 1 / 128.0f);
}

TEST(Rounding, ClippedRangesHaveNoLargerError) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    std::vector<float> weights = draw(32, seed);
    double plain = measure(weights, roundGroup(weights.data(), 32, 4, RoundingMethod::rtn)), clipped = measure(weights, roundGroup(weights.data(), 32, 4, RoundingMethod::mse));
    EXPECT_LE(clipped, plain) << "seed " << seed;
  }
}

TEST(Rounding, HalfQuadraticForgivesFewForTheSakeOfMany) {
  double plain = 0, refined = 0;
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::vector<float> weights = draw(64, seed);
    for (auto [method, sum] : {std::pair(RoundingMethod::rtn, &plain), {RoundingMethod::hqq, &refined}}) {
      RoundedGroup group = roundGroup(weights.data(), 64, 4, method);
      for (size_t k = 0; k < 64; ++k)
        *sum += std::pow(std::abs(weights[k] - group.scale * (static_cast<float>(group.integers[k]) - group.zero)), 0.7);
    }
  }
  EXPECT_LT(refined, plain);
}

TEST(Rounding, ChannelsLieBesideEachOtherOrApart) {
  std::vector<float> weights{1, 10, -2, 20, 4, -40};
  std::vector<int8_t> integers(6);
  EXPECT_FLOAT_EQ(roundChannel(weights.data(), 3, 2, RoundingMethod::rtn, integers.data()), 4 / 127.0f);
  EXPECT_FLOAT_EQ(roundChannel(weights.data() + 1, 3, 2, RoundingMethod::rtn, integers.data() + 1), 40 / 127.0f);
  EXPECT_EQ(integers, (std::vector<int8_t>{32, 32, -64, 64, 127, -127}));
}

TEST(Rounding, NothingButZerosStaysZero) {
  std::vector<float> weights(32);
  std::vector<int8_t> integers(32, 5);
  for (RoundingMethod method : {RoundingMethod::rtn, RoundingMethod::mse, RoundingMethod::hqq}) {
    EXPECT_EQ(measure(weights, roundGroup(weights.data(), 32, 4, method)), 0);
    EXPECT_EQ(roundChannel(weights.data(), 32, 1, method, integers.data()), 1);
    EXPECT_EQ(integers[31], 0);
  }
}

/// A Gram matrix of independent inputs.
Gram makeIdentity(size_t terms, size_t zeros = 0) {
  std::vector<float> identity(terms * terms);
  for (size_t k = zeros; k < terms; ++k)
    identity[k * terms + k] = 1;
  Gram gram;
  gram.add(identity.data(), identity.size());
  return gram;
}

TEST(Gptq, InputsThatAreIndependentLeaveLittleToGain) {
  std::vector<float> weights = draw(4 * 64, 1);
  std::vector<RoundedGroup> groups = GramRounding(makeIdentity(64), 4096).round(weights, nullptr, {32, 4}, RoundingMethod::gptq);
  ASSERT_EQ(groups.size(), 8u);
  for (size_t g = 0; g < groups.size(); ++g) {
    std::vector<float> own(weights.begin() + static_cast<std::ptrdiff_t>(g * 32), weights.begin() + static_cast<std::ptrdiff_t>(g * 32 + 32));
    double plain = measure(own, roundGroup(own.data(), 32, 4, RoundingMethod::mse)), found = measure(own, groups[g]);
    EXPECT_LE(found, plain * (1 + 1e-6));
    EXPECT_GT(found, 0.5 * plain);
  }
}

TEST(Gptq, TheInverseIsThatOfTheWholeDampedMatrix) {
  constexpr size_t kTerms = 24;
  for (size_t zeros : {size_t(0), kTerms / 2}) {
    Gram gram = makeIdentity(kTerms, zeros);
    for (size_t a = zeros; a < kTerms; ++a)
      for (size_t b = zeros; b < kTerms; ++b)
        gram.values[a * kTerms + b] += 0.5;
    std::vector<float> factor = makeErrorRows(gram, 0.1);
    for (size_t a = 0; a < kTerms; ++a)
      for (size_t b = 0; b < kTerms; ++b) {
        double sum = 0;
        for (size_t k = 0; k < kTerms; ++k) {
          double inverse = 0; // of a and k
          for (size_t r = 0; r < kTerms; ++r)
            inverse += static_cast<double>(factor[r * kTerms + a]) * factor[r * kTerms + k];
          sum += inverse * (gram.values[k * kTerms + b] + (k == b ? 0.1 * gram.getMean() : 0));
        }
        EXPECT_NEAR(sum, a == b, 1e-4) << a << ", " << b << ", zeros " << zeros;
      }
  }
}

TEST(Gptq, WeightsFollowRowsThatChanged) {
  constexpr size_t kTerms = 16, kRows = 2000;
  std::vector<float> weights = draw(kTerms, 5), rows = draw(kRows * kTerms, 6), changed = rows, own(kTerms * kTerms), cross(kTerms * kTerms);
  for (size_t r = 0; r < kRows; ++r)
    for (size_t k = 1; k < kTerms; ++k)
      changed[r * kTerms + k] += 0.3f * rows[r * kTerms + k - 1];
  for (size_t r = 0; r < kRows; ++r)
    for (size_t a = 0; a < kTerms; ++a)
      for (size_t b = 0; b < kTerms; ++b) {
        own[a * kTerms + b] += changed[r * kTerms + a] * changed[r * kTerms + b];
        cross[a * kTerms + b] += rows[r * kTerms + a] * changed[r * kTerms + b];
      }
  auto measureGap = [&](const std::vector<float> &fitted) {
    double sum = 0;
    for (size_t r = 0; r < kRows; ++r) {
      double gap = 0;
      for (size_t k = 0; k < kTerms; ++k)
        gap += fitted[k] * changed[r * kTerms + k] - weights[k] * rows[r * kTerms + k];
      sum += gap * gap;
    }
    return sum;
  };
  Gram gram, other;
  gram.add(own.data(), own.size());
  other.add(cross.data(), cross.size());
  std::vector<float> fitted = weights, distrusting = weights;
  GramRounding(gram, kRows).fitToOtherRows(fitted, other);
  EXPECT_LT(measureGap(fitted), 0.01 * measureGap(weights));
  // Fewer than two rows for a term say more about themselves than about others.
  GramRounding(gram, kTerms).fitToOtherRows(distrusting, other);
  EXPECT_EQ(distrusting, weights);
}

TEST(Gptq, ProductsOfInputsThatDependComeNearer) {
  constexpr size_t kTerms = 96, kRows = 400;
  std::vector<float> weights = draw(kTerms, 2), inputs = draw(kRows * kTerms, 3), product(kTerms * kTerms);
  for (size_t r = 0; r < kRows; ++r)
    for (size_t k = 1; k < kTerms; ++k)
      inputs[r * kTerms + k] = 0.8f * inputs[r * kTerms + k - 1] + 0.6f * inputs[r * kTerms + k];
  for (size_t r = 0; r < kRows; ++r)
    for (size_t a = 0; a < kTerms; ++a)
      for (size_t b = 0; b < kTerms; ++b)
        product[a * kTerms + b] += inputs[r * kTerms + a] * inputs[r * kTerms + b];
  Gram gram;
  gram.add(product.data(), product.size());
  auto measureOutputs = [&](const std::vector<RoundedGroup> &groups) {
    double sum = 0;
    for (size_t r = 0; r < kRows; ++r) {
      double error = 0;
      for (size_t k = 0; k < kTerms; ++k) {
        const RoundedGroup &group = groups[k / 32];
        error += inputs[r * kTerms + k] * (weights[k] - group.scale * (static_cast<float>(group.integers[k % 32]) - group.zero));
      }
      sum += error * error;
    }
    return sum;
  };
  std::vector<RoundedGroup> plain;
  for (size_t g = 0; g < kTerms / 32; ++g)
    plain.push_back(roundGroup(weights.data() + g * 32, 32, 4, RoundingMethod::mse));
  std::vector<RoundedGroup> inTurn = GramRounding(gram, kRows).round(weights, nullptr, {32, 4}, RoundingMethod::gptq), near = GramRounding(gram, kRows).round(weights, nullptr, {32, 4}, RoundingMethod::adaround);
  EXPECT_LT(measureOutputs(inTurn), 0.7 * measureOutputs(plain));
  EXPECT_LT(measureOutputs(near), 0.8 * measureOutputs(plain));
  for (size_t g = 0; g < near.size(); ++g)
    EXPECT_EQ(near[g].scale, plain[g].scale) << "adaround moves integers alone";
}

TEST(Gptq, BytesLieAroundZeroInWholeRows) {
  constexpr size_t kTerms = 300; // more than a block of columns
  std::vector<float> weights = draw(3 * kTerms, 7);
  weights[5] = 9;
  for (RoundingMethod method : {RoundingMethod::gptq, RoundingMethod::adaround}) {
    std::vector<RoundedGroup> rows = GramRounding(makeIdentity(kTerms), 8 * kTerms).round(weights, nullptr, {kTerms, 8, true}, method);
    ASSERT_EQ(rows.size(), 3u);
    for (size_t n = 0; n < rows.size(); ++n) {
      EXPECT_EQ(rows[n].zero, kByteZero);
      ASSERT_EQ(rows[n].integers.size(), kTerms);
      EXPECT_GE(*std::min_element(rows[n].integers.begin(), rows[n].integers.end()), 1);
      for (size_t k = 0; k < kTerms; ++k)
        EXPECT_NEAR(rows[n].scale * (static_cast<float>(rows[n].integers[k]) - kByteZero), weights[n * kTerms + k], 3 * rows[n].scale);
    }
  }
}

/// Rows of which each term is a mix of a few numbers.
Rows drawMixedRows(size_t count, size_t terms) {
  std::vector<float> numbers = draw(count * 8, 21), mix = draw(8 * terms, 22);
  Rows rows{count, terms, std::vector<float>(count * terms)};
  for (size_t r = 0; r < count; ++r)
    for (size_t k = 0; k < terms; ++k)
      for (size_t j = 0; j < 8; ++j)
        rows.values[r * terms + k] += numbers[r * 8 + j] * mix[j * terms + k];
  return rows;
}

TEST(Gptq, FewRowsRoundAsTheirGramMatrixDoes) {
  constexpr size_t kTerms = 90, kRows = 24, kOutputs = 20;
  Rows rows = drawMixedRows(kRows, kTerms);
  std::vector<float> weights = draw(kOutputs * kTerms, 23);
  for (size_t k = 0; k < weights.size(); k += 3)
    weights[k] = 0;
  Gram gram;
  gram.addRows(rows.values.data(), kRows, kTerms);
  auto measureOutputs = [&](const std::vector<RoundedGroup> &groups, const IntegerForm &form) {
    double sum = 0;
    for (size_t n = 0; n < kOutputs; ++n)
      for (size_t r = 0; r < kRows; ++r) {
        double error = 0;
        for (size_t k = 0; k < kTerms; ++k) {
          const RoundedGroup &group = groups[n * (kTerms / form.size) + k / form.size];
          error += rows.values[r * kTerms + k] * (weights[n * kTerms + k] - group.scale * (static_cast<float>(group.integers[k % form.size]) - group.zero));
        }
        sum += error * error;
      }
    return sum;
  };
  for (const IntegerForm &form : {IntegerForm{30, 4}, IntegerForm{kTerms, 8, true}}) {
    std::vector<RoundedGroup> byRows = RowRounding(rows).round(weights, form, RoundingMethod::adaround), byGram = GramRounding(gram, kRows).round(weights, nullptr, form, RoundingMethod::adaround);
    double plain = measureOutputs(roundToForms(weights, kTerms, form), form), found = measureOutputs(byRows, form);
    EXPECT_LT(found, 0.5 * plain);
    for (size_t k = 0; k < weights.size(); k += 3)
      for (const std::vector<RoundedGroup> &groups : {byRows, byGram})
        EXPECT_EQ(groups[k / form.size].integers[k % form.size], groups[k / form.size].zero) << "masks stay";
    EXPECT_NEAR(found, measureOutputs(byGram, form), 0.05 * plain) << "the same descent, by other sums";
    // Scales move as well.
    EXPECT_LE(measureOutputs(RowRounding(rows).round(weights, form, RoundingMethod::gptq), form), 1.1 * found);
  }
  EXPECT_EQ(RowRounding(Rows{0, kTerms, {}}).round(weights, {30, 4}, RoundingMethod::adaround)[0].integers, roundToForms(weights, kTerms, {30, 4})[0].integers);
}

TEST(Moves, AnyNumberOfStepsComesBack) {
  IntegerForm form{5, 8};
  std::vector<RoundedGroup> from(3), to;
  for (RoundedGroup &group : from)
    group.integers = {0, 255, 7, 8, 9};
  to = from;
  to[0].integers = {255, 0, 8, 7, 9};
  to[2].integers = {0, 253, 9, 8, 9};
  std::string text = printMoves(from, to);
  std::vector<RoundedGroup> found = from;
  ASSERT_TRUE(applyMoves(text, form, found));
  for (size_t g = 0; g < found.size(); ++g)
    EXPECT_EQ(found[g].integers, to[g].integers);
  EXPECT_EQ(printMoves(from, from), "AAAAAA==") << "a code of 2 bits for each integer";
}

TEST(Moves, TextsOfOtherIntegersAreRefused) {
  IntegerForm form{4, 4};
  std::vector<RoundedGroup> from(1), to;
  from[0].integers = {0, 15, 3, 3};
  to = from;
  to[0].integers = {1, 14, 3, 4};
  std::string text = printMoves(from, to);
  for (const char *wrong : {"", "AAAA", "AA", "?"}) {
    std::vector<RoundedGroup> found = from;
    EXPECT_FALSE(applyMoves(wrong, form, found)) << wrong;
  }
  std::vector<RoundedGroup> others(1);
  others[0].integers = {15, 15, 3, 3};
  EXPECT_FALSE(applyMoves(text, form, others)) << "one step above 15";
}

TEST(Gptq, LinkingLeavesParallelLoopsParallel) {
  // lld runs with one thread, which is LLVM's number for all loops while it does.
  unsigned before = llvm::parallel::strategy.ThreadsRequested;
  EXPECT_FALSE(onager::test::compileModel(onager::test::makeModel("(float[N] x) => (float[N] y)", "y = Relu(x)")).empty());
  EXPECT_EQ(llvm::parallel::strategy.ThreadsRequested, before);
}

TEST(Gptq, InputsThatWereAlwaysZeroAreNoDivision) {
  std::vector<float> weights = draw(32, 4), nothing(32 * 32);
  Gram gram;
  gram.add(nothing.data(), nothing.size());
  for (const RoundedGroup &group : GramRounding(gram, 0).round(weights, nullptr, {16, 4}, RoundingMethod::gptq))
    EXPECT_TRUE(std::isfinite(group.scale) && group.integers.size() == 16);
}

TEST(Rounding, FiltersFallIntoEqualPartsOfAboutAGroup) {
  LayerRecipe entry;
  entry.op = "Conv";
  entry.scheme = Scheme::int4;
  entry.group = 32;
  for (auto [terms, size] : std::map<size_t, size_t>{{1, 1}, {9, 9}, {27, 27}, {32, 32}, {37, 37}, {111, 37}, {144, 36}, {147, 21}, {576, 32}, {1024, 32}, {2 * 509, 509}})
    EXPECT_EQ(getForm(entry, terms).size, size) << terms;
  EXPECT_FALSE(getForm(entry, 27).isSymmetric);
  entry.op = "MatMul";
  EXPECT_EQ(getForm(entry, 27).size, 32);
}

TEST(Rounding, BytesOfFiltersLieAroundZeroAndThoseOfProductsInGroups) {
  LayerRecipe entry;
  entry.scheme = Scheme::int8Weights;
  entry.op = "ConvTranspose";
  EXPECT_TRUE(getForm(entry, 27).isSymmetric);
  EXPECT_EQ(getForm(entry, 27).size, 27);
  entry.op = "Gemm";
  EXPECT_FALSE(getForm(entry, 27).isSymmetric);
}
