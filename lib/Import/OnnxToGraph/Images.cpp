// Encoded images: the kernels "image_size" and "image_decode" of runtime/ops, behind which the readers of runtime/images are.
#include "lib/Import/OnnxToGraph/Importer.h"
#include "runtime/images/images.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

void importImageDecoder(Node &node) {
  Emitter &e = node.e;
  Value stream = node.in(0);
  if (!checkRanks(node, {{0, 1}}))
    return;
  std::string format = node.getString("pixel_format", "RGB");
  int64_t order = format == "RGB" ? IMAGE_RGB : format == "BGR" ? IMAGE_BGR : IMAGE_GRAYSCALE;
  if (order == IMAGE_GRAYSCALE && format != "Grayscale")
    return void(e.fail("pixel_format is '" + format + "', expected RGB, BGR or Grayscale"));
  if (!stream || e.hasFailed())
    return;
  if (!Emitter::elementOf(stream).isUnsignedInteger(8))
    return void(e.fail("expected an encoded stream of uint8"));
  AffineExpr height = e.symbols.fresh(), width = e.symbols.fresh();
  e.callMany("image_size", {stream}, {}, {}, {height, width});
  node.set(0, e.call("image_decode", {stream}, {order}, {height, width, e.number(order == IMAGE_GRAYSCALE ? 1 : 3)}, Emitter::elementOf(stream)));
}

} // namespace

void addImages(OperatorTable &table) { table.add("ImageDecoder", importImageDecoder, 20); }

} // namespace onager::frontend
