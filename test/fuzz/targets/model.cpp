// Models from memory: parsed and imported into a verified module of graph operations, or refused with a line for each reason.
#include "include/onager/Import.h"
#include "mlir/IR/MLIRContext.h"
#include <cstdlib>
#include <memory>

using namespace onager;

/// Contexts keep every type and attribute that they have met.
static constexpr unsigned kRunsOfContext = 128;

static void expect(bool holds) {
  if (!holds)
    std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static std::unique_ptr<mlir::MLIRContext> context;
  static unsigned runs = 0;
  if (runs++ % kRunsOfContext == 0) {
    context = std::make_unique<mlir::MLIRContext>(mlir::MLIRContext::Threading::DISABLED);
    context->getDiagEngine().registerHandler([](mlir::Diagnostic &) { return mlir::success(); });
  }
  ImportSource source{"", llvm::StringRef(reinterpret_cast<const char *>(data), size)};
  ImportResult result;
  mlir::OwningOpRef<mlir::ModuleOp> module = importOnnx(source, {}, *context, result);
  expect(static_cast<bool>(module) == result.errors.empty());
  for (const ImportError &error : result.errors)
    expect(!error.reason.empty() && !llvm::StringRef(error.reason).starts_with("internal error"));
  return 0;
}
