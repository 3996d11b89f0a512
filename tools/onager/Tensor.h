// Tensors and their files under the tool's names, and random ones.
#ifndef ONAGER_TOOLS_TENSOR_H
#define ONAGER_TOOLS_TENSOR_H

#include "runtime/formats/Tensor.h"

namespace onager::cli {

using formats::adaptType;
using formats::describeDims;
using formats::formatNpy;
using formats::getElement;
using formats::getTypeName;
using formats::makeFileName;
using formats::makeTensor;
using formats::readArchive;
using formats::readTensor;
using formats::Tensor;

/// Fills a tensor: floats in [-1, 1), 8-bit integers of the whole range, wider ones in [0, 10) since they are mostly indices; texts of up to three letters.
/// The same state gives the same numbers on every machine.
void fillRandom(Tensor &tensor, uint64_t &state);

} // namespace onager::cli

#endif
