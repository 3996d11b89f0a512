// Biases that make up for what rounding changes on average (bias correction, Nagel et al. 2019).
#ifndef ONAGER_LIB_COMPRESS_BIASSHIFT_H
#define ONAGER_LIB_COMPRESS_BIASSHIFT_H

#include "lib/Compress/Layer.h"

namespace onager::compress {

/// Adds each layer's shift to its bias, to that of the addition behind it, or, where it has neither of its own, to a new one.
void shiftBiases(ModelGraph &model, const Recipe &recipe);

/// The name of the input that shifts while the model runs.
constexpr const char *kShifts = "shifts of layers";

/// A rewritten model that gets one more input, kShifts, f32 [sum of channels], added to the values of layers, one after the other; and, behind its outputs, in this order, the mean of each channel of each of these
/// values, [1, channels].
struct ShiftedLayer {
  std::string value; ///< the layer's output
  int64_t channels = 0;
  size_t rank = 0;   ///< of a convolution; 0 for products, whose channels are the last dim
};
std::string serializeShiftable(const ModelGraph &model, const std::vector<ShiftedLayer> &layers, bool hasInput);

} // namespace onager::compress

#endif
