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

} // namespace

void addVision(OperatorTable &table) { table.add("ImageScaler", importImageScaler); }

} // namespace onager::frontend
