// Values inside a model as further outputs of its forms.
#ifndef ONAGER_TOOLS_VERIFY_EXPOSURE_H
#define ONAGER_TOOLS_VERIFY_EXPOSURE_H

#include "Side.h"
#include <map>
#include <memory>

namespace onager::compress {
class ModelGraph;
}

namespace onager::cli {

/// How the values of two forms are told: forms of one model by their positions in the imported graph, others by the names of ONNX's values. Outputs of the models
/// themselves keep their names.
class Exposure {
public:
  virtual ~Exposure() = default;
  /// A form that returns all values that both sides have.
  virtual Form exposeAll(const Form &form) const = 0;
  /// A form that returns one more value: others may be fused with each other as in the form itself.
  virtual Form exposeOne(const Form &form, const std::string &value) const = 0;
  /// The node that computes a value which a form returns.
  virtual std::string getNode(const std::string &value) const = 0;
};

/// Chooses what suits the two sides. Fails where one of them is an artifact, whose values stay inside.
std::unique_ptr<Exposure> makeExposure(const Form &found, const Form &expected);

/// True where two forms are of one model and compiled by Onager.
bool areOfOneModel(const Form &a, const Form &b);

/// A model in memory, for messages under the name of its file.
std::shared_ptr<compress::ModelGraph> openGraph(const ModelSource &source);

} // namespace onager::cli

#endif
