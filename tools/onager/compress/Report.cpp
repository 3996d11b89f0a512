// Comparing and timing a plain and a compressed model, and telling of it.
#include "Report.h"
#include "tools/onager/Session.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace json = llvm::json;

namespace onager::cli {

namespace {

double timeRun(Session &session) {
  auto start = std::chrono::steady_clock::now();
  session.run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double findMedian(std::vector<double> seconds) {
  std::nth_element(seconds.begin(), seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2), seconds.end());
  return seconds[seconds.size() / 2];
}

} // namespace

void visitPairs(const Artifact &plain, const Artifact &compressed, const SampleRuns &runs, const std::vector<size_t> &chosen, const std::string &what, const VisitPair &visit) {
  Session first(plain.path, runs.getThreads()), second(compressed.path, runs.getThreads());
  rt::Manifest manifest = readManifest(plain.path);
  for (size_t k = 0; k < chosen.size(); ++k) {
    showProgress(what + " " + std::to_string(k + 1) + " of " + std::to_string(chosen.size()));
    std::vector<Tensor> inputs = runs.load(chosen[k], manifest);
    first.bind(inputs);
    second.bind(inputs);
    first.run();
    second.run();
    visit(manifest, first.copyOutputs(), second.copyOutputs());
  }
}

std::vector<OutputError> compareModels(const Artifact &plain, const Artifact &compressed, const SampleRuns &runs, const std::vector<size_t> &chosen) {
  std::optional<OutputErrors> sums;
  std::vector<std::string> names;
  visitPairs(plain, compressed, runs, chosen, "held-out sample", [&](const rt::Manifest &manifest, const std::vector<Tensor> &expected, const std::vector<Tensor> &found) {
    if (!sums)
      sums.emplace(expected.size(), true);
    sums->add(found, expected);
    names.clear();
    for (const rt::TensorInfo &output : manifest.outputs)
      names.push_back(output.name);
  });
  std::vector<OutputError> errors;
  for (const Metrics &metrics : sums->finish())
    errors.push_back({names[errors.size()], metrics});
  return errors;
}

Speed measureSpeed(const Artifact &plain, const Artifact &compressed, const SampleRuns &runs) {
  Session first(plain.path, runs.getThreads()), second(compressed.path, runs.getThreads());
  std::vector<Tensor> inputs = runs.load(0, readManifest(plain.path));
  first.bind(inputs);
  second.bind(inputs);
  timeRun(first);
  timeRun(second);
  std::vector<double> before, after;
  // A second at most, and never less than three runs each.
  for (double spent = 0; before.size() < 3 || (before.size() < 101 && spent < 1);) {
    before.push_back(timeRun(first));
    after.push_back(timeRun(second));
    spent += before.back() + after.back();
  }
  return {findMedian(before), findMedian(after)};
}

/// JSON lacks infinities.
static json::Value printNumber(double value) { return std::isfinite(value) ? json::Value(value) : json::Value(std::to_string(value)); }

/// What the search measured of a layer.
static void addMeasures(const SearchResult &search, const std::string &node, json::Object &object) {
  auto found = search.layers.find(node);
  if (found == search.layers.end())
    return;
  json::Array forms;
  for (const FormMeasure &form : found->second.forms)
    forms.push_back(json::Object{{"scheme", printScheme(form.scheme)}, {"loss", form.loss}, {"seconds", form.seconds}, {"bytes", static_cast<int64_t>(form.bytes)}});
  object["seconds"] = found->second.seconds;
  object["forms"] = std::move(forms);
}

static json::Array printFront(const SearchResult &search) {
  json::Array front;
  for (const ParetoPoint &point : search.front)
    front.push_back(json::Object{{"cost", point.cost}, {"loss", point.loss}, {"chosen", point.isChosen}});
  return front;
}

/// The range of each value that becomes bytes, and how it was found.
static json::Array printRanges(const compress::Recipe &recipe) {
  json::Array ranges;
  for (const auto &[value, activation] : recipe.activations) {
    double scale = activation.scale;
    json::Object object{{"value", json::fixUTF8(value)}, {"least", -activation.zeroPoint * scale}, {"most", (255 - activation.zeroPoint) * scale}};
    if (!activation.method.empty())
      object["method"] = json::fixUTF8(activation.method);
    ranges.push_back(std::move(object));
  }
  return ranges;
}

/// How many ranges each method found.
static std::string countRangeMethods(const compress::Recipe &recipe) {
  std::map<std::string, size_t> counts;
  for (const auto &[value, activation] : recipe.activations)
    ++counts[activation.method.empty() ? "recipe" : activation.method];
  std::string text;
  for (const auto &[method, count] : counts)
    text += (text.empty() ? "ranges of values: " : ", ") + std::to_string(count) + " " + method;
  return text.empty() ? text : text + "\n";
}

json::Value printReport(const CompressReport &report) {
  json::Array layers, errors, notes;
  for (const compress::LayerRecipe &layer : report.recipe.layers) {
    json::Object object{{"node", json::fixUTF8(layer.node)}, {"op", layer.op}, {"scheme", printScheme(layer.scheme)}, {"bytes_before", static_cast<int64_t>(layer.bytesBefore)}};
    if (layer.scheme == compress::Scheme::keep)
      object["reason"] = json::fixUTF8(layer.reason);
    else {
      object["bytes_after"] = static_cast<int64_t>(layer.bytesAfter);
      object["weight_sqnr"] = layer.weightSqnr;
      if (!layer.shift.empty())
        object["bias_shift"] = std::sqrt(std::inner_product(layer.shift.begin(), layer.shift.end(), layer.shift.begin(), 0.0) / static_cast<double>(layer.shift.size()));
    }
    addMeasures(report.search, layer.node, object);
    layers.push_back(std::move(object));
  }
  for (const OutputError &error : report.errors)
    errors.push_back(json::Object{{"output", json::fixUTF8(error.name)}, {"cosine", error.metrics.cosine}, {"sqnr", error.metrics.sqnr}, {"kl", printNumber(error.metrics.kl)}, {"max_error", printNumber(error.metrics.maxAbs)}, {"mean_error", printNumber(error.metrics.meanAbs)},
                                  {"top1_agreement", error.metrics.topK}});
  for (const std::string &note : report.notes)
    notes.push_back(json::fixUTF8(note));
  json::Array budgets;
  for (const BudgetOutcome &budget : report.budgets)
    budgets.push_back(json::Object{{"budget", budget.text}, {"held_out", budget.value}, {"holds", budget.holds}});
  json::Object whole{{"bytes_before", static_cast<int64_t>(report.bytesBefore)}, {"bytes_after", static_cast<int64_t>(report.bytesAfter)},
                      {"calibration_samples", static_cast<int64_t>(report.calibrationSamples)}, {"judging_samples", static_cast<int64_t>(report.judgingSamples)}, {"held_out_samples", static_cast<int64_t>(report.heldOutSamples)},
                      {"layers", std::move(layers)}, {"activations", printRanges(report.recipe)}, {"held_out", std::move(errors)}, {"budgets", std::move(budgets)}, {"pareto", printFront(report.search)},
                      {"seconds", json::Object{{"plain", report.speed.plain}, {"compressed", report.speed.compressed}}}, {"notes", std::move(notes)}};
  if (report.scalings.isAny())
    whole["scaling"] = printScaleReport(report.scalings);
  if (report.pruning.isAny())
    whole["pruning"] = printPruneReport(report.pruning);
  return whole;
}

std::string describeReport(const CompressReport &report) {
  size_t done = static_cast<size_t>(std::count_if(report.recipe.layers.begin(), report.recipe.layers.end(), [](const auto &layer) { return layer.scheme != compress::Scheme::keep; }));
  std::string text = llvm::formatv("{0} of {1} layers compressed, model {2} -> {3} bytes ({4:F2}x)\n", done, report.recipe.layers.size(), report.bytesBefore, report.bytesAfter,
                                   static_cast<double>(report.bytesBefore) / static_cast<double>(std::max<uint64_t>(report.bytesAfter, 1)));
  for (const compress::LayerRecipe &layer : report.recipe.layers)
    if (layer.scheme == compress::Scheme::keep)
      text += llvm::formatv("kept: {0} ({1}): {2}\n", layer.node, layer.op, layer.reason);
  text += countRangeMethods(report.recipe);
  text += describePruning(report.pruning);
  text += describeScaling(report.scalings);
  for (const OutputError &error : report.errors)
    text += llvm::formatv("{0}: cosine {1:F6}, SQNR {2:F1} dB, max error {3:E2}, mean error {4:E2}, top-1 agreement {5:F2} %\n", error.name, error.metrics.cosine, error.metrics.sqnr, error.metrics.maxAbs,
                          error.metrics.meanAbs, 100 * error.metrics.topK);
  for (const BudgetOutcome &budget : report.budgets)
    text += llvm::formatv("budget {0}: {1:F4} on held-out samples{2}\n", budget.text, budget.value, budget.holds ? "" : ", beyond it");
  if (report.speed.compressed > 0)
    text += llvm::formatv("run: {0:F3} -> {1:F3} ms ({2:F2}x)\n", report.speed.plain * 1e3, report.speed.compressed * 1e3, report.speed.plain / report.speed.compressed);
  for (const std::string &note : report.notes)
    text += "note: " + note + "\n";
  return text;
}

} // namespace onager::cli
