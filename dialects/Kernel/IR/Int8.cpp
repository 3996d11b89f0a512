// Positions of taps; see Int8.h.
#include "dialects/Kernel/IR/Int8.h"

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

/// Adds a tap to a quad of its row and phase that has room at its column, or opens one.
static void addTap(std::vector<TapQuad> &quads, size_t firstOfRow, const TapPosition &position, int64_t tap) {
  for (size_t k = firstOfRow; k < quads.size(); ++k) {
    int64_t place = position.column - quads[k].position.column;
    if (quads[k].position.phase != position.phase || place < 0 || place >= kQuad)
      continue;
    quads[k].taps[place] = tap;
    return;
  }
  quads.push_back({position, {tap, -1, -1, -1}});
}

std::vector<TapQuad> getTapQuads(const Int8Window &window) {
  std::vector<TapQuad> quads;
  for (int64_t row = 0; row < window.kernel[0]; ++row) {
    size_t first = quads.size();
    for (int64_t column = 0; column < window.kernel[1]; ++column)
      addTap(quads, first, getTapPosition(window, row, column), row * window.kernel[1] + column);
  }
  return quads;
}

} // namespace onager::kernel
