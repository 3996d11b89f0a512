// Sampling of images at coordinates: GridSample reads the pixels around them, with weights by the distance; AffineGrid makes them.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

enum class Border { zeros, border, reflection };

/// One pixel along one dim, for every output position [N, P].
struct Tap {
  Value index;  ///< i64, inside the dim
  Value weight; ///< null: 1
  Value inside; ///< i1: counts; null: always
};

/// One spatial dim of the input.
struct Axis {
  Value size;      ///< as a float scalar
  Value low, high; ///< between which coordinates are reflected
  AffineExpr extent;
};

class Sampler {
public:
  Sampler(Emitter &e, Border border, bool alignCorners) : e(e), border(border), alignCorners(alignCorners) {}

  Axis makeAxis(AffineExpr extent, Type type) {
    Value size = e.cast(e.indexTensor({extent}, {}, e.i64()), type);
    return {size, e.scalar(alignCorners ? 0 : -0.5, type), e.addNumber(size, alignCorners ? -1 : -0.5), extent};
  }

  /// From [-1, 1] to pixels; aligned corners put -1 and 1 on the centres of the outer pixels, else on their outer edges.
  Value denormalize(Value x, const Axis &axis) {
    Value raised = e.addNumber(x, 1);
    if (alignCorners)
      return e.mul(e.mulNumber(raised, 0.5), e.addNumber(axis.size, -1));
    return e.mulNumber(e.addNumber(e.mul(raised, axis.size), -1), 0.5);
  }

  /// Brings a coordinate inside, as the border mode says.
  Value confine(Value x, const Axis &axis) {
    if (border == Border::border)
      return e.minimum(e.maximum(x, e.scalar(0, Emitter::elementOf(x))), e.addNumber(axis.size, -1));
    if (border == Border::zeros)
      return x;
    Type type = Emitter::elementOf(x);
    Value range = e.sub(axis.high, axis.low), twice = e.mulNumber(range, 2), isPoint = e.compare<LessEqualOp>(range, e.scalar(0, type));
    Value offset = e.mod(e.sub(x, axis.low), e.select(isPoint, e.scalar(1, type), twice), false);
    offset = e.select(e.compare<LessOp>(range, offset), e.sub(twice, offset), offset);
    Value isInside = both(e.compare<LessEqualOp>(axis.low, x), e.compare<LessEqualOp>(x, axis.high));
    return e.select(isInside, x, e.select(isPoint, axis.low, e.add(axis.low, offset)));
  }

  /// The pixel at a whole coordinate.
  Tap at(Value x, Value weight, const Axis &axis) {
    Type type = Emitter::elementOf(x);
    Tap tap{{}, weight, {}};
    if (border == Border::zeros)
      tap.inside = both(e.compare<LessEqualOp>(e.scalar(0, type), x), e.compare<LessOp>(x, axis.size));
    Value index = e.cast(confine(x, axis), e.i64()), last = e.indexTensor({normalize(axis.extent - 1)}, {}, e.i64());
    tap.index = e.maximum(e.minimum(index, last), e.integerScalar(0, e.i64()));
    return tap;
  }

  SmallVector<Tap> getTaps(Value x, StringRef mode, const Axis &axis) {
    if (mode == "nearest")
      return {at(confine(e.unary<RoundOp>(x), axis), {}, axis)};
    // The four pixels of a cubic at the border are taken from there one by one.
    x = mode == "cubic" && border == Border::border ? x : confine(x, axis);
    Value floor = e.unary<FloorOp>(x), t = e.sub(x, floor), rest = e.sub(e.scalar(1, Emitter::elementOf(x)), t);
    if (mode == "linear")
      return {at(floor, rest, axis), at(e.addNumber(floor, 1), t, axis)};
    return {at(e.addNumber(floor, -1), weighFar(e.addNumber(t, 1)), axis), at(floor, weighNear(t), axis),
            at(e.addNumber(floor, 1), weighNear(rest), axis), at(e.addNumber(floor, 2), weighFar(e.addNumber(rest, 1)), axis)};
  }

  Value both(Value a, Value b) { return a && b ? e.binary<AndOp>(a, b) : a ? a : b; }

private:
  static constexpr double kCubic = -0.75;
  /// Cubic weight of a pixel less than 1 away.
  Value weighNear(Value t) {
    Value square = e.mul(t, t);
    return e.addNumber(e.mul(e.addNumber(e.mulNumber(t, kCubic + 2), -(kCubic + 3)), square), 1);
  }
  /// Cubic weight of a pixel between 1 and 2 away.
  Value weighFar(Value t) {
    Value inner = e.addNumber(e.mulNumber(t, kCubic), -5 * kCubic);
    return e.addNumber(e.mul(e.addNumber(e.mul(inner, t), 8 * kCubic), t), -4 * kCubic);
  }

  Emitter &e;
  Border border;
  bool alignCorners;
};

/// Sums x [N, C, S] over all combinations of one tap per dim.
Value sumTaps(Emitter &e, Sampler &sampler, Value x, ArrayRef<SmallVector<Tap>> taps, ArrayRef<Axis> axes) {
  Dims dims = Emitter::dimsOf(x), positions = Emitter::dimsOf(taps[0][0].index), line{positions[0], e.number(1), positions[1]};
  Dims full{positions[0], dims[1], positions[1]};
  Value sum;
  size_t total = 1;
  for (const auto &list : taps)
    total *= list.size();
  for (size_t combination = 0; combination < total && !e.hasFailed(); ++combination) {
    Value index, weight, inside;
    size_t rest = combination;
    for (auto [list, axis] : llvm::zip(taps, axes)) {
      const Tap &tap = list[rest % list.size()];
      rest /= list.size();
      Value extent = e.indexTensor({axis.extent}, {}, e.i64());
      index = index ? e.add(e.mul(index, extent), tap.index) : tap.index;
      weight = weight && tap.weight ? e.mul(weight, tap.weight) : tap.weight;
      inside = sampler.both(inside, tap.inside);
    }
    Value pixel = e.gatherElements(x, e.broadcast(e.reshape(index, line), full), 2);
    pixel = inside ? e.select(e.reshape(inside, line), pixel, e.scalar(0, Emitter::elementOf(x))) : pixel;
    pixel = weight ? e.mul(pixel, e.cast(e.reshape(weight, line), Emitter::elementOf(x))) : pixel;
    sum = sum ? e.add(sum, pixel) : pixel;
  }
  return sum;
}

void importGridSample(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), grid = node.in(1);
  if (!x || !grid)
    return;
  int64_t spatial = Emitter::rankOf(x) - 2;
  std::string mode = node.getString("mode", "linear"), padding = node.getString("padding_mode", "zeros");
  mode = mode == "bilinear" ? "linear" : mode == "bicubic" ? "cubic" : mode;
  bool isKnown = llvm::is_contained({"linear", "cubic", "nearest"}, mode) && llvm::is_contained({"zeros", "border", "reflection"}, padding);
  if (!isKnown || spatial < 1 || Emitter::rankOf(grid) != spatial + 2 || (mode == "cubic" && spatial > 2))
    return void(e.fail("mode '" + mode + "', padding_mode '" + padding + "', ranks " + Twine(spatial + 2) + " and " + Twine(Emitter::rankOf(grid)) + " are not supported"));
  Dims dims = Emitter::dimsOf(x), out = Emitter::dimsOf(grid);
  Type type = Emitter::elementOf(x);
  if (isa<graph::StringType>(type) && (mode != "nearest" || padding == "zeros"))
    return void(e.fail("strings have neither weights nor a zero: expected mode 'nearest' and padding_mode 'border' or 'reflection', found '" + mode + "' and '" + padding + "'"));
  e.unify(dims[0], out[0], "batches of data and grid");
  e.unify(out.back(), e.number(spatial), "the last dim of the grid and the number of spatial dims");
  AffineExpr positions = Emitter::product(ArrayRef(out).drop_front().drop_back(), e.context());
  Type wide = Emitter::elementOf(grid).isF64() ? Emitter::elementOf(grid) : e.f32();
  Value points = e.reshape(e.cast(grid, wide), {out[0], positions, e.number(spatial)});
  Border border = padding == "zeros" ? Border::zeros : padding == "border" ? Border::border : Border::reflection;
  Sampler sampler(e, border, node.getInt("align_corners", 0) != 0);
  SmallVector<SmallVector<Tap>> taps;
  SmallVector<Axis> axes;
  for (int64_t k = 0; k < spatial && !e.hasFailed(); ++k) {
    // The grid's first number belongs to the innermost dim.
    axes.push_back(sampler.makeAxis(dims[2 + k], wide));
    Value along = e.squeeze(e.sliceAxis(points, 2, spatial - 1 - k, 1), {2});
    taps.push_back(sampler.getTaps(sampler.denormalize(along, axes.back()), mode, axes.back()));
  }
  if (e.hasFailed())
    return;
  // Integers are weighed as floats and cut.
  Value data = Emitter::isFloat(x) || mode == "nearest" ? x : e.cast(x, wide);
  Value flat = e.reshape(data, {dims[0], dims[1], Emitter::product(ArrayRef(dims).drop_front(2), e.context())});
  Dims result{dims[0], dims[1]};
  result.append(out.begin() + 1, out.end() - 1);
  Value sum = flat ? sumTaps(e, sampler, flat, taps, axes) : Value();
  node.set(0, sum ? e.cast(e.reshape(sum, result), type) : Value());
}

/// Coordinates of the pixels of one dim in [-1, 1].
Value makeCoordinates(Emitter &e, AffineExpr extent, ArrayRef<AffineExpr> line, int64_t axis, Type type, bool alignCorners) {
  Value place = e.iota(line, axis, type), size = e.cast(e.indexTensor({extent}, {}, e.i64()), type);
  if (!alignCorners)
    return e.addNumber(e.div(e.addNumber(e.mulNumber(place, 2), 1), size), -1);
  // The only pixel of a dim lies in its middle.
  Value gaps = e.addNumber(size, -1), isOne = e.compare<LessOp>(gaps, e.scalar(0.5, type));
  Value spaced = e.addNumber(e.div(e.mulNumber(place, 2), e.select(isOne, e.scalar(1, type), gaps)), -1);
  return e.select(isOne, e.scalar(0, type), spaced);
}

/// The grid [N, spatial..., d] of coordinates under theta [N, d, d + 1]: a sum of theta's columns times coordinates, plus the last column.
void importAffineGrid(Node &node) {
  Emitter &e = node.e;
  Value theta = node.in(0);
  Exprs size = e.contentsOrBind(node.in(1));
  if (!theta || e.hasFailed())
    return;
  auto spatial = static_cast<int64_t>(size.size()) - 2;
  if (spatial != 2 && spatial != 3)
    return void(e.fail(Twine(size.size()) + " sizes, expected 4 or 5"));
  Type type = Emitter::elementOf(theta);
  Dims out{e.sizeOf(size[0], "a size")};
  for (int64_t k = 0; k < spatial; ++k)
    out.push_back(e.sizeOf(size[2 + k], "a size"));
  Dims column(spatial + 1, e.number(1));
  column[0] = out[0];
  column.push_back(e.number(spatial));
  auto columnOf = [&](int64_t k) { return e.reshape(e.sliceAxis(theta, 2, k, 1), column); };
  Value sum = columnOf(spatial);
  for (int64_t k = 0; k < spatial && !e.hasFailed(); ++k) {
    // Theta's first column belongs to the innermost dim.
    int64_t axis = spatial - k;
    Dims line(spatial + 2, e.number(1));
    line[axis] = out[axis];
    sum = e.add(sum, e.mul(columnOf(k), makeCoordinates(e, out[axis], line, axis, type, node.getInt("align_corners", 0) != 0)));
  }
  out.push_back(e.number(spatial));
  node.set(0, sum ? e.broadcast(sum, out) : Value());
}

} // namespace

void addSampling(OperatorTable &table) {
  table.add("GridSample", importGridSample);
  table.addIn("com.microsoft", "GridSample", importGridSample);
  table.add("AffineGrid", importAffineGrid);
}

} // namespace onager::frontend
