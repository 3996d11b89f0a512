// Runs the stages of Stages.def over one model.
#include "onager/Compiler.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "dialects/Kernel/Transforms/Passes.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "lib/Conversion/KernelToVector/Passes.h"
#include "lib/Conversion/VectorToLLVM/VectorToLLVM.h"
#include "lib/Export/LLVMToArtifact/Artifact.h"
#include "lib/Export/LLVMToArtifact/Codegen.h"
#include "lib/Export/LLVMToArtifact/Header.h"
#include "lib/Pipeline/BuildManifest.h"
#include "lib/Pipeline/ConstantUnits.h"
#include "lib/Pipeline/SaveTemps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "onager/Import.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include <atomic>
#include <chrono>

using namespace mlir;

namespace onager {

namespace {

/// One form of the code, for processors of one level.
struct Level {
  std::string manifest; ///< encoded
  llvm::SmallVector<char, 0> object;
  std::unique_ptr<ConstantUnits> constants;
  ArrayAttr weights;
  DenseI64ArrayAttr offsets;
  uint64_t start = 0;    ///< of its weights in the section
  bool isShared = false; ///< its weights are those of a level before
};

/// One compilation: the context, the module and what the stages hand on.
class Compilation {
public:
  Compilation(const CompileOptions &options, CompileResult &result) : options(options), result(result), context(MLIRContext::Threading::DISABLED), temps(options.saveTemps) {
    product.path = options.output;
    product.emit = options.emit;
    product.modelName = options.name;
    product.separateWeights = options.weights == "separate";
    product.isSanitized = options.sanitize;
    context.loadDialect<graph::GraphDialect, kernel::KernelDialect, func::FuncDialect, scf::SCFDialect, arith::ArithDialect, math::MathDialect,
                        vector::VectorDialect, cf::ControlFlowDialect, LLVM::LLVMDialect>();
    context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() == DiagnosticSeverity::Error && diagnosed.empty())
        diagnosed = diagnostic.str();
    });
  }

  void run();

private:
  bool fail(Status status, const std::string &error) {
    result.status = status;
    if (result.error.empty())
      result.error = error + (diagnosed.empty() ? "" : ": " + diagnosed);
    return false;
  }
  bool import();
  bool runStage(const char *stage, function_ref<void(OpPassManager &)> add);
  bool stopsAfter(StringRef stage);
  bool checkPrinted();
  void printModule();
  bool lower();
  bool emitCode(bool isLast);
  bool chooseTarget(const std::string &name);
  void addLevel();
  void addModel(llvm::Module &code);
  bool writeFiles();
  void noteRaised();
  void writeReport();

  const CompileOptions &options;
  CompileResult &result;
  MLIRContext context;
  ImportResult imported; ///< owns the mapped model; outlives the module
  OwningOpRef<ModuleOp> module;
  Target target;
  rt::Manifest manifest;
  std::unique_ptr<ConstantUnits> constants;
  std::vector<Level> levels; ///< what is compiled so far, the most general level first
  Product product;
  SaveTemps temps;
  std::vector<std::pair<std::string, double>> seconds;
  std::string diagnosed;   ///< the first error that MLIR reported
  std::string raised;      ///< what recognised operations do to numbers, for the report
  bool hasWinograd = false; ///< some convolution has that form, for the report
  bool hasInt8 = false;     ///< some contraction is of bytes, for the report
  bool hasPrinted = false; ///< the pass of printAfter has run
};

std::atomic<const char *> latestStage{"start"};

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void Compilation::printModule() {
  OpPrintingFlags flags;
  flags.elideLargeElementsAttrs(16).elideLargeResourceString(64).enableDebugInfo(false);
  llvm::raw_string_ostream out(result.text);
  module->print(out, flags);
}

bool Compilation::stopsAfter(StringRef stage) {
  if (options.stopAfter != stage)
    return false;
  if (checkPrinted())
    printModule();
  return true;
}

bool Compilation::checkPrinted() {
  if (options.printAfter.empty() || hasPrinted)
    return true;
  return fail(Status::badOption, "option 'print-after': no pass '" + options.printAfter + "' has run");
}

bool Compilation::runStage(const char *stage, function_ref<void(OpPassManager &)> add) {
  latestStage.store(stage);
  double start = now();
  PassManager passes(&context);
  passes.enableVerifier(options.verifyEach);
  if (options.timing)
    passes.enableTiming();
  if (!options.printAfter.empty())
    passes.enableIRPrinting([](Pass *, Operation *) { return false; },
                            [&](Pass *pass, Operation *) {
                              bool isNamed = pass->getArgument() == options.printAfter;
                              hasPrinted |= isNamed;
                              return isNamed;
                            },
                            false, false, false, llvm::errs());
  add(passes);
  if (failed(passes.run(*module)))
    return fail(Status::internal, "stage '" + std::string(stage) + "' failed");
  temps.save(stage, *module);
  seconds.push_back({stage, now() - start});
  return true;
}

bool Compilation::import() {
  latestStage.store("import");
  double start = now();
  module = importOnnx({options.model, StringRef(options.bytes.data(), options.bytes.size())}, {options.shapes, options.operators}, context, imported);
  if (!module) {
    std::string joined;
    for (const ImportError &error : imported.errors)
      joined += (joined.empty() ? "" : "\n") + error.toString();
    return fail(imported.refused ? Status::refused : Status::badFile, joined);
  }
  temps.save("import", *module);
  seconds.push_back({"import", now() - start});
  return true;
}

bool Compilation::emitCode(bool isLast) {
  latestStage.store("artifact");
  double start = now();
  if (options.emit == "mlir") {
    printModule();
    return true;
  }
  llvm::LLVMContext llvmContext;
  finishManifest(*module, manifest);
  manifest.name = options.name;
  manifest.features = target.required;
  std::unique_ptr<llvm::Module> code = translateToLLVMIR(*module, llvmContext, target);
  if (!code)
    return fail(Status::internal, "translation to LLVM IR failed");
  addLevel();
  exportMain(*code, getSymbolPrefix(product) + "_main" + std::to_string(levels.size() - 1));
  if (isLast)
    addModel(*code);
  temps.save("translated", *code);
  optimize(*code, target, options.optLevel);
  temps.save("optimized", *code);
  if (options.emit == "llvm") {
    llvm::raw_string_ostream(result.text) << *code;
    return true;
  }
  levels.back().object = emitObject(*code, target);
  temps.save("code", levels.back().object);
  seconds.push_back({"codegen", now() - start});
  return true;
}

void Compilation::addLevel() {
  Level level;
  level.manifest = rt::encode(manifest);
  level.weights = module->getOperation()->getAttrOfType<ArrayAttr>(kernel::kWeightsAttr);
  level.offsets = module->getOperation()->getAttrOfType<DenseI64ArrayAttr>("kernel.weight_offsets");
  // Levels lay weights out alike; those of another layout would follow in the same section.
  level.start = product.weightBytes;
  for (const Level &other : levels)
    if (other.weights == level.weights && other.offsets == level.offsets) {
      level.start = other.start;
      level.isShared = true;
    }
  if (!level.isShared)
    product.weightBytes += manifest.weightBytes;
  level.constants = std::move(constants);
  if (levels.empty()) {
    product.header = formatHeader(manifest, product.separateWeights);
    product.manifestHash = rt::hashBytes(level.manifest.data(), level.manifest.size());
  }
  levels.push_back(std::move(level));
}

void Compilation::addModel(llvm::Module &code) {
  std::vector<Variant> variants;
  for (size_t k = 0; k < levels.size(); ++k)
    variants.push_back({levels[k].manifest, getSymbolPrefix(product) + "_main" + std::to_string(k), levels[k].start});
  addModelSymbol(code, getSymbolPrefix(product), variants, refersToWeights(product));
}

bool Compilation::writeFiles() {
  double start = now();
  std::string error, streamError;
  auto streamAll = [&](WeightSink sink) {
    for (Level &level : levels)
      if (!level.isShared && !level.constants->stream(level.weights, level.offsets.asArrayRef(), sink, streamError))
        return false;
    return true;
  };
  SmallVector<ArrayRef<char>> objects;
  for (const Level &level : levels)
    objects.push_back(level.object);
  bool written = writeProduct(product, objects, streamAll, error);
  seconds.push_back({"artifact", now() - start});
  if (written)
    return true;
  if (!streamError.empty())
    return fail(Status::refused, streamError);
  return fail(StringRef(error).starts_with("linking") ? Status::internal : Status::badFile, error);
}

void Compilation::noteRaised() {
  bool hasAttention = false, hasActivation = false;
  module->walk([&](Operation *op) {
    hasAttention |= isa<graph::AttentionOp>(op);
    hasActivation |= isa<graph::GeluOp, graph::SwishOp>(op);
  });
  if (hasAttention)
    raised += "; attention multiplies its scales into one, sums by blocks of keys and divides by the sum of a row at the end";
  if (hasActivation)
    raised += "; GELU of f32 is a quotient of polynomials, or by e^x in its form by tanh, SiLU one quotient";
}

void Compilation::writeReport() {
  llvm::json::Array launches;
  for (const rt::Launch &launch : manifest.launches)
    launches.push_back(llvm::json::Object{{"hero", launch.hero}, {"nodes", launch.name}});
  llvm::json::Object times;
  for (const auto &[stage, time] : seconds)
    times[stage] = time;
  llvm::json::Object report{{"target", target.cpu}, {"opt_level", options.optLevel}, {"weight_bytes", static_cast<int64_t>(manifest.weightBytes)},
                            {"launches", std::move(launches)}, {"seconds", std::move(times)}};
  if (hasWinograd)
    raised += "; some convolutions of 3 x 3 are Winograd's F(4x4, 3x3), whose products are rounded after a transform";
  if (hasInt8)
    raised += "; quantised convolutions and products sum bytes in 32-bit integers, whose scales and biases are one fused multiply-add of f32; other numbers are multiplied by the reciprocal of the scale of their bytes";
  if (options.optLevel > 0)
    report["numerics"] = "f32 sums are reassociated into vector lanes; f16 and bf16 compute in f32; math functions of f32 are polynomials" + raised;
  if (options.target == "portable" || !llvm::is_contained(target.required, "fma"))
    report["levels"] = "x86-64-v2 has no fused multiply-add: its products are rounded before they are added, unlike those of the levels above";
  llvm::raw_string_ostream(result.report) << llvm::formatv("{0:2}", llvm::json::Value(std::move(report)));
}

/// The levels of code that an option stands for, the most general first.
std::vector<std::string> getLevels(const std::string &target) {
  if (target == "portable")
    return {"x86-64-v2", "x86-64-v3", "x86-64-v4"};
  return {target};
}

bool Compilation::chooseTarget(const std::string &name) {
  if (!getTarget(name, target))
    return false;
  if (options.sanitize)
    target.required.push_back(rt::kSanitizerFeature);
  return true;
}

/// Runs the stages from graph operations to the LLVM dialect. Each ends with a pass that checks its exit contract.
bool Compilation::lower() {
  bool exact = options.optLevel == 0;
  bool formed = runStage("kernel", [&](OpPassManager &passes) {
    if (!exact && options.int8)
      passes.addNestedPass<func::FuncOp>(createConvertContractionToInt8({target.vectorBytes, target.hasDotProduct}));
    if (!exact) {
      passes.addNestedPass<func::FuncOp>(createConvertBlockMatmul());
      passes.addNestedPass<func::FuncOp>(createConvertMatmulToGemm());
    }
    if (!exact && options.winograd) {
      TargetInfo machine = makeEmitOptions(exact, target.vectorBytes).target;
      passes.addNestedPass<func::FuncOp>(createConvertConvToWinograd({getTileRows(machine), machine.l2Bytes}));
    }
    if (!exact)
      passes.addNestedPass<func::FuncOp>(createConvertConvToPacked());
    ConvertGraphToKernelOptions conversion;
    conversion.fuse = !exact;
    passes.addPass(createConvertGraphToKernel(conversion));
    if (!exact)
      passes.addNestedPass<kernel::UnitOp>(kernel::createKernelCollapseDims());
    passes.addPass(kernel::createKernelDeduplicateUnits());
    KernelAnnotateWorkOptions work;
    work.exact = exact;
    work.vectorBytes = target.vectorBytes;
    passes.addPass(createKernelAnnotateWork(work));
    passes.addPass(kernel::createVerifyKernel());
  });
  module->walk([&](kernel::WinogradConvOp) { hasWinograd = true; });
  module->walk([&](Operation *op) { hasInt8 |= isa<kernel::Int8ConvOp, kernel::Int8GemmOp>(op); });
  if (!formed || stopsAfter("kernel"))
    return false;
  bool planned = runStage("plan", [](OpPassManager &passes) {
    passes.addPass(kernel::createKernelPlanBuffers());
    passes.addPass(kernel::createVerifyPlan());
  });
  if (!planned || stopsAfter("plan"))
    return false;
  manifest = buildManifest(*module);
  std::string error;
  double start = now();
  constants = std::make_unique<ConstantUnits>();
  if (!constants->compile(*module, target.vectorBytes, error))
    return fail(Status::internal, error);
  seconds.push_back({"constants", now() - start});
  bool vectors = runStage("vector", [&](OpPassManager &passes) {
    ConvertKernelToVectorOptions conversion;
    conversion.exact = exact;
    conversion.vectorBytes = target.vectorBytes;
    passes.addPass(createConvertKernelToVector(conversion));
    passes.addPass(createVerifyVector());
  });
  if (!vectors || stopsAfter("vector"))
    return false;
  bool lowered = runStage("llvm", [&](OpPassManager &passes) {
    addVectorToLLVM(passes);
    // By its default name: the same model gives the same bytes wherever it lies.
    passes.addPass(createNameNodes());
    passes.addPass(createVerifyLLVM());
  });
  return lowered && !stopsAfter("llvm");
}

void Compilation::run() {
  std::vector<std::string> names = getLevels(options.target);
  if (!chooseTarget(names.front()))
    return void(fail(Status::badOption, "unknown target '" + options.target + "'; expected native, portable, x86-64-v2, x86-64-v3 or x86-64-v4"));
  if (!import() || stopsAfter("import"))
    return;
  auto addGraph = [&](OpPassManager &passes) {
    if (options.exposeAll || !options.exposed.empty()) {
      graph::GraphExposeValuesOptions exposure;
      exposure.positions.assign(options.exposed.begin(), options.exposed.end());
      passes.addNestedPass<func::FuncOp>(graph::createGraphExposeValues(exposure));
    }
    graph::addGraphStage(passes, options.optLevel == 0, options.int8);
    passes.addNestedPass<func::FuncOp>(graph::createVerifyGraph());
  };
  if (!runStage("graph", addGraph) || stopsAfter("graph"))
    return;
  noteRaised();
  bool isText = options.emit == "llvm" || options.emit == "mlir";
  OwningOpRef<ModuleOp> graphs = std::move(module);
  for (const std::string &name : names) {
    bool isLast = &name == &names.back();
    chooseTarget(name);
    module = isLast ? std::move(graphs) : OwningOpRef<ModuleOp>(graphs->clone());
    if (!lower())
      return;
    if (options.output.empty() && !isText)
      return void(fail(Status::badOption, "no output file given"));
    if (!checkPrinted() || !emitCode(isLast))
      return;
  }
  if (!isText && !writeFiles())
    return;
  writeReport();
  if (!temps.getError().empty())
    fail(Status::badFile, temps.getError());
}

} // namespace

const char *getStage() { return latestStage.load(); }

CompileResult compile(const CompileOptions &options) {
  CompileResult result;
  Compilation compilation(options, result);
  compilation.run();
  return result;
}

} // namespace onager
