// The report as one page that needs nothing else: no scripts, no network.
#include "Report.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <cmath>

using llvm::formatv;

namespace onager::cli {

namespace {

constexpr const char *kStyle = "body{font:15px/1.5 system-ui,sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:#222}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}"
                               "table{border-collapse:collapse}td,th{padding:.25em .8em;border-bottom:1px solid #ddd;text-align:left}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
                               "tr.keep td{color:#888}.bad{color:#b00020}svg{background:#fafafa;border:1px solid #ddd}";

/// Text as HTML shows it.
std::string escape(llvm::StringRef text) {
  std::string out;
  llvm::raw_string_ostream stream(out);
  llvm::printHTMLEscaped(text, stream);
  return out;
}

class Page {
public:
  explicit Page(const CompressReport &report) : report(report) {}

  std::string print(const std::string &model) {
    text = formatv("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}, compressed</title><style>{1}</style></head><body>\n<h1>{0}, compressed</h1>\n", escape(model), kStyle);
    addSummary();
    addErrors();
    addFront();
    addText("Pruning", describePruning(report.pruning));
    addText("Scaling of channels", describeScaling(report.scalings));
    addLayers();
    addRanges();
    text += "</body></html>\n";
    return text;
  }

private:
  void addRow(std::initializer_list<std::string> cells, const char *attributes = "") {
    text += formatv("<tr{0}>", attributes);
    bool isFirst = true;
    for (const std::string &cell : cells) {
      text += formatv("<td{0}>{1}</td>", isFirst ? "" : " class=\"n\"", cell);
      isFirst = false;
    }
    text += "</tr>\n";
  }

  void addHead(std::initializer_list<const char *> cells) {
    text += "<table>\n<tr>";
    bool isFirst = true;
    for (const char *cell : cells) {
      text += formatv("<th{0}>{1}</th>", isFirst ? "" : " class=\"n\"", cell);
      isFirst = false;
    }
    text += "</tr>\n";
  }

  static std::string printRatio(double before, double after) { return after > 0 ? formatv("{0:F2}x", before / after).str() : ""; }

  void addSummary() {
    addHead({"", "plain", "compressed", ""});
    addRow({"bytes", std::to_string(report.bytesBefore), std::to_string(report.bytesAfter), printRatio(static_cast<double>(report.bytesBefore), static_cast<double>(report.bytesAfter))});
    if (report.speed.compressed > 0)
      addRow({"milliseconds of a run", formatv("{0:F3}", report.speed.plain * 1e3), formatv("{0:F3}", report.speed.compressed * 1e3), printRatio(report.speed.plain, report.speed.compressed)});
    text += formatv("</table>\n<p>{0} calibration samples, {1} that judge the choice, {2} held out.</p>\n", report.calibrationSamples, report.judgingSamples, report.heldOutSamples);
    for (const std::string &note : report.notes)
      text += "<p class=\"bad\">" + escape(note) + "</p>\n";
  }

  void addText(const char *title, const std::string &lines) {
    if (!lines.empty())
      text += formatv("<h2>{0}</h2>\n<pre>{1}</pre>\n", title, escape(lines));
  }

  void addErrors() {
    if (report.errors.empty())
      return;
    text += "<h2>Accuracy on held-out samples</h2>\n";
    addHead({"output", "cosine", "SQNR, dB", "divergence", "largest error", "mean error", "rows that agree"});
    for (const OutputError &error : report.errors)
      addRow({escape(error.name), formatv("{0:F6}", error.metrics.cosine), formatv("{0:F1}", error.metrics.sqnr), formatv("{0:E2}", error.metrics.kl), formatv("{0:E2}", error.metrics.maxAbs),
              formatv("{0:E2}", error.metrics.meanAbs), formatv("{0:F2} %", 100 * error.metrics.topK)});
    text += "</table>\n";
    for (const BudgetOutcome &budget : report.budgets)
      text += formatv("<p{0}>budget {1}: {2:F5}{3}</p>\n", budget.holds ? "" : " class=\"bad\"", escape(budget.text), budget.value, budget.holds ? "" : ", beyond it");
  }

  /// Cost against loss, both on logarithmic axes where they can be.
  void addFront() {
    const std::vector<ParetoPoint> &front = report.search.front;
    if (front.size() < 2)
      return;
    constexpr double kWidth = 560, kHeight = 300, kMargin = 60;
    auto scale = [](double value) { return std::log10(std::max(value, 1e-9)); };
    double leastCost = HUGE_VAL, mostCost = 0, least = HUGE_VAL, most = -HUGE_VAL;
    for (const ParetoPoint &point : front) {
      leastCost = std::min(leastCost, point.cost);
      mostCost = std::max(mostCost, point.cost);
      least = std::min(least, scale(point.loss));
      most = std::max(most, scale(point.loss));
    }
    auto getX = [&](double cost) { return kMargin + (kWidth - 2 * kMargin) * (cost - leastCost) / std::max(mostCost - leastCost, 1e-30); };
    auto getY = [&](double loss) { return kHeight - kMargin - (kHeight - 2 * kMargin) * (scale(loss) - least) / std::max(most - least, 1e-9); };
    bool isTime = mostCost < 1e3;
    text += formatv("<h2>What choices cost and lose</h2>\n<svg width=\"{0}\" height=\"{1}\" role=\"img\" aria-label=\"loss by cost\">\n", kWidth, kHeight);
    for (const ParetoPoint &point : front)
      text += formatv("<circle cx=\"{0:F1}\" cy=\"{1:F1}\" r=\"{2}\" fill=\"{3}\"><title>{4:E3} {5}, loss {6:E2}</title></circle>\n", getX(point.cost), getY(point.loss), point.isChosen ? 7 : 4,
                      point.isChosen ? "#0a7" : "#468", point.cost, isTime ? "seconds of the layers" : "bytes of the layers", point.loss);
    text += formatv("<text x=\"{0}\" y=\"{1}\" font-size=\"12\">{2}: {3:E2} to {4:E2}</text>\n", kMargin, kHeight - 15, isTime ? "seconds of the layers" : "bytes of the layers", leastCost, mostCost);
    text += formatv("<text x=\"10\" y=\"20\" font-size=\"12\">loss: {0:E2} to {1:E2}, logarithmic; the large dot is the choice</text>\n</svg>\n", std::pow(10, least), std::pow(10, most));
  }

  void addLayers() {
    text += "<h2>Layers</h2>\n";
    addHead({"node", "operator", "scheme", "bytes before", "after", "SQNR of weights, dB", "what was measured, or why"});
    for (const compress::LayerRecipe &layer : report.recipe.layers) {
      bool isKept = layer.scheme == compress::Scheme::keep;
      addRow({escape(layer.node), escape(layer.op), printScheme(layer.scheme), std::to_string(layer.bytesBefore), isKept ? "" : std::to_string(layer.bytesAfter),
              isKept ? "" : formatv("{0:F1}", layer.weightSqnr).str(), explain(layer)},
             isKept ? " class=\"keep\"" : "");
    }
    text += "</table>\n";
  }

  void addRanges() {
    if (report.recipe.activations.empty())
      return;
    text += "<h2>Ranges of values</h2>\n";
    addHead({"value", "least", "most", "found by"});
    for (const auto &[value, activation] : report.recipe.activations)
      addRow({escape(value), formatv("{0:F4}", static_cast<float>(-activation.zeroPoint) * activation.scale), formatv("{0:F4}", static_cast<float>(255 - activation.zeroPoint) * activation.scale), escape(activation.method)});
    text += "</table>\n";
  }

  std::string explain(const compress::LayerRecipe &layer) const {
    std::string out = escape(layer.reason);
    auto found = report.search.layers.find(layer.node);
    if (found == report.search.layers.end())
      return out;
    for (const FormMeasure &form : found->second.forms) {
      out += formatv("{0}{1}: loss {2:E1}", out.empty() ? "" : "; ", printScheme(form.scheme), form.loss);
      if (form.seconds > 0)
        out += formatv(", {0:F1} of {1:F1} us", form.seconds * 1e6, found->second.seconds * 1e6);
    }
    return out;
  }

  const CompressReport &report;
  std::string text;
};

} // namespace

std::string printHtml(const CompressReport &report, const std::string &model) { return Page(report).print(model); }

} // namespace onager::cli
