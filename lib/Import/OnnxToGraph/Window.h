// The sliding window of convolution and pooling, read from attributes.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_WINDOW_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_WINDOW_H

#include "lib/Import/OnnxToGraph/Importer.h"

namespace onager::frontend {

struct Window {
  Exprs kernel; // a filter's extents need not be known
  Ints strides, dilations;
  Exprs low, high; // padding before and behind, per spatial dim
  Exprs out;       // spatial extents of the result
  bool ceil = false;

  mlir::AffineExpr extentOf(size_t k) const { return normalize((kernel[k] - 1) * dilations[k] + 1); }
  /// Returns the kernel's extents. REQUIRES: they are constants, as those of an attribute are.
  Ints getKernel() const;
};

/// Reads kernel_shape (or takes `kernel`), strides, dilations, pads, auto_pad and computes the result's extents; nullopt after a failure.
std::optional<Window> readWindow(Node &node, mlir::Value x, std::optional<Exprs> kernel = std::nullopt);
/// Reads one list of positive numbers per spatial dim.
std::optional<Ints> readSpatial(Node &node, llvm::StringRef name, size_t count, int64_t otherwise);
/// Adds a bias [C] to dim 1.
mlir::Value addChannelBias(Emitter &e, mlir::Value x, mlir::Value bias);

} // namespace onager::frontend

#endif
