// Running a model with ONNX Runtime, in a Python process.
#ifndef ONAGER_TOOLS_ONNXRUNTIME_H
#define ONAGER_TOOLS_ONNXRUNTIME_H

#include "Artifact.h"
#include "Tensor.h"

namespace onager::cli {

/// Runs the model with the Python interpreter that ONAGER_PYTHON names, python3 by default, which must have the package onnxruntime.
/// Inputs and outputs are in the order of the names.
std::vector<Tensor> runOnnxRuntime(const ModelSource &source, const std::vector<std::string> &inputNames, const std::vector<Tensor> &inputs,
                                   const std::vector<std::string> &outputNames);

} // namespace onager::cli

#endif
