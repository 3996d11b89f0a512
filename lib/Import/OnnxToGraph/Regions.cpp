// Convolutions at moved places and pooling of regions: kernels of runtime/ops read the pixels, what is around them is graph operations.
#include "lib/Import/OnnxToGraph/Window.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// The type that the kernels compute with: f64 for f64, else f32.
Type widen(Emitter &e, Value x) { return x && Emitter::elementOf(x).isF64() ? Emitter::elementOf(x) : e.f32(); }

/// DeformConv: the kernel `deform` gathers the windows, which are multiplied by the filters.
void importDeformConv(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), filter = node.in(1), offset = node.in(2), mask = node.opt(4), bias = node.opt(3);
  if (!x || !filter || !offset)
    return;
  if (Emitter::rankOf(x) != 4 || Emitter::rankOf(filter) != 4 || Emitter::rankOf(offset) != 4)
    return void(e.fail("ranks " + Twine(Emitter::rankOf(x)) + ", " + Twine(Emitter::rankOf(filter)) + " and " + Twine(Emitter::rankOf(offset)) + ", expected 4 each"));
  Dims dims = Emitter::dimsOf(x), w = Emitter::dimsOf(filter);
  Ints given = node.getInts("kernel_shape").value_or(Ints());
  Exprs kernel{w[2], w[3]};
  for (size_t k = 0; k < 2 && given.size() == 2; ++k)
    kernel[k] = e.unify(e.number(given[k]), w[2 + k], "kernel_shape and the filters' size");
  int64_t group = node.getInt("group", 1), offsetGroups = node.getInt("offset_group", 1);
  if (group < 1 || offsetGroups < 1)
    return void(e.fail("expected group and offset_group of at least 1, found " + Twine(group) + " and " + Twine(offsetGroups)));
  std::optional<Window> window = readWindow(node, x, kernel);
  if (!window)
    return;
  AffineExpr taps = normalize(kernel[0] * kernel[1]);
  Dims offsets{dims[0], normalize(taps * (offsetGroups * 2)), window->out[0], window->out[1]}, places = offsets;
  places[1] = normalize(taps * offsetGroups);
  for (size_t k = 0; k < 4; ++k)
    e.unify(Emitter::dimsOf(offset)[k], offsets[k], "dim " + Twine(k) + " of the offsets");
  AffineExpr pixels = normalize(window->out[0] * window->out[1]), perGroup = w[1];
  e.unify(dims[1], normalize(perGroup * group), "the channels of the input and those of all groups");
  Type wide = widen(e, x);
  mask = mask ? e.broadcast(e.cast(mask, wide), places) : e.splat(e.scalar(1, wide), places);
  if (e.hasFailed())
    return;
  Value extents = e.indexVector({kernel[0], kernel[1], window->low[0], window->low[1]});
  Ints params{window->strides[0], window->strides[1], window->dilations[0], window->dilations[1], offsetGroups, group};
  AffineExpr outputs = normalize(w[0].floorDiv(group)), depth = normalize(taps * perGroup);
  Value windows = e.call("deform", {e.cast(x, wide), e.cast(offset, wide), mask, extents}, params, {dims[0], e.number(group), pixels, depth}, wide);
  Value filters = e.transpose(e.reshape(e.cast(filter, wide), {e.number(group), outputs, perGroup, taps}), {0, 3, 2, 1});
  Value product = e.transpose(e.matmul(windows, e.reshape(filters, {e.number(group), depth, outputs})), {0, 1, 3, 2});
  Value y = e.cast(e.reshape(product, {dims[0], w[0], window->out[0], window->out[1]}), Emitter::elementOf(x));
  node.set(0, bias ? addChannelBias(e, y, bias) : y);
}

void importRoiAlign(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), rois = node.in(1), images = node.in(2);
  std::string mode = node.getString("mode", "avg"), place = node.getString("coordinate_transformation_mode", node.opset < 16 ? "output_half_pixel" : "half_pixel");
  int64_t height = node.getInt("output_height", 1), width = node.getInt("output_width", 1), ratio = node.getInt("sampling_ratio", 0);
  if (!x || !rois || !images)
    return;
  if ((mode != "avg" && mode != "max") || (place != "half_pixel" && place != "output_half_pixel"))
    return void(e.fail("mode '" + mode + "', coordinate_transformation_mode '" + place + "' are not known"));
  if (Emitter::rankOf(x) != 4 || Emitter::rankOf(rois) != 2 || Emitter::rankOf(images) != 1 || height < 0 || width < 0 || ratio < 0 || ratio > 4096)
    return void(e.fail("expected ranks 4, 2 and 1, output_height and output_width of at least 0, and a sampling_ratio from 0 to 4096"));
  Dims regions = Emitter::dimsOf(rois);
  e.unify(regions[1], e.number(4), "the numbers of a region");
  e.unify(regions[0], Emitter::dimsOf(images)[0], "the number of regions and that of their batch indices");
  Type wide = widen(e, x);
  Value scale = e.scalar(node.getFloat("spatial_scale", 1), wide);
  if (e.hasFailed())
    return;
  Dims out{regions[0], Emitter::dimsOf(x)[1], e.number(height), e.number(width)};
  Value y = e.call("roi_align", {e.cast(x, wide), e.cast(rois, wide), e.cast(images, e.i64()), scale}, {ratio, mode == "max", place == "half_pixel"}, out, wide);
  node.set(0, e.cast(y, Emitter::elementOf(x)));
}

void importMaxRoiPool(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), rois = node.in(1);
  Ints shape = node.getInts("pooled_shape").value_or(Ints());
  if (!x || !rois)
    return;
  if (Emitter::rankOf(x) != 4 || Emitter::rankOf(rois) != 2 || shape.size() != 2 || shape[0] < 1 || shape[1] < 1)
    return void(e.fail("expected ranks 4 and 2, and a pooled_shape of two extents of at least 1"));
  Dims regions = Emitter::dimsOf(rois);
  e.unify(regions[1], e.number(5), "the numbers of a region");
  Type wide = widen(e, x);
  Dims out{regions[0], Emitter::dimsOf(x)[1], e.number(shape[0]), e.number(shape[1])};
  Value y = e.call("max_roi_pool", {e.cast(x, wide), e.cast(rois, wide), e.scalar(node.getFloat("spatial_scale", 1), e.f32())}, {}, out, wide);
  node.set(0, e.cast(y, Emitter::elementOf(x)));
}

/// Determinants of square matrices.
void importDet(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), flat = flattenMatrices(node, x);
  if (!flat)
    return;
  Value y = e.call("det", {flat}, {}, {Emitter::dimsOf(flat)[0]}, Emitter::elementOf(flat));
  Dims dims = Emitter::dimsOf(x);
  node.set(0, e.cast(e.reshape(y, ArrayRef(dims).drop_back(2)), Emitter::elementOf(x)));
}

} // namespace

Value flattenMatrices(Node &node, Value x) {
  Emitter &e = node.e;
  if (!x)
    return {};
  Dims dims = Emitter::dimsOf(x);
  if (dims.size() < 2)
    return e.fail("expected rank 2 or more, found rank " + Twine(dims.size()));
  AffineExpr size = e.unify(dims.back(), dims[dims.size() - 2], "the rows and columns of a matrix");
  return e.reshape(e.cast(x, widen(e, x)), {Emitter::product(ArrayRef(dims).drop_back(2), e.context()), size, size});
}

void addRegions(OperatorTable &table) {
  table.add("DeformConv", importDeformConv);
  table.add("RoiAlign", importRoiAlign);
  table.add("MaxRoiPool", importMaxRoiPool);
  table.add("Det", importDet);
}

} // namespace onager::frontend
