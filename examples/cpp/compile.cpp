// Compiles a model with the compiler as a library.
//
// Usage: compile MODEL.onnx ARTIFACT.so [OPTION=VALUE ...]    (the command line's options, for example target=portable)
#include "onager/Compiler.h"
#include <cstdio>

int main(int argc, char **argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: compile MODEL.onnx ARTIFACT.so [OPTION=VALUE ...]\n");
    return 2;
  }
  onager::CompileOptions options;
  options.model = argv[1];
  options.output = argv[2];
  for (int k = 3; k < argc; ++k) {
    std::string option = argv[k], error;
    size_t split = option.find('=');
    std::string value = split == std::string::npos ? "" : option.substr(split + 1);
    if (!onager::setOption(options, option.substr(0, split), value, error)) {
      std::fprintf(stderr, "compile: %s\n", error.c_str());
      return static_cast<int>(onager::Status::badOption);
    }
  }
  // Never throws; on failure there is a line for each problem, and no file.
  onager::CompileResult result = onager::compile(options);
  if (result.status != onager::Status::ok) {
    std::fprintf(stderr, "%s\n", result.error.c_str());
    return static_cast<int>(result.status);
  }
  std::printf("wrote %s\n", argv[2]);
  return 0;
}
