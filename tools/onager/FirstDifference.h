// Finding the node from which on two forms of a model differ.
#ifndef ONAGER_TOOLS_FIRSTDIFFERENCE_H
#define ONAGER_TOOLS_FIRSTDIFFERENCE_H

#include "Artifact.h"
#include "Tensor.h"
#include <functional>

namespace onager::cli {

/// Tells whether two tensors are as near as the user asked for.
using IsNear = std::function<bool(const Tensor &found, const Tensor &expected)>;

/// Compares the values inside a model as compiled with those of its reference form and says, in one line, which node's are the first to differ.
/// `ownOutputs`: how many outputs the model has. REQUIRES: the forms' outputs differ for these inputs, or the reference form's from a third party's.
std::string findFirstDifference(const ModelSource &source, const CompileOptions &options, int threads, std::vector<Tensor> &inputs, size_t ownOutputs,
                                const IsNear &isNear);

} // namespace onager::cli

#endif
