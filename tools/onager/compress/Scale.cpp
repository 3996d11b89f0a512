// Options, samples of what layers read, and what is told of factors.
#include "Scale.h"
#include "Watched.h"
#include "tools/onager/Choice.h"
#include "llvm/Support/FormatVariadic.h"

namespace json = llvm::json;

namespace onager::cli {

using compress::ScalingMethod;
using compress::ScalingSite;

/// The methods, and `none`.
static std::vector<std::string> listNames() {
  std::vector<std::string> names = compress::listScalingMethods();
  names.emplace_back("none");
  return names;
}

void ScaleArguments::addOptions(CLI::App &app, CLI::Option *recipe) {
  app.add_option("--scaling", methods, "Move factors of channels between neighbours before rounding: cle (by weights), depthwise (the default of int8), smoothquant (products of int8, int8-dynamic), awq (weights alone); all but cle need data; in this order; none")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->transform(oneOf(listNames()))
      ->excludes(recipe)
      ->type_name("METHOD,...");
  app.add_option("--scaling-alpha", alpha, "The strength of smoothquant and awq, from 0 to 1, instead of the best for each value")->check(CLI::Range(0.0, 1.0))->excludes(recipe);
  app.add_flag_function("--bias-correction,!--no-bias-correction", [this](int64_t count) { correctsBiases = count > 0; }, "Let biases make up for what rounding changes on average (the default of int8 alone); needs data")->excludes(recipe);
}

namespace {

/// One method that looks at data.
class DataScaling {
public:
  DataScaling(compress::ModelGraph &model, ScalingMethod method, const compress::Recipe &planned, std::optional<double> alpha, const SampleRuns &runs, compress::Scalings &scalings)
      : model(model), method(method), range(planned.range), alpha(alpha), runs(runs), scalings(scalings) {
    for (const compress::LayerRecipe &entry : planned.layers)
      if (isAimedAt(entry.scheme))
        forms[entry.node] = entry;
  }

  void run() {
    std::vector<ScalingSite> sites = listCandidates();
    std::vector<compress::SiteSamples> samples(sites.begin(), sites.end());
    observe(samples);
    std::vector<compress::Scaling> chosen;
    for (const compress::SiteSamples &own : samples) {
      showProgress("factors of '" + own.site.value + "'");
      std::optional<compress::Scaling> scaling = own.isEmpty() ? std::nullopt : isDepthwise() ? compress::chooseRanges(own) : compress::chooseFactors(model, own, forms, range, method, alpha);
      if (scaling)
        chosen.push_back(std::move(*scaling));
      else
        scalings.left.push_back({method, own.site.value, own.isEmpty() ? "no sample holds it" : isDepthwise() ? "its channels reach about as far as each other" : "no strength loses less than none"});
    }
    for (compress::Scaling &scaling : chosen) {
      std::string error;
      if (!compress::repeatScaling(model, scaling, error))
        throw Failure(Status::internal, error);
      scalings.done.push_back(std::move(scaling));
    }
  }

private:
  bool isDepthwise() const { return method == ScalingMethod::depthwise; }
  bool isAimedAt(compress::Scheme scheme) const { return method == ScalingMethod::awq ? compress::hasGroups(scheme) : compress::hasByteInputs(scheme); }

  std::vector<ScalingSite> listCandidates() {
    std::vector<ScalingSite> sites;
    for (ScalingSite &site : compress::listSites(model)) {
      if (std::none_of(site.readers.begin(), site.readers.end(), [&](const compress::Layer &layer) { return forms.count(layer.name); }))
        continue;
      if (isDepthwise() && !site.isDepthwise())
        continue;
      // Images came out worse as often as better: their ranges are for cle and depthwise.
      bool isForImages = std::any_of(site.readers.begin(), site.readers.end(), [](const compress::Layer &layer) { return layer.node->op_type() == "Conv"; });
      if (method == ScalingMethod::smoothquant && isForImages)
        scalings.left.push_back({method, site.value, "a convolution reads it"});
      else if (!site.obstacle.empty() && !site.canInsert())
        scalings.left.push_back({method, site.value, site.obstacle});
      else
        sites.push_back(std::move(site));
    }
    return sites;
  }

  void observe(std::vector<compress::SiteSamples> &samples) const {
    constexpr size_t kRows = 512; // of all samples together
    if (samples.empty())
      return;
    std::vector<std::string> values;
    for (const compress::SiteSamples &own : samples)
      values.push_back(own.site.value);
    size_t count = 0, all = runs.getCalibration().size();
    Watched watched(runs, model.serializePart(values), all);
    for (size_t sample : runs.getCalibration()) {
      showProgress("what layers read: sample " + std::to_string(++count) + " of " + std::to_string(all));
      std::vector<Tensor> outputs = watched.run(sample);
      for (compress::SiteSamples &own : samples)
        if (const Tensor &tensor = watched.find(outputs, own.site.value); tensor.dtype == ONAGER_F32)
          own.add(tensor.dims, getFloats(tensor), std::max<size_t>(1, kRows / all));
    }
  }

  compress::ModelGraph &model;
  ScalingMethod method;
  compress::RangeMethod range;
  std::optional<double> alpha;
  const SampleRuns &runs;
  compress::Scalings &scalings;
  std::map<std::string, compress::LayerRecipe> forms;
};

/// Squared errors as a ratio in dB; those that chose no alpha have none.
std::string describeGain(const compress::Scaling &scaling) {
  if (!(scaling.errorBefore > 0 && scaling.errorAfter > 0))
    return "";
  return llvm::formatv(", SQNR {0:F1} -> {1:F1} dB", -10 * std::log10(scaling.errorBefore), -10 * std::log10(scaling.errorAfter));
}

} // namespace

void scaleChannels(compress::ModelGraph &model, const ScaleArguments &arguments, const compress::Recipe &planned, const SampleRuns &runs, compress::Scalings &scalings) {
  for (const std::string &name : arguments.methods) {
    ScalingMethod method = ScalingMethod::cle;
    if (!compress::readScalingMethod(name, method))
      continue; // none
    if (method == ScalingMethod::cle) {
      compress::equalize(model, scalings);
      continue;
    }
    if (!runs.hasData())
      throw Failure(Status::badOption, name + " needs data: --calibrate DIR");
    DataScaling(model, method, planned, arguments.alpha, runs, scalings).run();
  }
}

json::Value printScaleReport(const compress::Scalings &scalings) {
  json::Array done, left;
  for (const compress::Scaling &scaling : scalings.done) {
    auto [least, most] = std::minmax_element(scaling.factors.begin(), scaling.factors.end());
    done.push_back(json::Object{{"method", printScalingMethod(scaling.method)}, {"value", json::fixUTF8(scaling.value)}, {"alpha", scaling.alpha}, {"inserted", scaling.isInserted},
                                {"least_factor", static_cast<double>(*least)}, {"most_factor", static_cast<double>(*most)}, {"error_before", scaling.errorBefore}, {"error_after", scaling.errorAfter}});
  }
  for (const compress::UnscaledSite &site : scalings.left)
    left.push_back(json::Object{{"method", printScalingMethod(site.method)}, {"value", json::fixUTF8(site.value)}, {"reason", json::fixUTF8(site.reason)}});
  return json::Object{{"scaled", std::move(done)}, {"left", std::move(left)}};
}

std::string describeScaling(const compress::Scalings &scalings) {
  std::string text;
  for (const compress::Scaling &scaling : scalings.done)
    text += llvm::formatv("scaled: {0} ({1}{2}){3}{4}\n", scaling.value, printScalingMethod(scaling.method), scaling.method == ScalingMethod::cle ? "" : llvm::formatv(", alpha {0:F2}", scaling.alpha).str(),
                          scaling.isInserted ? " by a Mul" : "", describeGain(scaling));
  for (const compress::UnscaledSite &site : scalings.left)
    text += llvm::formatv("not scaled: {0} ({1}): {2}\n", site.value, printScalingMethod(site.method), site.reason);
  return text;
}

} // namespace onager::cli
