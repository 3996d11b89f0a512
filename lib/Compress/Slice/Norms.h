// Normalisations over the last dim, in one node or as exporters write them out.
#ifndef ONAGER_LIB_COMPRESS_SLICE_NORMS_H
#define ONAGER_LIB_COMPRESS_SLICE_NORMS_H

#include "lib/Compress/Prune/Shapes.h"

namespace onager::compress {

/// y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) * scale + bias, or without the mean: RMSNorm.
struct Norm {
  std::string input, output;
  int64_t width = 0;
  bool isCentred = false;
  double epsilon = 0;
  std::string scale, bias;     ///< constants of one number for each channel; "" where there is none
  std::string op;              ///< of a norm in one node, else ""
  std::set<std::string> nodes; ///< first outputs of the nodes that it takes
};

/// Lists the nodes that read a value, once each, in the graph's order; those with branches read what these read.
class Readers {
public:
  explicit Readers(const ModelGraph &model);
  const std::vector<const onnx::NodeProto *> &list(const std::string &value) const;
  bool isOutput(const std::string &value) const { return outputs.count(value); }

private:
  std::map<std::string, std::vector<const onnx::NodeProto *>> readers;
  std::set<std::string> outputs;
};

/// Puts an Add and a norm in the place of each SkipLayerNormalization and SkipSimplifiedLayerNormalization.
void splitSkips(ModelGraph &model);

/// Lists norms whose input is f32 of a known width, in the graph's order: LayerNormalization, RMSNormalization, SimplifiedLayerNormalization, and a quotient of values and the square root of the mean of their squares.
std::vector<Norm> listNorms(const ModelGraph &model, const Readers &readers, const Shapes &shapes);

/// True for a constant of one element; `value` is its element.
bool isNumber(const ModelGraph &model, const std::string &name, float *value = nullptr);

} // namespace onager::compress

#endif
