// What a compression learns from the calibration samples.
#ifndef ONAGER_TOOLS_COMPRESS_CALIBRATE_H
#define ONAGER_TOOLS_COMPRESS_CALIBRATE_H

#include "SampleRuns.h"
#include "lib/Compress/Recipe.h"

namespace onager::cli {

/// Finds scales for the values that become bytes and have none in the recipe; true where data was needed. Fails without data, and for values that hold no number.
bool calibrate(const compress::ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs);

/// Rounds the weights of layers with the rounding gptq by the inputs that they meet; true where there are any. Fails without data.
bool roundByData(const compress::ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs);

} // namespace onager::cli

#endif
