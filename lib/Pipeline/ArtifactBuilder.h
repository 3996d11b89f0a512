// The forms of a model's code on their way into one artifact: levels of processors, and variants of each.
#ifndef ONAGER_PIPELINE_ARTIFACTBUILDER_H
#define ONAGER_PIPELINE_ARTIFACTBUILDER_H

#include "lib/Pipeline/Pipeline.h"

namespace onager {

/// Compiles a graph for one level after another and writes what comes of it.
class ArtifactBuilder {
public:
  /// The code for processors of one level.
  struct Level {
    Form generic;
    std::vector<Form> variants;
  };

  /// `emit`: so, exe, obj or lib; what else the product needs comes from the pipeline's options.
  ArtifactBuilder(Pipeline &pipeline, const std::string &emit);

  /// Compiles a graph and its variants for a target. `stored`: the weights of the generic form, where they are there already. No level is added where the options
  /// ask for text.
  bool addLevel(const std::string &target, mlir::OwningOpRef<mlir::ModuleOp> graph, llvm::ArrayRef<char> stored = {});
  /// Writes the files.
  bool write();
  const std::vector<std::unique_ptr<Level>> &getLevels() const { return levels; }

  std::vector<std::string> guards;  ///< of the variants
  std::string generic;              ///< the model as variants are made of it; empty where none can be
  std::vector<rt::Launch> launches; ///< of the last level's generic form

private:
  bool addVariant(Level &level, const std::string &guard, mlir::OwningOpRef<mlir::ModuleOp> graph);
  void placeWeights(Form &form);
  std::vector<Form *> getForms();
  llvm::SmallVector<char, 0> makeModelObject();

  Pipeline &pipeline;
  Product product;
  std::vector<std::unique_ptr<Level>> levels; ///< the most general first
};

} // namespace onager

#endif
