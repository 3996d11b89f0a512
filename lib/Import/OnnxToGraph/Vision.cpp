// Operators on images that are compositions of simpler ones.
#include "lib/Import/OnnxToGraph/Window.h"

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

/// Adds blocks (columns) back into the image they were cut from: a transposed convolution whose filter puts element k of a block at place k.
void importCol2Im(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  std::optional<Ints> block = e.constants(node.in(2));
  Exprs image = e.contentsOrBind(node.in(1));
  if (!x || e.hasFailed())
    return;
  int64_t size = 1;
  for (int64_t extent : block.value_or(Ints{0}))
    size *= extent > 0 && extent < (1 << 15) ? extent : 0;
  size_t count = image.size();
  std::optional<int64_t> columns = Emitter::rankOf(x) == 3 ? graph::getConstant(Emitter::dimsOf(x)[1]) : std::nullopt;
  Ints pads = node.getInts("pads").value_or(Ints(2 * count, 0));
  std::optional<Ints> strides = readSpatial(node, "strides", count, 1), dilations = readSpatial(node, "dilations", count, 1);
  if (!block || block->size() != count || size < 1 || size > 4096 || !columns || *columns % size || pads.size() != 2 * count || !strides || !dilations)
    return void(e.fail("expected rank 3, known blocks and as many columns as blocks have elements, per channel"));
  int64_t channels = *columns / size;
  std::vector<double> identity(size * size, 0);
  for (int64_t k = 0; k < size; ++k)
    identity[k * size + k] = 1;
  Dims spatial{Emitter::dimsOf(x)[0], e.number(*columns)}, out{Emitter::dimsOf(x)[0], e.number(channels)}, filterDims = e.numbers({*columns, 1});
  for (size_t k = 0; k < count; ++k) {
    AffineExpr span = normalize(image[k] + (pads[k] + pads[k + count] - (*dilations)[k] * ((*block)[k] - 1) - 1));
    spatial.push_back(normalize(span.floorDiv((*strides)[k]) + 1));
    out.push_back(e.maxOf(image[k], e.number(0)));
    filterDims.push_back(e.number((*block)[k]));
  }
  Type type = Emitter::elementOf(x);
  Value filter = e.reshape(e.broadcast(e.tensor(identity, {1, size, size}, type), e.numbers({channels, size, size})), filterDims);
  Value y = e.reshape(x, spatial);
  node.set(0, filter && y ? e.make<ConvTransposeOp>(out, type, y, filter, *strides, e.exprs(e.numbers(ArrayRef(pads).take_front(count))), *dilations, channels) : Value());
}

} // namespace

void addVision(OperatorTable &table) {
  table.add("ImageScaler", importImageScaler);
  table.add("Crop", importCrop);
  table.add("Col2Im", importCol2Im);
}

} // namespace onager::frontend
