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

/// As a transposed convolution whose filter puts element k of a block at place k; for blocks of known size.
Value addByConvolution(Emitter &e, Value x, const Blocks &blocks, int64_t size, int64_t columns) {
  int64_t channels = columns / size;
  std::vector<double> identity(size * size, 0);
  for (int64_t k = 0; k < size; ++k)
    identity[k * size + k] = 1;
  Dims spatial{Emitter::dimsOf(x)[0], e.number(columns)}, out{Emitter::dimsOf(x)[0], e.number(channels)}, filterDims = e.numbers({columns, 1});
  spatial.append(blocks.positions);
  out.append(blocks.image);
  filterDims.append(blocks.extent);
  Type type = Emitter::elementOf(x);
  Value filter = e.reshape(e.broadcast(e.tensor(identity, {1, size, size}, type), e.numbers({channels, size, size})), filterDims);
  Value y = e.reshape(x, spatial);
  AffineMap pads = e.exprs(e.numbers(ArrayRef(blocks.pads).take_front(blocks.image.size())));
  return filter && y ? e.make<ConvTransposeOp>(out, type, y, filter, blocks.strides, pads, blocks.dilations, channels) : Value();
}

/// By scattering each element to its place in the image; those outside go to one place behind it.
Value addByScatter(Emitter &e, Value x, const Blocks &blocks) {
  Dims dims = Emitter::dimsOf(x), grid;
  grid.append(blocks.extent);
  grid.append(blocks.positions);
  size_t count = blocks.image.size();
  AffineExpr size = Emitter::product(blocks.extent, e.context()), pixels = Emitter::product(blocks.image, e.context());
  AffineExpr channels = normalize(dims[1].floorDiv(size)), places = Emitter::product(grid, e.context());
  Value index = e.integerScalar(0, e.i64()), inside;
  for (size_t k = 0; k < count; ++k) {
    Value within = e.mul(e.iota(grid, static_cast<int64_t>(k), e.i64()), e.integerScalar(blocks.dilations[k], e.i64()));
    Value start = e.mul(e.iota(grid, static_cast<int64_t>(count + k), e.i64()), e.integerScalar(blocks.strides[k], e.i64()));
    Value at = e.add(e.add(within, start), e.integerScalar(-blocks.pads[k], e.i64())), extent = e.indexTensor({blocks.image[k]}, {}, e.i64());
    Value fits = e.binary<AndOp>(e.compare<LessEqualOp>(e.integerScalar(0, e.i64()), at), e.compare<LessOp>(at, extent));
    inside = inside ? e.binary<AndOp>(inside, fits) : fits;
    index = e.add(e.mul(index, extent), at);
  }
  if (!inside)
    return {};
  index = e.select(inside, index, e.indexTensor({pixels}, {}, e.i64()));
  Dims updates{dims[0], channels, places}, out{dims[0], channels};
  out.append(blocks.image);
  Value base = e.splat(e.scalar(0, Emitter::elementOf(x)), {dims[0], channels, normalize(pixels + 1)});
  Value all = e.broadcast(e.reshape(index, {e.number(1), e.number(1), places}), updates);
  Value sum = e.scatterElements(base, all, e.reshape(x, updates), 2, ScatterKind::add);
  return e.reshape(e.sliceAxis(sum, 2, e.number(0), pixels), out);
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
  std::optional<int64_t> size = graph::getConstant(Emitter::product(blocks->extent, e.context())), columns = graph::getConstant(Emitter::dimsOf(x)[1]);
  if (size && columns && *columns % *size)
    return void(e.fail(Twine(*columns) + " columns for blocks of " + Twine(*size) + " elements"));
  if (isa<graph::StringType>(Emitter::elementOf(x)))
    return void(e.fail("blocks that overlap are added: expected numbers, found strings"));
  constexpr int64_t kLargestFilter = 4096;
  node.set(0, size && columns && *size <= kLargestFilter ? addByConvolution(e, x, *blocks, *size, *columns) : addByScatter(e, x, *blocks));
}

} // namespace

void addVision(OperatorTable &table) {
  table.add("ImageScaler", importImageScaler);
  table.add("Crop", importCrop);
  table.add("Col2Im", importCol2Im);
}

} // namespace onager::frontend
