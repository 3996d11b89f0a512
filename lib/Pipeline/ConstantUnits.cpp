// Compiles constant units with ORC and runs them one weight at a time, so that memory stays near the largest weight.
#include "lib/Pipeline/ConstantUnits.h"
#include "dialects/Graph/IR/Shapes.h"
#include "lib/Conversion/KernelToVector/Passes.h"
#include "lib/Conversion/VectorToLLVM/VectorToLLVM.h"
#include "lib/Export/LLVMToArtifact/Codegen.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/core/amx.h"
#include "runtime/core/hostmath.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"

using namespace mlir;

namespace onager {

ConstantUnits::ConstantUnits() = default;
ConstantUnits::~ConstantUnits() = default;

static int64_t sizeOf(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.getNumElements() * graph::getElementBytes(tensor.getElementType());
}

bool ConstantUnits::compile(ModuleOp module, unsigned vectorBytes, int optLevel, const llvm::StringSet<> *needed, std::string &error) {
  llvm::StringSet<> constant, runtime;
  module.walk([&](kernel::LaunchOp launch) { (launch->hasAttr("constant") ? constant : runtime).insert(launch.getUnit()); });
  units = ModuleOp::create(module.getLoc());
  OpBuilder b = OpBuilder::atBlockEnd(units->getBody());
  for (auto unit : llvm::make_early_inc_range(module.getOps<kernel::UnitOp>())) {
    StringRef name = unit.getSymName();
    if (constant.contains(name) && (!needed || needed->contains(name))) {
      b.clone(*unit);
      auto count = unit->getAttrOfType<AffineMapAttr>("items").getValue().getResult(0);
      items[name] = *graph::getConstant(count);
      scratchBytes[name] = *graph::getConstant(unit->getAttrOfType<AffineMapAttr>("scratch").getValue().getResult(0));
      for (Value value : unit.getBody().front().getTerminator()->getOperands())
        resultBytes[name].push_back(sizeOf(value.getType()));
    }
    if (!runtime.contains(name))
      unit.erase();
  }
  if (items.empty())
    return true;
  if (std::string refusal = kernel::usesAmx(*units) || kernel::usesAmxBf16(*units) ? rt::requestAmx() : std::string(); !refusal.empty()) {
    error = "constant units need tiles, which the system does not let this process use: " + refusal;
    return false;
  }
  Target host;
  getTarget("native", host);
  PassManager passes(module.getContext());
  ConvertKernelToVectorOptions options;
  options.vectorBytes = vectorBytes;
  passes.addPass(createConvertKernelToVector(options));
  addVectorToLLVM(passes);
  if (failed(passes.run(*units))) {
    error = "constant units do not lower";
    return false;
  }
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateToLLVMIR(*units, context, host);
  if (!code) {
    error = "constant units do not translate";
    return false;
  }
  for (llvm::Function &function : *code)
    if (items.count(function.getName()))
      function.setLinkage(llvm::GlobalValue::ExternalLinkage);
  int level = optLevel == 1 ? 1 : 2;
  optimize(*code, host, level);
  llvm::SmallVector<char, 0> object = emitObject(*code, host, level);
  auto created = llvm::orc::LLJITBuilder().create();
  if (!created) {
    error = llvm::toString(created.takeError());
    return false;
  }
  jit = std::move(*created);
  if (auto process = llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(jit->getDataLayout().getGlobalPrefix()))
    jit->getMainJITDylib().addGenerator(std::move(*process));
  else
    llvm::consumeError(process.takeError());
  auto buffer = llvm::MemoryBuffer::getMemBufferCopy(StringRef(object.data(), object.size()), "constants");
  if (llvm::Error failure = jit->addObjectFile(std::move(buffer))) {
    error = llvm::toString(std::move(failure));
    return false;
  }
  return true;
}

bool ConstantUnits::compute(ArrayAttr weights, int64_t index, SmallVectorImpl<char> &storage, ArrayRef<char> &bytes, std::string &error) {
  auto entry = cast<DictionaryAttr>(weights[index]);
  if (auto value = entry.getAs<ElementsAttr>("value")) {
    bytes = graph::getConstantBytes(value, storage);
    return true;
  }
  StringRef unit = entry.getAs<FlatSymbolRefAttr>("unit").getValue();
  ArrayRef<int64_t> inputs = entry.getAs<DenseI64ArrayAttr>("inputs").asArrayRef();
  int64_t wanted = entry.getAs<IntegerAttr>("result").getInt();
  auto address = jit->lookup(unit);
  if (!address) {
    error = llvm::toString(address.takeError());
    return false;
  }
  std::vector<SmallVector<char>> kept(inputs.size()), outputs(resultBytes[unit].size());
  int64_t noSymbols[1] = {0};
  std::vector<const void *> arguments{noSymbols};
  for (auto [k, input] : llvm::enumerate(inputs)) {
    ArrayRef<char> data;
    if (!compute(weights, input, kept[k], data, error))
      return false;
    if (data.empty()) {
      kept[k].resize(64);
      data = kept[k];
    }
    arguments.push_back(data.data());
  }
  for (auto [k, size] : llvm::enumerate(resultBytes[unit])) {
    SmallVectorImpl<char> &target = static_cast<int64_t>(k) == wanted ? storage : outputs[k];
    target.resize_for_overwrite(std::max<int64_t>(size, 64));
    arguments.push_back(target.data());
  }
  std::unique_ptr<char[], decltype(&std::free)> scratch(static_cast<char *>(std::aligned_alloc(ONAGER_ALIGNMENT, llvm::alignTo(std::max<int64_t>(scratchBytes[unit], 1), ONAGER_ALIGNMENT))), &std::free);
  arguments.push_back(scratch.get());
  onager_host host{};
  host.size = sizeof host;
  host.version = ONAGER_ABI_VERSION;
  host.math = rt::kHostMath;
  host.math2 = rt::kHostMath2;
  onager_run run{};
  run.size = sizeof run;
  run.threads = 1;
  run.host = &host;
  auto function = address->toPtr<int32_t(onager_run *, const void *const *, int64_t, int64_t)>();
  int32_t status = function(&run, arguments.data(), 0, items[unit]);
  if (status) {
    error = "a constant expression of the model is invalid (an index is out of range)";
    return false;
  }
  storage.truncate(resultBytes[unit][wanted]);
  bytes = storage;
  return true;
}

bool ConstantUnits::stream(ArrayAttr weights, ArrayRef<int64_t> offsets, function_ref<bool(ArrayRef<char>)> sink, std::string &error) {
  SmallVector<std::pair<int64_t, int64_t>> order;
  for (auto [index, offset] : llvm::enumerate(offsets))
    if (offset >= 0)
      order.push_back({offset, static_cast<int64_t>(index)});
  llvm::sort(order);
  static const char zeros[ONAGER_ALIGNMENT] = {};
  for (auto [offset, index] : order) {
    SmallVector<char> storage;
    ArrayRef<char> bytes;
    if (!compute(weights, index, storage, bytes, error) || !sink(bytes))
      return false;
    size_t padded = llvm::alignTo(std::max<size_t>(bytes.size(), 1), ONAGER_ALIGNMENT);
    if (!sink(ArrayRef<char>(zeros, padded - bytes.size())))
      return false;
  }
  return true;
}

} // namespace onager
