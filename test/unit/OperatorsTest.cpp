// Custom operators of the C and C++ API: what they are called with, what the registry refuses, and how calls fail.
#include "onager-rt/operators.hpp"
#include "test/unit/Support.h"
#include <gtest/gtest.h>
#include <numeric>
#include <thread>

using namespace onager::test;
using onager::Call;
using onager::compile;
using onager::CompileOptions;
using onager::CompileResult;
using onager::listRegistered;
using onager::registerOperator;
using onager::Result;
using onager::Status;

namespace {

/// Compiles a model with all that is registered.
CompileResult compileWith(const std::string &signature, const std::string &nodes, const std::string &path) {
  std::string text = "<ir_version: 10, opset_import: [\"\" : 21, \"test\" : 3]>\ng " + signature + " {\n" + nodes + "\n}";
  CompileOptions options;
  options.bytes = text;
  options.output = path;
  options.operators = listRegistered();
  return compile(options);
}

std::string compileCustom(const std::string &signature, const std::string &nodes) {
  static int count = 0;
  std::string path = getFolder() + "/custom" + std::to_string(count++) + ".so";
  CompileResult result = compileWith(signature, nodes, path);
  EXPECT_EQ(result.status, Status::ok) << result.error;
  return path;
}

std::vector<Result> inferSame(const Call &call) { return {{call.dtype(0), call.dims(0)}}; }

void runNegative(const Call &call) {
  const float *x = call.input<float>(0);
  float *y = call.output<float>(0);
  std::vector<int64_t> dims = call.dims(0);
  for (int64_t k = 0, count = std::accumulate(dims.begin(), dims.end(), int64_t(1), std::multiplies<>()); k < count; ++k)
    y[k] = -x[k];
}

class Operators : public testing::Test {
protected:
  static void SetUpTestSuite() { registerOperator("test", "Negative", inferSame, runNegative); }
};

} // namespace

TEST_F(Operators, RunsBetweenCompiledNodesAtSeveralShapes) {
  Opened opened(compileCustom("(float[n, 2] x) => (float[n, 2] y)", "a = Add(x, x)\nb = test.Negative(a)\ny = Mul(b, x)"), 2);
  for (int64_t rows : {1, 3, 0, 700}) {
    Tensor x({rows, 2}, 3), y({rows, 2});
    ASSERT_EQ(opened.run({x.view()}, {y.view()}), ONAGER_OK) << onager_last_error();
    for (float value : y.data)
      EXPECT_EQ(value, -18);
  }
}

TEST_F(Operators, AttributesOfEveryTypeArrive) {
  registerOperator(
      "test", "Attributes",
      [](const Call &call) {
        EXPECT_EQ(call.getInt("i", 0), -7);
        EXPECT_EQ(call.getFloat("f", 0), 0.5f);
        EXPECT_EQ(call.getString("s", ""), "text");
        EXPECT_EQ(call.getInts("is", {}), (std::vector<int64_t>{1, 2, 3}));
        EXPECT_EQ(call.getFloats("fs", {}), (std::vector<float>{1.5f, -2}));
        const onager_attribute *texts = call.find("ss"), *tensor = call.find("t");
        EXPECT_TRUE(texts && texts->type == ONAGER_ATTRIBUTE_STRINGS && texts->count == 2 && std::string(texts->strings[1].data, texts->strings[1].bytes) == "bc");
        EXPECT_TRUE(tensor && tensor->tensor->dtype == ONAGER_I64 && tensor->tensor->rank == 1 && tensor->tensor->dims[0] == 2 &&
                    static_cast<const int64_t *>(tensor->tensor->data)[1] == 9);
        EXPECT_EQ(call.getInt("absent", 5), 5);
        EXPECT_THROW(call.getInt("f", 0), std::invalid_argument);
        EXPECT_STREQ(call.node().domain, "test");
        EXPECT_STREQ(call.node().type, "Attributes");
        EXPECT_STREQ(call.node().name, "y");
        EXPECT_EQ(call.node().version, 3);
        return std::vector<Result>{{ONAGER_F32, {call.isCompiling() ? -1 : 2}}};
      },
      [](const Call &call) { std::fill_n(call.output<float>(0), 2, call.getFloat("f", 0)); });
  Opened opened(compileCustom("(float[n] x) => (float[k] y)",
                              "y = test.Attributes<i = -7, f = 0.5, s = \"text\", is = [1, 2, 3], fs = [1.5, -2.0], ss = [\"a\", \"bc\"], t = int64[2] {4, 9}>(x)"));
  Tensor x({3}), y({2});
  ASSERT_EQ(opened.run({x.view()}, {y.view()}), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(y.data, (std::vector<float>{0.5f, 0.5f}));
}

TEST_F(Operators, KnownIntegersAndEqualExtentsAreToldToTheCompiler) {
  std::vector<int64_t> first, second;
  int64_t known = 0;
  registerOperator(
      "test", "Resize",
      [&](const Call &call) {
        if (call.isCompiling()) {
          first = call.dims(0);
          second = call.dims(2);
          known = call.input<int64_t>(1) ? *call.input<int64_t>(1) : -1;
        }
        return std::vector<Result>{{ONAGER_F32, {call.dims(0)[0], known}}};
      },
      [](const Call &call) {
        for (int64_t k = 0; k < call.outputDims(0)[0] * call.outputDims(0)[1]; ++k)
          call.output<float>(0)[k] = static_cast<float>(k);
      });
  Opened opened(compileCustom("(float[n] x, float[n, m] other) => (float[n, 2] y, float[n, m] same) <int64[1] size = {2}>",
                              "y = test.Resize(x, size, other)\nsame = Identity(other)"));
  EXPECT_EQ(known, 2);
  ASSERT_EQ(second.size(), 2u);
  EXPECT_LT(first[0], -1);
  EXPECT_EQ(first[0], second[0]);
  EXPECT_NE(second[0], second[1]);
  Tensor x({3}), other({3, 4}), y({3, 2}), same({3, 4});
  ASSERT_EQ(opened.run({x.view(), other.view()}, {y.view(), same.view()}), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(y.data, (std::vector<float>{0, 1, 2, 3, 4, 5}));
}

TEST_F(Operators, AbsentInputsAndLeftOutOutputs) {
  registerOperator(
      "test", "Optional",
      [](const Call &call) {
        EXPECT_EQ(call.inputs(), 3u);
        EXPECT_FALSE(call.has(1));
        EXPECT_THROW(call.dtype(1), std::invalid_argument);
        EXPECT_EQ(call.outputs(), 2u);
        return std::vector<Result>{{ONAGER_F32, {}}, {ONAGER_F32, call.dims(2)}};
      },
      [](const Call &call) {
        *call.output<float>(0) = 0;
        *call.output<float>(1) = *call.input<float>(2) + 1;
      });
  Opened opened(compileCustom("(float[1] x, float[1] z) => (float[1] y)", ", y = test.Optional(x, , z)"));
  Tensor x({1}), z({1}, 4), y({1});
  ASSERT_EQ(opened.run({x.view(), z.view()}, {y.view()}), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(y.data[0], 5);
}

TEST_F(Operators, TextsGoInAndOut) {
  registerOperator(
      "test", "Twice",
      [](const Call &call) { return std::vector<Result>{{ONAGER_STRING, call.dims(0)}}; },
      [](const Call &) {});
  onager_operator twice = *listRegistered().back();
  twice.run = [](onager_call *call) -> int32_t {
    auto *in = static_cast<const onager_string *>(call->inputs[0].data);
    auto *out = static_cast<onager_string *>(call->outputs[0].data);
    for (int64_t k = 0; k < call->inputs[0].dims[0]; ++k) {
      auto *text = static_cast<char *>(call->allocate(call, 2 * in[k].bytes));
      std::memcpy(text, in[k].data, in[k].bytes);
      std::memcpy(text + in[k].bytes, in[k].data, in[k].bytes);
      out[k] = {text, 2 * in[k].bytes};
    }
    return 0;
  };
  ASSERT_EQ(onager_operator_register(&twice), ONAGER_OK);
  Opened opened(compileCustom("(string[n] x) => (string[n] y)", "a = test.Twice(x)\ny = test.Twice(a)"));
  onager_string texts[] = {{"ab", 2}, {"", 0}};
  int64_t dims[] = {2};
  onager_tensor input{sizeof input, ONAGER_STRING, 1, 0, texts, dims, sizeof texts}, output{sizeof output, 0, 0, 0, nullptr, nullptr, 0};
  ASSERT_EQ(onager_context_run(opened.context, &input, 1, &output, 1), ONAGER_OK) << onager_last_error();
  auto *found = static_cast<const onager_string *>(output.data);
  EXPECT_EQ(std::string(found[0].data, found[0].bytes), "abababab");
  EXPECT_EQ(found[1].bytes, 0u);
}

TEST_F(Operators, FailuresOfARunNameTheNode) {
  registerOperator("test", "Throws", inferSame, [](const Call &) { throw std::runtime_error("no luck"); });
  Opened opened(compileCustom("(float[n] x) => (float[n] y)", "a = test.Throws(x)\ny = Add(a, a)"), 2);
  Tensor x({3}), y({3}, -7);
  EXPECT_EQ(opened.run({x.view()}, {y.view()}), ONAGER_RUN_FAILED);
  EXPECT_STREQ(onager_last_error(), "node 'a' (op Throws, domain test): no luck");
}

TEST_F(Operators, AnswersThatContradictTheFirstEndTheRun) {
  static std::vector<Result> later;
  registerOperator(
      "test", "Changes", [](const Call &call) { return call.isCompiling() ? std::vector<Result>{{ONAGER_F32, {-1, 2}}} : later; }, [](const Call &) {});
  Opened opened(compileCustom("(float[n] x) => (float[k, 2] y)", "y = test.Changes(x)"));
  Tensor x({3}), y({3, 2});
  const std::pair<std::vector<Result>, const char *> cases[] = {
      {{{ONAGER_F64, {3, 2}}}, "output 0: expected element type 1 as when it was compiled, found 11"},
      {{{ONAGER_F32, {3}}}, "output 0: expected rank 2 as when it was compiled, found 1"},
      {{{ONAGER_F32, {3, 4}}}, "output 0: expected dim 1 of 2 as when it was compiled, found 4"},
      {{{ONAGER_F32, {-5, 2}}}, "output 0: dim 0 is -5"},
      {{}, "the operator told of 0 outputs, the node has 1"}};
  for (const auto &[results, reason] : cases) {
    later = results;
    EXPECT_EQ(opened.run({x.view()}, {y.view()}), ONAGER_RUN_FAILED);
    EXPECT_NE(std::string(onager_last_error()).find(reason), std::string::npos) << onager_last_error();
  }
  later = {{ONAGER_F32, {int64_t(1) << 60, 2}}};
  EXPECT_EQ(opened.run({x.view()}, {y.view()}), ONAGER_OUT_OF_MEMORY) << onager_last_error();
}

TEST_F(Operators, WrongAnswersToTheCompilerAreRefused) {
  static std::vector<Result> answer;
  registerOperator("test", "Wrong", [](const Call &) { return answer; }, [](const Call &) {});
  std::string path = getFolder() + "/wrong.so";
  const std::pair<std::vector<Result>, const char *> cases[] = {
      {{{static_cast<onager_dtype>(14), {1}}}, "element type 14 and rank 1"},
      {{{ONAGER_F32, {-9}}}, "an extent of -9, which no input has"},
      {{{ONAGER_F32, {1}}, {ONAGER_F32, {1}}}, "the operator told of 2 outputs, the node has 1"}};
  for (const auto &[results, reason] : cases) {
    answer = results;
    CompileResult result = compileWith("(float[n] x) => (float[n] y)", "y = test.Wrong(x)", path);
    EXPECT_EQ(result.status, Status::refused);
    EXPECT_NE(result.error.find(reason), std::string::npos) << result.error;
  }
}

TEST_F(Operators, AModelNeedsItsOperatorsWhenItIsOpened) {
  onager_operator op = *listRegistered().front();
  op.domain = "test";
  op.type = "Elsewhere";
  CompileOptions options;
  std::string text = "<ir_version: 10, opset_import: [\"\" : 21, \"test\" : 3]>\ng (float[2] x) => (float[2] y) { y = test.Elsewhere(x) }", path = getFolder() + "/elsewhere.so";
  options.bytes = text;
  options.output = path;
  options.operators = {&op}; // known to the compiler, not to the runtime
  ASSERT_EQ(compile(options).status, Status::ok);
  onager_session *session = nullptr;
  EXPECT_EQ(onager_session_open(path.c_str(), nullptr, &session), ONAGER_BAD_ARGUMENT);
  EXPECT_STREQ(onager_last_error(), "node 'y': operator Elsewhere of domain test, version 3, is not registered");
}

TEST_F(Operators, TheNewestVersionUpToTheModelsIsTaken) {
  for (int since : {1, 3, 4})
    registerOperator(
        "test", "Versions", inferSame, [since](const Call &call) { *call.output<float>(0) = static_cast<float>(since); }, since);
  Opened opened(compileCustom("(float[1] x) => (float[1] y)", "y = test.Versions(x)"));
  Tensor x({1}), y({1});
  ASSERT_EQ(opened.run({x.view()}, {y.view()}), ONAGER_OK);
  EXPECT_EQ(y.data[0], 3);
}

TEST_F(Operators, OneTakesThePlaceOfTheCompilersOwn) {
  onager_operator relu = *listRegistered().front();
  relu.domain = "";
  relu.type = "Relu";
  ASSERT_EQ(onager_operator_register(&relu), ONAGER_OK);
  CompileOptions options;
  std::string text = makeModel("(float[2] x) => (float[2] y)", "y = Relu(x)"), path = getFolder() + "/relu.so";
  options.bytes = text;
  options.output = path;
  options.operators = {&relu};
  ASSERT_EQ(compile(options).status, Status::ok);
  Opened opened(path);
  Tensor x({2}, 3), y({2});
  ASSERT_EQ(opened.run({x.view()}, {y.view()}), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(y.data, (std::vector<float>{-3, -3}));
}

TEST_F(Operators, RunsAtTheSameTime) {
  std::string path = compileCustom("(float[n, 2] x) => (float[n, 2] y)", "a = Add(x, x)\ny = test.Negative(a)");
  Opened opened(path, 2);
  std::vector<std::thread> threads;
  for (int t = 1; t <= 4; ++t)
    threads.emplace_back([&, t] {
      onager_context *context = nullptr;
      ASSERT_EQ(onager_context_create(opened.session, &context), ONAGER_OK);
      for (int round = 0; round < 50; ++round) {
        Tensor x({round % 7, 2}, static_cast<float>(t)), y({round % 7, 2});
        onager_tensor input = x.view(), output = y.view();
        ASSERT_EQ(onager_context_run(context, &input, 1, &output, 1), ONAGER_OK) << onager_last_error();
        for (float value : y.data)
          EXPECT_EQ(value, -2.0f * static_cast<float>(t));
      }
      onager_context_destroy(context);
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST_F(Operators, TheRegistryRefusesWhatIsNotWhole) {
  onager_operator whole = *listRegistered().front();
  EXPECT_EQ(onager_operator_register(nullptr), ONAGER_BAD_ARGUMENT);
  for (int missing = 0; missing < 5; ++missing) {
    onager_operator op = whole;
    if (missing == 0) op.size = 8;
    if (missing == 1) op.domain = nullptr;
    if (missing == 2) op.type = nullptr;
    if (missing == 3) op.infer = nullptr;
    if (missing == 4) op.run = nullptr;
    EXPECT_EQ(onager_operator_register(&op), ONAGER_BAD_ARGUMENT) << missing;
  }
  EXPECT_EQ(onager_operators_load(nullptr), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_operators_load("/nowhere/operators.so"), ONAGER_BAD_FILE);
  EXPECT_EQ(onager_operator_at(SIZE_MAX), nullptr);
}
