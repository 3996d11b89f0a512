// One compilation of a model: import, the levels of its code and their variants, the files and the report.
#include "onager/Compiler.h"
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "lib/Export/LLVMToArtifact/Codegen.h"
#include "lib/Export/LLVMToArtifact/Header.h"
#include "lib/Pipeline/Dims.h"
#include "lib/Pipeline/GenericForm.h"
#include "lib/Pipeline/Pipeline.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "onager/Import.h"
#include "llvm/Support/JSON.h"

using namespace mlir;

namespace onager {

namespace {

/// The code for processors of one level.
struct Level {
  std::string target;
  Form generic;
  std::vector<Form> variants;
};

class Compilation {
public:
  Compilation(const CompileOptions &options, CompileResult &result) : options(options), result(result), pipeline(options, result) {
    product.path = options.output;
    product.emit = options.emit;
    product.modelName = options.name;
    product.separateWeights = options.weights == "separate";
    product.isSanitized = options.sanitize;
  }

  void run();

private:
  bool import();
  bool simplifyGraph();
  bool compileLevel(const std::string &target, OwningOpRef<ModuleOp> graph);
  bool compileVariant(Level &level, const std::string &guard, OwningOpRef<ModuleOp> graph);
  void placeWeights(Form &form);
  std::vector<Form *> getForms();
  llvm::SmallVector<char, 0> makeModelObject();
  bool writeFiles();
  void noteRaised();
  void writeReport();

  const CompileOptions &options;
  CompileResult &result;
  ImportResult imported; ///< owns the mapped model; outlives the module
  Pipeline pipeline;
  std::vector<std::unique_ptr<Level>> levels; ///< what is compiled so far, the most general level first
  Product product;
  std::string generic; ///< the model as variants are made of it; empty where none can be
  std::vector<std::string> guards;  ///< of the variants
  std::vector<rt::Launch> launches; ///< of the last level's generic form, for the report
  std::string raised;  ///< what recognised operations do to numbers, for the report
};

bool Compilation::import() {
  enterStage("import");
  bool isImported = pipeline.timeStage("import", [&] {
    pipeline.module = importOnnx({options.model, StringRef(options.bytes.data(), options.bytes.size())}, {options.shapes, options.operators}, pipeline.context, imported);
    return bool(pipeline.module);
  });
  if (!isImported) {
    std::string joined;
    for (const ImportError &error : imported.errors)
      joined += (joined.empty() ? "" : "\n") + error.toString();
    return pipeline.fail(imported.refused ? Status::refused : Status::badFile, joined);
  }
  pipeline.temps.save("import", *pipeline.module);
  return true;
}

bool Compilation::simplifyGraph() {
  return pipeline.runStage("graph", [&](OpPassManager &passes) {
    if (options.exposeAll || !options.exposed.empty()) {
      graph::GraphExposeValuesOptions exposure;
      exposure.positions.assign(options.exposed.begin(), options.exposed.end());
      passes.addNestedPass<func::FuncOp>(graph::createGraphExposeValues(exposure));
    }
    graph::addGraphStage(passes, options.optLevel == 0, options.int8);
    passes.addNestedPass<func::FuncOp>(graph::createVerifyGraph());
  });
}

/// Gives a form its place in the section of weights. Levels lay weights out alike; those of another layout follow.
void Compilation::placeWeights(Form &form) {
  form.start = product.weightBytes;
  for (const auto &level : levels)
    if (level->generic.weights == form.weights && level->generic.offsets == form.offsets) {
      form.start = level->generic.start;
      form.isShared = true;
    }
  if (!form.isShared)
    product.weightBytes += form.weightBytes;
}

bool Compilation::compileLevel(const std::string &target, OwningOpRef<ModuleOp> graph) {
  auto level = std::make_unique<Level>();
  level->target = target;
  OwningOpRef<ModuleOp> kept = !guards.empty() ? OwningOpRef<ModuleOp>(graph->clone()) : nullptr;
  pipeline.chooseTarget(target);
  pipeline.module = std::move(graph);
  std::string main = getSymbolPrefix(product) + "_main" + std::to_string(levels.size());
  if (!pipeline.lower(nullptr))
    return false;
  if (options.output.empty() && options.emit != "llvm" && options.emit != "mlir")
    return pipeline.fail(Status::badOption, "no output file given");
  if (!pipeline.checkPrinted() || !pipeline.emitForm(main, level->generic))
    return false;
  if (options.emit == "llvm" || options.emit == "mlir")
    return true;
  launches = pipeline.manifest.launches;
  level->generic.recipes.target = target;
  placeWeights(level->generic);
  if (levels.empty()) {
    product.header = formatHeader(pipeline.manifest, product.separateWeights);
    product.manifestHash = rt::hashBytes(level->generic.manifest.data(), level->generic.manifest.size());
  }
  levels.push_back(std::move(level));
  return llvm::all_of(guards, [&](const std::string &guard) { return compileVariant(*levels.back(), guard, OwningOpRef<ModuleOp>(kept->clone())); });
}

bool Compilation::compileVariant(Level &level, const std::string &guard, OwningOpRef<ModuleOp> graph) {
  pipeline.module = std::move(graph);
  Form form;
  std::string main = level.generic.main + "_variant" + std::to_string(level.variants.size());
  if (!specializeGraph(pipeline, guard) || !pipeline.lower(&level.generic.recipes) || !pipeline.emitForm(main, form))
    return false;
  form.start = product.weightBytes;
  product.weightBytes += form.weightBytes;
  level.variants.push_back(std::move(form));
  return true;
}

std::vector<Form *> Compilation::getForms() {
  std::vector<Form *> forms;
  for (const auto &level : levels) {
    forms.push_back(&level->generic);
    for (Form &variant : level->variants)
      forms.push_back(&variant);
  }
  return forms;
}

llvm::SmallVector<char, 0> Compilation::makeModelObject() {
  ModelDescription model;
  for (const auto &level : levels) {
    LevelDescription described{{level->generic.manifest, level->generic.main, level->generic.start}, {}, generic.empty() ? "" : level->generic.recipes.encode()};
    for (const Form &variant : level->variants)
      described.variants.push_back({variant.manifest, variant.main, variant.start});
    model.levels.push_back(std::move(described));
  }
  model.generic = generic;
  model.hasLinkedWeights = refersToWeights(product);
  return emitModel(getSymbolPrefix(product), model, pipeline.target);
}

bool Compilation::writeFiles() {
  std::vector<Form *> forms = getForms();
  llvm::SmallVector<char, 0> model = makeModelObject();
  SmallVector<ArrayRef<char>> objects;
  for (Form *form : forms)
    objects.push_back(form->object);
  objects.push_back(model);
  return pipeline.writeFiles(product, objects, forms);
}

void Compilation::noteRaised() {
  bool hasAttention = false, hasActivation = false;
  pipeline.module->walk([&](Operation *op) {
    hasAttention |= isa<graph::AttentionOp>(op);
    hasActivation |= isa<graph::GeluOp, graph::SwishOp>(op);
  });
  if (hasAttention)
    raised += "; attention multiplies its scales into one, sums by blocks of keys and divides by the sum of a row at the end";
  if (hasActivation)
    raised += "; GELU of f32 is a quotient of polynomials, or by e^x in its form by tanh, SiLU one quotient";
}

void Compilation::writeReport() {
  llvm::json::Array units;
  for (const rt::Launch &launch : launches)
    units.push_back(llvm::json::Object{{"hero", launch.hero}, {"nodes", launch.name}});
  llvm::json::Object times;
  for (const auto &[stage, time] : pipeline.seconds)
    times[stage] = time + times[stage].getAsNumber().value_or(0);
  int64_t weightBytes = levels.empty() ? 0 : static_cast<int64_t>(levels.back()->generic.weightBytes);
  llvm::json::Object report{{"target", pipeline.target.cpu}, {"opt_level", options.optLevel}, {"weight_bytes", weightBytes},
                            {"launches", std::move(units)}, {"seconds", std::move(times)}};
  llvm::json::Array variants;
  for (const auto &level : levels)
    for (size_t k = 0; k < level->variants.size(); ++k)
      variants.push_back(llvm::json::Object{{"target", level->target}, {"guard", guards[k]}, {"code_bytes", static_cast<int64_t>(level->variants[k].object.size())},
                                            {"weight_bytes", static_cast<int64_t>(level->variants[k].weightBytes)}});
  if (!variants.empty())
    report["variants"] = std::move(variants);
  if (!generic.empty())
    report["generic_form_bytes"] = static_cast<int64_t>(generic.size());
  if (pipeline.hasWinograd)
    raised += "; some convolutions of 3 x 3 are Winograd's F(4x4, 3x3), whose products are rounded after a transform";
  if (pipeline.hasInt8)
    raised += "; quantised convolutions and products sum bytes in 32-bit integers, whose scales and biases are one fused multiply-add of f32; other numbers are multiplied by the reciprocal of the scale of their bytes";
  if (options.optLevel > 0)
    report["numerics"] = "f32 sums are reassociated into vector lanes; f16 and bf16 compute in f32; math functions of f32 are polynomials" + raised;
  if (!generic.empty())
    report["recompilation"] = "shapes that are met often may be compiled for themselves while the model runs, whose convolutions may then take Winograd's form";
  if (options.target == "portable" || !llvm::is_contained(pipeline.target.required, "fma"))
    report["levels"] = "x86-64-v2 has no fused multiply-add: its products are rounded before they are added, unlike those of the levels above";
  llvm::raw_string_ostream(result.report) << llvm::formatv("{0:2}", llvm::json::Value(std::move(report)));
}

/// The levels of code that an option stands for, the most general first.
std::vector<std::string> getLevels(const std::string &target) {
  if (target == "portable")
    return {"x86-64-v2", "x86-64-v3", "x86-64-v4"};
  return {target};
}

void Compilation::run() {
  std::vector<std::string> names = getLevels(options.target);
  if (!pipeline.chooseTarget(names.front()))
    return void(pipeline.fail(Status::badOption, "unknown target '" + options.target + "'; expected native, portable, x86-64-v2, x86-64-v3 or x86-64-v4"));
  if (!import() || pipeline.stopsAfter("import") || !simplifyGraph() || pipeline.stopsAfter("graph"))
    return;
  noteRaised();
  if (!limitSymbols(pipeline) || !listVariants(pipeline, guards))
    return;
  bool isText = options.emit == "llvm" || options.emit == "mlir";
  OwningOpRef<ModuleOp> graph = std::move(pipeline.module);
  if (!isText && options.recompile && options.optLevel > 0 && !options.sanitize && hasInputSymbols(*graph))
    generic = writeGenericForm(*graph, options);
  for (const std::string &name : names)
    if (!compileLevel(name, &name == &names.back() ? std::move(graph) : OwningOpRef<ModuleOp>(graph->clone())))
      return;
  if (!isText && !writeFiles())
    return;
  writeReport();
  if (!pipeline.temps.getError().empty())
    pipeline.fail(Status::badFile, pipeline.temps.getError());
}

} // namespace

CompileResult compile(const CompileOptions &options) {
  CompileResult result;
  Compilation compilation(options, result);
  compilation.run();
  return result;
}

} // namespace onager
