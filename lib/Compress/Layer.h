// The layers of a model that can be compressed: products and convolutions with constant weights.
#ifndef ONAGER_LIB_COMPRESS_LAYER_H
#define ONAGER_LIB_COMPRESS_LAYER_H

#include "lib/Compress/Recipe.h"

namespace onager::compress {

/// A Conv, Gemm or MatMul whose second operand is a constant of f32.
struct Layer {
  const onnx::NodeProto *node = nullptr;
  std::string name;            ///< the node's or, where it has none, its output's
  std::string input, weights, bias; ///< values; `bias` is "" without one
  std::vector<int64_t> dims;   ///< of the weights
  int64_t channelAxis = 0;     ///< the dim of the weights that is the output's channels
};

/// Returns a node as a layer; nothing for other nodes, and for those whose operands are dequantised: a model that comes in quantised keeps its own scales.
std::optional<Layer> findLayer(const ModelGraph &model, const onnx::NodeProto &node);

/// Says why a layer cannot take a scheme; "" where it can.
std::string explainUnfit(const Layer &layer, Scheme scheme);

/// True for what MatMulNBits takes as the weights that share a scale.
bool isGroup(int64_t group);

} // namespace onager::compress

#endif
