// The C API: what it refuses, in which words, and what it leaves alone then.
#include "test/unit/Support.h"
#include <cstring>
#include <gtest/gtest.h>
#include <thread>

using namespace onager::test;

namespace {
class Api : public testing::Test {
protected:
  static void SetUpTestSuite() { path = compileModel(makeModel("(float[batch,4] pixels, float[batch,n] weights) => (float[batch,k] scores)", "scores = Concat<axis=1>(pixels, weights)")); }

  /// Expects a refusal whose message holds all parts, and that outputs are as they were.
  void expectRefused(std::vector<onager_tensor> inputs, std::vector<std::string> parts, onager_status expected = ONAGER_BAD_ARGUMENT) {
    onager_tensor output = result.view(), before = output;
    EXPECT_EQ(onager_context_run(opened.context, inputs.data(), inputs.size(), &output, 1), expected);
    std::string message = onager_last_error();
    for (const std::string &part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' in: " << message;
    EXPECT_EQ(std::memcmp(&output, &before, sizeof output), 0) << "the descriptor changed";
    for (float x : result.data)
      EXPECT_EQ(x, -7) << "the output was written";
  }

  static std::string path;
  Opened opened{path};
  Tensor pixels{{3, 4}, 1}, weights{{3, 5}, 2}, result{{3, 9}, -7};
};
std::string Api::path;
} // namespace

TEST_F(Api, DescribesTheSignature) {
  EXPECT_EQ(onager_session_inputs(opened.session), 2u);
  EXPECT_EQ(onager_session_outputs(opened.session), 1u);
  onager_info info{};
  info.size = sizeof info;
  ASSERT_EQ(onager_session_input(opened.session, 1, &info), ONAGER_OK);
  EXPECT_STREQ(info.name, "weights");
  EXPECT_EQ(info.dtype, ONAGER_F32);
  ASSERT_EQ(info.rank, 2);
  EXPECT_EQ(info.dims[0], -1);
  EXPECT_STREQ(info.dim_names[0], "batch");
  EXPECT_STREQ(info.dim_names[1], "n");
  ASSERT_EQ(onager_session_output(opened.session, 0, &info), ONAGER_OK);
  EXPECT_STREQ(info.name, "scores");
  EXPECT_NE(std::string(info.dim_names[1]).find("n"), std::string::npos);
  EXPECT_EQ(onager_session_input(opened.session, 2, &info), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_session_output(opened.session, 1, &info), ONAGER_BAD_ARGUMENT);
}

TEST_F(Api, Runs) {
  ASSERT_EQ(opened.run({pixels.view(), weights.view()}, {result.view()}), ONAGER_OK) << onager_last_error();
  for (size_t k = 0; k < result.data.size(); ++k)
    EXPECT_EQ(result.data[k], k % 9 < 4 ? 1 : 2);
}

TEST_F(Api, WrongTypes) {
  onager_tensor wrong = weights.view();
  for (int32_t dtype : {0, -1, static_cast<int32_t>(ONAGER_F64), static_cast<int32_t>(ONAGER_I32), 99}) {
    wrong.dtype = dtype;
    expectRefused({pixels.view(), wrong}, {"weights", "float32"});
  }
}

TEST_F(Api, WrongRanks) {
  onager_tensor wrong = weights.view();
  for (int32_t rank : {-1, 0, 1, 3}) {
    int64_t dims[] = {3, 5, 1};
    wrong.dims = dims;
    wrong.rank = rank;
    expectRefused({pixels.view(), wrong}, {"weights", "rank 2", std::to_string(rank)});
  }
}

TEST_F(Api, WrongDims) {
  Tensor wide({3, 6}), other({2, 5});
  expectRefused({wide.view(), weights.view()}, {"pixels", "dim 1", "expected 4", "found 6"});
  expectRefused({pixels.view(), other.view()}, {"weights", "dim 0", "batch", "expected 3", "found 2"});
  int64_t negative[] = {3, -5}, huge[] = {INT64_MAX, 4}, product[] = {int64_t(1) << 40, int64_t(1) << 40};
  onager_tensor wrong = weights.view();
  wrong.dims = negative;
  expectRefused({pixels.view(), wrong}, {"weights", "-5"});
  wrong.dims = huge;
  expectRefused({pixels.view(), wrong}, {"weights"});
  wrong.dims = product;
  expectRefused({pixels.view(), wrong}, {"weights"});
}

TEST_F(Api, WrongCounts) {
  expectRefused({}, {"expected 2 inputs", "found 0"});
  expectRefused({pixels.view()}, {"expected 2 inputs", "found 1"});
  expectRefused({pixels.view(), weights.view(), weights.view()}, {"expected 2 inputs", "found 3"});
  onager_tensor inputs[] = {pixels.view(), weights.view()};
  EXPECT_EQ(onager_context_run(opened.context, inputs, 2, nullptr, 0), ONAGER_BAD_ARGUMENT);
}

TEST_F(Api, TooFewBytes) {
  onager_tensor wrong = weights.view();
  wrong.bytes -= 1;
  expectRefused({pixels.view(), wrong}, {"weights", "60 bytes", "59"});
  wrong = weights.view();
  wrong.data = nullptr;
  expectRefused({pixels.view(), wrong}, {"weights"});
}

TEST_F(Api, TooLittleRoomForAnOutput) {
  onager_tensor inputs[] = {pixels.view(), weights.view()}, output = result.view();
  output.bytes -= 1;
  onager_tensor before = output;
  EXPECT_EQ(onager_context_run(opened.context, inputs, 2, &output, 1), ONAGER_BAD_ARGUMENT);
  EXPECT_NE(std::string(onager_last_error()).find("scores"), std::string::npos);
  EXPECT_EQ(std::memcmp(&output, &before, sizeof output), 0) << "the descriptor changed";
  for (float x : result.data)
    EXPECT_EQ(x, -7);
}

TEST_F(Api, MissingSizeFields) {
  onager_tensor wrong = weights.view();
  wrong.size = 0;
  expectRefused({pixels.view(), wrong}, {"size"});
  onager_tensor inputs[] = {pixels.view(), weights.view()}, output = result.view();
  output.size = 4;
  EXPECT_EQ(onager_context_run(opened.context, inputs, 2, &output, 1), ONAGER_BAD_ARGUMENT);
  onager_session *session = nullptr;
  onager_options options{0, 1};
  EXPECT_EQ(onager_session_open(path.c_str(), &options, &session), ONAGER_BAD_ARGUMENT);
  onager_session_close(session);
  onager_info info{};
  EXPECT_EQ(onager_session_input(opened.session, 0, &info), ONAGER_BAD_ARGUMENT);
  onager_launch launch{};
  onager_context_profile(opened.context, 1);
  EXPECT_EQ(onager_context_launch(opened.context, 0, 0, &launch), ONAGER_BAD_ARGUMENT);
}

TEST_F(Api, Nulls) {
  onager_session *session = nullptr;
  onager_context *context = nullptr;
  onager_tensor tensor = pixels.view();
  EXPECT_EQ(onager_session_open(nullptr, nullptr, &session), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_session_open(path.c_str(), nullptr, nullptr), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_session_open_memory(nullptr, 5, nullptr, &session), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_session_open_model(nullptr, nullptr, nullptr, &session), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_context_create(nullptr, &context), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_context_create(opened.session, nullptr), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_context_run(nullptr, &tensor, 1, &tensor, 1), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_context_run(opened.context, nullptr, 2, &tensor, 1), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_context_prepare(opened.context, &tensor, 1, nullptr, 1), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_session_input(nullptr, 0, nullptr), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_session_input(opened.session, 0, nullptr), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_context_profile(nullptr, 1), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(onager_session_inputs(nullptr), 0u);
  EXPECT_EQ(onager_context_memory(nullptr), 0u);
  onager_session_close(nullptr);
  onager_context_destroy(nullptr);
  tensor.dims = nullptr;
  expectRefused({tensor, weights.view()}, {"dims"});
}

TEST_F(Api, BadThreadCounts) {
  for (int32_t threads : {-1, 1025, INT32_MAX, INT32_MIN}) {
    onager_session *session = nullptr;
    onager_options options{};
    options.size = sizeof options;
    options.threads = threads;
    EXPECT_EQ(onager_session_open(path.c_str(), &options, &session), ONAGER_BAD_ARGUMENT) << threads;
    EXPECT_EQ(session, nullptr);
  }
}

TEST_F(Api, ContextOwnsOutputsOnRequest) {
  onager_tensor inputs[] = {pixels.view(), weights.view()}, output = {};
  output.size = sizeof output;
  ASSERT_EQ(onager_context_run(opened.context, inputs, 2, &output, 1), ONAGER_OK);
  ASSERT_NE(output.data, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(output.data) % ONAGER_ALIGNMENT, 0u);
  EXPECT_EQ(output.bytes, 108u);
  ASSERT_EQ(output.rank, 2);
  EXPECT_EQ(output.dims[0], 3);
  EXPECT_EQ(output.dims[1], 9);
  EXPECT_EQ(static_cast<float *>(output.data)[8], 2);
}

TEST_F(Api, PrepareTellsShapes) {
  onager_tensor inputs[] = {pixels.view(), weights.view()}, output = {};
  output.size = sizeof output;
  ASSERT_EQ(onager_context_prepare(opened.context, inputs, 2, &output, 1), ONAGER_OK);
  EXPECT_EQ(output.dtype, ONAGER_F32);
  ASSERT_EQ(output.rank, 2);
  EXPECT_EQ(output.dims[1], 9);
  EXPECT_EQ(output.data, nullptr);
}

TEST_F(Api, EmptyTensors) {
  Tensor none({0, 4}), nothing({0, 5}), empty({0, 9});
  EXPECT_EQ(opened.run({none.view(), nothing.view()}, {empty.view()}), ONAGER_OK) << onager_last_error();
  Tensor noColumns({3, 0}), four({3, 4});
  EXPECT_EQ(opened.run({pixels.view(), noColumns.view()}, {four.view()}), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(four.data, pixels.data);
}

/// An empty tensor may have any extents beside the 0; rounding those of a plan up went over the end of the numbers.
TEST(ApiExtents, LargestOfAnEmptyTensor) {
  Opened opened(compileModel(makeModel("(float[N,M] x) => (float[N,M] y)", "a = Softmax(x)\ny = Softmax<axis = 0>(a)")));
  for (int64_t extent : {INT64_MAX, INT64_MAX - 1, int64_t(1) << 62, (int64_t(1) << 62) + 1}) {
    int64_t dims[] = {0, extent};
    onager_tensor x{sizeof x, ONAGER_F32, 2, 0, nullptr, dims, 0}, y{sizeof y, 0, 0, 0, nullptr, nullptr, 0};
    onager_status status = opened.run({x}, {y});
    EXPECT_TRUE(status == ONAGER_OK || status == ONAGER_BAD_ARGUMENT) << onager_last_error();
    uint64_t bytes = 0;
    EXPECT_EQ(onager_context_query_memory(opened.context, &x, 1, &bytes), status) << extent;
  }
}

TEST_F(Api, UnalignedInputs) {
  std::vector<char> bytes(64);
  float *unaligned = reinterpret_cast<float *>(bytes.data() + 4);
  for (int k = 0; k < 12; ++k)
    unaligned[k] = 1;
  onager_tensor input = pixels.view();
  input.data = unaligned;
  EXPECT_EQ(opened.run({input, weights.view()}, {result.view()}), ONAGER_OK);
  EXPECT_EQ(result.data[3], 1);
}

TEST(ApiRunFailed, NamesTheNodeAndLeavesDescriptors) {
  std::string path = compileModel(makeModel("(float[4] table, int64[n] rows) => (float[n] picked)", "[lookup] picked = Gather(table, rows)"));
  Opened opened(path);
  Tensor table({4}, 1), picked({2}, -7);
  int64_t rows[] = {0, 9}, dims[] = {2};
  onager_tensor inputs[] = {table.view(), {sizeof(onager_tensor), ONAGER_I64, 1, 0, rows, dims, sizeof rows}}, output = picked.view(), before = output;
  EXPECT_EQ(onager_context_run(opened.context, inputs, 2, &output, 1), ONAGER_RUN_FAILED);
  EXPECT_NE(std::string(onager_last_error()).find("lookup"), std::string::npos) << onager_last_error();
  EXPECT_EQ(std::memcmp(&output, &before, sizeof output), 0) << "the descriptor changed";
  rows[1] = -1; // counts from the end; the context is usable after a failure
  EXPECT_EQ(onager_context_run(opened.context, inputs, 2, &output, 1), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(picked.data[1], 1);
}

TEST(ApiOffers, AreWrittenWhereTheOutputFits) {
  Opened opened(compileModel(makeModel("(float[1] x, int64[1] n) => (float[m] y)", "y = Expand(x, n)")));
  Tensor x({1}, 3), room({100}, -7);
  int64_t count = 0, dims[] = {1};
  for (int32_t isOffer : {0, 1})
    for (int64_t wanted : {100, 7, 101, 0, 100}) {
      count = wanted;
      onager_tensor inputs[] = {x.view(), {sizeof(onager_tensor), ONAGER_I64, 1, 0, &count, dims, sizeof count}}, output = room.view();
      output.is_offer = isOffer;
      bool fits = wanted <= 100;
      ASSERT_EQ(onager_context_run(opened.context, inputs, 2, &output, 1), fits || isOffer ? ONAGER_OK : ONAGER_BAD_ARGUMENT) << onager_last_error();
      if (!fits && !isOffer)
        continue;
      EXPECT_EQ(output.data == room.data.data(), fits);
      ASSERT_EQ(output.dims[0], wanted);
      for (int64_t k = 0; k < wanted; ++k)
        EXPECT_EQ(static_cast<float *>(output.data)[k], 3);
    }
}

TEST(ApiErrors, AreKeptPerThread) {
  onager_session *session = nullptr;
  EXPECT_EQ(onager_session_open("/absent/one", nullptr, &session), ONAGER_BAD_FILE);
  std::string mine = onager_last_error();
  std::thread([&] {
    onager_session *other = nullptr;
    EXPECT_EQ(onager_session_open("/absent/two", nullptr, &other), ONAGER_BAD_FILE);
    EXPECT_NE(std::string(onager_last_error()).find("two"), std::string::npos);
  }).join();
  EXPECT_EQ(onager_last_error(), mine);
}

TEST(ApiTypes, Bytes) {
  EXPECT_EQ(onager_dtype_bytes(ONAGER_F32), 4u);
  EXPECT_EQ(onager_dtype_bytes(ONAGER_BOOL), 1u);
  EXPECT_EQ(onager_dtype_bytes(ONAGER_I4), 1u);
  for (int32_t unknown : {0, -1, 27, 1000, INT32_MIN})
    EXPECT_EQ(onager_dtype_bytes(unknown), 0u);
  EXPECT_NE(std::string(onager_version()), "");
}
