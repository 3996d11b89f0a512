// The model as an artifact carries it, so that variants for certain shapes can be made where it runs.
#ifndef ONAGER_PIPELINE_GENERICFORM_H
#define ONAGER_PIPELINE_GENERICFORM_H

#include "lib/Pipeline/Pipeline.h"

namespace onager {

/// True where some input's shape has a symbol, or values of inputs decide.
bool mayHaveVariants(mlir::ModuleOp graph);

/// Writes a module that has left the graph stage as MLIR bytecode, with the options that decide its code. Constants of more than a few bytes have a name
/// alone. REQUIRES: nothing else uses the module's context meanwhile.
std::string writeGenericForm(mlir::ModuleOp graph, const CompileOptions &options);

/// Reads the options that a generic form was made with; false where it is none.
bool readGenericOptions(llvm::StringRef bytes, CompileOptions &options);

/// Reads a generic form. Constants that `table` knows get their bytes from `weights`, the section of the generic form's level, which must outlive the
/// context. Null after an error was reported.
mlir::OwningOpRef<mlir::ModuleOp> readGenericForm(llvm::StringRef bytes, mlir::MLIRContext &context, const RecipeTable &table, llvm::ArrayRef<char> weights);

/// Replaces symbols of the pipeline's module by what a guard says of them, and simplifies what follows. With `keepsFilters` convolutions stay that would become
/// products: their filters may be there in the form for convolutions alone.
bool specializeGraph(Pipeline &pipeline, const std::string &guard, bool keepsFilters = false);

/// Makes code of the pipeline's module where symbols are what a guard says of them. `generic` and `section` are as Pipeline::lower gets them. Where weights in
/// the forms that suit the known dims best cannot be made, those weights stay in the form that dims which nobody knows have.
bool lowerVariant(Pipeline &pipeline, const std::string &guard, const RecipeTable &generic, llvm::ArrayRef<char> section);

} // namespace onager

#endif
