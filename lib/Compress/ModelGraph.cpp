// Reading, looking at and changing an ONNX model.
#include "lib/Compress/ModelGraph.h"
#include "lib/Import/Reader/ModelFile.h"
#include <algorithm>
#include <cstring>

namespace onager::compress {

int64_t getInt(const onnx::NodeProto &node, const std::string &name, int64_t otherwise) {
  for (const onnx::AttributeProto &attribute : node.attribute())
    if (attribute.name() == name)
      return attribute.i();
  return otherwise;
}

float getFloat(const onnx::NodeProto &node, const std::string &name, float otherwise) {
  for (const onnx::AttributeProto &attribute : node.attribute())
    if (attribute.name() == name)
      return attribute.f();
  return otherwise;
}

void setInt(onnx::NodeProto &node, const std::string &name, int64_t value) {
  onnx::AttributeProto *attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(value);
}

static uint64_t countElements(const onnx::TensorProto &tensor) {
  uint64_t count = 1;
  for (int64_t extent : tensor.dims())
    count *= static_cast<uint64_t>(extent);
  return count;
}

/// Bytes of a tensor's elements in raw form.
static uint64_t countRawBytes(const onnx::TensorProto &tensor) {
  uint64_t count = countElements(tensor);
  switch (tensor.data_type()) {
  case onnx::TensorProto::FLOAT:
  case onnx::TensorProto::INT32:
  case onnx::TensorProto::UINT32:
    return count * 4;
  case onnx::TensorProto::INT64:
  case onnx::TensorProto::UINT64:
  case onnx::TensorProto::DOUBLE:
    return count * 8;
  case onnx::TensorProto::FLOAT16:
  case onnx::TensorProto::BFLOAT16:
  case onnx::TensorProto::INT16:
  case onnx::TensorProto::UINT16:
    return count * 2;
  case onnx::TensorProto::INT4:
  case onnx::TensorProto::UINT4:
    return (count + 1) / 2;
  default:
    return count;
  }
}

bool ModelGraph::open(const std::string &path, std::string_view bytes, std::string &error) {
  frontend::LoadedModel loaded;
  if (!frontend::loadModel(path, llvm::StringRef(bytes.data(), bytes.size()), loaded, error))
    return false;
  uint64_t total = 0;
  for (int k = 0; k < loaded.proto.graph().initializer_size(); ++k) {
    onnx::TensorProto &tensor = *loaded.proto.mutable_graph()->mutable_initializer(k);
    // A model in text has no raw data.
    llvm::StringRef raw = static_cast<size_t>(k) < loaded.rawData.size() ? loaded.rawData[static_cast<size_t>(k)] : llvm::StringRef();
    if (tensor.data_location() == onnx::TensorProto::EXTERNAL) {
      if (!frontend::mapExternalData(loaded, tensor, countRawBytes(tensor), raw, error))
        return false;
      tensor.clear_external_data();
      tensor.clear_data_location();
    }
    if (!raw.empty())
      tensor.set_raw_data(raw.data(), raw.size());
    total += tensor.ByteSizeLong();
  }
  if (total >= INT32_MAX) {
    error = "the model's weights take " + std::to_string(total) + " bytes: a model that is compressed has less than 2 GiB";
    return false;
  }
  model = std::move(loaded.proto);
  index();
  return true;
}

void ModelGraph::index() {
  constants.clear();
  producers.clear();
  readers.clear();
  for (const onnx::TensorProto &tensor : graph().initializer())
    constants[tensor.name()] = &tensor;
  // Initializers are constants among the inputs as well, as they are to the importer.
  for (const onnx::ValueInfoProto &input : graph().input())
    names.insert(input.name());
  for (const onnx::NodeProto &node : graph().node()) {
    names.insert(node.name());
    for (const std::string &output : node.output()) {
      producers[output] = &node;
      names.insert(output);
    }
    if (node.op_type() == "Constant" && node.attribute_size() == 1 && node.attribute(0).name() == "value")
      constants[node.output(0)] = &node.attribute(0).t();
  }
  for (const auto &[name, tensor] : constants)
    names.insert(name);
  indexReaders(graph());
}

void ModelGraph::indexReaders(const onnx::GraphProto &part) {
  for (const onnx::NodeProto &node : part.node()) {
    for (const std::string &input : node.input())
      ++readers[input];
    for (const onnx::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g())
        indexReaders(attribute.g());
      for (const onnx::GraphProto &inner : attribute.graphs())
        indexReaders(inner);
    }
  }
  for (const onnx::ValueInfoProto &output : part.output())
    ++readers[output.name()];
}

std::string ModelGraph::getQuantizeDomain() const { return getOpset() >= 13 ? "" : "com.microsoft"; }

void ModelGraph::useFourBits() {
  constexpr int64_t kFirst = 10; // the version of the format that has them
  model.set_ir_version(std::max(model.ir_version(), kFirst));
}

void ModelGraph::useDomain(const std::string &domain, int64_t version) {
  for (const onnx::OperatorSetIdProto &set : model.opset_import())
    if (set.domain() == domain)
      return;
  onnx::OperatorSetIdProto *set = model.add_opset_import();
  set->set_domain(domain);
  set->set_version(version);
}

std::optional<std::vector<int64_t>> ModelGraph::findDims(const std::string &name) const {
  auto found = constants.find(name);
  if (found == constants.end() || found->second->data_type() != onnx::TensorProto::FLOAT)
    return std::nullopt;
  const onnx::TensorProto &tensor = *found->second;
  uint64_t stored = tensor.has_raw_data() ? tensor.raw_data().size() / sizeof(float) : static_cast<uint64_t>(tensor.float_data_size());
  return stored == countElements(tensor) ? std::optional(std::vector<int64_t>(tensor.dims().begin(), tensor.dims().end())) : std::nullopt;
}

std::optional<Weights> ModelGraph::readWeights(const std::string &name) const {
  std::optional<std::vector<int64_t>> dims = findDims(name);
  if (!dims)
    return std::nullopt;
  const onnx::TensorProto &tensor = *constants.at(name);
  Weights weights{std::move(*dims), {tensor.float_data().begin(), tensor.float_data().end()}};
  if (tensor.has_raw_data()) {
    weights.values.resize(tensor.raw_data().size() / sizeof(float));
    std::memcpy(weights.values.data(), tensor.raw_data().data(), weights.values.size() * sizeof(float));
  }
  return weights;
}

uint64_t ModelGraph::countBytes(const std::string &name) const {
  auto found = constants.find(name);
  return found == constants.end() ? 0 : countRawBytes(*found->second);
}

const onnx::NodeProto *ModelGraph::findProducer(const std::string &name) const {
  auto found = producers.find(name);
  return found == producers.end() ? nullptr : found->second;
}

size_t ModelGraph::countReaders(const std::string &name) const {
  auto found = readers.find(name);
  return found == readers.end() ? 0 : found->second;
}

std::string ModelGraph::makeName(const std::string &base) {
  std::string name = base;
  for (int k = 1; !names.insert(name).second; ++k)
    name = base + "_" + std::to_string(k);
  return name;
}

std::string ModelGraph::addConstant(const std::string &base, const std::vector<int64_t> &dims, int32_t dtype, std::string bytes) {
  onnx::TensorProto *tensor = graph().add_initializer();
  tensor->set_name(makeName(base));
  for (int64_t extent : dims)
    tensor->add_dims(extent);
  tensor->set_data_type(dtype);
  tensor->set_raw_data(std::move(bytes));
  return tensor->name();
}

void ModelGraph::setNodes(std::vector<onnx::NodeProto> nodes) {
  graph().clear_node();
  for (onnx::NodeProto &node : nodes)
    *graph().add_node() = std::move(node);
}

void ModelGraph::clean() {
  index();
  auto *nodes = graph().mutable_node();
  // What moves constants that are read no more goes with them.
  auto isUseless = [&](const onnx::NodeProto &node) {
    return (node.op_type() == "Constant" || (node.op_type() == "Transpose" && isConstant(node.input(0)))) && node.output_size() == 1 && !readers.count(node.output(0));
  };
  nodes->erase(std::remove_if(nodes->begin(), nodes->end(), isUseless), nodes->end());
  index();
  auto isUnread = [&](const auto &tensor) { return !readers.count(tensor.name()); };
  auto *initializers = graph().mutable_initializer();
  std::set<std::string> dropped;
  for (const onnx::TensorProto &tensor : *initializers)
    if (isUnread(tensor))
      dropped.insert(tensor.name());
  initializers->erase(std::remove_if(initializers->begin(), initializers->end(), isUnread), initializers->end());
  auto *inputs = graph().mutable_input();
  inputs->erase(std::remove_if(inputs->begin(), inputs->end(), [&](const auto &input) { return dropped.count(input.name()); }), inputs->end());
  index();
}

std::string ModelGraph::serializeWithOutputs(const std::vector<std::string> &more) const {
  onnx::ModelProto copy = model;
  std::set<std::string> present;
  for (const onnx::ValueInfoProto &output : copy.graph().output())
    present.insert(output.name());
  for (const std::string &name : more)
    if (present.insert(name).second)
      copy.mutable_graph()->add_output()->set_name(name);
  return copy.SerializeAsString();
}

std::string ModelGraph::serializeLayer(const onnx::NodeProto *node, const std::string &input, bool isIndices, const std::vector<int64_t> &dims) const {
  onnx::ModelProto alone;
  alone.set_ir_version(model.ir_version());
  *alone.mutable_opset_import() = model.opset_import();
  onnx::GraphProto *part = alone.mutable_graph();
  part->set_name("layer");
  std::set<std::string> added;
  auto addConstants = [&](const onnx::NodeProto &reader) {
    for (const std::string &name : reader.input())
      if (auto found = constants.find(name); found != constants.end() && added.insert(name).second) {
        *part->add_initializer() = *found->second;
        part->mutable_initializer(part->initializer_size() - 1)->set_name(name);
      }
  };
  for (const std::string &name : node->input())
    if (const onnx::NodeProto *producer = findProducer(name); producer && name != input && !isConstant(name)) {
      addConstants(*producer);
      *part->add_node() = *producer;
    }
  addConstants(*node);
  *part->add_node() = *node;
  onnx::ValueInfoProto *info = part->add_input();
  info->set_name(input);
  onnx::TypeProto::Tensor *type = info->mutable_type()->mutable_tensor_type();
  type->set_elem_type(isIndices ? onnx::TensorProto::INT64 : onnx::TensorProto::FLOAT);
  type->mutable_shape();
  for (int64_t extent : dims)
    type->mutable_shape()->add_dim()->set_dim_value(extent);
  part->add_output()->set_name(node->output(0));
  return alone.SerializeAsString();
}

static void addReads(const onnx::NodeProto &node, std::set<std::string> &names) {
  names.insert(node.input().begin(), node.input().end());
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    for (const onnx::NodeProto &inner : attribute.g().node())
      addReads(inner, names);
    for (const onnx::GraphProto &graph : attribute.graphs())
      for (const onnx::NodeProto &inner : graph.node())
        addReads(inner, names);
    for (const onnx::ValueInfoProto &output : attribute.g().output())
      names.insert(output.name());
  }
}

std::set<std::string> listReads(const onnx::NodeProto &node) {
  std::set<std::string> names;
  addReads(node, names);
  return names;
}

std::string ModelGraph::serializePart(const std::vector<std::string> &values, const std::vector<onnx::ValueInfoProto> &known) const {
  std::set<std::string> needed(values.begin(), values.end()), given;
  for (const onnx::ValueInfoProto &value : known)
    given.insert(value.name());
  std::vector<const onnx::NodeProto *> nodes;
  for (int k = graph().node_size(); k-- > 0;) {
    const onnx::NodeProto &node = graph().node(k);
    if (std::none_of(node.output().begin(), node.output().end(), [&](const std::string &name) { return needed.count(name) && !given.count(name); }))
      continue;
    nodes.push_back(&node);
    addReads(node, needed);
  }
  onnx::ModelProto part;
  part.set_ir_version(model.ir_version());
  *part.mutable_opset_import() = model.opset_import();
  *part.mutable_functions() = model.functions();
  onnx::GraphProto *copy = part.mutable_graph();
  copy->set_name(graph().name());
  // A constant among the inputs that is left out is no input either.
  for (const onnx::ValueInfoProto &input : graph().input())
    if (needed.count(input.name()) || !isConstant(input.name()))
      *copy->add_input() = input;
  copy->mutable_input()->Add(known.begin(), known.end());
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node)
    *copy->add_node() = **node;
  for (const onnx::TensorProto &tensor : graph().initializer())
    if (needed.count(tensor.name()))
      *copy->add_initializer() = tensor;
  for (const std::string &value : values)
    copy->add_output()->set_name(value);
  return part.SerializeAsString();
}

} // namespace onager::compress
