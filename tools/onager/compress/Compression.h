// The steps of a compression, in order.
#ifndef ONAGER_TOOLS_COMPRESS_COMPRESSION_H
#define ONAGER_TOOLS_COMPRESS_COMPRESSION_H

#include "Report.h"
#include "lib/Compress/ModelGraph.h"

namespace onager::cli {

struct CompressArguments {
  std::string model, output, data, recipe, recipeOutput, report, rounding, range = "best", objective, metricProgram;
  std::vector<std::string> schemes, kept, budgets;
  std::optional<double> targetBits;
  int64_t group = 0;
  int threads = 0;
  bool isJson = false, mayBeSlower = false;
  InputArguments random;
  PruneArguments prune;
  ScaleArguments scale;

  /// Declares what every subcommand takes that compresses: data, what is to be done, and where its recipe goes. `app` keeps references to this object.
  void addOptions(CLI::App &app);
  /// Fails where nothing is asked for.
  void check() const;
};

/// Compresses one model. Failures throw; files are written at the end.
class Compression {
public:
  /// `arguments` must outlive the object. Fails where they contradict each other.
  explicit Compression(const CompressArguments &arguments);
  void run();
  /// Decides and returns the compressed model's bytes, for those who write it themselves; writes the recipe. With `isJudged` it is run on the held-out samples and timed, as tell() says.
  std::string rewrite(bool isJudged);
  llvm::json::Value tell() const { return printReport(report); }

private:
  bool isSearch() const { return !arguments.budgets.empty() || arguments.targetBits; }
  /// True where bytes alone were asked for and samples say more than random numbers would.
  bool isBytesByData() const { return !isSearch() && arguments.schemes == std::vector<std::string>{"int8"} && runs.hasData() && !runs.isRandom(); }
  bool improvesRounding() const { return arguments.rounding.empty() && isBytesByData(); }
  bool correctsBiases() const { return arguments.scale.correctsBiases.value_or(isBytesByData()); }
  bool wantsSpeed() const { return request.objective == Objective::time && !arguments.targetBits; }
  void make(bool isJudged);
  void open();
  compress::Recipe plan(compress::Scheme scheme) const;
  void decide();
  void scale(const std::string &recipe);
  void chooseSchemes();
  void apply();
  std::vector<std::vector<Loss>> measureLosses(const std::vector<size_t> &chosen, const std::string &what) const;
  bool staysWithin();
  void retreat();
  void fillGaps();
  void keepFaster();
  void refine();
  bool correct();
  void judge();
  void writeRecipe() const;
  void write() const;

  const CompressArguments &arguments;
  SearchRequest request;
  SampleRuns runs;
  compress::ModelGraph model; ///< as it is rewritten from
  TemporaryPath plain{TemporaryPath::file, "onnx"}; ///< the model as it came, so that memory need not hold it as well
  std::string compressed;
  std::optional<Artifact> before, after;
  CompressReport report;
};

} // namespace onager::cli

#endif
