// Compiling parts, and handing values from one to the next.
#include "PartRuns.h"
#include <algorithm>
#include <filesystem>

namespace onager::cli {

static bool isFloat(int32_t dtype) { return dtype == ONAGER_F32 || dtype == ONAGER_F16 || dtype == ONAGER_BF16 || dtype == ONAGER_F64; }

/// Dims that are the same in all samples are numbers; those that vary alike are one symbol.
std::vector<onnx::ValueInfoProto> PartRuns::declareInputs() const {
  std::vector<onnx::ValueInfoProto> inputs;
  std::map<std::vector<int64_t>, std::string> symbols;
  for (const std::string &name : part.inputs) {
    const Kept &value = kept.at(name);
    onnx::ValueInfoProto &input = inputs.emplace_back();
    input.set_name(name);
    onnx::TypeProto::Tensor *type = input.mutable_type()->mutable_tensor_type();
    type->set_elem_type(value.dtype);
    type->mutable_shape();
    for (size_t axis = 0; axis < value.dims.begin()->second.size(); ++axis) {
      std::vector<int64_t> extents;
      for (const auto &[sample, dims] : value.dims)
        extents.push_back(dims.at(axis));
      onnx::TensorShapeProto::Dimension *dim = type->mutable_shape()->add_dim();
      if (std::all_of(extents.begin(), extents.end(), [&](int64_t extent) { return extent == extents[0]; }))
        dim->set_dim_value(extents[0]);
      else
        dim->set_dim_param(symbols.try_emplace(extents, "extent of parts " + std::to_string(symbols.size())).first->second);
    }
  }
  return inputs;
}

void PartRuns::begin(const compress::ModelPart &next) {
  part = next;
  if (part.outputs.empty())
    return;
  std::string bytes = model.serializePart(part.outputs, declareInputs());
  if (rewrite) {
    compress::ModelGraph changed;
    std::string error;
    if (!changed.open("", bytes, error))
      throw Failure(Status::internal, error);
    rewrite(changed);
    bytes = changed.serialize();
  }
  artifact = runs.compileFor(bytes, runs.getCalibration().size(), part.inputs.size());
  session.emplace(artifact->path, runs.getThreads());
  manifest = readManifest(artifact->path);
  own = manifest;
  own.inputs.resize(own.inputs.size() - part.inputs.size());
  auto isInput = [&](const std::string &name) { return std::any_of(own.inputs.begin(), own.inputs.end(), [&](const rt::TensorInfo &input) { return input.name == name; }); };
  for (const rt::TensorInfo &output : manifest.outputs)
    if (isFloat(static_cast<int32_t>(output.dtype)) && !isInput(output.name))
      kept[output.name] = {count++, static_cast<int32_t>(output.dtype), {}};
}

Tensor PartRuns::read(const Kept &value, size_t sample) const {
  Tensor tensor = makeTensor(value.dtype, value.dims.at(sample));
  std::string bytes = readFile(getPath(value, sample));
  tensor.data.assign(bytes.begin(), bytes.end());
  return tensor;
}

Tensor PartRuns::run(size_t sample) {
  if (part.outputs.empty())
    return read(kept.at(part.value), sample);
  std::vector<Tensor> inputs = runs.load(sample, own);
  for (const std::string &name : part.inputs)
    inputs.push_back(read(kept.at(name), sample));
  session->bind(inputs);
  session->run();
  std::vector<Tensor> outputs = session->copyOutputs();
  for (size_t k = 0; k < outputs.size(); ++k)
    if (auto found = kept.find(manifest.outputs[k].name); found != kept.end()) {
      found->second.dims[sample] = outputs[k].dims;
      writeFile(getPath(found->second, sample), {reinterpret_cast<const char *>(outputs[k].data.data()), outputs[k].data.size()});
    }
  return std::move(outputs[0]);
}

std::vector<std::string> PartRuns::end() {
  std::vector<std::string> names;
  for (const std::string &output : part.outputs)
    if (kept.count(output))
      names.push_back(output);
  for (const std::string &name : part.dropped)
    if (auto found = kept.find(name); found != kept.end()) {
      for (const auto &[sample, dims] : found->second.dims)
        std::filesystem::remove(getPath(found->second, sample));
      kept.erase(found);
    }
  session.reset();
  artifact.reset();
  return names;
}

} // namespace onager::cli
