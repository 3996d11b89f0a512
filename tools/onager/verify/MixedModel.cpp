// Choosing layers, following what they read.
#include "MixedModel.h"
#include "Exposure.h"
#include "lib/Compress/ModelGraph.h"
#include "onnx/shape_inference/implementation.h"
#include <algorithm>
#include <functional>

namespace onager::cli {

using Part = MixedModel::Part;

/// Calls `use` with each name of an outer value that a node reads, in its inputs or inside of its branches, and puts what it returns in its place.
static void replaceReads(onnx::NodeProto &node, const std::set<std::string> &hidden, const std::function<std::string(const std::string &)> &use) {
  for (std::string &input : *node.mutable_input())
    if (!input.empty() && !hidden.count(input))
      input = use(input);
  auto replaceInside = [&](onnx::GraphProto &graph) {
    std::set<std::string> inner = hidden;
    for (const onnx::ValueInfoProto &info : graph.input())
      inner.insert(info.name());
    for (const onnx::TensorProto &tensor : graph.initializer())
      inner.insert(tensor.name());
    for (const onnx::NodeProto &nested : graph.node())
      inner.insert(nested.output().begin(), nested.output().end());
    for (onnx::NodeProto &nested : *graph.mutable_node())
      replaceReads(nested, inner, use);
    for (onnx::ValueInfoProto &output : *graph.mutable_output())
      if (!inner.count(output.name()))
        output.set_name(use(output.name()));
  };
  for (onnx::AttributeProto &attribute : *node.mutable_attribute()) {
    if (attribute.has_g())
      replaceInside(*attribute.mutable_g());
    for (onnx::GraphProto &graph : *attribute.mutable_graphs())
      replaceInside(graph);
  }
}

static Part readPart(const ModelSource &source) {
  std::shared_ptr<compress::ModelGraph> graph = openGraph(source);
  graph->upgrade(); // as compressing does
  Part part;
  part.model.ParseFromString(graph->serialize());
  onnx::ModelProto typed = part.model;
  try {
    onnx::shape_inference::InferShapes(typed);
  } catch (const std::exception &) {
    // What is not known is taken to be of one type in both models.
  }
  for (const auto *infos : {&typed.graph().value_info(), &typed.graph().output()})
    for (const onnx::ValueInfoProto &info : *infos)
      if (info.type().has_tensor_type())
        part.types[info.name()] = info.type().tensor_type().elem_type();
  for (const onnx::TensorProto &tensor : part.model.graph().initializer())
    part.constants[tensor.name()] = &tensor;
  for (const onnx::ValueInfoProto &info : part.model.graph().input())
    if (!part.constants.count(info.name()))
      part.varying.insert(info.name());
  for (const onnx::NodeProto &node : part.model.graph().node()) {
    // Random numbers come from nowhere.
    bool varies = node.input().empty() && node.op_type() != "Constant";
    onnx::NodeProto copy = node;
    replaceReads(copy, {}, [&](const std::string &name) {
      varies |= part.varying.count(name) > 0;
      return name;
    });
    for (const std::string &output : node.output())
      if (!output.empty()) {
        part.producers[output] = &node;
        if (varies)
          part.varying.insert(output);
      }
  }
  return part;
}

/// Lets a model use the operator sets of another; fails where both use one in different versions.
static void joinSets(onnx::ModelProto &model, const onnx::ModelProto &more) {
  for (const onnx::OperatorSetIdProto &set : more.opset_import()) {
    bool isPresent = false;
    for (const onnx::OperatorSetIdProto &mine : model.opset_import()) {
      bool isSame = mine.domain() == set.domain() || (mine.domain().empty() && set.domain() == "ai.onnx") || (set.domain().empty() && mine.domain() == "ai.onnx");
      isPresent |= isSame;
      if (isSame && mine.version() != set.version())
        throw Failure(Status::badFile, "the models cannot be mixed: operator set '" + (set.domain().empty() ? "ai.onnx" : set.domain()) + "': expected version " +
                                           std::to_string(mine.version()) + ", found " + std::to_string(set.version()));
    }
    if (!isPresent)
      *model.add_opset_import() = set;
  }
  model.set_ir_version(std::max(model.ir_version(), more.ir_version()));
}

MixedModel::MixedModel(const ModelSource &plainSource, const ModelSource &otherSource) : plain(readPart(plainSource)), other(readPart(otherSource)) {
  for (const onnx::NodeProto &node : other.model.graph().node())
    for (const std::string &output : node.output())
      if (other.varying.count(output) && plain.producers.count(output) && plain.varying.count(output) && sharedSet.insert(output).second)
        shared.push_back(output);
  onnx::ModelProto probe = plain.model;
  joinSets(probe, other.model);
}

namespace {

/// Makes one model. Names of the plain model and of shared values stay; the other's get a prefix.
class Mixer {
public:
  Mixer(const Part &plain, const Part &other, const std::map<std::string, bool> &fromOther) : plain(plain), other(other), fromOther(fromOther) {}

  std::string run() {
    model = plain.model;
    joinSets(model, other.model);
    onnx::GraphProto *graph = model.mutable_graph();
    graph->clear_node();
    graph->clear_initializer();
    graph->clear_value_info();
    // Old models list constants among the inputs.
    auto *inputs = graph->mutable_input();
    inputs->erase(std::remove_if(inputs->begin(), inputs->end(), [&](const onnx::ValueInfoProto &info) { return plain.constants.count(info.name()); }), inputs->end());
    for (onnx::ValueInfoProto &output : *graph->mutable_output()) {
      std::string name = use(false, output.name());
      if (name == output.name())
        continue;
      // A cast, which takes the output's name.
      addNode("Identity", name, output.name());
    }
    return model.SerializeAsString();
  }

private:
  const Part &get(bool isOther) const { return isOther ? other : plain; }

  onnx::NodeProto *addNode(const char *op, const std::string &input, const std::string &output) {
    onnx::NodeProto *node = model.mutable_graph()->add_node();
    node->set_op_type(op);
    node->add_input(input);
    node->add_output(output);
    return node;
  }

  std::string hide(bool isOther, const std::string &name) const { return isOther ? "mixed:" + name : name; }

  /// Sees to it that a value is computed, and returns the name by which one of the models' nodes read it.
  std::string use(bool isOther, const std::string &name) {
    auto constant = get(isOther).constants.find(name);
    if (constant != get(isOther).constants.end()) {
      std::string shown = hide(isOther, name);
      if (emitted.insert(shown).second) {
        onnx::TensorProto *copy = model.mutable_graph()->add_initializer();
        *copy = *constant->second;
        copy->set_name(shown);
      }
      return shown;
    }
    auto producer = get(isOther).producers.find(name);
    if (producer == get(isOther).producers.end())
      return name; // an input
    auto choice = fromOther.find(name);
    if (choice == fromOther.end()) {
      emit(isOther, producer->second);
      return hide(isOther, name);
    }
    emit(choice->second, get(choice->second).producers.at(name));
    std::string shown = nameOutput(choice->second, name);
    return choice->second == isOther ? shown : cast(isOther, name, shown);
  }

  /// The outputs of the model keep their names where no cast is behind them.
  std::string nameOutput(bool isOther, const std::string &name) const {
    auto choice = fromOther.find(name);
    if (choice == fromOther.end())
      return hide(isOther, name);
    if (choice->second != isOther)
      return "mixed:unused " + std::to_string(isOther) + ":" + name;
    return isOther && differInType(name) ? "mixed:" + name : name;
  }

  bool differInType(const std::string &name) const {
    auto mine = plain.types.find(name), theirs = other.types.find(name);
    return mine != plain.types.end() && theirs != other.types.end() && mine->second != theirs->second;
  }

  std::string cast(bool isOther, const std::string &name, const std::string &shown) {
    if (!differInType(name))
      return shown;
    std::string result = "mixed:cast " + std::to_string(isOther) + ":" + name;
    if (emitted.insert(result).second) {
      onnx::AttributeProto *to = addNode("Cast", shown, result)->add_attribute();
      to->set_name("to");
      to->set_type(onnx::AttributeProto::INT);
      to->set_i(get(isOther).types.at(name));
    }
    return result;
  }

  /// Adds a node behind all that it reads.
  void emit(bool isOther, const onnx::NodeProto *node) {
    auto [state, isNew] = nodes.emplace(node, true);
    if (!isNew && state->second)
      throw Failure(Status::badFile, "the models cannot be mixed: they compute '" + node->output(0) + "' and what it is made of in different orders");
    if (!isNew)
      return;
    onnx::NodeProto copy = *node;
    replaceReads(copy, {}, [&](const std::string &name) { return use(isOther, name); });
    for (std::string &output : *copy.mutable_output())
      if (!output.empty())
        output = nameOutput(isOther, output);
    if (!copy.name().empty())
      copy.set_name(hide(isOther, copy.name()));
    *model.mutable_graph()->add_node() = std::move(copy);
    nodes[node] = false;
  }

  const Part &plain, &other;
  const std::map<std::string, bool> &fromOther;
  onnx::ModelProto model;
  std::set<std::string> emitted;
  std::map<const onnx::NodeProto *, bool> nodes; ///< true while what they read is being added
};

} // namespace

std::string MixedModel::mix(const std::vector<bool> &fromOther) const {
  std::map<std::string, bool> choices;
  for (size_t k = 0; k < shared.size(); ++k)
    choices[shared[k]] = fromOther[k];
  return Mixer(plain, other, choices).run();
}

std::vector<const onnx::NodeProto *> MixedModel::getLayer(const std::string &value, bool ofOther) const {
  const Part &part = ofOther ? other : plain;
  std::vector<const onnx::NodeProto *> layer{part.producers.at(value)};
  std::set<const onnx::NodeProto *> known(layer.begin(), layer.end());
  for (size_t k = 0; k < layer.size(); ++k) {
    onnx::NodeProto copy = *layer[k];
    replaceReads(copy, {}, [&](const std::string &name) {
      auto producer = part.producers.find(name);
      if (producer != part.producers.end() && !sharedSet.count(name) && known.insert(producer->second).second)
        layer.push_back(producer->second);
      return name;
    });
  }
  return layer;
}

std::vector<std::string> MixedModel::findChangedConstants(const std::string &value) const {
  std::vector<std::string> changed;
  for (const onnx::NodeProto *node : getLayer(value, /*ofOther=*/true)) {
    onnx::NodeProto copy = *node;
    replaceReads(copy, {}, [&](const std::string &name) {
      auto mine = plain.constants.find(name), theirs = other.constants.find(name);
      if (mine != plain.constants.end() && theirs != other.constants.end() && mine->second->SerializeAsString() != theirs->second->SerializeAsString())
        changed.push_back(name);
      return name;
    });
  }
  return changed;
}

} // namespace onager::cli
