// Cutting models into parts: each node runs once, and what is read later is kept.
#include "lib/Compress/ModelParts.h"
#include <gtest/gtest.h>

using namespace onager::compress;

namespace {

ModelGraph parse(const std::string &text) {
  ModelGraph model;
  std::string error;
  EXPECT_TRUE(model.open("", text, error)) << error;
  return model;
}

using Names = std::vector<std::string>;

constexpr const char *kResidual = R"(<ir_version: 8, opset_import: ["" : 17]> residual (float[n, 4] x) => (float[n, 4] y) {
  a = Relu(x)
  b = Tanh(a)
  c = Sigmoid(b)
  d = Add(a, c)
  y = Neg(d)
})";

} // namespace

TEST(ModelParts, WhatIsReadLaterIsKeptUntilThen) {
  ModelGraph model = parse(kResidual);
  PartPlan plan(model);
  ModelPart first = plan.advance("b");
  EXPECT_EQ(first.inputs, Names());
  EXPECT_EQ(first.outputs, (Names{"b", "a"}));
  plan.keep(first.outputs);
  ModelPart second = plan.advance("d");
  EXPECT_EQ(second.inputs, (Names{"a", "b"}));
  EXPECT_EQ(second.outputs, Names{"d"});
  EXPECT_EQ(second.dropped, (Names{"a", "b"}));
}

TEST(ModelParts, AValueThatWasKeptNeedsNoRun) {
  ModelGraph model = parse(kResidual);
  PartPlan plan(model);
  plan.keep(plan.advance("b").outputs);
  ModelPart again = plan.advance("b");
  EXPECT_TRUE(again.outputs.empty());
  EXPECT_TRUE(again.dropped.empty());
}

TEST(ModelParts, ValuesThatCouldNotBeKeptAreComputedAnew) {
  ModelGraph model = parse(kResidual);
  PartPlan plan(model);
  plan.advance("b");
  plan.keep({"b"});
  ModelPart second = plan.advance("d");
  EXPECT_EQ(second.inputs, Names{"b"});
  // `a` comes from the model's input again.
  EXPECT_EQ(second.outputs, Names{"d"});
}

TEST(ModelParts, DimsKeepTheValueThatHasThem) {
  ModelGraph model = parse(R"(<ir_version: 8, opset_import: ["" : 17]> dims (float[n, 4] x) => (float[n, 4] y) {
    a = Relu(x)
    dims = Shape(a)
    b = Tanh(a)
    c = Sigmoid(b)
    y = Reshape(c, dims)
  })");
  PartPlan plan(model);
  ModelPart first = plan.advance("b");
  EXPECT_EQ(first.outputs, (Names{"b", "a"}));
  plan.keep(first.outputs);
  // Whoever reads the dims has not run yet, so that `a` stays.
  ModelPart second = plan.advance("c");
  EXPECT_EQ(second.dropped, Names{"b"});
  plan.keep(second.outputs);
  EXPECT_EQ(plan.advance("y").inputs, (Names{"a", "c"}));
}
