// Ranges from BatchNormalization: how ends of values move from node to node.
#include "lib/Compress/NormRanges.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace onager::compress;

namespace {

/// Two channels: means 1 and -2, deviations 1 and 0.5; what is read has means 0 and 10 and variances 4 and 1.
ModelGraph makeModel(const std::string &nodes, const std::string &constants = "float none = {0}") {
  ModelGraph model;
  std::string error;
  std::string text = R"(<ir_version: 8, opset_import: ["" : 17]> norms (float[n, 2, 4, 4] x, float[n, 2, 4, 4] other) => (float[n, 2, 4, 4] y)
<float[2] scale = {1, -0.5}, float[2] bias = {1, -2}, float[2] mean = {0, 10}, float[2] variance = {4, 1}, )" +
                     constants + R"(> {
  b = BatchNormalization(x, scale, bias, mean, variance)
)" + nodes + "}";
  EXPECT_TRUE(model.open("", text, error)) << error;
  return model;
}

void expectRange(const ModelGraph &model, const std::string &value, double least, double most, double deviations = 4) {
  std::optional<Range> range = NormRanges(model, deviations).find(value);
  ASSERT_TRUE(range) << value;
  EXPECT_NEAR(range->least, least, 1e-4) << value;
  EXPECT_NEAR(range->most, most, 1e-4) << value;
}

} // namespace

TEST(NormRanges, ChannelsEndSoManyDeviationsBesideTheirMeans) {
  ModelGraph model = makeModel("y = Relu(b)");
  expectRange(model, "b", -4, 5);
  expectRange(model, "b", -3, 3, 2);
  expectRange(model, "x", -8, 14);
}

TEST(NormRanges, FunctionsMoveEnds) {
  ModelGraph model = makeModel("r = Relu(b)\n l = LeakyRelu<alpha = 0.25>(b)\n c = Clip(b, low, high)\n s = Sigmoid(other)\n h = HardSwish(b)\n g = Sigmoid(b)\n y = Mul(b, g)", "float low = {0}, float high = {3}");
  expectRange(model, "r", 0, 5);
  expectRange(model, "l", -1, 5);
  expectRange(model, "c", 0, 3);
  expectRange(model, "s", 0, 1);
  expectRange(model, "h", -0.375, 5);
  expectRange(model, "y", -0.2785, 5 / (1 + std::exp(-5.0)));
}

TEST(NormRanges, SumsAreThoseOfIndependentNumbersAndProductsOfAny) {
  ModelGraph model = makeModel("s = Add(b, b)\n m = Mul(b, two)\n t = Concat<axis = 1>(b, m)\n y = MaxPool<kernel_shape = [1, 1]>(t)", "float two = {-2}");
  // Means 2 and -4, distances 4 and 2 times the root of 2.
  expectRange(model, "s", -4 - 2 * std::sqrt(2.0), 2 + 4 * std::sqrt(2.0));
  expectRange(model, "m", -10, 8);
  expectRange(model, "y", -10, 8);
}

TEST(NormRanges, WhatNothingTellsOfHasNoRange) {
  ModelGraph model = makeModel("u = Relu(other)\n s = Add(u, b)\n q = Exp(b)\n y = Mul(s, q)");
  NormRanges norms(model, 4);
  for (const char *value : {"other", "u", "s", "q", "y"})
    EXPECT_FALSE(norms.find(value)) << value;
}
