// Positions of taps, and what products of bytes need of a processor; see Int8.h.
#include "dialects/Kernel/IR/Int8.h"
#include "dialects/Kernel/IR/Kernel.h"

namespace onager::kernel {

Int8Window makeInt8Window(llvm::ArrayRef<int64_t> kernel, llvm::ArrayRef<int64_t> strides, llvm::ArrayRef<int64_t> dilations) {
  Int8Window window;
  for (size_t d = 0; d < kernel.size(); ++d) {
    size_t place = d + window.kernel.size() - kernel.size();
    window.kernel[place] = kernel[d];
    window.strides[place] = strides[d];
    window.dilations[place] = dilations[d];
  }
  return window;
}

TapPosition getTapPosition(const Int8Window &window, int64_t row, int64_t column) {
  int64_t y = row * window.dilations[0], x = column * window.dilations[1];
  return {y % window.strides[0] * window.strides[1] + x % window.strides[1], y / window.strides[0], x / window.strides[1]};
}

std::vector<TapQuad> getTapQuads(const Int8Window &window) {
  std::vector<TapQuad> quads;
  for (int64_t row = 0; row < window.kernel[0]; ++row)
    for (int64_t column = 0; column < window.kernel[1]; column += kQuad) {
      int64_t y = row * window.dilations[0];
      TapQuad quad{y % window.strides[0], y / window.strides[0], column * window.dilations[1], {-1, -1, -1, -1}};
      for (int64_t k = 0; k < kQuad && column + k < window.kernel[1]; ++k)
        quad.taps[k] = row * window.kernel[1] + column + k;
      quads.push_back(quad);
    }
  return quads;
}

bool canSlide(const Int8Window &window, const Int8Layout &layout) {
  return (layout.lanes - 1) * window.strides[1] + (kQuad - 1) * window.dilations[1] < layout.lanes * kQuad;
}

template <typename Op>
static bool hasAny(mlir::Operation *root, bool (Op::*isSo)()) {
  auto visit = [&](Op op) { return (op.*isSo)() ? mlir::WalkResult::interrupt() : mlir::WalkResult::advance(); };
  return root->walk(visit).wasInterrupted();
}

bool usesAmx(mlir::Operation *root) { return hasAny(root, &Int8GemmOp::getAmx); }
bool usesBf16x3(mlir::Operation *root) {
  return hasAny(root, &GemmOp::getBf16x3) || root->walk([](Bf16x3ConvOp) { return mlir::WalkResult::interrupt(); }).wasInterrupted();
}
bool usesAmxBf16(mlir::Operation *root) { return usesBf16x3(root) || hasAny(root, &Bf16GemmOp::getAmx); }

} // namespace onager::kernel
