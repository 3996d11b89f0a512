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

/// What Col2Im is told, over `image.size()` spatial dims.
struct Blocks {
  Exprs image, extent, positions; ///< extents of the image, of a block, and how many blocks there are along each dim
  Ints strides, dilations, pads;
};

std::optional<Blocks> readBlocks(Node &node) {
  Emitter &e = node.e;
  Blocks blocks{e.contentsOrBind(node.in(1)), e.contentsOrBind(node.in(2)), {}, {}, {}, {}};
  size_t count = blocks.image.size();
  blocks.pads = node.getInts("pads").value_or(Ints(2 * count, 0));
  std::optional<Ints> strides = readSpatial(node, "strides", count, 1), dilations = readSpatial(node, "dilations", count, 1);
  if (e.hasFailed() || !strides || !dilations)
    return std::nullopt;
  if (blocks.extent.size() != count || blocks.pads.size() != 2 * count) {
    e.fail(Twine(count) + " extents of the image, " + Twine(blocks.extent.size()) + " of a block, " + Twine(blocks.pads.size()) + " pads do not fit together");
    return std::nullopt;
  }
  blocks.strides = *strides;
  blocks.dilations = *dilations;
  for (size_t k = 0; k < count; ++k) {
    blocks.image[k] = e.maxOf(blocks.image[k], e.number(0));
    blocks.extent[k] = e.maxOf(blocks.extent[k], e.number(1));
    AffineExpr span = normalize(blocks.image[k] + (blocks.pads[k] + blocks.pads[k + count]) - (blocks.extent[k] - 1) * blocks.dilations[k] - 1);
    blocks.positions.push_back(e.maxOf(normalize(span.floorDiv(blocks.strides[k]) + 1), e.number(0)));
  }
  return blocks;
}

/// Adds blocks (columns) back into the image they were cut from.
void importCol2Im(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  std::optional<Blocks> blocks = readBlocks(node);
  if (!x || !blocks)
    return;
  if (Emitter::rankOf(x) != 3 || blocks->image.empty())
    return void(e.fail("expected rank 3 and an image of rank 1 or more, found ranks " + Twine(Emitter::rankOf(x)) + " and " + Twine(blocks->image.size())));
  Dims dims = Emitter::dimsOf(x);
  AffineExpr size = Emitter::product(blocks->extent, e.context());
  std::optional<int64_t> elements = graph::getConstant(size), columns = graph::getConstant(dims[1]);
  if (elements && columns && *columns % *elements)
    return void(e.fail(Twine(*columns) + " columns for blocks of " + Twine(*elements) + " elements"));
  if (isa<StringType>(Emitter::elementOf(x)))
    return void(e.fail("blocks that overlap are added: expected numbers, found strings"));
  AffineExpr channels = normalize(dims[1].floorDiv(size));
  e.unify(dims[1], normalize(channels * size), "the rows of columns and a multiple of the elements of a block");
  e.unify(dims[2], Emitter::product(blocks->positions, e.context()), "the columns and the number of blocks");
  Dims out{dims[0], channels};
  out.append(blocks->image);
  node.set(0, e.make<Col2ImOp>(out, Emitter::elementOf(x), x, e.exprs(blocks->extent), e.exprs(blocks->positions), blocks->strides, blocks->dilations,
                               ArrayRef(blocks->pads).take_front(blocks->image.size())));
}

} // namespace

void addVision(OperatorTable &table) {
  table.add("ImageScaler", importImageScaler);
  table.add("Crop", importCrop);
  table.add("Col2Im", importCol2Im);
}

} // namespace onager::frontend
