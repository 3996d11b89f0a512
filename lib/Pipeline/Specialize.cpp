// A variant from the generic form that an artifact carries.
#include "onager/Specialize.h"
#include "lib/Export/LLVMToArtifact/Codegen.h"
#include "lib/Pipeline/GenericForm.h"

using namespace mlir;

namespace onager {

static void makeVariant(const SpecializeOptions &given, const CompileOptions &options, CompileResult &result) {
  Pipeline pipeline(options, result);
  RecipeTable recipes;
  if (!recipes.decode(StringRef(given.recipes.data(), given.recipes.size())) || !pipeline.chooseTarget(recipes.target))
    return void(pipeline.fail(Status::badFile, "the artifact's recipes are of another version of the compiler"));
  ArrayRef<char> weights(given.weights.data(), given.weights.size());
  pipeline.module = readGenericForm(StringRef(given.generic.data(), given.generic.size()), pipeline.context, recipes, weights);
  if (!pipeline.module)
    return void(pipeline.fail(Status::badFile, "the artifact's generic form is of another version of the compiler"));
  Form form;
  Product product;
  product.path = options.output;
  product.emit = "so";
  product.modelName = options.name;
  if (!specializeGraph(pipeline, given.guard) || !pipeline.lower(&recipes, weights) || !pipeline.emitForm("onager_main0", form))
    return;
  product.weightBytes = form.weightBytes;
  ModelDescription model;
  model.levels.push_back({{form.manifest, form.main, 0}, {}, ""});
  llvm::SmallVector<char, 0> symbol = emitModel(getSymbolPrefix(product), model, pipeline.target);
  pipeline.writeFiles(product, {form.object, symbol}, {&form});
}

CompileResult specialize(const SpecializeOptions &given) {
  CompileResult result;
  CompileOptions options;
  options.output = given.output;
  options.verifyEach = given.verifyEach;
  if (!readGenericOptions(StringRef(given.generic.data(), given.generic.size()), options)) {
    result.status = Status::badFile;
    result.error = "the artifact's generic form is of another version of the compiler";
    return result;
  }
  makeVariant(given, options, result);
  return result;
}

} // namespace onager
