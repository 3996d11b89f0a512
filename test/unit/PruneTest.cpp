// Which channels must go together, and least squares.
#include "lib/Compress/Prune/Pruning.h"
#include <algorithm>
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <random>

using namespace onager::compress;

namespace {

/// Builds small models node by node.
class Builder {
public:
  Builder() {
    model.set_ir_version(8);
    auto *set = model.add_opset_import();
    set->set_version(21);
  }

  void addValue(onnx::ValueInfoProto *info, const std::string &name, const std::vector<int64_t> &dims) {
    info->set_name(name);
    auto *type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    for (int64_t extent : dims)
      type->mutable_shape()->add_dim()->set_dim_value(extent);
  }
  void addInput(const std::string &name, const std::vector<int64_t> &dims) { addValue(model.mutable_graph()->add_input(), name, dims); }
  void addOutput(const std::string &name, const std::vector<int64_t> &dims) { addValue(model.mutable_graph()->add_output(), name, dims); }

  void addWeights(const std::string &name, const std::vector<int64_t> &dims) {
    onnx::TensorProto *tensor = model.mutable_graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    int64_t count = 1;
    for (int64_t extent : dims) {
      tensor->add_dims(extent);
      count *= extent;
    }
    for (int64_t k = 0; k < count; ++k)
      tensor->add_float_data(static_cast<float>(++elements % 97) / 97);
  }
  void addIntegers(const std::string &name, const std::vector<int64_t> &values) {
    onnx::TensorProto *tensor = model.mutable_graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::INT64);
    tensor->add_dims(static_cast<int64_t>(values.size()));
    for (int64_t value : values)
      tensor->add_int64_data(value);
  }

  onnx::NodeProto &addNode(const std::string &op, const std::vector<std::string> &inputs, const std::vector<std::string> &outputs) {
    onnx::NodeProto *node = model.mutable_graph()->add_node();
    node->set_op_type(op);
    node->set_name(outputs[0]);
    for (const std::string &input : inputs)
      node->add_input(input);
    for (const std::string &output : outputs)
      node->add_output(output);
    return *node;
  }

  ModelGraph build() const {
    ModelGraph graph;
    std::string error, bytes = model.SerializeAsString();
    EXPECT_TRUE(graph.open("", bytes, error)) << error;
    return graph;
  }

private:
  onnx::ModelProto model;
  int64_t elements = 0;
};

Axis getAxis(const Coupling &coupling, const std::string &value, size_t axis) { return coupling.find(value)->at(axis); }

bool isSame(const Coupling &coupling, const std::string &a, size_t aAxis, int64_t aIndex, const std::string &b, size_t bAxis, int64_t bIndex) {
  return coupling.getClass(getAxis(coupling, a, aAxis).at(aIndex)) == coupling.getClass(getAxis(coupling, b, bAxis).at(bIndex));
}

/// x [1, 3, 8, 8] -> w1 -> a [1, 8, 8, 8], `op` -> b, w2 over `channels` -> y.
ModelGraph buildChain(const std::function<void(Builder &)> &middle, int64_t channels) {
  Builder builder;
  builder.addInput("x", {1, 3, 8, 8});
  builder.addWeights("w1", {8, 3, 1, 1});
  builder.addNode("Conv", {"x", "w1"}, {"a"});
  middle(builder);
  builder.addWeights("w2", {4, channels, 1, 1});
  builder.addNode("Conv", {"b", "w2"}, {"y"});
  builder.addOutput("y", {1, 4, 8, 8});
  return builder.build();
}

} // namespace

TEST(Coupling, ChannelsGoWithTheirReadersAndModelsKeepTheirBorders) {
  ModelGraph model = buildChain([](Builder &builder) { builder.addNode("Relu", {"a"}, {"b"}); }, 8);
  Coupling coupling(model);
  for (int64_t k = 0; k < 8; ++k) {
    EXPECT_TRUE(isSame(coupling, "w1", 0, k, "w2", 1, k));
    EXPECT_FALSE(coupling.isPinned(getAxis(coupling, "w1", 0).at(k)));
  }
  EXPECT_FALSE(isSame(coupling, "w1", 0, 0, "w2", 1, 1));
  EXPECT_TRUE(coupling.isPinned(getAxis(coupling, "w1", 1).at(0)));
  EXPECT_TRUE(coupling.isPinned(getAxis(coupling, "w2", 0).at(0)));
}

TEST(Coupling, OperatorsWithoutARulePinWhatTheyRead) {
  ModelGraph model = buildChain([](Builder &builder) { setInt(builder.addNode("CumSum", {"a", "axis"}, {"b"}), "reverse", 0); builder.addIntegers("axis", {1}); }, 8);
  EXPECT_TRUE(Coupling(model).isPinned(getAxis(Coupling(model), "w1", 0).at(0)));
}

TEST(Coupling, SoftmaxOverChannelsPinsThem) {
  ModelGraph over = buildChain([](Builder &builder) { setInt(builder.addNode("Softmax", {"a"}, {"b"}), "axis", 1); }, 8);
  ModelGraph beside = buildChain([](Builder &builder) { setInt(builder.addNode("Softmax", {"a"}, {"b"}), "axis", 3); }, 8);
  Coupling first(over), second(beside);
  EXPECT_TRUE(first.isPinned(getAxis(first, "w1", 0).at(0)));
  EXPECT_FALSE(second.isPinned(getAxis(second, "w1", 0).at(0)));
}

TEST(Coupling, ResidualAdditionsShareChannels) {
  ModelGraph model = buildChain([](Builder &builder) {
    builder.addWeights("w", {8, 8, 1, 1});
    builder.addNode("Conv", {"a", "w"}, {"c"});
    builder.addNode("Add", {"a", "c"}, {"b"});
  }, 8);
  Coupling coupling(model);
  EXPECT_TRUE(isSame(coupling, "w1", 0, 5, "w", 0, 5));
  EXPECT_TRUE(isSame(coupling, "w", 0, 5, "w", 1, 5));
  PruneSpace space(coupling, {}, 0);
  ASSERT_EQ(space.getGroups().size(), 1u);
  EXPECT_EQ(space.getGroups()[0].units.size(), 8u);
}

TEST(Coupling, ConcatenationsPlaceChannelsOneAfterTheOther) {
  ModelGraph model = buildChain([](Builder &builder) {
    builder.addWeights("w", {3, 8, 1, 1});
    builder.addNode("Conv", {"a", "w"}, {"c"});
    setInt(builder.addNode("Concat", {"c", "a"}, {"b"}), "axis", 1);
  }, 11);
  Coupling coupling(model);
  EXPECT_TRUE(isSame(coupling, "w2", 1, 2, "w", 0, 2));
  EXPECT_TRUE(isSame(coupling, "w2", 1, 3, "w1", 0, 0));
  EXPECT_EQ(PruneSpace(coupling, {}, 0).getGroups().size(), 2u);
}

TEST(Coupling, GroupsOfConvolutionsGoAsAWhole) {
  ModelGraph model = buildChain([](Builder &builder) {
    builder.addWeights("w", {4, 4, 1, 1});
    setInt(builder.addNode("Conv", {"a", "w"}, {"b"}), "group", 2);
  }, 4);
  Coupling coupling(model);
  EXPECT_TRUE(isSame(coupling, "w1", 0, 0, "w1", 0, 3));
  EXPECT_TRUE(isSame(coupling, "w1", 0, 0, "w", 0, 1));
  EXPECT_FALSE(isSame(coupling, "w1", 0, 3, "w1", 0, 4));
  EXPECT_TRUE(coupling.isPinned(getAxis(coupling, "w", 1).at(0)));
  PruneSpace space(coupling, {}, 0);
  PruneChoice choice(space);
  choice.remove({space.getGroups()[0].units[1]});
  std::vector<Slice> slices;
  std::string error;
  ASSERT_TRUE(removeClasses(model, coupling, choice.getRemoved(), slices, error)) << error;
  EXPECT_EQ(model.findDims("w"), (std::vector<int64_t>{2, 4, 1, 1}));
  EXPECT_EQ(getInt(model.graph().node(1), "group", 0), 1);
}

TEST(Coupling, FlattenedPlanesGoWithTheirChannel) {
  Builder builder;
  builder.addInput("x", {1, 3, 2, 2});
  builder.addWeights("w1", {8, 3, 1, 1});
  builder.addNode("Conv", {"x", "w1"}, {"a"});
  builder.addIntegers("dims", {-1, 32});
  builder.addNode("Reshape", {"a", "dims"}, {"b"});
  builder.addWeights("w2", {32, 5});
  builder.addNode("MatMul", {"b", "w2"}, {"y"});
  builder.addOutput("y", {1, 5});
  ModelGraph model = builder.build();
  Coupling coupling(model);
  for (int64_t k = 0; k < 4; ++k)
    EXPECT_TRUE(isSame(coupling, "w1", 0, 6, "w2", 0, 24 + k));
  PruneSpace space(coupling, {}, 0);
  PruneChoice choice(space);
  double before = choice.countOperations();
  EXPECT_EQ(before, 2 * (8 * 3 * 4) + 2 * (32 * 5));
  double gain = choice.measureGain({space.getGroups()[0].units[6]});
  choice.remove({space.getGroups()[0].units[6]});
  EXPECT_DOUBLE_EQ(before - choice.countOperations(), gain);
  EXPECT_DOUBLE_EQ(gain, before / 8);
  std::vector<Slice> slices;
  std::string error;
  ASSERT_TRUE(removeClasses(model, coupling, choice.getRemoved(), slices, error)) << error;
  EXPECT_EQ(model.findDims("w2"), (std::vector<int64_t>{28, 5}));
  EXPECT_EQ(model.readIntegers(model.graph().node(1).input(1)), (std::vector<int64_t>{-1, 28}));
}

TEST(PruneChoice, EveryAxisKeepsItsLeast) {
  ModelGraph model = buildChain([](Builder &builder) {
    builder.addIntegers("sizes", {1, 7});
    setInt(builder.addNode("Split", {"a", "sizes"}, {"c", "b"}), "axis", 1);
    builder.addNode("Identity", {"c"}, {"z"});
  }, 7);
  Coupling coupling(model);
  PruneSpace space(coupling, {}, 0.5);
  PruneChoice choice(space);
  ASSERT_EQ(space.getGroups().size(), 1u);
  // The lone channel of the first part is no position of its own, and stays.
  EXPECT_EQ(space.getGroups()[0].units.size(), 7u);
  std::vector<int32_t> units(space.getGroups()[0].units.begin(), space.getGroups()[0].units.begin() + 4);
  EXPECT_FALSE(choice.mayRemove(units));
  units.pop_back();
  EXPECT_TRUE(choice.mayRemove(units));
}

TEST(Cholesky, RidgeSolvesWhatWasMixed) {
  std::mt19937 engine(1);
  std::normal_distribution<float> normal;
  constexpr size_t kTerms = 9, kOutputs = 4, kRows = 300;
  std::vector<float> x(kRows * kTerms), y(kRows * kOutputs), b(kTerms * kOutputs);
  for (float &value : b)
    value = normal(engine);
  for (float &value : x)
    value = normal(engine);
  for (size_t r = 0; r < kRows; ++r)
    for (size_t k = 0; k < kTerms; ++k)
      for (size_t n = 0; n < kOutputs; ++n)
        y[r * kOutputs + n] += x[r * kTerms + k] * b[k * kOutputs + n];
  Gram gram;
  gram.addRows(x.data(), kRows, kTerms);
  std::vector<double> moments(kTerms * kOutputs);
  addProduct(x.data(), kTerms, y.data(), kOutputs, kRows, moments);
  std::vector<double> found = solveRidge(gram, moments, kOutputs, 1e-9);
  for (size_t k = 0; k < b.size(); ++k)
    EXPECT_NEAR(found[k], b[k], 1e-4);
}

/// Half of the diagonal was not damped, so that inputs of few directions gave factors that were infinite.
TEST(Cholesky, InputsOfFewDirectionsHaveFiniteFactors) {
  constexpr size_t kTerms = 12;
  std::vector<float> row(kTerms);
  for (size_t k = 0; k < kTerms; ++k)
    row[k] = k % 3 == 0 ? 0.0f : static_cast<float>(k);
  Gram gram;
  gram.addRows(row.data(), 1, kTerms);
  std::vector<float> factor = makeErrorRows(gram);
  // The inverse of a damped matrix has no entry above that of the damping.
  double mean = 0;
  for (size_t k = 0; k < kTerms; ++k)
    mean += gram.values[k * kTerms + k] / kTerms;
  for (float value : factor)
    EXPECT_LE(std::abs(value), 1.001 / std::sqrt(0.01 * mean));
  for (size_t k = 0; k < kTerms; k += 3)
    EXPECT_NEAR(factor[k * kTerms + k], 1 / std::sqrt(0.01 * mean), 1e-3);
}

TEST(Mask, PatternsLeaveTheirNumberOfWeights) {
  std::mt19937 engine(2);
  std::normal_distribution<float> normal;
  Rows plain{6, 18, std::vector<float>(6 * 18)};
  for (float &value : plain.values)
    value = normal(engine);
  Gram gram;
  std::vector<float> x(200 * 18);
  for (float &value : x)
    value = normal(engine);
  gram.addRows(x.data(), 200, 18);
  for (MaskMethod method : {MaskMethod::magnitude, MaskMethod::wanda, MaskMethod::sparsegpt}) {
    Rows pairs = plain, half = plain;
    maskRows(pairs, {2, 4, 0}, method, gram);
    for (size_t n = 0; n < pairs.count; ++n)
      for (size_t k = 0; k < 18; k += 4) {
        auto begin = pairs.values.begin() + static_cast<std::ptrdiff_t>(n * 18 + k);
        EXPECT_EQ(std::count(begin, begin + (k + 4 <= 18 ? 4 : 2), 0.0f), k + 4 <= 18 ? 2 : 0) << printMaskMethod(method);
      }
    maskRows(half, {0, 0, 0.5}, method, gram);
    EXPECT_EQ(std::count(half.values.begin(), half.values.end(), 0.0f), 54) << printMaskMethod(method);
  }
}

TEST(Mask, SparseGptLosesLessThanMagnitudeWhereInputsAreAlike) {
  std::mt19937 engine(3);
  std::normal_distribution<float> normal;
  constexpr size_t kTerms = 32, kRows = 500;
  std::vector<float> x(kRows * kTerms), mixing(4 * kTerms);
  for (float &value : mixing)
    value = normal(engine);
  for (size_t r = 0; r < kRows; ++r)
    for (size_t d = 0; d < 4; ++d) {
      float factor = normal(engine);
      for (size_t k = 0; k < kTerms; ++k)
        x[r * kTerms + k] += factor * mixing[d * kTerms + k];
    }
  Gram gram;
  gram.addRows(x.data(), kRows, kTerms);
  Rows plain{8, kTerms, std::vector<float>(8 * kTerms)};
  for (float &value : plain.values)
    value = normal(engine);
  auto measure = [&](MaskMethod method) {
    Rows masked = plain;
    maskRows(masked, {2, 4, 0}, method, gram);
    double sum = 0;
    for (size_t r = 0; r < kRows; ++r)
      for (size_t n = 0; n < plain.count; ++n) {
        double gap = 0;
        for (size_t k = 0; k < kTerms; ++k)
          gap += x[r * kTerms + k] * (plain.values[n * kTerms + k] - masked.values[n * kTerms + k]);
        sum += gap * gap;
      }
    return sum;
  };
  EXPECT_LT(5 * measure(MaskMethod::sparsegpt), measure(MaskMethod::magnitude));
}
