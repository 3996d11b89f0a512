// Ranges as inputs: which roundings read them.
#include "lib/Compress/Adjustable.h"
#include <gtest/gtest.h>

using namespace onager::compress;

namespace {

constexpr const char *kRounded = R"(<ir_version: 8, opset_import: ["" : 17]> rounded (float[4] x) => (float[4] y)
<float scale_of_x = {0.5}, uint8 zero_of_x = {3}, float scale_of_r = {0.25}, uint8 zero_of_r = {7}, int8[4] w = {1, 2, 3, 4}, float scale_of_w = {2}> {
  q = QuantizeLinear(x, scale_of_x, zero_of_x)
  d = DequantizeLinear(q, scale_of_x, zero_of_x)
  weights = DequantizeLinear(w, scale_of_w)
  r = Mul(d, weights)
  s = QuantizeLinear(r, scale_of_r, zero_of_r)
  y = DequantizeLinear(s, scale_of_r, zero_of_r)
})";

class Adjustable : public testing::Test {
protected:
  void SetUp() override {
    std::string error;
    ASSERT_TRUE(model.open("", kRounded, error)) << error;
  }

  const onnx::NodeProto &find(const std::string &output) { return *model.findProducer(output); }

  /// The input, and the place in it, that an operand is gathered from.
  std::pair<std::string, int64_t> findSource(const std::string &operand) {
    const onnx::NodeProto &gather = find(operand);
    EXPECT_EQ(gather.op_type(), "Gather");
    return {gather.input(0), model.readIntegers(gather.input(1)).value().at(0)};
  }

  ModelGraph model;
};

} // namespace

TEST_F(Adjustable, BothSidesOfARoundingReadTheSameRange) {
  makeAdjustable(model, {"r", "x"});
  for (const char *output : {"q", "d"}) {
    EXPECT_EQ(findSource(find(output).input(1)), std::pair(std::string(kScales), int64_t(1))) << output;
    EXPECT_EQ(findSource(find(output).input(2)), std::pair(std::string(kZeroPoints), int64_t(1))) << output;
  }
  for (const char *output : {"s", "y"})
    EXPECT_EQ(findSource(find(output).input(1)), std::pair(std::string(kScales), int64_t(0))) << output;
}

TEST_F(Adjustable, WhatIsNotListedKeepsItsRange) {
  makeAdjustable(model, {"x"});
  EXPECT_EQ(find("s").input(1), "scale_of_r");
  EXPECT_EQ(find("y").input(2), "zero_of_r");
  EXPECT_EQ(find("weights").input(1), "scale_of_w");
  EXPECT_FALSE(model.isConstant("scale_of_x")) << "what is read no more is gone";
  EXPECT_TRUE(model.isConstant("scale_of_r"));
}

TEST_F(Adjustable, TheInputsHaveOneEntryForEachValue) {
  makeAdjustable(model, {"x", "r"});
  ASSERT_EQ(model.graph().input_size(), 3);
  for (auto [k, name, dtype] : {std::tuple(1, kScales, onnx::TensorProto::FLOAT), std::tuple(2, kZeroPoints, onnx::TensorProto::UINT8)}) {
    const onnx::ValueInfoProto &input = model.graph().input(k);
    EXPECT_EQ(input.name(), name);
    EXPECT_EQ(input.type().tensor_type().elem_type(), dtype);
    EXPECT_EQ(input.type().tensor_type().shape().dim(0).dim_value(), 2);
  }
}
