// Integers and tensors among a model's constants.
#include "lib/Compress/ModelGraph.h"
#include <cstring>

namespace onager::compress {

int64_t ModelGraph::getOpset() const {
  for (const onnx::OperatorSetIdProto &set : model.opset_import())
    if (set.domain().empty() || set.domain() == "ai.onnx")
      return set.version();
  return 1;
}

std::optional<std::vector<int64_t>> ModelGraph::readIntegers(const std::string &name) const {
  auto found = constants.find(name);
  if (found == constants.end())
    return std::nullopt;
  const onnx::TensorProto &tensor = *found->second;
  bool isWide = tensor.data_type() == onnx::TensorProto::INT64;
  if (!isWide && tensor.data_type() != onnx::TensorProto::INT32)
    return std::nullopt;
  uint64_t count = 1;
  for (int64_t extent : tensor.dims())
    count *= static_cast<uint64_t>(extent);
  std::vector<int64_t> values;
  if (tensor.has_raw_data()) {
    size_t width = isWide ? 8 : 4;
    for (size_t k = 0; k + width <= tensor.raw_data().size(); k += width) {
      int64_t wide = 0;
      int32_t narrow = 0;
      std::memcpy(isWide ? static_cast<void *>(&wide) : &narrow, tensor.raw_data().data() + k, width);
      values.push_back(isWide ? wide : narrow);
    }
  } else if (isWide)
    values.assign(tensor.int64_data().begin(), tensor.int64_data().end());
  else
    values.assign(tensor.int32_data().begin(), tensor.int32_data().end());
  return values.size() == count ? std::optional(values) : std::nullopt;
}

onnx::TensorProto *ModelGraph::findTensor(const std::string &name) {
  auto found = constants.find(name);
  return found == constants.end() ? nullptr : const_cast<onnx::TensorProto *>(found->second);
}

} // namespace onager::compress
