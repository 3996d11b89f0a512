// Pruning in recipes.
#include "lib/Compress/Prune/Pruning.h"

namespace json = llvm::json;

namespace onager::compress {

json::Value printPruning(const Pruning &pruning) {
  json::Array groups, masks;
  for (const PrunedGroup &group : pruning.groups)
    if (!group.removed.empty())
      groups.push_back(json::Object{{"weights", json::fixUTF8(group.weights)}, {"axis", static_cast<int64_t>(group.axis)}, {"what", group.isHeads ? "heads" : "channels"}, {"units", group.units},
                                    {"removed", json::Array(group.removed)}});
  for (const MaskedLayer &layer : pruning.masks)
    masks.push_back(json::Object{{"node", json::fixUTF8(layer.node)}, {"pattern", layer.pattern}, {"method", printMaskMethod(layer.method)}});
  json::Object whole{{"refit", pruning.isRefitted}, {"groups", std::move(groups)}, {"masks", std::move(masks)}};
  if (pruning.streams.empty())
    return whole;
  json::Array streams;
  for (const SlicedStream &stream : pruning.streams)
    streams.push_back(json::Object{{"value", json::fixUTF8(stream.value)}, {"width", stream.width}, {"kept", stream.kept}});
  whole["rotation"] = pruning.hasOwnBases ? "each" : "shared";
  whole["streams"] = std::move(streams);
  return whole;
}

namespace {

class PruningReader {
public:
  PruningReader(Pruning &pruning, std::string &error) : pruning(pruning), error(error) {}

  bool read(const json::Object &root) {
    std::optional<bool> refit = root.getBoolean("refit");
    const json::Array *groups = root.getArray("groups"), *masks = root.getArray("masks");
    if (!refit || !groups || !masks)
      return fail("expected refit, groups and masks");
    pruning.isRefitted = *refit;
    for (const json::Value &value : *groups)
      if (!readGroup(value.getAsObject()))
        return false;
    for (const json::Value &value : *masks)
      if (!readMask(value.getAsObject()))
        return false;
    return readStreams(root);
  }

private:
  bool fail(const std::string &reason) {
    error = "the recipe: pruning: " + reason;
    return false;
  }

  bool readGroup(const json::Object *object) {
    const json::Array *removed = object ? object->getArray("removed") : nullptr;
    std::optional<int64_t> axis = object ? object->getInteger("axis") : std::nullopt, units = object ? object->getInteger("units") : std::nullopt;
    if (!removed || !axis || *axis < 0 || !units || !object->getString("weights"))
      return fail("a group without weights, axis, units or removed");
    PrunedGroup group;
    group.weights = object->getString("weights")->str();
    group.axis = static_cast<size_t>(*axis);
    group.isHeads = object->getString("what").value_or("") == "heads";
    group.units = *units;
    for (const json::Value &value : *removed) {
      if (!value.getAsInteger())
        return fail("group of '" + group.weights + "': expected numbers of units");
      group.removed.push_back(*value.getAsInteger());
    }
    pruning.groups.push_back(std::move(group));
    return true;
  }

  bool readMask(const json::Object *object) {
    MaskedLayer layer;
    layer.node = object ? object->getString("node").value_or("").str() : "";
    layer.pattern = object ? object->getString("pattern").value_or("").str() : "";
    std::string method = object ? object->getString("method").value_or("").str() : "";
    MaskPattern pattern;
    if (layer.node.empty())
      return fail("a mask without a node");
    if (!readMaskPattern(layer.pattern, pattern))
      return fail("layer '" + layer.node + "': expected a pattern N:M or a share between 0 and 1, found '" + layer.pattern + "'");
    if (!readMaskMethod(method, layer.method))
      return fail("layer '" + layer.node + "': unknown method '" + method + "'");
    pruning.masks.push_back(std::move(layer));
    return true;
  }

  bool readStreams(const json::Object &root) {
    const json::Array *streams = root.getArray("streams");
    if (!streams)
      return true;
    std::string rotation = root.getString("rotation").value_or("").str();
    pruning.hasOwnBases = rotation == "each";
    if (rotation != "shared" && rotation != "each")
      return fail("expected rotation 'shared' or 'each', found '" + rotation + "'");
    for (const json::Value &value : *streams) {
      const json::Object *object = value.getAsObject();
      SlicedStream stream;
      stream.value = object ? object->getString("value").value_or("").str() : "";
      stream.width = object ? object->getInteger("width").value_or(0) : 0;
      stream.kept = object ? object->getInteger("kept").value_or(0) : 0;
      if (stream.value.empty() || stream.kept < 1 || stream.kept > stream.width)
        return fail("a stream without value, or whose kept width is not between 1 and its width");
      pruning.streams.push_back(std::move(stream));
    }
    return true;
  }

  Pruning &pruning;
  std::string &error;
};

} // namespace

bool readPruning(const std::string &text, Pruning &pruning, std::string &error) {
  llvm::Expected<json::Value> value = json::parse(text);
  if (!value) {
    error = "the recipe: " + llvm::toString(value.takeError());
    return false;
  }
  const json::Object *root = value->getAsObject(), *part = root ? root->getObject("pruning") : nullptr;
  return !part || PruningReader(pruning, error).read(*part);
}

} // namespace onager::compress
