// Variants from the generic form that an artifact carries.
#include "onager/Specialize.h"
#include "lib/Export/LLVMToArtifact/Codegen.h"
#include "lib/Pipeline/ArtifactBuilder.h"
#include "lib/Pipeline/GenericForm.h"

using namespace mlir;

namespace onager {

static StringRef toRef(std::string_view bytes) { return StringRef(bytes.data(), bytes.size()); }

static void makeVariant(const SpecializeOptions &given, const CompileOptions &options, CompileResult &result) {
  Pipeline pipeline(options, result);
  RecipeTable recipes;
  if (!recipes.decode(toRef(given.recipes)) || !pipeline.chooseTarget(recipes.target))
    return void(pipeline.fail(Status::badFile, "the artifact's recipes are of another version of the compiler"));
  ArrayRef<char> weights(given.weights.data(), given.weights.size());
  pipeline.module = readGenericForm(toRef(given.generic), pipeline.context, recipes, weights);
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

static void rebuild(const RespecializeOptions &given, const CompileOptions &options, CompileResult &result) {
  Pipeline pipeline(options, result);
  ArtifactBuilder builder(pipeline, given.emit);
  builder.generic = given.generic;
  builder.guards = given.guards;
  OwningOpRef<ModuleOp> graph;
  for (const RespecializeOptions::Level &level : given.levels) {
    RecipeTable recipes;
    ArrayRef<char> weights(level.weights.data(), level.weights.size());
    if (!recipes.decode(toRef(level.recipes)))
      return void(pipeline.fail(Status::badFile, "the artifact's recipes are of another version of the compiler"));
    if (!graph)
      graph = readGenericForm(toRef(given.generic), pipeline.context, recipes, weights);
    if (!graph)
      return void(pipeline.fail(Status::badFile, "the artifact's generic form is of another version of the compiler"));
    if (!builder.addLevel(recipes.target, OwningOpRef<ModuleOp>(graph->clone()), weights))
      return;
    if (builder.getLevels().back()->generic.recipes.encode() != given.levels[builder.getLevels().size() - 1].recipes)
      return void(pipeline.fail(Status::badFile, "this compiler lays out the artifact's weights otherwise; compile the model again"));
  }
  builder.write();
}

CompileResult respecialize(const RespecializeOptions &given) {
  CompileResult result;
  CompileOptions options;
  options.output = given.output;
  if (!readGenericOptions(toRef(given.generic), options)) {
    result.status = Status::badFile;
    result.error = "the artifact's generic form is of another version of the compiler";
    return result;
  }
  rebuild(given, options, result);
  return result;
}

CompileResult specialize(const SpecializeOptions &given) {
  CompileResult result;
  CompileOptions options;
  options.output = given.output;
  options.verifyEach = given.verifyEach;
  if (!readGenericOptions(toRef(given.generic), options)) {
    result.status = Status::badFile;
    result.error = "the artifact's generic form is of another version of the compiler";
    return result;
  }
  makeVariant(given, options, result);
  return result;
}

} // namespace onager
