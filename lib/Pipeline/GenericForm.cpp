// Writing and reading generic forms; a variant's graph.
//
// form := version:u32 optLevel:u32 int8:u32 winograd:u32 bf16:u32 bf16x3:u32 nameBytes:u64 name bytecode     padded with zeros behind `name` to a multiple of 64
#include "lib/Pipeline/GenericForm.h"
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/Transforms/Guards.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include <cstring>

using namespace mlir;

namespace onager {

/// Constants up to this size may decide how code is made; they travel with the form.
static constexpr size_t kMostInlineBytes = 256;
static constexpr uint32_t kVersion = 3;
static constexpr size_t kAlignment = 64;

namespace {
struct FormHeader {
  uint32_t version, optLevel, int8, winograd, bf16, bf16x3;
  uint64_t nameBytes;
};
} // namespace

bool mayHaveVariants(ModuleOp graph) {
  bool hasSymbols = !graph::getInputElements(graph.lookupSymbol<func::FuncOp>("main")).empty();
  for (Type type : graph.lookupSymbol<func::FuncOp>("main").getArgumentTypes())
    for (AffineExpr dim : graph::getDims(type))
      graph::forEachSymbol(dim, [&](unsigned) { hasSymbols = true; });
  return hasSymbols;
}

/// Calls `use` with each constant that is a resource.
static void forEachResource(ModuleOp graph, function_ref<void(DenseResourceElementsAttr)> use) {
  graph.walk([&](graph::ConstantOp constant) {
    if (auto resource = dyn_cast<DenseResourceElementsAttr>(constant.getValue()))
      use(resource);
  });
}

std::string writeGenericForm(ModuleOp graph, const CompileOptions &options) {
  // Blobs are written with the names; those that are to stay away are taken out for the time.
  std::vector<std::pair<AsmResourceBlob *, AsmResourceBlob>> removed;
  forEachResource(graph, [&](DenseResourceElementsAttr resource) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || blob->getData().size() <= kMostInlineBytes)
      return;
    removed.emplace_back(blob, std::move(*blob));
    *blob = UnmanagedAsmResourceBlob::allocateWithAlign({}, 1);
  });
  FormHeader header{kVersion, static_cast<uint32_t>(options.optLevel), options.int8, options.winograd, options.bf16, options.bf16x3, options.name.size()};
  std::string bytes(reinterpret_cast<const char *>(&header), sizeof header);
  bytes += options.name;
  bytes.resize(llvm::alignTo(bytes.size(), kAlignment));
  llvm::raw_string_ostream out(bytes);
  bool isWritten = succeeded(writeBytecodeToFile(graph, out));
  for (auto &[blob, content] : removed)
    *blob = std::move(content);
  return isWritten ? bytes : std::string();
}

/// Splits a form into its options and the bytecode; false where it is none.
static bool split(StringRef bytes, CompileOptions &options, StringRef &bytecode) {
  FormHeader header;
  if (bytes.size() < sizeof header)
    return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  uint64_t start = llvm::alignTo(sizeof header + std::min<uint64_t>(header.nameBytes, 4096), kAlignment);
  if (header.version != kVersion || header.nameBytes > 4096 || start > bytes.size())
    return false;
  options.optLevel = static_cast<int>(header.optLevel);
  options.int8 = header.int8;
  options.winograd = header.winograd;
  options.bf16 = header.bf16;
  options.bf16x3 = header.bf16x3;
  options.name = bytes.substr(sizeof header, header.nameBytes).str();
  bytecode = bytes.drop_front(start);
  return true;
}

bool readGenericOptions(StringRef bytes, CompileOptions &options) {
  StringRef bytecode;
  return split(bytes, options, bytecode);
}

OwningOpRef<ModuleOp> readGenericForm(StringRef bytes, MLIRContext &context, const RecipeTable &table, ArrayRef<char> weights) {
  CompileOptions ignored;
  StringRef bytecode;
  if (!split(bytes, ignored, bytecode))
    return nullptr;
  // The reader wants the buffer where its largest alignment is.
  auto buffer = llvm::WritableMemoryBuffer::getNewUninitMemBuffer(bytecode.size(), "generic form", llvm::Align(kAlignment));
  std::memcpy(buffer->getBufferStart(), bytecode.data(), bytecode.size());
  auto sources = std::make_shared<llvm::SourceMgr>();
  sources->AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  auto graph = parseSourceFile<ModuleOp>(sources, ParserConfig(&context));
  if (!graph)
    return nullptr;
  forEachResource(*graph, [&](DenseResourceElementsAttr resource) {
    auto place = table.find(makeConstantKey(resource));
    if (graph::hasBytes(resource) || !place || place->offset > weights.size() || place->bytes > weights.size() - place->offset)
      return;
    auto handle = resource.getRawHandle();
    handle.getResource()->setBlob(UnmanagedAsmResourceBlob::allocateWithAlign(weights.slice(place->offset, place->bytes), 1));
  });
  return graph;
}

bool specializeGraph(Pipeline &pipeline, const std::string &guard, bool keepsFilters) {
  bool isSpecialized = pipeline.runStage("specialize", [&](OpPassManager &passes) {
    OpPassManager &function = passes.nest<func::FuncOp>();
    function.addPass(graph::createGraphSpecializeSymbols({guard}));
    function.addPass(graph::createGraphSimplify());
    function.addPass(graph::createGraphExpandConvTranspose());
    if (!keepsFilters)
      function.addPass(graph::createGraphFlattenConv());
    function.addPass(createCSEPass());
    function.addPass(graph::createGraphSimplify());
    function.addPass(graph::createVerifyGraph());
  });
  if (isSpecialized)
    return true;
  pipeline.result.status = Status::badOption;
  return false;
}

bool lowerVariant(Pipeline &pipeline, const std::string &guard, const RecipeTable &generic, ArrayRef<char> section) {
  // Constants of which other weights than the generic form's would be made are told by trying. Those of convolutions that became products show once they stay convolutions.
  constexpr int kMostAttempts = 3;
  SmallVector<ElementsAttr> missing;
  for (int attempt = 1;; ++attempt) {
    OwningOpRef<ModuleOp> graph = pipeline.module->clone();
    if (!specializeGraph(pipeline, guard, /*keepsFilters=*/attempt > 1))
      return false;
    pipeline.module->walk([&](graph::ConstantOp constant) {
      if (llvm::is_contained(missing, constant.getValue()))
        constant->setAttr(kernel::kGenericFormAttr, UnitAttr::get(&pipeline.context));
    });
    if (pipeline.lower(&generic, section))
      return true;
    if (attempt == kMostAttempts)
      return false;
    SmallVector<ElementsAttr> more = pipeline.takeMissing();
    if (more.empty())
      return false;
    missing.append(more);
    pipeline.module = std::move(graph);
  }
}

} // namespace onager
