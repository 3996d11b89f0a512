// The search: sensitivities, steps in the order of gain over loss, what still fits.
#include "Search.h"
#include "LayerTimes.h"
#include "SelectableRuns.h"
#include <algorithm>
#include <cmath>

namespace onager::cli {

namespace {

using compress::LayerOptions;
using compress::LayerRecipe;
using compress::Scheme;

/// A change of one layer from one form to a cheaper one.
struct Step {
  size_t layer;
  int64_t form; ///< as a choice: 1 is the first form
  double gain, loss;
  size_t position = 0; ///< among all steps, before they are ordered: a layer's own in turn
  double getRatio() const { return gain / std::max(loss, 1e-30); }
};

class SchemeSearch {
public:
  SchemeSearch(const compress::ModelGraph &model, compress::Recipe &recipe, std::vector<LayerOptions> options, const SearchRequest &request, const SampleRuns &runs)
      : model(model), recipe(recipe), options(std::move(options)), request(request), runs(runs), budgets(request.budgets) {
    if (budgets.empty())
      budgets.emplace_back("sqnr>=0");
  }

  SearchResult run() {
    if (!runs.hasData())
      throw Failure(Status::badOption, "choosing layer by layer needs data: --calibrate DIR");
    prepare();
    measureForms();
    std::vector<Step> steps = orderSteps();
    std::vector<int64_t> choices = request.targetBits ? reachBits(steps) : stayWithin(steps);
    // The front shows what else there is.
    for (size_t k = 0; k <= 8; ++k)
      fits(take(steps, steps.size() * k / 8));
    finish(choices);
    return std::move(result);
  }

private:
  void prepare() {
    compress::ModelGraph selectable = model;
    compress::makeSelectable(selectable, recipe.activations, options);
    selections.emplace(selectable.serialize(), options.size(), runs);
  }

  /// Each form alone among plain layers, on as many samples as two minutes allow.
  void measureForms() {
    size_t forms = 0, done = 0;
    for (const LayerOptions &layer : options)
      forms += layer.forms.size();
    auto count = static_cast<size_t>(std::clamp(120 / (selections->getSeconds() * static_cast<double>(std::max<size_t>(forms, 1)) + 1e-9), 4.0, 64.0));
    std::map<std::string, LayerTime> times;
    if (request.objective == Objective::time && !request.targetBits)
      times = measureLayers(model, recipe.activations, options, runs);
    std::vector<int64_t> choices(options.size());
    for (size_t k = 0; k < options.size(); ++k) {
      LayerMeasure &measure = result.layers[options[k].node];
      auto time = times.find(options[k].node);
      measure.seconds = time == times.end() ? 0 : time->second.plain;
      for (size_t f = 0; f < options[k].forms.size(); ++f) {
        showProgress("sensitivity: form " + std::to_string(++done) + " of " + std::to_string(forms));
        choices[k] = static_cast<int64_t>(f) + 1;
        double loss = budgets[0].combine(selections->measure(choices, budgets, count)[0]);
        measure.forms.push_back({options[k].forms[f].scheme, loss, time == times.end() ? 0 : time->second.forms[f], options[k].forms[f].bytesAfter});
      }
      choices[k] = 0;
    }
  }

  double getCost(size_t layer, int64_t choice) const {
    const LayerMeasure &measure = result.layers.at(options[layer].node);
    if (request.objective == Objective::time && !request.targetBits)
      return choice ? measure.forms[static_cast<size_t>(choice) - 1].seconds : measure.seconds;
    return static_cast<double>(choice ? measure.forms[static_cast<size_t>(choice) - 1].bytes : getPlainBytes(layer));
  }

  double getLoss(size_t layer, int64_t choice) const { return choice ? result.layers.at(options[layer].node).forms[static_cast<size_t>(choice) - 1].loss : 0; }

  uint64_t getPlainBytes(size_t layer) const {
    return std::find_if(recipe.layers.begin(), recipe.layers.end(), [&](const LayerRecipe &entry) { return entry.node == options[layer].node; })->bytesBefore;
  }

  /// The steps of a layer along the lower hull of its forms' costs and losses: no form costs more and loses more than a mix of two others. A form must gain 3 % of the layer's time, since times are
  /// measured to about that.
  void addSteps(size_t layer, std::vector<Step> &steps) const {
    double least = request.objective == Objective::time ? 0.97 : 1.0;
    int64_t at = 0, forms = static_cast<int64_t>(options[layer].forms.size());
    while (true) {
      std::optional<Step> best;
      for (int64_t form = 1; form <= forms; ++form) {
        Step step{layer, form, getCost(layer, at) - getCost(layer, form), std::max(0.0, getLoss(layer, form) - getLoss(layer, at)), steps.size()};
        bool isGain = getCost(layer, form) < least * getCost(layer, at) && std::isfinite(step.loss);
        if (isGain && (!best || step.getRatio() > best->getRatio()))
          best = step;
      }
      if (!best)
        return;
      steps.push_back(*best);
      at = best->form;
    }
  }

  std::vector<Step> orderSteps() const {
    std::vector<Step> steps;
    for (size_t k = 0; k < options.size(); ++k)
      addSteps(k, steps);
    // A layer's own steps have falling ratios, so that they stay in order.
    std::sort(steps.begin(), steps.end(), [](const Step &a, const Step &b) { return std::pair(-a.getRatio(), a.position) < std::pair(-b.getRatio(), b.position); });
    return steps;
  }

  std::vector<int64_t> take(const std::vector<Step> &steps, size_t count) const {
    std::vector<int64_t> choices(options.size());
    for (size_t k = 0; k < count; ++k)
      choices[steps[k].layer] = steps[k].form;
    return choices;
  }

  double sumCosts(const std::vector<int64_t> &choices) const {
    double cost = 0;
    for (size_t k = 0; k < choices.size(); ++k)
      cost += getCost(k, choices[k]);
    return cost;
  }

  /// True where the choices stay within all budgets.
  bool fits(const std::vector<int64_t> &choices) {
    showProgress("choices: trial " + std::to_string(tried.size() + 1));
    std::vector<std::vector<Loss>> losses = selections->measure(choices, budgets, selections->countSamples());
    tried.push_back({sumCosts(choices), budgets[0].combine(losses[0]), false});
    bool isFine = true;
    for (size_t b = 0; b < budgets.size(); ++b)
      isFine &= budgets[b].bound(losses[b], runs.getHeldOut().size()) <= budgets[b].getLimit();
    return isFine;
  }

  std::vector<int64_t> stayWithin(const std::vector<Step> &steps) {
    size_t below = 0, above = steps.size() + 1; // so many steps fit; so many do not
    for (size_t middle = steps.size(); below + 1 < above; middle = below + (above - below) / 2)
      (fits(take(steps, middle)) ? below : above) = middle;
    std::vector<int64_t> choices = take(steps, below);
    // What came too late in the order may fit nevertheless; so may a step without another that gains less.
    for (size_t k = below; k < steps.size(); ++k)
      if (choices[steps[k].layer] == 0 || isNext(steps, k, choices))
        tryStep(steps[k], choices);
    return choices;
  }

  /// True where a layer is in the form from which a step leads on.
  static bool isNext(const std::vector<Step> &steps, size_t step, const std::vector<int64_t> &choices) {
    for (size_t k = step; k-- > 0;)
      if (steps[k].layer == steps[step].layer)
        return choices[steps[k].layer] == steps[k].form;
    return false;
  }

  void tryStep(const Step &step, std::vector<int64_t> &choices) {
    std::vector<int64_t> more = choices;
    more[step.layer] = step.form;
    if (fits(more)) {
      choices = more;
      return;
    }
    // In exchange for the taken layer that gains least among those that lose more than is needed.
    std::optional<size_t> victim;
    for (size_t k = 0; k < choices.size(); ++k) {
      double gain = getCost(k, 0) - getCost(k, choices[k]);
      if (k != step.layer && choices[k] && gain < step.gain && (!victim || gain < getCost(*victim, 0) - getCost(*victim, choices[*victim])))
        victim = k;
    }
    if (!victim)
      return;
    more[*victim] = 0;
    if (fits(more))
      choices = more;
  }

  /// Takes steps until weights have the asked number of bits on average.
  std::vector<int64_t> reachBits(const std::vector<Step> &steps) {
    double weights = 0;
    for (size_t k = 0; k < options.size(); ++k)
      weights += static_cast<double>(getPlainBytes(k)) / sizeof(float);
    double most = *request.targetBits * weights / 8;
    size_t count = 0;
    while (count < steps.size() && sumCosts(take(steps, count)) > most)
      ++count;
    std::vector<int64_t> choices = take(steps, count);
    if (sumCosts(choices) > most)
      throw Failure(Status::refused, "option 'target-bpw': the smallest forms take " + std::to_string(sumCosts(choices) * 8 / weights) + " bits a weight, more than " +
                                         std::to_string(*request.targetBits));
    if (!fits(choices) && !request.budgets.empty())
      throw Failure(Status::refused, "option 'budget': with so few bits the loss is beyond " + request.budgets[0].getText());
    return choices;
  }

  void finish(const std::vector<int64_t> &choices) {
    std::vector<std::pair<double, std::string>> order;
    for (size_t k = 0; k < options.size(); ++k) {
      decide(k, choices[k]);
      if (choices[k])
        order.emplace_back((getCost(k, 0) - getCost(k, choices[k])) / std::max(getLoss(k, choices[k]), 1e-30), options[k].node);
    }
    std::sort(order.begin(), order.end());
    for (auto &[ratio, node] : order)
      result.retreat.push_back(std::move(node));
    double cost = sumCosts(choices);
    std::sort(tried.begin(), tried.end(), [](const ParetoPoint &a, const ParetoPoint &b) { return std::pair(a.cost, a.loss) < std::pair(b.cost, b.loss); });
    for (ParetoPoint &point : tried)
      if (result.front.empty() || point.loss < result.front.back().loss) {
        point.isChosen = point.cost == cost;
        result.front.push_back(point);
      }
  }

  void decide(size_t layer, int64_t choice) {
    LayerRecipe &entry = *std::find_if(recipe.layers.begin(), recipe.layers.end(), [&](const LayerRecipe &own) { return own.node == options[layer].node; });
    uint64_t before = entry.bytesBefore;
    if (choice) {
      entry = options[layer].forms[static_cast<size_t>(choice) - 1];
      entry.bytesBefore = before;
      return;
    }
    bool isSlow = request.objective == Objective::time;
    for (int64_t form = 1; form <= static_cast<int64_t>(options[layer].forms.size()); ++form)
      isSlow &= getCost(layer, form) >= 0.97 * getCost(layer, 0);
    entry.scheme = Scheme::keep;
    entry.reason = isSlow ? "no form of fewer bits is faster here" : "the budget";
    if (!isSlow)
      return;
    const std::vector<FormMeasure> &forms = result.layers.at(entry.node).forms;
    auto best = std::min_element(forms.begin(), forms.end(), [](const FormMeasure &a, const FormMeasure &b) { return a.loss < b.loss; });
    result.slow.push_back(options[layer].forms[static_cast<size_t>(best - forms.begin())]);
    result.slow.back().bytesBefore = before;
  }

  const compress::ModelGraph &model;
  compress::Recipe &recipe;
  std::vector<LayerOptions> options;
  const SearchRequest &request;
  const SampleRuns &runs;
  std::vector<Budget> budgets;
  std::optional<SelectableRuns> selections;
  std::vector<ParetoPoint> tried;
  SearchResult result;
};

} // namespace

SearchResult search(const compress::ModelGraph &model, compress::Recipe &recipe, std::vector<LayerOptions> options, const SearchRequest &request, const SampleRuns &runs) {
  return SchemeSearch(model, recipe, std::move(options), request, runs).run();
}

} // namespace onager::cli
