// Custom operators of the application itself: registers one, compiles a model that uses it, and runs it.
//
// Usage: operators [ARTIFACT.so]    (where the artifact goes; operators.so)
#include "onager-rt/operators.hpp"
#include "onager/Compiler.h"
#include <cmath>
#include <cstdio>

static const char kModel[] = R"(<ir_version: 10, opset_import: ["" : 21, "example" : 1]>
polar (float[n, 2] points) => (float[n] radii, float[n] angles) {
  radii, angles = example.Polar <degrees = 1> (points)
})";

/// Two vectors, as long as there are rows; -2 and so on stand for extents that are not fixed, and may be passed on.
static std::vector<onager::Result> inferPolar(const onager::Call &call) {
  std::vector<std::int64_t> dims = call.dims(0);
  if (call.dtype(0) != ONAGER_F32 || dims.size() != 2 || dims[1] != 2)
    throw std::invalid_argument("expected points of float32 [n, 2]");
  return {{ONAGER_F32, {dims[0]}}, {ONAGER_F32, {dims[0]}}};
}

static void runPolar(const onager::Call &call) {
  const float *points = call.input<float>(0);
  float *radii = call.output<float>(0), *angles = call.output<float>(1);
  float unit = call.getInt("degrees", 0) ? 57.29577951f : 1;
  for (std::int64_t k = 0; k < call.dims(0)[0]; ++k) {
    radii[k] = std::hypot(points[2 * k], points[2 * k + 1]);
    angles[k] = unit * std::atan2(points[2 * k + 1], points[2 * k]);
  }
}

int main(int argc, char **argv) try {
  onager::registerOperator("example", "Polar", inferPolar, runPolar);
  onager::CompileOptions options;
  options.bytes = kModel;
  options.output = argc > 1 ? argv[1] : "operators.so";
  options.operators = onager::listRegistered();
  onager::CompileResult result = onager::compile(options);
  if (result.status != onager::Status::ok) {
    std::fprintf(stderr, "%s\n", result.error.c_str());
    return static_cast<int>(result.status);
  }
  onager::Session session(options.output);
  onager::Context context(session);
  std::vector<float> points = {3, 4, 0, -2};
  onager::Outputs outputs = context.run({onager::Tensor(points.data(), {2, 2})});
  for (int k = 0; k < 2; ++k)
    std::printf("(%g, %g): radius %.3f, angle %.1f\n", points[2 * k], points[2 * k + 1], outputs[0].data<float>()[k], outputs[1].data<float>()[k]);
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "operators: %s\n", error.what());
  return 1;
}
