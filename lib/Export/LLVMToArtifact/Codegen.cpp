// LLVM IR, its passes, and object files.
#include "lib/Export/LLVMToArtifact/Codegen.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "onager-rt/abi.h"
#include "runtime/core/amx.h"
#include "runtime/core/manifest.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/Instrumentation/AddressSanitizer.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"

using namespace llvm;

namespace onager {

bool getTarget(const std::string &name, Target &target) {
  static const std::vector<std::string> v2{"sse4.2", "popcnt"}, v3{"avx2", "fma", "f16c", "bmi2"}, v4{"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"};
  auto append = [&](const std::vector<std::string> &more) { target.required.insert(target.required.end(), more.begin(), more.end()); };
  target = {};
  if (name == "native") {
    target.cpu = sys::getHostCPUName().str();
    for (const auto &[feature, present] : sys::getHostCPUFeatures())
      target.features += (target.features.empty() ? "" : ",") + std::string(present ? "+" : "-") + feature.str();
    StringMap<bool> host = sys::getHostCPUFeatures();
    for (const auto *level : {&v2, &v3, &v4})
      for (const std::string &feature : *level)
        if (host.lookup(feature))
          target.required.push_back(feature);
    for (const char *feature : {"avx512vnni", "avx512bf16", "avx512fp16", "avx512vbmi", "gfni", "vpclmulqdq"})
      if (host.lookup(feature))
        target.required.push_back(feature);
    target.vectorBytes = host.lookup("avx512vl") ? 64 : host.lookup("avx2") ? 32 : 16;
    target.hasDotProduct = target.vectorBytes == 64 && host.lookup("avx512vnni");
    target.hasAmx = target.hasDotProduct && host.lookup("amx-int8") && rt::isAmxSupported();
    // AMD's processors add pairs of bf16 at twice the rate of products of f32, Intel's at half of it, also where a hypervisor hides their tiles.
    target.hasBf16Dot = target.vectorBytes == 64 && host.lookup("avx512bf16") && StringRef(target.cpu).starts_with("znver");
    target.hasAmxBf16 = target.vectorBytes == 64 && host.lookup("amx-bf16") && rt::isAmxSupported();
    return true;
  }
  target.cpu = name;
  if (target.cpu != "x86-64-v2" && target.cpu != "x86-64-v3" && target.cpu != "x86-64-v4")
    return false;
  append(v2);
  if (target.cpu >= "x86-64-v3")
    append(v3);
  if (target.cpu == "x86-64-v4")
    append(v4);
  target.vectorBytes = target.cpu == "x86-64-v4" ? 64 : target.cpu == "x86-64-v3" ? 32 : 16;
  return true;
}

/// Code has lines and functions but no variables. Following these by instructions would still solve the flow of every register: a tenth of all code generation.
static void skipVariableTracking() {
  auto &options = cl::getRegisteredOptions();
  if (auto found = options.find("experimental-debug-variable-locations"); found != options.end())
    found->second->addOccurrence(0, found->first, "false");
}

static std::unique_ptr<TargetMachine> createMachine(const Target &target, CodeGenOptLevel level = CodeGenOptLevel::Default) {
  static bool ready = [] {
    InitializeNativeTarget();
    InitializeNativeTargetAsmPrinter();
    skipVariableTracking();
    return true;
  }();
  (void)ready;
  Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const llvm::Target *backend = TargetRegistry::lookupTarget(triple, error);
  TargetOptions options;
  return std::unique_ptr<TargetMachine>(backend->createTargetMachine(triple, target.cpu, target.features, options, Reloc::PIC_, std::nullopt, level));
}

static bool isSanitized(const Target &target) { return is_contained(target.required, rt::kSanitizerFeature); }

/// Lets multiply-adds round twice, where one rounding would be a call into libm for each lane.
static void splitMultiplyAdds(Module &module) {
  SmallVector<IntrinsicInst *> calls;
  for (Function &function : module)
    for (Instruction &instruction : instructions(function))
      if (auto *call = dyn_cast<IntrinsicInst>(&instruction); call && call->getIntrinsicID() == Intrinsic::fma)
        calls.push_back(call);
  for (IntrinsicInst *call : calls) {
    IRBuilder<> builder(call);
    Value *product = builder.CreateFMul(call->getArgOperand(0), call->getArgOperand(1));
    call->replaceAllUsesWith(builder.CreateFAdd(product, call->getArgOperand(2)));
    call->eraseFromParent();
  }
}

std::unique_ptr<Module> translateToLLVMIR(mlir::ModuleOp module, LLVMContext &context, const Target &target) {
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  std::unique_ptr<Module> result = mlir::translateModuleToLLVMIR(module, context, "onager");
  if (!result)
    return nullptr;
  std::unique_ptr<TargetMachine> machine = createMachine(target);
  result->setTargetTriple(machine->getTargetTriple());
  result->setDataLayout(machine->createDataLayout());
  if (!is_contained(target.required, "fma"))
    splitMultiplyAdds(*result);
  for (Function &function : *result) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.cpu);
    function.addFnAttr("target-features", target.features);
    function.addFnAttr("prefer-vector-width", std::to_string(8 * target.vectorBytes));
    function.addFnAttr(Attribute::NoUnwind);
    if (isSanitized(target))
      function.addFnAttr(Attribute::SanitizeAddress);
  }
  return result;
}

/// What saves the code generator more time than it takes. Stages before leave values in registers already, and nothing that must be inlined; intrinsics
/// that the generator does not know (masked loads of some targets, sums of vectors) it expands by itself.
static ModulePassManager makeShortPipeline() {
  ModulePassManager passes;
  FunctionPassManager functions;
  functions.addPass(EarlyCSEPass());
  functions.addPass(SimplifyCFGPass());
  passes.addPass(GlobalDCEPass());
  passes.addPass(createModuleToFunctionPassAdaptor(std::move(functions)));
  return passes;
}

void optimize(Module &module, const Target &target, int level) {
  std::unique_ptr<TargetMachine> machine = createMachine(target);
  PipelineTuningOptions tuning;
  tuning.LoopVectorization = level > 0;
  tuning.LoopInterleaving = level > 0;
  tuning.SLPVectorization = false;
  tuning.LoopUnrolling = level > 0;
  PassBuilder builder(machine.get(), tuning);
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager components;
  ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  ModulePassManager passes = level == 1 ? makeShortPipeline() : builder.buildPerModuleDefaultPipeline(level > 0 ? OptimizationLevel::O2 : OptimizationLevel::O1);
  if (isSanitized(target)) {
    // Constants keep their layout and need no constructor; what is left are checks before accesses and red zones around stack buffers.
    for (GlobalVariable &global : module.globals()) {
      GlobalValue::SanitizerMetadata metadata;
      metadata.NoAddress = true;
      global.setSanitizerMetadata(metadata);
    }
    AddressSanitizerOptions options;
    options.UseAfterReturn = AsanDetectStackUseAfterReturnMode::Never;
    passes.addPass(AddressSanitizerPass(options, /*UseGlobalGC=*/false, /*UseOdrIndicator=*/false, AsanDtorKind::None, AsanCtorKind::None));
  }
  passes.run(module, modules);
}

SmallVector<char, 0> emitObject(Module &module, const Target &target, int level) {
  std::unique_ptr<TargetMachine> machine = createMachine(target, level == 1 ? CodeGenOptLevel::None : CodeGenOptLevel::Default);
  SmallVector<char, 0> object;
  raw_svector_ostream out(object);
  legacy::PassManager passes;
  // The translation has verified the module.
  if (machine->addPassesToEmitFile(passes, out, nullptr, CodeGenFileType::ObjectFile, /*DisableVerify=*/true))
    return {};
  passes.run(module);
  return object;
}

void exportMain(Module &module, const std::string &name) {
  Function *main = module.getFunction("onager_main");
  main->setVisibility(GlobalValue::HiddenVisibility);
  main->setName(name);
}

namespace {

/// Builds the constants that a runtime reads.
struct ModelBuilder {
  explicit ModelBuilder(Module &module) : module(module), context(module.getContext()), i32(Type::getInt32Ty(context)), i64(Type::getInt64Ty(context)), ptr(PointerType::get(context, 0)) {}

  Constant *number(Type *type, uint64_t value) { return ConstantInt::get(type, value); }

  /// Adds bytes; a null pointer where there are none.
  Constant *addBytes(const std::string &bytes, const Twine &name) {
    if (bytes.empty())
      return ConstantPointerNull::get(ptr);
    Constant *content = ConstantDataArray::getString(context, bytes, /*AddNull=*/false);
    auto *blob = new GlobalVariable(module, content->getType(), true, GlobalValue::InternalLinkage, content, name);
    blob->setAlignment(Align(64));
    return blob;
  }

  /// Adds an array of structs; a null pointer where there are none.
  Constant *addTable(ArrayRef<Constant *> entries, const Twine &name) {
    if (entries.empty())
      return ConstantPointerNull::get(ptr);
    ArrayType *type = ArrayType::get(entries.front()->getType(), entries.size());
    return new GlobalVariable(module, type, true, GlobalValue::InternalLinkage, ConstantArray::get(type, entries), name);
  }

  /// Finds a driver, which lies in another object.
  Constant *findMain(const std::string &name) {
    auto *main = cast<Function>(module.getOrInsertFunction(name, FunctionType::get(i32, {ptr, i32}, false)).getCallee());
    main->setVisibility(GlobalValue::HiddenVisibility);
    return main;
  }

  /// The fields that onager_variant and onager_code_level begin with.
  SmallVector<Constant *> describe(const FormDescription &form, size_t size, const Twine &name) {
    return {number(i32, size), number(i32, 0), addBytes(form.manifest, name + "_manifest"), number(i64, form.manifest.size()), findMain(form.main), number(i64, form.weightStart)};
  }

  Constant *describe(const LevelDescription &level, const Twine &name) {
    SmallVector<Constant *> variants;
    for (auto [k, variant] : enumerate(level.variants))
      variants.push_back(ConstantStruct::getAnon(describe(variant, sizeof(onager_variant), name + "_variant" + Twine(k))));
    SmallVector<Constant *> fields = describe(level.generic, sizeof(onager_code_level), name);
    fields.append({addTable(variants, name + "_variants"), number(i64, variants.size()), addBytes(level.recipes, name + "_recipes"), number(i64, level.recipes.size())});
    return ConstantStruct::getAnon(fields);
  }

  Module &module;
  LLVMContext &context;
  Type *i32, *i64;
  PointerType *ptr;
};

} // namespace

SmallVector<char, 0> emitModel(StringRef name, const ModelDescription &model, const Target &target) {
  LLVMContext context;
  Module module("onager_model", context);
  std::unique_ptr<TargetMachine> machine = createMachine(target);
  module.setTargetTriple(machine->getTargetTriple());
  module.setDataLayout(machine->createDataLayout());
  ModelBuilder builder(module);
  SmallVector<Constant *> levels;
  for (auto [k, level] : enumerate(model.levels))
    levels.push_back(builder.describe(level, name + "_level" + Twine(k)));
  Constant *weights = ConstantPointerNull::get(builder.ptr);
  if (model.hasLinkedWeights) {
    auto *section = new GlobalVariable(module, Type::getInt8Ty(context), true, GlobalValue::ExternalLinkage, nullptr, name + "_weights");
    section->setVisibility(GlobalValue::HiddenVisibility);
    weights = section;
  }
  // Readers that know no levels find the first in the fields before them.
  auto *first = cast<ConstantStruct>(levels.front());
  Constant *value = ConstantStruct::getAnon({builder.number(builder.i32, sizeof(onager_model)), builder.number(builder.i32, ONAGER_ABI_VERSION), first->getOperand(2), first->getOperand(3),
                                             first->getOperand(4), weights, builder.addTable(levels, name + "_levels"), builder.number(builder.i64, levels.size()),
                                             builder.addBytes(model.generic, name + "_generic"), builder.number(builder.i64, model.generic.size())});
  new GlobalVariable(module, value->getType(), true, GlobalValue::ExternalLinkage, value, name + "_model");
  return emitObject(module, target, 1);
}

} // namespace onager
