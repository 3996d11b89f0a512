// Metrics of two tensors against numbers worked out by hand, and the text of thresholds.
#include "tools/onager/Metrics.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>

using namespace onager::cli;

namespace {

Tensor makeFloats(std::vector<int64_t> dims, const std::vector<float> &values) {
  Tensor tensor = makeTensor(ONAGER_F32, std::move(dims));
  std::memcpy(tensor.data.data(), values.data(), values.size() * sizeof(float));
  return tensor;
}

Metrics compare(const std::vector<float> &found, const std::vector<float> &expected, std::vector<int64_t> dims, size_t k = 1) {
  ErrorSums sums({}, k);
  sums.add(makeFloats(dims, found), makeFloats(dims, expected));
  return sums.finish();
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(Metrics, EqualTensorsAreAsNearAsCanBe) {
  Metrics metrics = compare({1, 2, -3, 4}, {1, 2, -3, 4}, {2, 2});
  EXPECT_EQ(metrics.maxAbs, 0);
  EXPECT_EQ(metrics.meanRel, 0);
  EXPECT_DOUBLE_EQ(metrics.cosine, 1);
  EXPECT_EQ(metrics.sqnr, 200);
  EXPECT_EQ(metrics.kl, 0);
  EXPECT_EQ(metrics.topK, 1);
  EXPECT_EQ(metrics.outside, 0u);
  EXPECT_EQ(metrics.elements, 4u);
}

TEST(Metrics, ErrorsAreThoseOfTheirDefinitions) {
  Metrics metrics = compare({3, 5}, {3, 4}, {1, 2});
  EXPECT_DOUBLE_EQ(metrics.maxAbs, 1);
  EXPECT_DOUBLE_EQ(metrics.meanAbs, 0.5);
  EXPECT_DOUBLE_EQ(metrics.maxRel, 0.25);
  EXPECT_DOUBLE_EQ(metrics.meanRel, 1.0 / 7);
  EXPECT_NEAR(metrics.cosine, 29 / std::sqrt(34 * 25.0), 1e-12);
  EXPECT_NEAR(metrics.sqnr, 10 * std::log10(25.0), 1e-12);
  EXPECT_EQ(metrics.outside, 1u);
}

TEST(Metrics, SamplesAddUp) {
  ErrorSums sums;
  sums.add(makeFloats({2}, {1, 2}), makeFloats({2}, {1, 1}));
  sums.add(makeFloats({2}, {5, 0}), makeFloats({2}, {3, 0}));
  Metrics metrics = sums.finish();
  EXPECT_DOUBLE_EQ(metrics.maxAbs, 2);
  EXPECT_DOUBLE_EQ(metrics.meanAbs, 0.75);
  EXPECT_NEAR(metrics.sqnr, 10 * std::log10(11.0 / 5), 1e-12);
}

TEST(Metrics, OutputsOfAModelCountAlikeAndThoseOfOtherDimsDoNot) {
  OutputErrors errors(2, false);
  Tensor text;
  text.dims = {1};
  text.texts = {"more than the outputs that count"};
  errors.add({makeFloats({2}, {3, 5}), makeFloats({1}, {11}), text}, {makeFloats({2}, {3, 4}), makeFloats({1}, {10}), text});
  errors.add({makeFloats({2}, {3, 4}), makeFloats({1, 1}, {11})}, {makeFloats({2}, {3, 4}), makeFloats({1}, {10})});
  std::vector<Metrics> metrics = errors.finish();
  ASSERT_EQ(metrics.size(), 2u);
  EXPECT_EQ(metrics[0].elements, 4u);
  EXPECT_EQ(metrics[1].elements, 1u);
  EXPECT_NEAR(metrics[0].sqnr, 10 * std::log10(50.0), 1e-12);
  EXPECT_NEAR(errors.getSqnr(), (10 * std::log10(50.0) + 20) / 2, 1e-12);
}

TEST(Metrics, DivergenceTakesDistributionsAsTheyAreAndSoftmaxOfLogits) {
  double half = 0.5 * std::log(0.5 / 0.25) + 0.5 * std::log(0.5 / 0.75);
  EXPECT_NEAR(compare({0.25F, 0.75F}, {0.5F, 0.5F}, {1, 2}).kl, half, 1e-9);
  // Logits whose softmax is the same.
  EXPECT_NEAR(compare({std::log(0.25F), std::log(0.75F)}, {7, 7}, {1, 2}).kl, half, 1e-6);
  EXPECT_NEAR(compare({0.25F, 0.75F, 1, 0}, {0.5F, 0.5F, 1, 0}, {2, 2}).kl, half / 2, 1e-9) << "the mean over rows";
  EXPECT_TRUE(std::isfinite(compare({0, 1}, {0.5F, 0.5F}, {1, 2}).kl)) << "what is found to be impossible is rare";
}

TEST(Metrics, AgreementIsOfTheGreatestOfEachRow) {
  std::vector<float> found{1, 9, 5, 7, 2, 3}, expected{8, 9, 5, 2, 7, 3};
  EXPECT_DOUBLE_EQ(compare(found, expected, {2, 3}).topK, 0.5);
  EXPECT_DOUBLE_EQ(compare(found, expected, {2, 3}, 2).topK, 0.5);
  EXPECT_DOUBLE_EQ(compare(found, expected, {2, 3}, 3).topK, 1);
  EXPECT_DOUBLE_EQ(compare(found, expected, {2, 3}, 100).topK, 1) << "more than a row has";
  EXPECT_DOUBLE_EQ(compare({2}, {3}, {}).topK, 1) << "a scalar is a row of one";
}

TEST(Metrics, InfinitiesAndNaNAgreeWithThemselvesAlone) {
  Metrics same = compare({kInfinity, kNaN, 1}, {kInfinity, kNaN, 1}, {3});
  EXPECT_EQ(same.maxAbs, 0);
  EXPECT_EQ(same.outside, 0u);
  EXPECT_EQ(same.nonFinite, 2u);
  EXPECT_EQ(same.topK, 1);
  for (float other : {kNaN, -kInfinity, 3.0F}) {
    Metrics metrics = compare({other, 1}, {kInfinity, 1}, {2});
    EXPECT_EQ(metrics.maxAbs, std::numeric_limits<double>::infinity());
    EXPECT_EQ(metrics.sqnr, -200);
    EXPECT_EQ(metrics.cosine, 0);
    EXPECT_EQ(metrics.topK, 0);
    EXPECT_EQ(metrics.outside, 1u);
  }
}

TEST(Metrics, EmptyTensorsAndZeros) {
  Metrics none = compare({}, {}, {0, 3});
  EXPECT_EQ(none.elements, 0u);
  EXPECT_EQ(none.topK, 1);
  Metrics zeros = compare({0, 0}, {0, 0}, {2});
  EXPECT_EQ(zeros.cosine, 1);
  EXPECT_EQ(zeros.sqnr, 200);
  Metrics noise = compare({1, 0}, {0, 0}, {2});
  EXPECT_EQ(noise.cosine, 0);
  EXPECT_EQ(noise.sqnr, -200);
  EXPECT_EQ(noise.meanRel, std::numeric_limits<double>::infinity());
}

TEST(Metrics, TextsAreEqualOrNot) {
  Tensor a, b;
  a.dtype = b.dtype = ONAGER_STRING;
  a.dims = b.dims = {2};
  a.texts = {"x", "y"};
  b.texts = {"x", "z"};
  ErrorSums sums;
  sums.add(a, b);
  EXPECT_EQ(sums.finish().outside, 1u);
  EXPECT_EQ(sums.finish().elements, 2u);
}

TEST(Thresholds, HoldOnTheirSide) {
  Threshold threshold;
  std::string error;
  Metrics metrics;
  metrics.sqnr = 30;
  for (auto [text, holds] : {std::pair("sqnr>=30", true), {"sqnr>30", false}, {"sqnr<=30", true}, {"sqnr<30", false}, {"sqnr>=3.01e1", false}}) {
    ASSERT_TRUE(readThreshold(text, threshold, error)) << error;
    EXPECT_EQ(threshold.holds(metrics), holds) << text;
  }
  metrics.sqnr = std::numeric_limits<double>::quiet_NaN();
  ASSERT_TRUE(readThreshold("sqnr>=-200", threshold, error));
  EXPECT_FALSE(threshold.holds(metrics)) << "NaN keeps no bound";
}

TEST(Thresholds, SayWhatIsWrongWithThem) {
  Threshold threshold;
  std::string error;
  EXPECT_FALSE(readThreshold("psnr>=3", threshold, error));
  EXPECT_NE(error.find("unknown metric 'psnr'; expected one of max_abs, mean_abs"), std::string::npos) << error;
  for (const char *text : {"sqnr", "sqnr=3", "sqnr>=", "sqnr>=x", "sqnr>=3dB"}) {
    EXPECT_FALSE(readThreshold(text, threshold, error)) << text;
    EXPECT_NE(error.find("expected a bound such as sqnr>=0.99"), std::string::npos) << error;
  }
}

} // namespace
