// Telling of pruning.
#include "Prune.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

namespace json = llvm::json;

namespace onager::cli {

static std::string describeKernel(const json::Object &layer) {
  if (std::optional<llvm::StringRef> reason = layer.getString("reason"))
    return "dense: " + reason->str();
  return llvm::formatv("sparse: expected to be {0:F2} times as fast as dense", layer.getNumber("expected_speedup").value_or(0));
}

void findKernels(const std::string &model, compress::Pruning &pruning) {
  if (pruning.masks.empty())
    return;
  CompileOptions options;
  options.bytes = model;
  options.stopAfter = "kernel";
  CompileResult result = compile(options);
  if (result.status != Status::ok)
    throw Failure(result.status, result.error);
  llvm::StringMap<std::string> kernels;
  if (llvm::Expected<json::Value> report = json::parse(result.report)) {
    if (const json::Array *layers = report->getAsObject() ? report->getAsObject()->getArray("sparse_weights") : nullptr)
      for (const json::Value &layer : *layers)
        kernels[layer.getAsObject()->getString("node").value_or("")] = describeKernel(*layer.getAsObject());
  } else {
    llvm::consumeError(report.takeError());
  }
  for (compress::MaskedLayer &layer : pruning.masks) {
    auto found = kernels.find(json::fixUTF8(layer.node));
    layer.kernel = found == kernels.end() ? "dense: the weights are not of f32, or fewer than a quarter of them are 0" : found->second;
  }
}

json::Value printPruneReport(const compress::Pruning &pruning) {
  json::Array groups, refits, masks, slices, streams;
  for (const compress::SlicedStream &stream : pruning.streams) {
    json::Object energies;
    for (const auto &[value, energy] : stream.energies)
      energies[json::fixUTF8(value)] = energy;
    streams.push_back(json::Object{{"value", json::fixUTF8(stream.value)}, {"width", stream.width}, {"kept", stream.kept}, {"energy_kept", std::move(energies)}});
  }
  for (const compress::PrunedGroup &group : pruning.groups)
    groups.push_back(json::Object{{"weights", json::fixUTF8(group.weights)}, {"axis", static_cast<int64_t>(group.axis)}, {"what", group.isHeads ? "heads" : "channels"}, {"units", group.units},
                                  {"removed", static_cast<int64_t>(group.removed.size())}, {"kept", group.units - static_cast<int64_t>(group.removed.size())}, {"mean_score_kept", group.keptScore},
                                  {"mean_score_removed", group.removedScore}, {"sensitivity", group.sensitivity}, {"flops_before", group.operationsBefore}, {"flops_after", group.operationsAfter},
                                  {"bytes_before", static_cast<int64_t>(group.bytesBefore)}, {"bytes_after", static_cast<int64_t>(group.bytesAfter)}});
  for (const compress::RefitError &error : pruning.refits)
    refits.push_back(json::Object{{"node", json::fixUTF8(error.node)}, {"form", error.form}, {"error_before", error.before}, {"error_after", error.after}});
  for (const compress::MaskedLayer &layer : pruning.masks)
    masks.push_back(json::Object{{"node", json::fixUTF8(layer.node)}, {"pattern", layer.pattern}, {"method", compress::printMaskMethod(layer.method)}, {"weights", static_cast<int64_t>(layer.weights)},
                                 {"zeros", static_cast<int64_t>(layer.zeros)}, {"change", layer.change}, {"kernel", layer.kernel}});
  for (const compress::Slice &slice : pruning.slices)
    slices.push_back(json::Object{{"weights", json::fixUTF8(slice.weights)}, {"axis", static_cast<int64_t>(slice.axis)}, {"removed", json::Array(slice.removed)}});
  return json::Object{{"flops_before", pruning.operationsBefore}, {"flops_after", pruning.operationsAfter}, {"groups", std::move(groups)}, {"refits", std::move(refits)}, {"masks", std::move(masks)},
                      {"slices", std::move(slices)}, {"streams", std::move(streams)}, {"rotation", pruning.hasOwnBases ? "each" : "shared"}, {"streams_left", json::Array(pruning.obstacles)}};
}

std::string describePruning(const compress::Pruning &pruning) {
  std::string text;
  if (!pruning.groups.empty() || !pruning.streams.empty())
    text += llvm::formatv("pruned: {0:F3} -> {1:F3} GFLOP (-{2:F1} %)\n", pruning.operationsBefore / 1e9, pruning.operationsAfter / 1e9,
                          100 * (1 - pruning.operationsAfter / std::max(pruning.operationsBefore, 1.0)));
  for (const compress::SlicedStream &stream : pruning.streams) {
    double least = 1;
    for (const auto &[value, energy] : stream.energies)
      least = std::min(least, energy);
    text += llvm::formatv("rotated: the stream of '{0}', {1} -> {2} columns, {3} {4}, at least {5:F2} % of the energy kept\n", stream.value, stream.width, stream.kept, stream.energies.size(),
                          stream.energies.size() == 1 ? "norm" : "norms", 100 * least);
  }
  for (const std::string &obstacle : pruning.obstacles)
    text += "note: " + obstacle + "\n";
  for (const compress::PrunedGroup &group : pruning.groups)
    if (!group.removed.empty())
      text += llvm::formatv("pruned: {0} of {1} {2} of '{3}', {4} -> {5} bytes\n", group.removed.size(), group.units, group.isHeads ? "heads" : "channels", group.weights, group.bytesBefore,
                            group.bytesAfter);
  for (const compress::RefitError &error : pruning.refits)
    text += llvm::formatv("refitted: {0}, by {1}: error {2:F4} -> {3:F4}\n", error.node, error.form, error.before, error.after);
  for (const compress::MaskedLayer &layer : pruning.masks)
    text += llvm::formatv("masked: {0}, {1} by {2}: {3} of {4} weights are 0; {5}\n", layer.node, layer.pattern, compress::printMaskMethod(layer.method), layer.zeros, layer.weights, layer.kernel);
  return text;
}

} // namespace onager::cli
