// What the unit tests share: seeds, a folder of the run, small models compiled from ONNX text.
#ifndef ONAGER_TEST_UNIT_SUPPORT_H
#define ONAGER_TEST_UNIT_SUPPORT_H

#include "onager-rt/api.h"
#include "onager/Compiler.h"
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace onager::test {

/// Returns the seed of random tests, from ONAGER_TEST_SEED a number or `clock`; without it the same one each time. Prints it once.
uint64_t getSeed();
/// A generator that depends on the seed and the running test.
std::mt19937_64 makeGenerator();

/// Returns a folder that goes away with the process.
const std::string &getFolder();
std::string readFile(const std::string &path);
void writeFile(const std::string &path, const std::string &bytes);

/// Wraps nodes into a model in ONNX text: makeModel("(float[N] x) => (float[N] y)", "y = Relu(x)").
std::string makeModel(const std::string &signature, const std::string &nodes, int opset = 21);
/// Compiles a text model into the folder; a test failure and an empty string where it is refused.
std::string compileModel(const std::string &text, int optLevel = 3);

/// Allocations since the process began, through malloc and its family, and through mmap.
uint64_t countAllocations();
/// Makes the next calls of pthread_create fail.
void failThreadCreation(bool fails);
/// False where a sanitiser owns the allocator.
bool canCountAllocations();

/// A float tensor that owns its data, for inputs and outputs of the C API.
struct Tensor {
  std::vector<int64_t> dims;
  std::vector<float> data;
  explicit Tensor(std::vector<int64_t> shape, float value = 0);
  /// Fills with numbers between -1 and 1.
  Tensor &fill(std::mt19937_64 &generator);
  onager_tensor view();
};

/// An open session with its context; closed at the end of its scope.
struct Opened {
  explicit Opened(const std::string &path, int threads = 1);
  Opened(const Opened &) = delete;
  ~Opened();
  onager_status run(std::vector<onager_tensor> inputs, std::vector<onager_tensor> outputs);
  onager_session *session = nullptr;
  onager_context *context = nullptr;
};

} // namespace onager::test

#endif
