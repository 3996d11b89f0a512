// Applying a recipe to a model.
#ifndef ONAGER_LIB_COMPRESS_APPLY_H
#define ONAGER_LIB_COMPRESS_APPLY_H

#include "lib/Compress/Layer.h"

namespace onager::compress {

/// What works on bytes where layers have the scheme int8: these layers, and the additions, pooling, concatenations and movements between them, so that bytes
/// need not become floats on their way. Activation functions stay between a layer and its rounding.
struct ByteFlow {
  std::set<const onnx::NodeProto *> nodes;
  std::vector<std::string> values; ///< that these nodes read, in the graph's order
};
ByteFlow findByteFlow(const ModelGraph &model, const Recipe &recipe);

/// Rewrites the model and fills in what came of each layer. False and a reason where a value that becomes bytes has no scale.
bool applyRecipe(ModelGraph &model, Recipe &recipe, std::string &error);

} // namespace onager::compress

#endif
