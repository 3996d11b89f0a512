// A metric that another program computes.
#ifndef ONAGER_TOOLS_COMPRESS_METRICPROGRAM_H
#define ONAGER_TOOLS_COMPRESS_METRICPROGRAM_H

#include "tools/onager/Files.h"
#include "tools/onager/Tensor.h"
#include <cstdio>

namespace onager::cli {

/// A shell command that runs as long as the object. Each question is a line on its standard input, the paths of two .npy files and the number of a sample with tabs in between; each answer a line with a number on its
/// standard output.
class MetricProgram {
public:
  explicit MetricProgram(const std::string &command);
  MetricProgram(const MetricProgram &) = delete;
  ~MetricProgram();

  /// Asks how far one output of one sample, which has a number among all of them, is from what is expected. Fails where the program ends, or says no number.
  double measure(const Tensor &found, const Tensor &expected, size_t sample);

private:
  TemporaryPath folder{TemporaryPath::folder, "metric"};
  int process = -1;
  std::FILE *questions = nullptr, *answers = nullptr;
};

} // namespace onager::cli

#endif
