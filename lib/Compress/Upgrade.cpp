// Models of old operator sets: ONNX Runtime has no kernels for quantised operators beside operator sets below 10.
#include "lib/Compress/ModelGraph.h"
#include "onnx/version_converter/convert.h"

namespace onager::compress {

bool ModelGraph::upgrade() {
  constexpr int kNewest = 13; // the first whose QuantizeLinear has axes
  bool isOld = false;
  for (const onnx::OperatorSetIdProto &set : model.opset_import())
    isOld |= (set.domain().empty() || set.domain() == "ai.onnx") && set.version() < 10;
  if (!isOld)
    return true;
  try {
    onnx::ModelProto newer = onnx::version_conversion::ConvertVersion(model, kNewest);
    if (newer.graph().node_size() == 0 && model.graph().node_size() > 0)
      return false;
    model = std::move(newer);
  } catch (const std::exception &) {
    // Some operators have no way up.
    return false;
  }
  index();
  return true;
}

} // namespace onager::compress
