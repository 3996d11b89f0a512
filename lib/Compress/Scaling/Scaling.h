// Factors of channels, chosen in three ways, and their part of a recipe:
//
//   "scaling": [{"method": "cle" | "depthwise" | "smoothquant" | "awq", "value": NAME, "alpha": NUMBER, "inserted": true | false, "factors": [NUMBER, ...]}, ...]
//
// Entries are applied in their order, each to the model that those before it leave. `alpha` says how the factors were found; they alone count.
#ifndef ONAGER_LIB_COMPRESS_SCALING_SCALING_H
#define ONAGER_LIB_COMPRESS_SCALING_SCALING_H

#include "lib/Compress/Prune/Unfold.h"
#include "lib/Compress/Scaling/Sites.h"

namespace onager::compress {

/// Cross-layer equalisation (Nagel et al. 2019): the weights that make a channel and those that read it get the same range. SmoothQuant (Xiao et al. 2022): max|x|^alpha / max|w|^(1 - alpha). AWQ (Lin et
/// al. 2023): mean|x|^alpha. Depthwise: the range of each channel that depthwise convolutions read, whose weights have a scale for each channel as well and so lose nothing.
enum class ScalingMethod { cle, depthwise, smoothquant, awq };

const char *printScalingMethod(ScalingMethod method);
bool readScalingMethod(const std::string &name, ScalingMethod &method);
std::vector<std::string> listScalingMethods();

/// The factors of one value's channels.
struct Scaling {
  ScalingMethod method = ScalingMethod::cle;
  std::string value;
  double alpha = 0;
  bool isInserted = false;
  std::vector<float> factors;
  double errorBefore = 0, errorAfter = 0; ///< squared errors of the layers' products over their squares, on the rows that chose alpha; 0 where none did
};

/// What a method left as it is, and why.
struct UnscaledSite {
  ScalingMethod method = ScalingMethod::cle;
  std::string value, reason;
};

struct Scalings {
  std::vector<Scaling> done;
  std::vector<UnscaledSite> left;
  bool isAny() const { return !done.empty() || !left.empty(); }
};

/// Equalises the weights of neighbours until nothing moves by more than a thousandth, and applies the factors.
void equalize(ModelGraph &model, Scalings &scalings);

/// What the calibration data hold of one site's value.
class SiteSamples {
public:
  explicit SiteSamples(const ScalingSite &site) : site(site), least(static_cast<size_t>(site.channels)), most(least), sums(least) {}

  /// Adds a tensor, of whose rows `count` at most are kept, evenly.
  void add(const std::vector<int64_t> &dims, const float *values, size_t count);
  bool isEmpty() const { return counted == 0; }

  const ScalingSite &site;
  std::vector<double> least, most, sums; ///< for each channel; of |x| the sums
  size_t counted = 0;                    ///< elements of a channel
  std::vector<std::vector<Rows>> rows;   ///< what the readers multiply by, for each reader and group; all products read what the first does
};

/// Chooses the factors of a site for what becomes of its readers: of eleven alphas from 0 to 1, or of `fixedAlpha` alone, that with the smallest error of the readers' products, with weights rounded and, for
/// layers of int8, inputs rounded to 256 steps of a range that `range` chooses, or for int8-dynamic between their extremes. Nothing where no alpha is better than no factors at all: an inserted Mul must save a tenth of the error.
std::optional<Scaling> chooseFactors(const ModelGraph &model, const SiteSamples &samples, const std::map<std::string, LayerRecipe> &forms, RangeMethod range, ScalingMethod method,
                                     std::optional<double> fixedAlpha);

/// The factors of a site of depthwise convolutions: how far each channel reaches. Nothing where channels reach about as far as each other: by folding they must gain a tenth of a bit on average, by an inserted Mul one.
std::optional<Scaling> chooseRanges(const SiteSamples &samples);

/// Applies factors to the site of that value. False and a reason where the model has none, or one of another number of channels.
bool repeatScaling(ModelGraph &model, const Scaling &scaling, std::string &error);

llvm::json::Value printScalings(const std::vector<Scaling> &scalings);
/// Reads the part of a recipe; one without it has no factors.
bool readScalings(const std::string &recipe, std::vector<Scaling> &scalings, std::string &error);

} // namespace onager::compress

#endif
