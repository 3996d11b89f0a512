// The shapes of a model's values while it is looked at for pruning.
#ifndef ONAGER_LIB_COMPRESS_PRUNE_SHAPES_H
#define ONAGER_LIB_COMPRESS_PRUNE_SHAPES_H

#include "lib/Compress/ModelGraph.h"

namespace onager::compress {

/// Dims by a value's name; -1 for a dim that is not known. Values of unknown rank are not there.
using Shapes = std::map<std::string, std::vector<int64_t>>;

/// Infers shapes by ONNX's rules, and those of com.microsoft's operators that pruning knows. `inputs` says what symbolic dims of the model's inputs are. The others
/// become primes above 36 that are the extent of no constant, each symbol one of its own, so that no two dims look equal by chance.
Shapes inferShapes(const ModelGraph &model, const Shapes &inputs = {});

} // namespace onager::compress

#endif
