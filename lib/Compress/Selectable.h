// A model in which the scheme of each layer is chosen when it runs.
#ifndef ONAGER_LIB_COMPRESS_SELECTABLE_H
#define ONAGER_LIB_COMPRESS_SELECTABLE_H

#include "lib/Compress/Layer.h"

namespace onager::compress {

/// The forms that one layer may take beside the plain one.
struct LayerOptions {
  std::string node;
  std::vector<LayerRecipe> forms;
};

/// The name of the input that chooses.
constexpr const char *kChoices = "choices of layers";

/// Rewrites the model: it gets one more input, kChoices, int64 [layers], and computes layer k plainly where choices[k] is 0, else in the form choices[k] - 1. All constants are
/// part of the model, so that each form runs by the kernels that it will have; but values are rounded to bytes just in front of layers. `activations` has the scale of each layer's
/// input that has a form of int8. The forms' bytes and ratios are filled in.
void makeSelectable(ModelGraph &model, const std::map<std::string, Activation> &activations, std::vector<LayerOptions> &layers);

} // namespace onager::compress

#endif
