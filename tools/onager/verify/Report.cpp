// Lines and JSON objects of values.
#include "Report.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

namespace json = llvm::json;

namespace onager::cli {

static std::string printNumber(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

/// Why a value is not fine.
static std::string describeVerdict(const ValueErrors &value, const Judge &judge) {
  if (value.isFine)
    return "ok";
  std::string text = "DIFFERENT: ";
  if (judge.thresholds.empty() || value.dtype == ONAGER_STRING) {
    Tolerance tolerance = judge.getTolerance(value.dtype);
    return text + llvm::formatv("{0} of {1} elements beyond rtol {2}, atol {3}", value.metrics.outside, value.metrics.elements, printNumber(tolerance.relative), printNumber(tolerance.absolute)).str();
  }
  bool isFirst = true;
  for (const Threshold &threshold : judge.thresholds)
    if (!threshold.holds(value.metrics)) {
      text += (isFirst ? "" : ", ") + threshold.metric + " " + printNumber(getMetric(value.metrics, threshold.metric)) + ", expected " + threshold.text.substr(threshold.metric.size());
      isFirst = false;
    }
  return text;
}

std::string describeValue(const ValueErrors &value, const Judge &judge, size_t samples) {
  if (!value.mismatch.empty())
    return value.name + ": " + value.mismatch + "  DIFFERENT\n";
  const Metrics &metrics = value.metrics;
  std::string text = value.name + ": " + getTypeName(value.dtype) + " " + describeDims(value.dims);
  if (samples > 1)
    text += " in " + std::to_string(samples) + " samples";
  text += "  max abs error " + printNumber(metrics.maxAbs) + ", max rel error " + printNumber(metrics.maxRel) + "  " + describeVerdict(value, judge) + "\n";
  if (value.dtype == ONAGER_STRING)
    return text;
  text += llvm::formatv("  mean abs {0}, mean rel {1}, cosine {2:F6}, SQNR {3:F1} dB, KL {4}, top-{5} agreement {6:F2} %", printNumber(metrics.meanAbs), printNumber(metrics.meanRel), metrics.cosine,
                        metrics.sqnr, printNumber(metrics.kl), judge.k, 100 * metrics.topK)
              .str();
  if (metrics.nonFinite)
    text += ", " + std::to_string(metrics.nonFinite) + " infinities or NaN";
  return text + "\n";
}

json::Array printValues(const std::vector<ValueErrors> &values) {
  json::Array list;
  for (const ValueErrors &value : values) {
    json::Object object{{"name", json::fixUTF8(value.name)}, {"type", getTypeName(value.dtype)}, {"shape", json::Array(value.dims)}, {"ok", value.isFine}, {"metrics", printMetrics(value.metrics)}};
    if (!value.mismatch.empty())
      object["mismatch"] = json::fixUTF8(value.mismatch);
    list.push_back(std::move(object));
  }
  return list;
}

} // namespace onager::cli
