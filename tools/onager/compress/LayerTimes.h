// How long layers take in each of their forms.
#ifndef ONAGER_TOOLS_COMPRESS_LAYERTIMES_H
#define ONAGER_TOOLS_COMPRESS_LAYERTIMES_H

#include "SampleRuns.h"
#include "lib/Compress/Selectable.h"

namespace onager::cli {

/// Times of one layer in seconds, each form in turns with the plain layer.
struct LayerTime {
  double plain = 0;
  std::vector<double> forms;
};

/// Compiles each layer and its forms as models of their own, with inputs of the shapes that they have in the first sample, and times them. Layers that are alike are timed once. Layers of int8 read
/// and give bytes, as they do between others of their kind: what rounds at the ends of such chains is not part of it. Layers with computed biases have no time: plain 0.
std::map<std::string, LayerTime> measureLayers(const compress::ModelGraph &model, const std::map<std::string, compress::Activation> &activations,
                                               const std::vector<compress::LayerOptions> &layers, const SampleRuns &runs);

} // namespace onager::cli

#endif
