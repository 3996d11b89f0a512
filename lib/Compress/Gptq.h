// Rounding that knows what the inputs look like: GPTQ (Frantar et al. 2022).
#ifndef ONAGER_LIB_COMPRESS_GPTQ_H
#define ONAGER_LIB_COMPRESS_GPTQ_H

#include "lib/Compress/Rounding.h"

namespace onager::compress {

/// X^T X of all rows that a layer read: terms x terms, row-major.
struct Gram {
  size_t terms = 0;
  std::vector<double> values;
  void add(const float *product, size_t count);
  /// A thousandth of the mean of the diagonal, which is added to it: terms that were always 0 count for as much as that.
  double getDamping() const;
};

/// Weights W' of a product, [outputs, terms], that come nearest, on the rows X of `gram`, to what the weights W make of other rows Y, where `cross` is Y^T X: the least squares
/// W' = W + W (Y^T X - X^T X) (X^T X + damping)^-1, which stays at W where the rows are the same.
void fitToOtherRows(std::vector<float> &weights, size_t outputs, const Gram &gram, const Gram &cross);

/// Rounds the weights of a product, [outputs, terms], to groups of `size` terms with integer zero points: for each output its groups, one after the other.
/// Terms are rounded in turn, and each one's error is made up for by the weights that follow, as the inverse of the Gram matrix says. What comes out is then improved by `descend`.
std::vector<RoundedGroup> roundByGram(std::vector<float> weights, size_t outputs, const Gram &gram, size_t size, int bits);

/// Lowers the error of rounded weights on the rows of `gram` by coordinate descent: in turns each integer, and the scale of each group, moves to its best beside the others.
void descend(const std::vector<float> &weights, size_t outputs, const Gram &gram, size_t size, int bits, std::vector<RoundedGroup> &groups);

} // namespace onager::compress

#endif
