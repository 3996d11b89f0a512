// The sliding window of convolution and pooling, read from attributes.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_WINDOW_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_WINDOW_H

#include "lib/Import/OnnxToGraph/Importer.h"

namespace onager::frontend {

struct Window {
  Ints kernel, strides, dilations;
  Exprs low, high; // padding before and behind, per spatial dim
  Exprs out;       // spatial extents of the result
  bool ceil = false;

  int64_t extentOf(size_t k) const { return (kernel[k] - 1) * dilations[k] + 1; }
};

/// Reads kernel_shape (or takes `kernel`), strides, dilations, pads, auto_pad and computes the result's extents; nullopt after a failure.
std::optional<Window> readWindow(Node &node, mlir::Value x, std::optional<Ints> kernel);
/// Reads one list of positive numbers per spatial dim.
std::optional<Ints> readSpatial(Node &node, llvm::StringRef name, size_t count, int64_t otherwise);
/// Adds a bias [C] to dim 1.
mlir::Value addChannelBias(Emitter &e, mlir::Value x, mlir::Value bias);

} // namespace onager::frontend

#endif
