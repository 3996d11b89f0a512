// Compiles a model given as ONNX text and runs it: what an application does that carries the compiler.
//
// Usage: compile_and_run ARTIFACT.so    (which it writes)
#include "onager-rt/onager.hpp"
#include "onager/Compiler.h"
#include <cstdio>

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  onager::CompileOptions options;
  options.bytes = R"(<ir_version: 8, opset_import: ["" : 17]>
double_it (float[n] x) => (float[n] y) { y = Add(x, x) })";
  options.output = argv[1];
  onager::CompileResult result = onager::compile(options);
  if (result.status != onager::Status::ok) {
    std::fprintf(stderr, "%s\n", result.error.c_str());
    return 1;
  }
  try {
    onager::Session session(argv[1]);
    onager::Context context(session);
    std::vector<float> x{1, 2, 3};
    onager::Outputs outputs = context.run({onager::Tensor(x.data(), {3})});
    std::printf("%g %g %g\n", outputs[0].data<float>()[0], outputs[0].data<float>()[1], outputs[0].data<float>()[2]);
  } catch (const onager::Error &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
