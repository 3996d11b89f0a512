// Artifacts, arrays and temporary files that several unit tests need.
#include "test/unit/Support.h"
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iostream>
#include <sstream>
#include <string_view>
#include <unistd.h>

namespace onager::test {

uint64_t getSeed() {
  static const uint64_t seed = [] {
    const char *variable = std::getenv("ONAGER_TEST_SEED");
    std::string_view given = variable ? variable : "20250101";
    uint64_t value = given == "clock" ? static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count())
                                      : std::strtoull(given.data(), nullptr, 10);
    std::cout << "seed: ONAGER_TEST_SEED=" << value << std::endl;
    return value;
  }();
  return seed;
}

std::mt19937_64 makeGenerator() {
  const auto *test = testing::UnitTest::GetInstance()->current_test_info();
  return std::mt19937_64(getSeed() ^ std::hash<std::string>()(test ? test->name() : ""));
}

namespace {
struct Folder {
  std::string path = (std::filesystem::temp_directory_path() / "onager-unit-XXXXXX").string();
  pid_t owner = getpid();
  Folder() {
    if (!mkdtemp(path.data()))
      std::abort();
  }
  ~Folder() {
    std::error_code code;
    if (getpid() == owner) // not in a forked child
      std::filesystem::remove_all(path, code);
  }
};
} // namespace

const std::string &getFolder() {
  static const Folder folder;
  return folder.path;
}

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

void writeFile(const std::string &path, const std::string &bytes) { std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size())); }

std::string makeModel(const std::string &signature, const std::string &nodes, int opset) {
  return "<ir_version: 10, opset_import: [\"\" : " + std::to_string(opset) + "]>\nmodel " + signature + " {\n" + nodes + "\n}\n";
}

std::string compileModel(const std::string &text, int optLevel) {
  static int count = 0;
  CompileOptions options;
  options.bytes = text;
  options.optLevel = optLevel;
  options.output = getFolder() + "/model" + std::to_string(count++) + ".so";
  options.verifyEach = true;
  CompileResult result = compile(options);
  EXPECT_EQ(result.status, Status::ok) << result.error;
  return result.status == Status::ok ? options.output : "";
}

Tensor::Tensor(std::vector<int64_t> shape, float value) : dims(std::move(shape)) {
  size_t count = 1;
  for (int64_t extent : dims)
    count *= static_cast<size_t>(extent);
  data.assign(count, value);
}

Tensor &Tensor::fill(std::mt19937_64 &generator) {
  std::uniform_real_distribution<float> numbers(-1, 1);
  for (float &x : data)
    x = numbers(generator);
  return *this;
}

onager_tensor Tensor::view() {
  return {sizeof(onager_tensor), ONAGER_F32, static_cast<int32_t>(dims.size()), 0, data.data(), dims.data(), data.size() * sizeof(float)};
}

Opened::Opened(const std::string &path, int threads) {
  onager_options options{};
  options.size = sizeof options;
  options.threads = threads;
  EXPECT_EQ(onager_session_open(path.c_str(), &options, &session), ONAGER_OK) << onager_last_error();
  if (session)
    EXPECT_EQ(onager_context_create(session, &context), ONAGER_OK) << onager_last_error();
}

Opened::~Opened() {
  onager_context_destroy(context);
  onager_session_close(session);
}

onager_status Opened::run(std::vector<onager_tensor> inputs, std::vector<onager_tensor> outputs) {
  return onager_context_run(context, inputs.data(), inputs.size(), outputs.data(), outputs.size());
}

} // namespace onager::test
