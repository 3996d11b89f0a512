// Where factors of channels can be moved: from what makes a value into the layers that read it.
//
//   x = Relu(Conv(.., W1, b1)), y = Conv(x, W2)   ->   W1 / s and b1 / s by output channel, W2 * s by input channel
//
// A positive factor passes through what is positively homogeneous in each channel (ReLU, LeakyReLU, PReLU, pooling), and is taken up by a layer's weights and bias, by a normalisation's scale and bias, or by a
// product with a constant.
#ifndef ONAGER_LIB_COMPRESS_SCALING_SITES_H
#define ONAGER_LIB_COMPRESS_SCALING_SITES_H

#include "lib/Compress/Layer.h"

namespace onager::compress {

/// A constant that takes up factors along one of its dims: an operand of the node that gives `output`.
struct Absorber {
  std::string output;
  int input = 0;
  size_t axis = 0;
};

/// A value that layers sum over.
struct ScalingSite {
  std::string value;
  int64_t channels = 0;
  std::vector<Layer> readers;        ///< the layers that read the value
  std::vector<Absorber> absorbers;   ///< what takes up the factors' reciprocals
  std::string obstacle;              ///< why none does; "" where factors can be folded
  std::optional<Layer> producer;     ///< the layer whose output channels the value's are, if nothing but a bias or its BatchNormalization is scaled in between
  /// True where each channel of the value goes to outputs of its own alone, as in depthwise convolutions.
  bool isDepthwise() const;
  /// True where a product with a constant may be put in front of the layers instead: they are all products, or depthwise convolutions of images.
  bool canInsert() const;
};

/// Lists the values that layers read, in the graph's order, but for those of products whose left operand is transposed.
std::vector<ScalingSite> listSites(const ModelGraph &model);

/// Divides the channels of a site's value by positive factors, and multiplies its readers' weights by them. `isInserted`: by a Mul in front of the readers, whose output is the value's name with
/// "_scaled" behind it, rather than by the absorbers. Sites listed before are void afterwards.
void applyFactors(ModelGraph &model, const ScalingSite &site, const std::vector<float> &factors, bool isInserted);

} // namespace onager::compress

#endif
