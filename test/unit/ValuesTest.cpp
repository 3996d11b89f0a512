// Sequences, maps and optionals of C++ go into compiled models and come out of them.
#include "onager-rt/values.hpp"
#include "test/unit/Support.h"
#include <gtest/gtest.h>

using namespace onager;
using test::compileModel;

namespace {

std::string makeModel(const std::string &signature, const std::string &nodes) {
  return "<ir_version: 10, opset_import: [\"\" : 21, \"ai.onnx.ml\" : 3]>\nvalues " + signature + " {\n" + nodes + "\n}\n";
}

using Sequence = std::vector<Array<float>>;

bool areEqual(const Sequence &a, const Sequence &b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Array<float> &x, const Array<float> &y) { return x.elements == y.elements && x.dims == y.dims; });
}

TEST(Values, SequencesGoInAndComeOut) {
  Session session(compileModel(makeModel("(seq(float[]) xs, float[N] x) => (seq(float[]) ys)", "ys = SequenceInsert(xs, x)")), 1);
  Context context(session);
  for (const Sequence &given : {Sequence{{{1, 2, 3, 4, 5, 6}, {2, 3}}, {{7}, {}}}, Sequence{}, Sequence{{{}, {0, 4}}}}) {
    std::vector<float> added{8, 9};
    Arguments arguments(session);
    arguments.add(given).add(Tensor(added.data(), {2}));
    Sequence wanted = given;
    wanted.push_back({added, {2}});
    EXPECT_TRUE(areEqual(Results(session, context.run(arguments.tensors())).get<Sequence>("ys"), wanted));
  }
}

TEST(Values, SequencesOfTexts) {
  Session session(compileModel(makeModel("(seq(string[]) xs, string[N] x) => (seq(string[]) ys)", "ys = SequenceInsert(xs, x)")), 1);
  Context context(session);
  Arguments arguments(session);
  Array<std::string> texts{{"", "longer than what is kept inside a string", std::string("zero\0", 5)}, {3}}, one{{"a"}, {}};
  arguments.add(std::vector<Array<std::string>>{one}).add(texts);
  auto found = Results(session, context.run(arguments.tensors())).get<std::vector<Array<std::string>>>("ys");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].elements, one.elements);
  EXPECT_EQ(found[1].elements, texts.elements);
  EXPECT_EQ(found[1].dims, texts.dims);
}

TEST(Values, MapsGoIn) {
  Session session(compileModel(makeModel("(map(string, float) x) => (float[1, 3] y)",
                                         "y = ai.onnx.ml.DictVectorizer<string_vocabulary = [\"width\", \"none\", \"length\"]>(x)")), 1);
  Context context(session);
  Arguments arguments(session);
  arguments.add(std::map<std::string, float>{{"length", 3}, {"width", 4}});
  EXPECT_EQ(Results(session, context.run(arguments.tensors())).get<Array<float>>("y").elements, (std::vector<float>{4, 0, 3}));
}

TEST(Values, SequencesOfMapsComeOut) {
  Session session(compileModel(makeModel("(float[N, 2] x) => (seq(map(int64, float)) y)", "y = ai.onnx.ml.ZipMap<classlabels_int64s = [7, 3]>(x)")), 1);
  Context context(session);
  Arguments arguments(session);
  arguments.add(Array<float>{{1, 2, 3, 4}, {2, 2}});
  auto found = Results(session, context.run(arguments.tensors())).get<std::vector<std::map<int64_t, float>>>("y");
  EXPECT_EQ(found, (std::vector<std::map<int64_t, float>>{{{7, 1}, {3, 2}}, {{7, 3}, {3, 4}}}));
}

TEST(Values, OptionalsMayBeEmpty) {
  Session session(compileModel(makeModel("(optional(float[N]) x) => (bool y, optional(float[N]) z)", "y = OptionalHasElement(x)\n  z = Identity(x)")), 1);
  Context context(session);
  using Optional = std::optional<Array<float>>;
  for (const Optional &given : {Optional(Array<float>{{1, 2}, {2}}), Optional()}) {
    Arguments arguments(session);
    Results results(session, context.run(arguments.add(given).tensors()));
    EXPECT_EQ(results.get<Array<bool>>("y").elements, std::vector<bool>{given.has_value()});
    Optional found = results.get<Optional>("z");
    ASSERT_EQ(found.has_value(), given.has_value());
    if (given)
      EXPECT_EQ(found->elements, given->elements);
  }
}

TEST(Values, WhatDoesNotFitIsSaid) {
  Session session(compileModel(makeModel("(seq(float[]) xs, float[N] x) => (seq(float[]) ys)", "ys = SequenceInsert(xs, x)")), 1);
  Context context(session);
  Arguments arguments(session);
  EXPECT_THROW(arguments.add(std::map<std::string, float>{{"a", 1}}), std::invalid_argument);
  EXPECT_THROW(arguments.add(Sequence{{{1, 2}, {3}}}), std::invalid_argument);
  EXPECT_TRUE(arguments.tensors().empty());
  Session optional(compileModel(makeModel("(optional(float[N]) x) => (bool y)", "y = OptionalHasElement(x)")), 1);
  Arguments broken(optional);
  EXPECT_THROW(broken.add(std::optional<Array<float>>(Array<float>{{1}, {2}})), std::invalid_argument);
  EXPECT_TRUE(broken.tensors().empty());
  arguments.add(Sequence{}).add(Array<float>{{1}, {1}});
  EXPECT_THROW(arguments.add(Sequence{}), std::invalid_argument);
  Results results(session, context.run(arguments.tensors()));
  EXPECT_THROW(results.get<Sequence>("other"), std::invalid_argument);
  EXPECT_THROW(results.get<Array<float>>("ys"), std::invalid_argument);
  EXPECT_THROW(results.get<std::vector<Array<double>>>("ys"), std::logic_error);
}

TEST(Values, MapsOfASequenceShareTheirKeys) {
  detail::Store store;
  std::vector<Tensor> tensors;
  using Maps = std::vector<std::map<int64_t, float>>;
  EXPECT_THROW(detail::Form<Maps>::write({{{1, 2.0F}}, {{2, 2.0F}}}, store, tensors), std::invalid_argument);
  detail::Form<Maps>::write({}, store, tensors);
  EXPECT_EQ(tensors[1].dims(), (std::vector<int64_t>{0, 0}));
}

} // namespace
