// onager inspect: what a compiled model says about itself.
#include "Artifact.h"
#include "Profile.h"
#include "Tensor.h"
#include "llvm/ADT/StringExtras.h"
#include <CLI/CLI.hpp>
#include <memory>

namespace json = llvm::json;

namespace onager::cli {

namespace {

struct InspectArguments {
  std::string model;
  bool isJson = false;
  CompilerArguments compiler;
};

} // namespace

static std::string formatDims(const rt::Manifest &manifest, const rt::TensorInfo &info) {
  std::string text = "[";
  for (size_t d = 0; d < info.dims.size(); ++d)
    text += (d ? ", " : "") + info.dims[d].print(manifest.symbols);
  return text + "]";
}

static void printTensors(const char *title, const rt::Manifest &manifest, const std::vector<rt::TensorInfo> &tensors) {
  printFormatted("%s:\n", title);
  for (const rt::TensorInfo &info : tensors)
    printFormatted("  %s: %s %s%s\n", info.name.c_str(), getTypeName(static_cast<int32_t>(info.dtype)), formatDims(manifest, info).c_str(),
                   info.block >= 0 ? ", known after the run" : "");
}

/// The elements of inputs that guards may name.
static std::vector<std::string> listDeciding(const rt::Manifest &manifest) {
  std::vector<std::string> names;
  for (const rt::ValueInfo &value : manifest.values)
    names.push_back(rt::nameValue(manifest.inputs[value.input].name, value.element));
  return names;
}

static void printArtifact(const ArtifactDescription &artifact) {
  const rt::Manifest &manifest = artifact.levels[0].generic;
  std::string features;
  for (const std::string &feature : manifest.features)
    features += " " + feature;
  printFormatted("name: %s\n", manifest.name.c_str());
  printTensors("inputs", manifest, manifest.inputs);
  printTensors("outputs", manifest, manifest.outputs);
  printFormatted("required CPU features:%s\n", features.empty() ? " none" : features.c_str());
  printFormatted("weights: %llu bytes\n", static_cast<unsigned long long>(manifest.weightBytes));
  printFormatted("scalar operations of a run: %s\n", manifest.work.print(manifest.symbols).c_str());
  for (const rt::CustomNodeInfo &info : manifest.operators)
    printFormatted("custom operator: %s of domain %s, version %llu, node %s\n", info.type.c_str(), info.domain.c_str(), static_cast<unsigned long long>(info.version),
                   info.node.c_str());
  if (!manifest.guard.empty())
    printFormatted("limits: %s\n", rt::print(manifest.guard, manifest.symbols).c_str());
  if (!manifest.values.empty())
    printFormatted("values that decide: %s\n", llvm::join(listDeciding(manifest), " ").c_str());
  for (const rt::Manifest &variant : artifact.levels[0].variants)
    printFormatted("variant: %s, %zu launches, %llu bytes of own weights\n", rt::print(variant.guard, variant.symbols).c_str(), variant.launches.size(),
                   static_cast<unsigned long long>(variant.weightBytes));
  printFormatted("recompilation: %s\n", !artifact.form.empty() ? (std::to_string(artifact.form.size()) + " bytes to make variants of").c_str() : "none");
  printFormatted("launches: %zu\n", manifest.launches.size());
  for (size_t k = 0; k < manifest.launches.size(); ++k)
    printFormatted("  %zu %s: %s  flops %s\n", k, manifest.launches[k].hero.c_str(), manifest.launches[k].name.c_str(),
                   manifest.launches[k].flops.print(manifest.symbols).c_str());
  printFormatted("slots: %zu, growable blocks: %llu\n", manifest.slots.size(), static_cast<unsigned long long>(manifest.blocks));
  for (size_t k = 0; k < manifest.slots.size(); ++k)
    printFormatted("  %zu: %s bytes%s, launches %llu to %llu\n", k, manifest.slots[k].bytes.print(manifest.symbols).c_str(),
                   manifest.slots[k].perThread ? " for each thread" : "", static_cast<unsigned long long>(manifest.slots[k].first),
                   static_cast<unsigned long long>(manifest.slots[k].last));
}

/// A number where the expression is one, else its text.
static json::Value describe(const rt::Expr &expr, const rt::Manifest &manifest) {
  int64_t value = 0;
  return expr.isConstant(value) ? json::Value(value) : json::Value(json::fixUTF8(expr.print(manifest.symbols)));
}

static json::Array describe(const std::vector<rt::TensorInfo> &tensors, const rt::Manifest &manifest) {
  json::Array list;
  for (const rt::TensorInfo &info : tensors) {
    json::Array shape;
    for (const rt::Expr &dim : info.dims)
      shape.push_back(describe(dim, manifest));
    list.push_back(json::Object{{"name", json::fixUTF8(info.name)}, {"type", getTypeName(static_cast<int32_t>(info.dtype))}, {"shape", std::move(shape)},
                                {"depends_on_values", info.block >= 0}});
  }
  return list;
}

static json::Value describe(const ArtifactDescription &artifact) {
  const rt::Manifest &manifest = artifact.levels[0].generic;
  json::Array variants;
  for (const rt::Manifest &variant : artifact.levels[0].variants)
    variants.push_back(json::Object{{"guard", json::fixUTF8(rt::print(variant.guard, variant.symbols))}, {"launches", static_cast<int64_t>(variant.launches.size())},
                                    {"weight_bytes", static_cast<int64_t>(variant.weightBytes)}});
  json::Array launches, slots;
  for (const rt::Launch &launch : manifest.launches)
    launches.push_back(json::Object{{"hero", launch.hero}, {"nodes", json::fixUTF8(launch.name)}, {"flops", describe(launch.flops, manifest)}});
  for (const rt::Slot &slot : manifest.slots)
    slots.push_back(json::Object{{"bytes", describe(slot.bytes, manifest)}, {"first", static_cast<int64_t>(slot.first)},
                                 {"last", static_cast<int64_t>(slot.last)}, {"per_thread", slot.perThread != 0}});
  json::Array operators;
  for (const rt::CustomNodeInfo &info : manifest.operators)
    operators.push_back(json::Object{{"domain", json::fixUTF8(info.domain)}, {"type", json::fixUTF8(info.type)}, {"version", static_cast<int64_t>(info.version)},
                                     {"node", json::fixUTF8(info.node)}});
  json::Array deciding;
  for (const std::string &name : listDeciding(manifest))
    deciding.push_back(json::fixUTF8(name));
  return json::Object{{"name", manifest.name},
                      {"inputs", describe(manifest.inputs, manifest)},
                      {"outputs", describe(manifest.outputs, manifest)},
                      {"features", json::Array(manifest.features)},
                      {"weight_bytes", static_cast<int64_t>(manifest.weightBytes)},
                      {"operations", describe(manifest.work, manifest)},
                      {"limits", json::fixUTF8(rt::print(manifest.guard, manifest.symbols))},
                      {"deciding", std::move(deciding)},
                      {"variants", std::move(variants)},
                      {"generic_form_bytes", static_cast<int64_t>(artifact.form.size())},
                      {"operators", std::move(operators)},
                      {"launches", std::move(launches)},
                      {"slots", std::move(slots)},
                      {"blocks", static_cast<int64_t>(manifest.blocks)}};
}

static Status runInspect(const InspectArguments &arguments) {
  Artifact compiled = provideArtifact(openSource(arguments.model), arguments.compiler);
  ArtifactFile file(compiled.path);
  const ArtifactDescription &artifact = file.description;
  if (arguments.isJson)
    print(formatJson(describe(artifact)));
  else
    printArtifact(artifact);
  return Status::ok;
}

Command addInspect(CLI::App &app) {
  auto arguments = std::make_shared<InspectArguments>();
  app.add_option("model", arguments->model, "A compiled model, or an ONNX model that is compiled first")->required()->type_name("M.so|M.onnx");
  app.add_flag("--json", arguments->isJson, "Print JSON");
  arguments->compiler.addCommon(app);
  return [arguments] { return runInspect(*arguments); };
}

} // namespace onager::cli
