// What a layer multiplies its weights by, as rows; and its weights as rows.
#ifndef ONAGER_LIB_COMPRESS_PRUNE_UNFOLD_H
#define ONAGER_LIB_COMPRESS_PRUNE_UNFOLD_H

#include "lib/Compress/Layer.h"

namespace onager::compress {

/// Rows of so many terms, one after the other.
struct Rows {
  size_t count = 0, terms = 0;
  std::vector<float> values;
};

/// The number of terms that each element of a layer's output sums over.
size_t countTerms(const Layer &layer);
size_t countGroups(const Layer &layer);

/// Each `step`-th row that a layer reads: of a product a row of its input; of a convolution what lies under the kernel for a pixel of the output, of the channels of one group. `dims` are those
/// of the input. No rows for products whose left operand is transposed.
Rows unfold(const Layer &layer, const std::vector<int64_t> &dims, const float *input, size_t group, size_t step);

/// Each `step`-th row of a layer's output: its channels at one place.
Rows listOutputs(const Layer &layer, const std::vector<int64_t> &dims, const float *output, size_t step);

/// How many terms of a row of a layer's weights lie together in the constant.
size_t countInner(const Layer &layer);
/// Where an element of such a constant lies among rows of so many terms.
inline size_t findInRows(size_t element, size_t rows, size_t terms, size_t inner) { return element / inner % rows * terms + element / (inner * rows) * inner + element % inner; }

/// The weights as [outputs or rows of a table, terms], and back into the model.
Rows readMatrix(const ModelGraph &model, const Layer &layer);
void writeMatrix(ModelGraph &model, const Layer &layer, const Rows &rows);
/// Replaces the elements of a constant of f32.
void writeConstant(ModelGraph &model, const std::string &name, const std::vector<float> &values);

} // namespace onager::compress

#endif
