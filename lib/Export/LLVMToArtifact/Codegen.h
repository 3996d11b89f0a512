// Machine code from the LLVM dialect.
#ifndef ONAGER_EXPORT_LLVMTOARTIFACT_CODEGEN_H
#define ONAGER_EXPORT_LLVMTOARTIFACT_CODEGEN_H

#include "mlir/IR/BuiltinOps.h"
#include "onager/Target.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/Module.h"
#include <memory>
#include <string>

namespace onager {

/// Translates a module of the LLVM dialect to LLVM IR for the target. Null after an error was reported.
std::unique_ptr<llvm::Module> translateToLLVMIR(mlir::ModuleOp module, llvm::LLVMContext &context, const Target &target);
/// Runs LLVM's passes: `level` 0 keeps scalar code, 1 only removes what is there twice, 2 and 3 vectorise.
void optimize(llvm::Module &module, const Target &target, int level);
/// Emits an ELF object; at `level` 1 by the code generator that takes the least time.
llvm::SmallVector<char, 0> emitObject(llvm::Module &module, const Target &target, int level);
/// Gives the driver a name under which the other objects of an artifact find it.
void exportMain(llvm::Module &module, const std::string &name);

/// One form of a model's code.
struct FormDescription {
  std::string manifest; ///< encoded
  std::string main;     ///< symbol of its driver, in another object
  uint64_t weightStart; ///< of its weights in the section
};

/// The code for one level of processors.
struct LevelDescription {
  FormDescription generic;
  std::vector<FormDescription> variants;
  std::string recipes; ///< see lib/Pipeline/Recipes.h; empty where no variants will be made
};

/// What `<name>_model` tells.
struct ModelDescription {
  std::vector<LevelDescription> levels; ///< the most general first
  std::string generic;                  ///< see lib/Pipeline/GenericForm.h; may be empty
  bool hasLinkedWeights = false;        ///< it points to `<name>_weights`, which the object file gets later
};

/// Emits an object with the exported `<name>_model` that the runtime looks up.
llvm::SmallVector<char, 0> emitModel(llvm::StringRef name, const ModelDescription &model, const Target &target);

} // namespace onager

#endif
