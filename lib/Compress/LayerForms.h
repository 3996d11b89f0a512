// Layers as nodes of other schemes.
#ifndef ONAGER_LIB_COMPRESS_LAYERFORMS_H
#define ONAGER_LIB_COMPRESS_LAYERFORMS_H

#include "lib/Compress/Gptq.h"
#include "lib/Compress/Layer.h"

namespace onager::compress {

/// 10 log10 of the squares of `values` over those of the differences to `rounded`.
double measureSqnr(const std::vector<float> &values, const std::vector<float> &rounded);

/// Lets a layer's node read other weights, of the dims of the old; where those were transposed, the node that does it for the new is appended.
void setWeights(ModelGraph &model, const Layer &layer, const std::string &weights, onnx::NodeProto &node, std::vector<onnx::NodeProto> &nodes);

/// Weights as bytes, [outputs, terms], with a scale for each output channel.
struct ByteMatrix {
  std::vector<int8_t> integers;
  std::vector<float> scales;
  size_t terms = 0;
  double sqnr = 0;
  /// The same in the order of a constant that holds so many terms of a row together: 1 for [terms, outputs].
  std::string arrange(size_t inner) const;
};
ByteMatrix roundToBytes(const ModelGraph &model, const Layer &layer, const LayerRecipe &entry);

/// The integers that rows of so many weights become by a recipe.
IntegerForm getForm(const LayerRecipe &entry, size_t terms);

/// The 16 levels of a scheme that has a codebook.
const float *getCodebook(Scheme scheme);

/// Rounds a row of a layer's weights as its recipe says, but for what needs data, and restores it.
void roundRow(const LayerRecipe &entry, float *row, size_t terms);

/// Products of a codebook of 16 levels, com.microsoft's MatMulBnb4; see its file.
std::vector<onnx::NodeProto> makeCodebookNodes(ModelGraph &model, const Layer &layer, LayerRecipe &entry);

/// A bias that is added behind a product.
onnx::NodeProto makeBias(const Layer &layer, const std::string &product);

/// Products with weights alone quantised, com.microsoft's MatMulNBits, and tables of such rows, com.microsoft's GatherBlockQuantized.
std::vector<onnx::NodeProto> makeBlockNodes(ModelGraph &model, const Layer &layer, LayerRecipe &entry);

/// Products, convolutions and tables of bf16 and f16: operands go through the narrow type and back, so that products are exact and sums are of f32.
std::vector<onnx::NodeProto> makeNarrowNodes(ModelGraph &model, const Layer &layer, LayerRecipe &entry);

/// Writes convolutions with weights alone quantised: DequantizeLinear of filters; see its file. Layers of one constant share it.
class FilterForms {
public:
  explicit FilterForms(ModelGraph &model) : model(model) {}
  void addLayer(const Layer &layer, LayerRecipe &entry, std::vector<onnx::NodeProto> &nodes);

private:
  /// Filters as a layer reads them.
  struct Filters {
    std::string name;
    uint64_t bytesAfter = 0;
    double sqnr = 0;
  };
  onnx::NodeProto makeRestoring(const Layer &layer, const std::string &domain, std::initializer_list<std::string> inputs, const std::string &output);
  Filters addBytes(const Layer &layer, const LayerRecipe &entry, std::vector<onnx::NodeProto> &nodes);
  Filters addNibbles(const Layer &layer, const LayerRecipe &entry, std::vector<onnx::NodeProto> &nodes);

  ModelGraph &model;
  std::map<std::string, Filters> made;
};

/// Writes layers of the scheme int8-dynamic: DynamicQuantizeLinear, MatMulInteger, and a product with both scales.
class DynamicForms {
public:
  explicit DynamicForms(ModelGraph &model) : model(model) {}
  /// Appends a layer. Layers of one input share its rounding.
  void addLayer(const Layer &layer, LayerRecipe &entry, std::vector<onnx::NodeProto> &nodes);

private:
  /// A value as bytes, with its scale and zero point.
  struct Rounded {
    std::string bytes, scale, zero;
  };
  const Rounded &round(const std::string &value, std::vector<onnx::NodeProto> &nodes);

  ModelGraph &model;
  std::map<std::string, Rounded> rounded;
};

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
  void widenSteps(const Layer &layer, ByteMatrix &matrix) const;
  onnx::NodeProto makeWeights(const Layer &layer, const LayerRecipe &entry, ByteWeights &made);
  void addBias(const Layer &layer, const std::vector<float> &scales, onnx::NodeProto &node, std::vector<onnx::NodeProto> &nodes);

  ModelGraph &model;
  const Recipe &recipe;
  std::string domain;
  std::map<std::string, std::string> restored;
  std::map<std::string, ByteWeights> byteWeights;
};

} // namespace onager::compress

#endif
