// Layers as nodes of other schemes.
#ifndef ONAGER_LIB_COMPRESS_LAYERFORMS_H
#define ONAGER_LIB_COMPRESS_LAYERFORMS_H

#include "lib/Compress/Layer.h"

namespace onager::compress {

/// The weights of a product or of a table as [outputs or rows, terms].
std::vector<float> readRows(const ModelGraph &model, const Layer &layer, size_t &outputs, size_t &terms);

/// 10 log10 of the squares of `values` over those of the differences to `rounded`.
double measureSqnr(const std::vector<float> &values, const std::vector<float> &rounded);

/// Lets a layer's node read other weights, of the dims of the old; where those were transposed, the node that does it for the new is appended.
void setWeights(ModelGraph &model, const Layer &layer, const std::string &weights, onnx::NodeProto &node, std::vector<onnx::NodeProto> &nodes);

/// Products with weights alone quantised, com.microsoft's MatMulNBits, and tables of such rows, com.microsoft's GatherBlockQuantized.
std::vector<onnx::NodeProto> makeBlockNodes(ModelGraph &model, const Layer &layer, LayerRecipe &entry);

/// Products, convolutions and tables of bf16 and f16: operands go through the narrow type and back, so that products are exact and sums are of f32.
std::vector<onnx::NodeProto> makeNarrowNodes(ModelGraph &model, const Layer &layer, LayerRecipe &entry);

/// Writes layers of the scheme int8 and the roundings of values that they read.
class ByteForms {
public:
  ByteForms(ModelGraph &model, const Recipe &recipe) : model(model), recipe(recipe), domain(model.getQuantizeDomain()) {}

  /// Appends nodes that round a value to bytes and restore it. What is written later reads the restored one.
  void addRounding(const std::string &value, std::vector<onnx::NodeProto> &nodes);
  /// Lets a node read a restored value instead of a plain one.
  void redirect(std::string &input) const;
  /// Appends a layer, whose input has been rounded.
  void addLayer(const Layer &layer, LayerRecipe &entry, std::vector<onnx::NodeProto> &nodes);

private:
  /// Weights as bytes, with a scale for each output channel.
  struct ByteWeights {
    std::string name;
    std::vector<float> scales;
    uint64_t bytesAfter = 0;
    double sqnr = 0;
  };

  onnx::NodeProto makeNode(const char *op, const std::string &name, std::initializer_list<std::string> inputs, const std::string &output);
  onnx::NodeProto makeWeights(const Layer &layer, RoundingMethod rounding, ByteWeights &made);
  void addBias(const Layer &layer, const std::vector<float> &scales, onnx::NodeProto &node, std::vector<onnx::NodeProto> &nodes);

  ModelGraph &model;
  const Recipe &recipe;
  std::string domain;
  std::map<std::string, std::string> restored;
  std::map<std::string, ByteWeights> byteWeights;
};

} // namespace onager::compress

#endif
