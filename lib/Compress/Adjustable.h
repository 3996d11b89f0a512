// A model of int8 in which the range of each value is chosen when it runs.
#ifndef ONAGER_LIB_COMPRESS_ADJUSTABLE_H
#define ONAGER_LIB_COMPRESS_ADJUSTABLE_H

#include "lib/Compress/ModelGraph.h"

namespace onager::compress {

/// The names of the inputs that say what values are rounded with: f32 and u8, [values].
constexpr const char *kScales = "scales of values", *kZeroPoints = "zero points of values";

/// Lets the roundings of `values` in a rewritten model read their scales and zero points from two more inputs, kScales and kZeroPoints, in the order of `values`:
///
///   QuantizeLinear(values[k], scale, zero)  ->  QuantizeLinear(values[k], Gather(kScales, k), Gather(kZeroPoints, k))
///
/// and in the same way the DequantizeLinear behind it. Biases keep the steps that they were rounded with.
void makeAdjustable(ModelGraph &model, const std::vector<std::string> &values);

} // namespace onager::compress

#endif
