// Stages: passes, their timing and printing, code of a form.
#include "lib/Pipeline/Pipeline.h"
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/Transforms/Passes.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "lib/Conversion/KernelToVector/Passes.h"
#include "lib/Conversion/VectorToLLVM/VectorToLLVM.h"
#include "lib/Export/LLVMToArtifact/Codegen.h"
#include "lib/Pipeline/BuildManifest.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Verifier.h"
#include "runtime/core/amx.h"
#include <atomic>
#include <chrono>

using namespace mlir;

namespace onager {

/// Smaller weights of variants are not looked for in others: a page is mapped for them in any case.
static constexpr uint64_t kFewestPartBytes = 4096;

static std::atomic<const char *> latestStage{"start"};

void enterStage(const char *stage) { latestStage.store(stage); }
const char *getStage() { return latestStage.load(); }

static double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Pipeline::Pipeline(const CompileOptions &options, CompileResult &result) : options(options), result(result), context(MLIRContext::Threading::DISABLED), temps(options.saveTemps), filter(options, result, getOptionalPasses()) {
  if (filtersPasses(options))
    filter.install(context);
  context.loadDialect<graph::GraphDialect, kernel::KernelDialect, func::FuncDialect, scf::SCFDialect, arith::ArithDialect, math::MathDialect,
                      vector::VectorDialect, cf::ControlFlowDialect, LLVM::LLVMDialect>();
  context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error && diagnosed.empty())
      diagnosed = diagnostic.str();
  });
}

bool Pipeline::fail(Status status, const std::string &error) {
  result.status = status;
  if (result.error.empty())
    result.error = error + (diagnosed.empty() ? "" : ": " + diagnosed);
  return false;
}

SmallVector<ElementsAttr> Pipeline::takeMissing() {
  if (!missing.empty()) {
    result.status = Status::ok;
    result.error.clear();
  }
  return std::exchange(missing, {});
}

void Pipeline::printModule() {
  OpPrintingFlags flags;
  flags.elideLargeElementsAttrs(16).elideLargeResourceString(64).enableDebugInfo(false);
  llvm::raw_string_ostream out(result.text);
  module->print(out, flags);
}

bool Pipeline::stopsAfter(StringRef stage) {
  if (options.stopAfter != stage)
    return false;
  if (checkPrinted())
    printModule();
  return true;
}

bool Pipeline::checkPrinted() {
  if (options.printAfter.empty() || hasPrinted)
    return true;
  return fail(Status::badOption, "option 'print-after': no pass '" + options.printAfter + "' has run");
}

bool Pipeline::timeStage(const char *stage, function_ref<bool()> run) {
  double start = now();
  bool isDone = run();
  seconds.push_back({stage, now() - start});
  return isDone;
}

bool Pipeline::runStage(const char *stage, function_ref<void(OpPassManager &)> add) {
  enterStage(stage);
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
  bool isDone = timeStage(stage, [&] { return succeeded(passes.run(*module)); });
  if (!isDone)
    return fail(Status::internal, "stage '" + std::string(stage) + "' failed");
  temps.save(stage, *module);
  return true;
}

bool Pipeline::chooseTarget(const std::string &name) {
  if (!getTarget(name, target))
    return false;
  if (options.sanitize)
    target.required.push_back(rt::kSanitizerFeature);
  return true;
}

bool Pipeline::formUnits(bool exact) {
  // Passes before the conversion are counted while they run, behind this.
  bool fuses = exact || !filtersPasses(options) || filter.admit(kFuseUnits);
  bool isFormed = runStage("kernel", [&](OpPassManager &passes) {
    if (!exact && options.int8)
      passes.addNestedPass<func::FuncOp>(createConvertContractionToInt8({target.vectorBytes, target.hasDotProduct, target.hasAmx}));
    // Before the other products, which are of f32.
    if (!exact && options.bf16)
      passes.addNestedPass<func::FuncOp>(createConvertContractionToBf16({target.vectorBytes, target.hasBf16Dot, target.hasAmxBf16}));
    // Before the dense forms of the same products.
    if (!exact) {
      passes.addNestedPass<func::FuncOp>(createConvertContractionToSparse());
      passes.addNestedPass<func::FuncOp>(createConvertBlockMatmul({options.int8 && target.hasDotProduct}));
      passes.addNestedPass<func::FuncOp>(createConvertMatmulToDotRows());
      passes.addNestedPass<func::FuncOp>(createConvertMatmulToGemm({options.bf16x3 && target.hasAmxBf16}));
    }
    if (!exact && options.winograd) {
      TargetInfo machine = makeEmitOptions(exact, target.vectorBytes).target;
      passes.addNestedPass<func::FuncOp>(createConvertConvToWinograd({getTileRows(machine), machine.l2Bytes}));
    }
    if (!exact && options.bf16x3 && target.hasAmxBf16)
      passes.addNestedPass<func::FuncOp>(createConvertConvToBf16x3());
    if (!exact) {
      passes.addNestedPass<func::FuncOp>(createConvertConvToPacked());
      passes.addNestedPass<func::FuncOp>(createGraphMarkPast({makeEmitOptions(exact, target.vectorBytes).target.l3Bytes}));
    }
    ConvertGraphToKernelOptions conversion;
    conversion.fuse = !exact && fuses;
    passes.addPass(createConvertGraphToKernel(conversion));
    if (!exact) {
      passes.addNestedPass<kernel::UnitOp>(kernel::createKernelCollapseDims());
      // While each unit has one launch.
      passes.addPass(kernel::createKernelFuseDepthwise({target.vectorBytes, makeEmitOptions(exact, target.vectorBytes).target.l2Bytes}));
    }
    passes.addPass(kernel::createKernelDeduplicateUnits());
    KernelAnnotateWorkOptions work;
    work.exact = exact;
    work.vectorBytes = target.vectorBytes;
    passes.addPass(createKernelAnnotateWork(work));
    passes.addPass(kernel::createVerifyKernel());
  });
  module->walk([&](kernel::WinogradConvOp) { hasWinograd = true; });
  module->walk([&](Operation *op) { hasInt8 |= isa<kernel::Int8ConvOp, kernel::Int8GemmOp>(op); });
  module->walk([&](kernel::SparsePackOp) { hasSparse = true; });
  module->walk([&](kernel::Bf16GemmOp) { hasBf16 = true; });
  hasBf16x3 |= kernel::usesBf16x3(*module);
  module->walk([&](kernel::BlockGemmOp product) {
    hasDigits |= product.getDigits();
    hasCodebook |= product.getLevels() != nullptr;
  });
  for (auto [isUsed, feature] : {std::pair(kernel::usesAmx(*module), rt::kAmxFeature), std::pair(kernel::usesAmxBf16(*module), rt::kAmxBf16Feature)})
    if (isUsed && !llvm::is_contained(target.required, feature))
      target.required.push_back(feature);
  return isFormed;
}

void Pipeline::collectUnits(ArrayAttr weights, int64_t index, llvm::StringSet<> &needed) {
  auto entry = cast<DictionaryAttr>(weights[index]);
  if (auto value = entry.getAs<ElementsAttr>("value")) {
    if (!graph::hasBytes(value))
      missing.push_back(value);
    return;
  }
  needed.insert(entry.getAs<FlatSymbolRefAttr>("unit").getValue());
  for (int64_t input : entry.getAs<DenseI64ArrayAttr>("inputs").asArrayRef())
    collectUnits(weights, input, needed);
}

/// The type of a weight, from its entry of kernel.weights.
static RankedTensorType getWeightType(DictionaryAttr entry) {
  auto value = entry.getAs<ElementsAttr>("value");
  return cast<RankedTensorType>(value ? Type(value.getShapedType()) : entry.getAs<TypeAttr>("type").getValue());
}

/// Returns the bytes of a weight.
static uint64_t countBytes(DictionaryAttr entry) {
  RankedTensorType type = getWeightType(entry);
  return static_cast<uint64_t>(type.getNumElements()) * graph::getElementBytes(type.getElementType());
}

/// An entry for a weight that lies in a section.
static DictionaryAttr makeStored(DictionaryAttr entry, ArrayRef<char> bytes) {
  Builder b(entry.getContext());
  return b.getDictionaryAttr(b.getNamedAttr("value", graph::makeMappedConstant(getWeightType(entry), bytes, "stored")));
}

bool Pipeline::shareWeights(const RecipeTable &generic, ArrayRef<char> section, llvm::StringSet<> &needed) {
  Operation *op = module->getOperation();
  SmallVector<Attribute> weights(op->getAttrOfType<ArrayAttr>(kernel::kWeightsAttr).getValue());
  SmallVector<int64_t> shared(keys.size(), -1);
  for (size_t k = 0; k < keys.size(); ++k) {
    auto place = generic.find(keys[k]);
    if (!place)
      continue;
    shared[k] = place->offset;
    if (place->offset <= section.size() && place->bytes <= section.size() - place->offset)
      weights[k] = makeStored(cast<DictionaryAttr>(weights[k]), section.slice(place->offset, place->bytes));
  }
  auto list = ArrayAttr::get(&context, weights);
  for (int64_t k : kernel::findReadWeights(module->lookupSymbol("main")))
    if (shared[k] < 0)
      collectUnits(list, k, needed);
  if (!missing.empty()) {
    std::string type;
    llvm::raw_string_ostream(type) << missing.front().getShapedType();
    return fail(Status::refused, "the variant needs a constant, a " + type + ", in a form that the artifact does not hold");
  }
  op->setAttr(kernel::kWeightsAttr, list);
  op->setAttr(kernel::kSharedWeightsAttr, DenseI64ArrayAttr::get(&context, shared));
  return true;
}

/// Returns where in `whole` a weight could lie whose bytes are there.
static std::optional<uint64_t> findWithin(ArrayRef<char> whole, ArrayRef<char> part) {
  for (size_t offset = 0; offset + part.size() <= whole.size(); offset += ONAGER_ALIGNMENT)
    if (whole.slice(offset, part.size()) == part)
      return offset;
  return std::nullopt;
}

bool Pipeline::shareParts(const RecipeTable &generic, std::string &error) {
  Operation *op = module->getOperation();
  auto weights = op->getAttrOfType<ArrayAttr>(kernel::kWeightsAttr);
  SmallVector<int64_t> shared(op->getAttrOfType<DenseI64ArrayAttr>(kernel::kSharedWeightsAttr).asArrayRef());
  for (int64_t k : kernel::findReadWeights(module->lookupSymbol("main"))) {
    auto entry = cast<DictionaryAttr>(weights[k]);
    auto inputs = entry.getAs<DenseI64ArrayAttr>("inputs");
    if (shared[k] >= 0 || !inputs || countBytes(entry) < kFewestPartBytes)
      continue;
    SmallVector<char> storage, wholeStorage;
    ArrayRef<char> part, whole;
    if (!constants->compute(weights, k, storage, part, error))
      return false;
    for (int64_t input : inputs.asArrayRef()) {
      auto place = generic.find(keys[input]);
      if (!place)
        continue;
      if (!constants->compute(weights, input, wholeStorage, whole, error))
        return false;
      if (auto offset = findWithin(whole, part)) {
        shared[k] = static_cast<int64_t>(place->offset + *offset);
        break;
      }
    }
  }
  op->setAttr(kernel::kSharedWeightsAttr, DenseI64ArrayAttr::get(&context, shared));
  return true;
}

bool Pipeline::planBuffers(const RecipeTable *generic, ArrayRef<char> section) {
  bool isPlanned = runStage("plan", [](OpPassManager &passes) {
    passes.addPass(kernel::createKernelPlanBuffers());
    passes.addPass(kernel::createVerifyPlan());
  });
  if (!isPlanned || stopsAfter("plan"))
    return false;
  manifest = buildManifest(*module);
  keys = makeRecipeKeys(*module);
  llvm::StringSet<> needed;
  if (generic && !shareWeights(*generic, section, needed))
    return false;
  std::string error;
  constants = std::make_unique<ConstantUnits>();
  bool isCompiled = timeStage("constants", [&] { return constants->compile(*module, target.vectorBytes, options.optLevel, generic ? &needed : nullptr, error); });
  if (!isCompiled)
    return fail(Status::internal, error);
  return !generic || shareParts(*generic, error) || fail(Status::refused, error);
}

/// Each stage ends with a pass that checks its exit contract.
bool Pipeline::lower(const RecipeTable *generic, ArrayRef<char> section) {
  bool exact = options.optLevel == 0;
  if (!formUnits(exact) || stopsAfter("kernel") || !planBuffers(generic, section))
    return false;
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

bool Pipeline::emitForm(const std::string &main, Form &form) {
  enterStage("artifact");
  if (options.emit == "mlir") {
    printModule();
    return true;
  }
  llvm::LLVMContext llvmContext;
  finishManifest(*module, manifest);
  manifest.name = options.name;
  manifest.features = target.required;
  std::unique_ptr<llvm::Module> code;
  bool isTranslated = timeStage("codegen", [&] {
    code = translateToLLVMIR(*module, llvmContext, target);
    if (!code)
      return false;
    exportMain(*code, main);
    temps.save("translated", *code);
    optimize(*code, target, options.optLevel);
    temps.save("optimized", *code);
    if (options.emit == "llvm")
      llvm::raw_string_ostream(result.text) << *code;
    else
      form.object = emitObject(*code, target, options.optLevel);
    return true;
  });
  if (!isTranslated)
    return fail(Status::internal, "translation to LLVM IR failed");
  temps.save("code", form.object);
  form.main = main;
  form.manifest = rt::encode(manifest);
  form.weights = module->getOperation()->getAttrOfType<ArrayAttr>(kernel::kWeightsAttr);
  form.offsets = module->getOperation()->getAttrOfType<DenseI64ArrayAttr>("kernel.weight_offsets");
  form.weightBytes = manifest.weightBytes;
  form.constants = std::move(constants);
  for (auto [k, offset] : llvm::enumerate(form.offsets.asArrayRef()))
    if (offset >= 0)
      form.recipes.add(keys[k], {static_cast<uint64_t>(offset), countBytes(cast<DictionaryAttr>(form.weights[k]))});
  return true;
}

bool Pipeline::writeFiles(const Product &product, ArrayRef<ArrayRef<char>> objects, ArrayRef<Form *> forms) {
  std::string error, streamError;
  auto streamAll = [&](WeightSink sink) {
    return llvm::all_of(forms, [&](Form *form) {
      if (form->isShared)
        return true;
      return form->stored.empty() ? form->constants->stream(form->weights, form->offsets.asArrayRef(), sink, streamError) : sink(form->stored);
    });
  };
  if (timeStage("artifact", [&] { return writeProduct(product, objects, streamAll, error); }))
    return true;
  if (!streamError.empty())
    return fail(Status::refused, streamError);
  return fail(StringRef(error).starts_with("linking") ? Status::internal : Status::badFile, error);
}

} // namespace onager
