// Operators on images that are compositions of simpler ones.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// scale * x + bias[channel]; of opset 1's experimental operators.
void importImageScaler(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  std::vector<double> bias = node.getFloats("bias").value_or(std::vector<double>());
  Value scaled = e.mulNumber(x, node.getFloat("scale", 1));
  if (bias.empty())
    return node.set(0, scaled);
  if (Emitter::rankOf(x) != 4)
    return void(e.fail("expected rank 4"));
  node.set(0, e.add(scaled, e.tensor(bias, {1, static_cast<int64_t>(bias.size()), 1, 1}, Emitter::elementOf(x))));
}

/// Cuts a border (left, top, right, bottom) off, or a window of size `scale` at the border's top left corner.
void importCrop(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  Ints border = node.getInts("border").value_or(Ints()), window = node.getInts("scale").value_or(Ints());
  if (!x)
    return;
  if (Emitter::rankOf(x) != 4 || border.size() != 4 || (!window.empty() && window.size() != 2))
    return void(e.fail("expected rank 4, a border of 4 numbers and no scale or one of 2 numbers"));
  Dims dims = Emitter::dimsOf(x);
  for (size_t k = 0; k < 2; ++k) {
    AffineExpr start = e.number(border[1 - k]), end = normalize(dims[2 + k] - border[3 - k]);
    AffineExpr size = window.empty() ? e.maxOf(normalize(end - start), e.number(0)) : e.number(window[k]);
    x = e.sliceAxis(x, static_cast<int64_t>(2 + k), start, size);
  }
  node.set(0, x);
}

} // namespace

void addVision(OperatorTable &table) {
  table.add("ImageScaler", importImageScaler);
  table.add("Crop", importCrop);
}

} // namespace onager::frontend
