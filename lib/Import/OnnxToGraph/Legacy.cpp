// Experimental operators of the default domain that old converters wrote and ONNX dropped later.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

void importAffine(Node &node) {
  Emitter &e = node.e;
  node.set(0, e.addNumber(e.mulNumber(node.in(0), node.getFloat("alpha", 1)), node.getFloat("beta", 0)));
}

/// alpha * log(1 + e^(beta * x)), with the logarithm as max(y, 0) + log1p(e^-|y|), which does not overflow.
void importParametricSoftplus(Node &node) {
  Emitter &e = node.e;
  Value y = e.mulNumber(node.in(0), node.getFloat("beta", 1));
  Value tail = e.unary<Log1pOp>(e.unary<ExpOp>(e.unary<NegOp>(e.unary<AbsOp>(y))));
  node.set(0, e.mulNumber(e.add(e.unary<ReluOp>(y), tail), node.getFloat("alpha", 1)));
}

void importScaledTanh(Node &node) {
  Emitter &e = node.e;
  node.set(0, e.mulNumber(e.unary<TanhOp>(e.mulNumber(node.in(0), node.getFloat("beta", 1))), node.getFloat("alpha", 1)));
}

void importScale(Node &node) { node.set(0, node.e.mulNumber(node.in(0), node.getFloat("scale", 1))); }

} // namespace

void addLegacy(OperatorTable &table) {
  table.add("Affine", importAffine);
  table.add("ParametricSoftplus", importParametricSoftplus);
  table.add("ScaledTanh", importScaledTanh);
  table.add("Scale", importScale);
}

} // namespace onager::frontend
