// By position: --expose. By name: models with more outputs.
#include "Exposure.h"
#include "lib/Compress/ModelGraph.h"
#include "onnx/shape_inference/implementation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"

namespace onager::cli {

using compress::ModelGraph;

bool areOfOneModel(const Form &a, const Form &b) {
  return a.kind == Form::Kind::model && b.kind == Form::Kind::model && a.source.path == b.source.path && a.source.bytes == b.source.bytes;
}

std::shared_ptr<ModelGraph> openGraph(const ModelSource &source) {
  auto graph = std::make_shared<ModelGraph>();
  std::string error;
  if (!graph->open(source.path, source.bytes, error))
    throw Failure(Status::badFile, error);
  return graph;
}

namespace {

class ByPosition : public Exposure {
public:
  Form exposeAll(const Form &form) const override {
    Form copy = form;
    copy.options.exposeAll = copy.isExposing = true;
    return copy;
  }
  Form exposeOne(const Form &form, const std::string &value) const override {
    Form copy = form;
    copy.options.exposed = {std::stoll(value)}; // POSITION:NODE
    copy.isExposing = true;
    return copy;
  }
  /// Outputs of the model have no position before them.
  std::string getNode(const std::string &value) const override {
    llvm::StringRef name(value), position = name.take_while([](char c) { return c >= '0' && c <= '9'; });
    return position.empty() || !name.drop_front(position.size()).consume_front(":") ? "output '" + value + "'" : name.drop_front(position.size() + 1).str();
  }
};

/// The values that nodes of a main graph compute, in order; not those that are known to be no tensors.
std::vector<std::string> listValues(const ModelGraph &model) {
  onnx::ModelProto typed;
  typed.ParseFromString(model.serialize());
  try {
    onnx::shape_inference::InferShapes(typed);
  } catch (const std::exception &) {
    // Types that cannot be told are those of tensors nearly always.
  }
  std::set<std::string> others;
  for (const onnx::ValueInfoProto &info : typed.graph().value_info())
    if (!info.type().has_tensor_type())
      others.insert(info.name());
  std::vector<std::string> values;
  for (const onnx::NodeProto &node : model.graph().node())
    for (const std::string &output : node.output())
      if (!output.empty() && node.op_type() != "Constant" && !others.count(output))
        values.push_back(output);
  return values;
}

class ByName : public Exposure {
public:
  ByName(const Form &found, const Form &expected) : first(openGraph(found.source)), firstPath(found.source.path), second(expected.source.path == firstPath ? first : openGraph(expected.source)) {
    std::vector<std::string> theirs = listValues(*second);
    std::set<std::string> known(theirs.begin(), theirs.end());
    for (const std::string &value : listValues(*first))
      if (known.count(value))
        values.push_back(value);
  }
  Form exposeAll(const Form &form) const override { return expose(form, values); }
  Form exposeOne(const Form &form, const std::string &value) const override { return expose(form, {value}); }
  std::string getNode(const std::string &value) const override {
    const onnx::NodeProto *node = first->findProducer(value);
    return node && !node->name().empty() ? node->name() : value;
  }

private:
  Form expose(const Form &form, const std::vector<std::string> &names) const {
    Form copy = form;
    copy.source.bytes = (form.source.path == firstPath ? first : second)->serializeWithOutputs(names);
    copy.source.path.clear();
    copy.isExposing = true;
    return copy;
  }

  std::shared_ptr<ModelGraph> first;
  std::string firstPath;
  std::shared_ptr<ModelGraph> second;
  std::vector<std::string> values;
};

} // namespace

std::unique_ptr<Exposure> makeExposure(const Form &found, const Form &expected) {
  for (const Form *form : {&found, &expected})
    if (form->kind == Form::Kind::artifact)
      throw Failure(Status::badOption, form->source.shown + " is compiled already: --per-node and --bisect need models");
  if (areOfOneModel(found, expected))
    return std::make_unique<ByPosition>();
  return std::make_unique<ByName>(found, expected);
}

} // namespace onager::cli
