// The layers of a model that can be compressed: products, convolutions and tables with constant weights.
#ifndef ONAGER_LIB_COMPRESS_LAYER_H
#define ONAGER_LIB_COMPRESS_LAYER_H

#include "lib/Compress/Recipe.h"

namespace onager::compress {

/// A Conv, ConvTranspose, Gemm or MatMul whose second operand is a constant of f32, or a Gather of rows of such a constant: a table, as of embeddings.
struct Layer {
  const onnx::NodeProto *node = nullptr;
  std::string name;            ///< the node's or, where it has none, its output's
  std::string input, weights, bias; ///< values; `bias` is "" without one; the input of a table is its indices
  std::vector<int64_t> dims;   ///< of the weights
  int64_t channelAxis = 0;     ///< the dim of the weights that is the output's channels, or the table's rows; of a ConvTranspose with groups the input's channels
  const onnx::NodeProto *transpose = nullptr; ///< of the weights, where there is one between them and the product, as for tables that are heads as well
  bool isTable() const { return node->op_type() == "Gather"; }
  bool isTransposedConv() const { return node->op_type() == "ConvTranspose"; }
  /// True for a Conv and a ConvTranspose, whose channels are the second dim of what they read and give.
  bool isConvolution() const { return compress::isConvolution(node->op_type()); }
};

/// The channels of a layer's output.
int64_t countOutputs(const Layer &layer);

/// Returns a node as a layer; nothing for other nodes, and for those whose operands are dequantised: a model that comes in quantised keeps its own scales.
std::optional<Layer> findLayer(const ModelGraph &model, const onnx::NodeProto &node);

/// Says why a layer cannot take a scheme, or be rounded so; "" where it can.
std::string explainUnfit(const ModelGraph &model, const Layer &layer, Scheme scheme);
std::string explainUnfit(const Layer &layer, RoundingMethod rounding);

/// True for what MatMulNBits takes as the weights that share a scale.
bool isGroup(int64_t group);

} // namespace onager::compress

#endif
