// Variants from the generic form that an artifact carries.
#include "onager/Specialize.h"
#include "lib/Export/LLVMToArtifact/Codegen.h"
#include "lib/Pipeline/ArtifactBuilder.h"
#include "lib/Pipeline/GenericForm.h"

using namespace mlir;

namespace onager {

static constexpr char kOtherForm[] = "the artifact's generic form is of another version of the compiler";
static constexpr char kOtherRecipes[] = "the artifact's recipes are of another version of the compiler";

static StringRef toRef(std::string_view bytes) { return StringRef(bytes.data(), bytes.size()); }

static void makeVariant(const SpecializeOptions &given, const CompileOptions &options, CompileResult &result) {
  Pipeline pipeline(options, result);
  RecipeTable recipes;
  if (!recipes.decode(toRef(given.recipes)) || !pipeline.chooseTarget(recipes.target))
    return void(pipeline.fail(Status::badFile, kOtherRecipes));
  ArrayRef<char> weights(given.weights.data(), given.weights.size());
  pipeline.module = readGenericForm(toRef(given.generic), pipeline.context, recipes, weights);
  if (!pipeline.module)
    return void(pipeline.fail(Status::badFile, kOtherForm));
  Form form;
  Product product;
  product.path = options.output;
  product.emit = "so";
  product.modelName = options.name;
  if (!lowerVariant(pipeline, given.guard, recipes, weights) || !pipeline.emitForm("onager_main0", form))
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
      return void(pipeline.fail(Status::badFile, kOtherRecipes));
    if (!graph)
      graph = readGenericForm(toRef(given.generic), pipeline.context, recipes, weights);
    if (!graph)
      return void(pipeline.fail(Status::badFile, kOtherForm));
    if (!builder.addLevel(recipes.target, OwningOpRef<ModuleOp>(graph->clone()), weights))
      return;
    if (builder.getLevels().back()->generic.recipes.encode() != given.levels[builder.getLevels().size() - 1].recipes)
      return void(pipeline.fail(Status::badFile, "this compiler lays out the artifact's weights otherwise; compile the model again"));
  }
  builder.write();
}

/// Runs `make` with the options that a generic form was made with, changed by what is given.
template <typename Given>
static CompileResult withFormOptions(const Given &given, CompileOptions options, void (*make)(const Given &, const CompileOptions &, CompileResult &)) {
  CompileResult result;
  options.output = given.output;
  if (readGenericOptions(toRef(given.generic), options)) {
    make(given, options, result);
  } else {
    result.status = Status::badFile;
    result.error = kOtherForm;
  }
  return result;
}

CompileResult respecialize(const RespecializeOptions &given) { return withFormOptions(given, {}, rebuild); }

CompileResult specialize(const SpecializeOptions &given) {
  CompileOptions options;
  options.verifyEach = given.verifyEach;
  return withFormOptions(given, options, makeVariant);
}

} // namespace onager
