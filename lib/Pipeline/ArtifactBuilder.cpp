// Levels, variants, their weights, and the object that names them.
#include "lib/Pipeline/ArtifactBuilder.h"
#include "lib/Export/LLVMToArtifact/Codegen.h"
#include "lib/Export/LLVMToArtifact/Header.h"
#include "lib/Pipeline/GenericForm.h"

using namespace mlir;

namespace onager {

ArtifactBuilder::ArtifactBuilder(Pipeline &pipeline, const std::string &emit) : pipeline(pipeline) {
  product.path = pipeline.options.output;
  product.emit = emit;
  product.modelName = pipeline.options.name;
  product.separateWeights = pipeline.options.weights == "separate";
  product.isSanitized = pipeline.options.sanitize;
}

/// Gives a form its place in the section of weights. Levels lay weights out alike; those of another layout follow.
void ArtifactBuilder::placeWeights(Form &form) {
  form.start = product.weightBytes;
  for (const auto &level : levels)
    if (level->generic.weights == form.weights && level->generic.offsets == form.offsets) {
      form.start = level->generic.start;
      form.isShared = true;
    }
  if (!form.isShared)
    product.weightBytes += form.weightBytes;
}

bool ArtifactBuilder::addLevel(const std::string &target, OwningOpRef<ModuleOp> graph, ArrayRef<char> stored) {
  auto level = std::make_unique<Level>();
  const CompileOptions &options = pipeline.options;
  bool isText = options.emit == "llvm" || options.emit == "mlir";
  OwningOpRef<ModuleOp> kept = !guards.empty() ? OwningOpRef<ModuleOp>(graph->clone()) : nullptr;
  pipeline.chooseTarget(target);
  pipeline.module = std::move(graph);
  std::string main = getSymbolPrefix(product) + "_main" + std::to_string(levels.size());
  if (!pipeline.lower(nullptr))
    return false;
  if (options.output.empty() && !isText)
    return pipeline.fail(Status::badOption, "no output file given");
  if (!pipeline.checkPrinted() || !pipeline.emitForm(main, level->generic))
    return false;
  if (isText)
    return true;
  launches = pipeline.manifest.launches;
  level->generic.recipes.target = target;
  level->generic.stored = stored;
  placeWeights(level->generic);
  if (levels.empty()) {
    product.header = formatHeader(pipeline.manifest, product.separateWeights);
    product.manifestHash = rt::hashBytes(level->generic.manifest.data(), level->generic.manifest.size());
  }
  levels.push_back(std::move(level));
  return llvm::all_of(guards, [&](const std::string &guard) { return addVariant(*levels.back(), guard, OwningOpRef<ModuleOp>(kept->clone())); });
}

bool ArtifactBuilder::addVariant(Level &level, const std::string &guard, OwningOpRef<ModuleOp> graph) {
  pipeline.module = std::move(graph);
  Form form;
  std::string main = level.generic.main + "_variant" + std::to_string(level.variants.size());
  if (!lowerVariant(pipeline, guard, level.generic.recipes, level.generic.stored) || !pipeline.emitForm(main, form))
    return false;
  form.start = product.weightBytes;
  product.weightBytes += form.weightBytes;
  level.variants.push_back(std::move(form));
  return true;
}

std::vector<Form *> ArtifactBuilder::getForms() {
  std::vector<Form *> forms;
  for (const auto &level : levels) {
    forms.push_back(&level->generic);
    for (Form &variant : level->variants)
      forms.push_back(&variant);
  }
  return forms;
}

llvm::SmallVector<char, 0> ArtifactBuilder::makeModelObject() {
  ModelDescription model;
  for (const auto &level : levels) {
    LevelDescription described{{level->generic.manifest, level->generic.main, level->generic.start}, {}, generic.empty() ? "" : level->generic.recipes.encode()};
    for (const Form &variant : level->variants)
      described.variants.push_back({variant.manifest, variant.main, variant.start});
    model.levels.push_back(std::move(described));
  }
  model.generic = generic;
  model.hasLinkedWeights = refersToWeights(product);
  return emitModel(getSymbolPrefix(product), model, pipeline.target);
}

bool ArtifactBuilder::write() {
  std::vector<Form *> forms = getForms();
  llvm::SmallVector<char, 0> model = makeModelObject();
  SmallVector<ArrayRef<char>> objects;
  for (Form *form : forms)
    objects.push_back(form->object);
  objects.push_back(model);
  return pipeline.writeFiles(product, objects, forms);
}

} // namespace onager
