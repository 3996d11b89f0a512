// One compilation of a model: import, the levels of its code and their variants, the files and the report.
#include "onager/Compiler.h"
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "lib/Pipeline/ArtifactBuilder.h"
#include "lib/Pipeline/Dims.h"
#include "lib/Pipeline/GenericForm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "onager/Import.h"
#include "llvm/Support/JSON.h"
#include <cmath>

using namespace mlir;

namespace onager {

namespace {

class Compilation {
public:
  Compilation(const CompileOptions &options, CompileResult &result) : options(options), result(result), pipeline(options, result), builder(pipeline, options.emit) {}

  void run();

private:
  bool import();
  bool simplifyGraph();
  bool findDecidingInputs();
  bool markSparse();
  void noteRaised();
  void writeReport();

  const CompileOptions &options;
  CompileResult &result;
  ImportResult imported; ///< owns the mapped model; outlives the module
  Pipeline pipeline;
  ArtifactBuilder builder;
  llvm::json::Array stops;  ///< why branches stop a run that takes them, for the report
  llvm::json::Array sparse; ///< products whose weights hold many zeros, for the report
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
  pipeline.module->walk([&](graph::RequireOp require) {
    ArrayRef<AffineExpr> exprs = require.getExprs().getResults();
    if (isa<graph::IfOp>(require->getParentOp()) && graph::getConstant(exprs[0] - exprs[1]).value_or(0) != 0)
      stops.push_back(require.getMessage());
  });
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
    graph::addGraphStage(passes, options.optLevel == 0, options.int8, options.bf16);
    passes.addNestedPass<func::FuncOp>(graph::createVerifyGraph());
  });
}

bool Compilation::findDecidingInputs() {
  // Behind the limits of dims, with which less depends on values. Artifacts that can have no variant read no values.
  if (options.variants.empty() && options.likely.empty() && (!options.recompile || options.optLevel == 0 || options.sanitize || filtersPasses(options)))
    return true;
  return pipeline.runStage("inputs", [](OpPassManager &passes) { passes.addNestedPass<func::FuncOp>(graph::createGraphFindDecidingInputs()); });
}

/// Tells of a product's zeros and of what they are good for.
static llvm::json::Object describeZeros(Operation *op, DictionaryAttr mark) {
  auto number = [&](StringRef name) { return mark.getAs<IntegerAttr>(name).getInt(); };
  auto share = static_cast<double>(number("zeros")) / static_cast<double>(number("weights"));
  auto reason = mark.getAs<StringAttr>("dense");
  llvm::json::Object layer{{"node", llvm::json::fixUTF8(graph::getNodeName(op))}, {"weights", number("weights")}, {"zeros", std::round(share * 1000) / 1000},
                           {"kernel", reason ? "dense" : "sparse"}};
  if (reason)
    layer["reason"] = reason.str();
  else
    layer["expected_speedup"] = mark.getAs<FloatAttr>("speedup").getValueAsDouble();
  return layer;
}

bool Compilation::markSparse() {
  if (!options.sparse || options.optLevel == 0)
    return true;
  // Code for several levels has the same sparse products in all of them.
  Target target;
  bool hasParts = options.bf16x3 && options.target != "portable" && getTarget(options.target, target) && target.hasAmxBf16;
  bool isMarked = pipeline.runStage("sparse", [&](OpPassManager &passes) { passes.addNestedPass<func::FuncOp>(createGraphMarkSparse({options.winograd, hasParts})); });
  pipeline.module->walk([&](Operation *op) {
    if (auto mark = op->getAttrOfType<DictionaryAttr>(kernel::kSparseAttr))
      sparse.push_back(describeZeros(op, mark));
  });
  // Where compilation stops early, this is what it has to report.
  if (!options.stopAfter.empty() && !sparse.empty())
    llvm::raw_string_ostream(result.report) << llvm::json::Value(llvm::json::Object{{"sparse_weights", llvm::json::Array(sparse)}});
  return isMarked;
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
  for (const rt::Launch &launch : builder.launches)
    units.push_back(llvm::json::Object{{"hero", launch.hero}, {"nodes", launch.name}});
  llvm::json::Object times;
  for (const auto &[stage, time] : pipeline.seconds)
    times[stage] = time + times[stage].getAsNumber().value_or(0);
  int64_t weightBytes = builder.getLevels().empty() ? 0 : static_cast<int64_t>(builder.getLevels().back()->generic.weightBytes);
  llvm::json::Object report{{"target", pipeline.target.cpu}, {"opt_level", options.optLevel}, {"weight_bytes", weightBytes},
                            {"launches", std::move(units)}, {"seconds", std::move(times)}};
  llvm::json::Array variants;
  for (const auto &level : builder.getLevels())
    for (size_t k = 0; k < level->variants.size(); ++k)
      variants.push_back(llvm::json::Object{{"target", level->generic.recipes.target}, {"guard", builder.guards[k]}, {"code_bytes", static_cast<int64_t>(level->variants[k].object.size())},
                                            {"weight_bytes", static_cast<int64_t>(level->variants[k].weightBytes)}});
  if (!variants.empty())
    report["variants"] = std::move(variants);
  if (!builder.generic.empty())
    report["generic_form_bytes"] = static_cast<int64_t>(builder.generic.size());
  if (pipeline.hasWinograd)
    raised += "; some convolutions of 3 x 3 are Winograd's F(4x4, 3x3), whose products are rounded after a transform";
  if (pipeline.hasSparse)
    raised += "; products with weights of 0 are left out, see sparse_weights: an infinite or NaN input times such a weight is 0 there and not NaN";
  if (pipeline.hasInt8)
    raised += "; quantised convolutions and products sum bytes in 32-bit integers, whose scales and biases are one fused multiply-add of f32; other numbers are multiplied by the reciprocal of the scale of their bytes";
  if (pipeline.hasBf16)
    raised += "; products with weights of bf16 round the left operand to bf16 as the model says, and count denormal numbers as 0 where the processor multiplies bf16";
  if (pipeline.hasBf16x3)
    raised += "; products of many rows split numbers of f32 into three of bf16 and leave out what is below 2^-20 of a product, where denormal numbers and parts count as 0";
  if (pipeline.hasDigits)
    raised += "; up to 32 rows times weights of few bits are fixed-point numbers of three bytes below the largest of each block, off by about 2^-23 of it at most, and summed over blocks in integers";
  if (pipeline.hasCodebook)
    raised += "; up to 8 rows times levels of a codebook are summed over blocks before the scales are multiplied";
  if (!stops.empty())
    report["branches_that_stop"] = std::move(stops);
  if (!sparse.empty())
    report["sparse_weights"] = std::move(sparse);
  if (options.optLevel > 0)
    report["numerics"] = "f32 sums are reassociated into vector lanes; f16 and bf16 compute in f32; math functions of f32, and exp and tanh of f64, are polynomials" + raised;
  if (!result.skipped.empty()) {
    report["optional_passes"] = static_cast<int64_t>(result.passes.size());
    report["skipped_passes"] = llvm::json::Array(result.skipped);
  }
  if (!builder.generic.empty())
    report["recompilation"] = "shapes that are met often may be compiled for themselves while the model runs, whose convolutions may then take Winograd's form";
  if (options.target == "portable" || !llvm::is_contained(pipeline.target.required, "fma"))
    report["levels"] = "x86-64-v2 has no fused multiply-add: its products are rounded before they are added, unlike those of the levels above";
  result.report.clear();
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
  if (!limitSymbols(pipeline) || !findDecidingInputs() || !listVariants(pipeline, builder.guards) || !markSparse())
    return;
  bool isText = options.emit == "llvm" || options.emit == "mlir";
  OwningOpRef<ModuleOp> graph = std::move(pipeline.module);
  if (!isText && options.recompile && options.optLevel > 0 && !options.sanitize && !filtersPasses(options) && mayHaveVariants(*graph))
    builder.generic = writeGenericForm(*graph, options);
  for (const std::string &name : names)
    if (!builder.addLevel(name, &name == &names.back() ? std::move(graph) : OwningOpRef<ModuleOp>(graph->clone())))
      return;
  if (!isText && !builder.write())
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
