// Running a model with ONNX Runtime, in a Python process.
#ifndef ONAGER_TOOLS_VERIFY_ONNXRUNTIME_H
#define ONAGER_TOOLS_VERIFY_ONNXRUNTIME_H

#include "tools/onager/Artifact.h"
#include "tools/onager/Tensor.h"

namespace onager::cli {

/// Runs the model with the Python interpreter that ONAGER_PYTHON names, python3 by default, which must have the package onnxruntime.
/// Inputs and outputs of each sample are in the order of the names.
std::vector<std::vector<Tensor>> runOnnxRuntime(const ModelSource &source, const std::vector<std::string> &inputNames, const std::vector<std::vector<Tensor>> &samples,
                                                const std::vector<std::string> &outputNames);

} // namespace onager::cli

#endif
