// Choosing the scheme of each layer by what it costs and what it gains on this machine.
#ifndef ONAGER_TOOLS_COMPRESS_SEARCH_H
#define ONAGER_TOOLS_COMPRESS_SEARCH_H

#include "Budget.h"
#include "SampleRuns.h"
#include "lib/Compress/Selectable.h"

namespace onager::cli {

/// What is to become small.
enum class Objective { time, bytes };

/// What a search is asked for.
struct SearchRequest {
  std::vector<Budget> budgets;          ///< all of which must hold
  std::optional<double> targetBits;     ///< mean bits of a weight; then the loss is what becomes small, by the first budget's metric or else sqnr
  Objective objective = Objective::time;
};

/// What was measured of one form of a layer, alone among plain layers.
struct FormMeasure {
  compress::Scheme scheme;
  double loss = 0;    ///< as the first budget's metric has it
  double seconds = 0; ///< of the layer alone; 0 where it was not timed
  uint64_t bytes = 0;
};

struct LayerMeasure {
  double seconds = 0; ///< of the plain layer alone
  std::vector<FormMeasure> forms;
};

/// A choice for all layers: seconds or bytes of all of them, and the loss, measured together.
struct ParetoPoint {
  double cost = 0, loss = 0;
  bool isChosen = false;
};

struct SearchResult {
  std::map<std::string, LayerMeasure> layers;
  std::map<std::string, compress::Activation> activations; ///< of all values that become bytes in any choice
  std::vector<compress::LayerRecipe> slow; ///< layers that stay plain for their time alone, in the form that loses least
  std::vector<std::string> retreat; ///< nodes that changed, those that gain least for their loss first
  std::vector<ParetoPoint> front; ///< those that no other beats in both, by cost
};

/// Decides for each layer of the recipe among `options` and the plain form. Losses are measured on the calibration samples with all forms in one compiled model (Selectable.h); layers change in
/// the order of gain over loss as far as the budgets allow, by their bounds for the held-out samples; what then still fits is tried one by one. Options hold the forms as they are to be written.
SearchResult search(const compress::ModelGraph &model, compress::Recipe &recipe, std::vector<compress::LayerOptions> options, const SearchRequest &request, const SampleRuns &runs);

} // namespace onager::cli

#endif
