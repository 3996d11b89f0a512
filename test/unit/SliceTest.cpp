// Eigenvectors, and streams that are written in another basis.
#include "Support.h"
#include "lib/Compress/Slice/Eigen.h"
#include "lib/Compress/Slice/Slicing.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace onager::compress;

namespace {

std::vector<double> makeSymmetric(size_t size, std::mt19937_64 &generator) {
  std::uniform_real_distribution<double> numbers(-1, 1);
  std::vector<double> matrix(size * size);
  for (size_t i = 0; i < size; ++i)
    for (size_t j = 0; j <= i; ++j)
      matrix[i * size + j] = matrix[j * size + i] = numbers(generator);
  return matrix;
}

/// Rows are orthonormal, values fall, and A v = l v.
void checkSystem(const std::vector<double> &matrix, size_t size) {
  EigenSystem system = decompose(matrix, size);
  ASSERT_EQ(system.values.size(), size);
  double scale = 1e-12 * static_cast<double>(size);
  for (size_t i = 0; i < size; ++i) {
    const double *v = system.vectors.data() + i * size;
    for (size_t j = 0; j < size; ++j) {
      double product = 0, image = 0;
      for (size_t k = 0; k < size; ++k) {
        product += v[k] * system.vectors[j * size + k];
        image += matrix[j * size + k] * v[k];
      }
      EXPECT_NEAR(product, i == j, scale);
      EXPECT_NEAR(image, system.values[i] * v[j], scale);
    }
    if (i)
      EXPECT_LE(system.values[i], system.values[i - 1]);
  }
}

/// A transformer's block without attention, of odd widths: tables, a residual addition behind a norm, a second one, and a head behind a third norm. `norm` gives nodes from x, a name and constants of scale and bias.
constexpr size_t kWidth = 9, kInner = 13, kWords = 7;
using WriteNorm = std::string (*)(const std::string &x, const std::string &y);

std::string writeOne(const std::string &x, const std::string &y) { return y + " = LayerNormalization<axis = -1, epsilon = 0.02>(" + x + ", " + y + "_scale, " + y + "_bias)\n"; }
std::string writeRms(const std::string &x, const std::string &y) { return y + " = RMSNormalization<axis = -1, epsilon = 0.02>(" + x + ", " + y + "_scale)\n"; }
std::string writeOut(const std::string &c, const std::string &y, const std::string &last) {
  return y + "_s = Pow(" + c + ", two)\n" + y + "_v = ReduceMean<keepdims = 1>(" + y + "_s, minus)\n" + y + "_e = Add(" + y + "_v, small)\n" + y + "_r = Sqrt(" + y + "_e)\n" + y + "_q = Div(" + c + ", " + y + "_r)\n" + last;
}
std::string writeRmsOut(const std::string &x, const std::string &y) { return writeOut(x, y, y + " = Mul(" + y + "_scale, " + y + "_q)\n"); }
std::string writeLayerOut(const std::string &x, const std::string &y) {
  return y + "_m = ReduceMean<keepdims = 1>(" + x + ", minus)\n" + y + "_c = Sub(" + x + ", " + y + "_m)\n" +
         writeOut(y + "_c", y, y + "_p = Mul(" + y + "_q, " + y + "_scale)\n" + y + " = Add(" + y + "_p, " + y + "_bias)\n");
}
std::string writeConstant(const std::string &name, std::vector<size_t> dims, std::mt19937_64 &generator, const std::vector<float> &given = {}) {
  size_t count = 1;
  std::string shape, values;
  for (size_t extent : dims) {
    count *= extent;
    shape += (shape.empty() ? "" : ",") + std::to_string(extent);
  }
  std::uniform_real_distribution<float> numbers(-1, 1);
  for (size_t k = 0; k < count; ++k)
    values += (k ? ", " : "") + std::to_string(given.empty() ? numbers(generator) : given[k]);
  return "float[" + shape + "] " + name + " = {" + values + "}, ";
}

class Slicing : public testing::Test {
protected:
  /// The model; what is written lies in `rank` directions, which `directions` holds then, where that is not 0.
  std::string write(WriteNorm writeNorm, size_t rank = 0) {
    auto writes = [&](const std::string &name, size_t rows) { return writeConstant(name, {rows, kWidth}, generator, rank ? mix(rows, rank) : std::vector<float>()); };
    std::string constants = "float two = {2}, float small = {0.02}, int64[1] minus = {-1}, ";
    if (rank)
      directions = mix(0, rank);
    constants += writes("table", kWords) + writes("down", kInner) + writes("b2", 1) + writes("direct", kWidth) + writes("places", 3);
    for (const char *y : {"n1", "n2", "n3"})
      constants += writeConstant(std::string(y) + "_scale", {kWidth}, generator) + writeConstant(std::string(y) + "_bias", {kWidth}, generator);
    constants += writeConstant("up", {kWidth, kInner}, generator) + writeConstant("b1", {kInner}, generator) + writeConstant("head", {5, kWidth}, generator);
    constants.resize(constants.size() - 2);
    std::string nodes = "words = Gather(table, ids)\ns0 = Add(words, places)\n" + writeNorm("s0", "n1") +
                        "u = MatMul(n1, up)\nub = Add(u, b1)\nt = Tanh(ub)\nd = MatMul(t, down)\ndb = Add(d, b2)\ns1 = Add(s0, db)\n" + writeNorm("s1", "n2") +
                        "w = MatMul(n2, direct)\ns2 = Add(w, s1)\n" + writeNorm("s2", "n3") + "turned = Transpose<perm = [1, 0]>(head)\nlogits = MatMul(n3, turned)\nfeatures = Softsign(n3)";
    return "<ir_version: 10, opset_import: [\"\" : 23, \"com.microsoft\" : 1]> g (int64[B,3] ids) => (float[B,3,5] logits, float[B,3,9] features) <" + constants + "> {" + nodes + "}";
  }

  /// Rows that are mixed from the directions; 0 rows: draws these.
  std::vector<float> mix(size_t rows, size_t rank) {
    std::uniform_real_distribution<float> numbers(-1, 1);
    std::vector<float> values((rows ? rows : rank) * kWidth);
    for (size_t k = 0; !rows && k < values.size(); ++k)
      values[k] = numbers(generator);
    for (size_t part = 0; part < rows * rank; ++part) {
      float share = numbers(generator);
      for (size_t k = 0; k < kWidth; ++k)
        values[part / rank * kWidth + k] += share * directions[part % rank * kWidth + k];
    }
    return values;
  }

  std::vector<std::vector<float>> run(const std::string &bytes) {
    onager::test::Opened opened(onager::test::compileModel(bytes));
    std::vector<int64_t> ids = {0, 3, 6, 5, 1, 2}, dims = {2, 3};
    onager::test::Tensor logits({2, 3, 5}), features({2, 3, 9});
    onager_tensor input = logits.view();
    input.data = ids.data();
    input.dtype = ONAGER_I64;
    input.rank = 2;
    input.dims = dims.data();
    input.bytes = ids.size() * sizeof(int64_t);
    EXPECT_EQ(opened.run({input}, {logits.view(), features.view()}), ONAGER_OK) << onager_last_error();
    return {logits.data, features.data};
  }

  ModelGraph open(const std::string &text) {
    ModelGraph model;
    std::string error;
    EXPECT_TRUE(model.open("", text, error)) << error;
    return model;
  }

  std::mt19937_64 generator = onager::test::makeGenerator();
  std::vector<float> directions;
};

void checkSame(const std::vector<std::vector<float>> &found, const std::vector<std::vector<float>> &expected, float tolerance) {
  for (size_t o = 0; o < expected.size(); ++o)
    for (size_t k = 0; k < expected[o].size(); ++k)
      EXPECT_NEAR(found[o][k], expected[o][k], tolerance) << "output " << o << ", element " << k;
}

} // namespace

TEST(Eigen, DecomposesSymmetricMatrices) {
  std::mt19937_64 generator = onager::test::makeGenerator();
  for (size_t size : {1, 2, 3, 17, 40})
    checkSystem(makeSymmetric(size, generator), size);
}

TEST(Eigen, DecomposesWhatHasEqualValuesOrNone) {
  std::vector<double> zero(25), unit(25), ones(25, 1.0);
  for (size_t k = 0; k < 5; ++k)
    unit[k * 6] = 1;
  for (const std::vector<double> &matrix : {zero, unit, ones})
    checkSystem(matrix, 5);
}

TEST_F(Slicing, RotationAloneChangesNothing) {
  for (WriteNorm writeNorm : {writeOne, writeRms, writeRmsOut, writeLayerOut})
    for (bool hasOwnBases : {false, true}) {
      ModelGraph model = open(write(writeNorm));
      std::vector<std::vector<float>> expected = run(model.serialize());
      std::vector<Stream> streams = findStreams(model);
      ASSERT_EQ(streams.size(), 1u);
      EXPECT_EQ(streams[0].obstacle, "");
      ASSERT_EQ(streams[0].norms.size(), 3u);
      EXPECT_EQ(streams[0].getWidth(), static_cast<int64_t>(kWidth));
      std::map<std::string, Rotation> bases;
      for (const Norm &norm : streams[0].norms)
        if (hasOwnBases || bases.empty())
          bases[norm.input] = findComponents({kWidth, makeSymmetric(kWidth, generator)}, kWidth);
      SlicedLayers layers;
      sliceStream(model, streams[0], bases, layers);
      checkSame(run(model.serialize()), expected, 2e-5f);
      EXPECT_EQ(layers.reads.size(), 3u);
      EXPECT_EQ(layers.turned.size(), 4u);
    }
}

/// Of nine columns four directions are written: five columns of the rotated stream are 0, and epsilon, mean and factors must be those of nine.
TEST_F(Slicing, ColumnsThatHoldNothingGo) {
  constexpr size_t kRank = 4;
  for (WriteNorm writeNorm : {writeOne, writeRms, writeRmsOut, writeLayerOut}) {
    ModelGraph model = open(write(writeNorm, kRank));
    std::vector<std::vector<float>> expected = run(model.serialize());
    Stream stream = findStreams(model).at(0);
    std::vector<float> rows = directions;
    for (size_t r = 0; stream.isCentred() && r < kRank; ++r) {
      float mean = 0;
      for (size_t k = 0; k < kWidth; ++k)
        mean += rows[r * kWidth + k] / static_cast<float>(kWidth);
      for (size_t k = 0; k < kWidth; ++k)
        rows[r * kWidth + k] -= mean;
    }
    Gram gram;
    gram.addRows(rows.data(), kRank, kWidth);
    Rotation basis = findComponents(gram, kRank);
    EXPECT_NEAR(measureEnergy(gram, basis), 1, 1e-6);
    SlicedLayers layers;
    sliceStream(model, stream, {{stream.getName(), basis}}, layers);
    EXPECT_EQ(model.findDims("table"), (std::vector<int64_t>{kWords, kRank}));
    EXPECT_EQ(model.findDims("down"), (std::vector<int64_t>{kInner, kRank}));
    EXPECT_EQ(model.findDims("direct"), (std::vector<int64_t>{kRank, kRank}));
    EXPECT_EQ(model.findDims("up"), (std::vector<int64_t>{kRank, kInner}));
    checkSame(run(model.serialize()), expected, 1e-4f);
  }
}

TEST_F(Slicing, WhatStandsInTheWayIsNamed) {
  std::string text = write(writeOne);
  auto change = [&](const std::string &from, const std::string &to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    std::vector<Stream> streams = findStreams(open(changed));
    auto found = std::find_if(streams.begin(), streams.end(), [](const Stream &stream) { return !stream.obstacle.empty(); });
    return found == streams.end() ? std::string() : found->obstacle;
  };
  EXPECT_EQ(change("features = Softsign(n3)", "features = Softsign(s2)"), "value 's2' is read by node 'features' (Softsign)");
  EXPECT_EQ(change("=> (", "=> (float[B,3,9] s1, "), "value 's1' is an output of the model");
  EXPECT_EQ(change("s2 = Add(w, s1)", "s2 = Add(w, n2)"), "node 'n2' (LayerNormalization) normalises behind an addition, on the path that the residual takes");
  EXPECT_EQ(change("n2 = LayerNormalization<axis = -1, epsilon = 0.02>(s1, n2_scale, n2_bias)", "n2 = RMSNormalization<axis = -1, epsilon = 0.02>(s1, n2_scale)"),
            "norms 'n1' and 'n2' read it, of which one alone subtracts the mean");
  EXPECT_EQ(change("s0 = Add(words, places)", "s0 = Identity(words)"), "");
}

TEST_F(Slicing, WidthsAreMultiples) {
  EXPECT_EQ(countKept(768, 0.25), 576);
  EXPECT_EQ(countKept(768, 0.3), 544);
  EXPECT_EQ(countKept(64, 0.25), 48);
  EXPECT_EQ(countKept(64, 0.3), 48);
  EXPECT_EQ(countKept(9, 0.3), 7);
  EXPECT_EQ(countKept(33, 0.0), 33);
}
