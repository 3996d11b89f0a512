// Rounding that knows what the inputs look like: GPTQ (Frantar et al. 2022).
#ifndef ONAGER_LIB_COMPRESS_GPTQ_H
#define ONAGER_LIB_COMPRESS_GPTQ_H

#include "lib/Compress/Cholesky.h"
#include "lib/Compress/Rounding.h"

namespace onager::compress {

/// Rounds the weights of a product, [outputs, terms], to groups of `size` terms with integer zero points: for each output its groups, one after the other.
/// Terms are rounded in turn, and each one's error is made up for by the weights that follow, as the inverse of the Gram matrix says. A hundredth of the mean of the
/// diagonal is added to it; terms that were always 0 count for as much as that.
std::vector<RoundedGroup> roundByGram(std::vector<float> weights, size_t outputs, const Gram &gram, size_t size, int bits);

} // namespace onager::compress

#endif
