// What the caller says of the symbols of a model's inputs: --dim, --likely, --variants.
#ifndef ONAGER_PIPELINE_DIMS_H
#define ONAGER_PIPELINE_DIMS_H

#include "lib/Pipeline/Pipeline.h"

namespace onager {

/// Applies the options' dims to the pipeline's module, which has left the graph stage: a symbol of one value becomes it, ranges are used and, with divisors,
/// kept as what inputs must fulfil.
bool limitSymbols(Pipeline &pipeline);

/// Returns the guards of the variants that the options ask for, each once and within the limits: those that they name and, with `auto`, what is likely: the hints,
/// else that batches are of one. False where one, or a hint, does not fit the model or its limits, or where one that is named holds for every run.
bool listVariants(Pipeline &pipeline, std::vector<std::string> &guards);

} // namespace onager

#endif
