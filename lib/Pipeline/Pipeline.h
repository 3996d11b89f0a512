// The stages of Stages.def, run over one module after another, and what they make of it.
#ifndef ONAGER_PIPELINE_PIPELINE_H
#define ONAGER_PIPELINE_PIPELINE_H

#include "lib/Export/LLVMToArtifact/Artifact.h"
#include "lib/Pipeline/ConstantUnits.h"
#include "lib/Pipeline/PassFilter.h"
#include "lib/Pipeline/Recipes.h"
#include "lib/Pipeline/SaveTemps.h"
#include "mlir/Pass/PassManager.h"
#include "onager/Compiler.h"
#include "onager/Target.h"
#include "runtime/core/manifest.h"

namespace onager {

/// Compiled code for one level of processors and one set of shapes, with the weights that go with it.
struct Form {
  std::string manifest; ///< encoded
  std::string main;     ///< symbol of its driver
  llvm::SmallVector<char, 0> object;
  std::unique_ptr<ConstantUnits> constants;
  mlir::ArrayAttr weights;
  mlir::DenseI64ArrayAttr offsets;
  RecipeTable recipes;   ///< of a generic form
  llvm::ArrayRef<char> stored; ///< the weights, where they need not be computed
  uint64_t weightBytes = 0;
  uint64_t start = 0;    ///< of its weights in the section
  bool isShared = false; ///< its weights are those of a form before
};

/// Runs stages over `module`. After a failure the result says why.
class Pipeline {
public:
  Pipeline(const CompileOptions &options, CompileResult &result);

  /// Notes a failure; the first one counts. Returns false.
  bool fail(Status status, const std::string &error);
  bool runStage(const char *stage, llvm::function_ref<void(mlir::OpPassManager &)> add);
  /// Runs what is timed as a stage but is no passes.
  bool timeStage(const char *stage, llvm::function_ref<bool()> run);
  /// True where the caller wants the IR that leaves the stage, which the result then has, and nothing behind it.
  bool stopsAfter(llvm::StringRef stage);
  /// Takes back the failure to find weights of a variant, and tells which constants they are made of.
  llvm::SmallVector<mlir::ElementsAttr> takeMissing();
  bool checkPrinted();
  void printModule();
  /// Sets the target; false for unknown names.
  bool chooseTarget(const std::string &name);
  /// Runs the stages from graph operations to the LLVM dialect. For a variant, `generic` is where the weights of the generic form lie, else null; `section` is
  /// that form's weights, if they are there, from which others may be computed.
  bool lower(const RecipeTable *generic, llvm::ArrayRef<char> section = {});
  /// Makes code of the LLVM dialect, whose driver gets a name; or text where the options ask for it.
  bool emitForm(const std::string &main, Form &form);
  /// Writes the product's files. The object that holds the model's symbol comes last.
  bool writeFiles(const Product &product, llvm::ArrayRef<llvm::ArrayRef<char>> objects, llvm::ArrayRef<Form *> forms);

  const CompileOptions &options;
  CompileResult &result;
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  Target target;
  rt::Manifest manifest; ///< of the module that was lowered last
  SaveTemps temps;
  std::vector<std::pair<std::string, double>> seconds;
  bool hasWinograd = false; ///< some convolution has that form, for the report
  bool hasInt8 = false;     ///< some contraction is of bytes, for the report
  bool hasBf16 = false;     ///< some product is of bf16, for the report
  bool hasBf16x3 = false;   ///< some product of f32 may be one of parts of bf16, for the report
  bool hasDigits = false;   ///< some product takes f32 as fixed-point numbers, for the report
  bool hasCodebook = false; ///< some product looks levels of weights up, for the report
  bool hasSparse = false;   ///< some product leaves out weights of 0, for the report

private:
  bool formUnits(bool exact);
  bool planBuffers(const RecipeTable *generic, llvm::ArrayRef<char> section);
  /// Marks the weights that the generic form has; collects the units that make the others, and what they miss.
  bool shareWeights(const RecipeTable &generic, llvm::ArrayRef<char> section, llvm::StringSet<> &needed);
  /// Marks those of the others whose bytes are a part of a weight that the generic form has, such as the rows of a table of positions that a length leaves.
  bool shareParts(const RecipeTable &generic, std::string &error);
  void collectUnits(mlir::ArrayAttr weights, int64_t index, llvm::StringSet<> &needed);

  PassFilter filter;
  std::unique_ptr<ConstantUnits> constants;
  llvm::SmallVector<mlir::ElementsAttr> missing; ///< constants of which a variant's weights cannot be made
  llvm::SmallVector<RecipeKey> keys; ///< by weight index
  std::string diagnosed;   ///< the first error that MLIR reported
  bool hasPrinted = false; ///< the pass of printAfter has run
};

/// Sets what getStage returns.
void enterStage(const char *stage);

} // namespace onager

#endif
