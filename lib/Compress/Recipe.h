// What becomes of each layer of a model. Text form, which can be edited and gives the same bits when it is applied again:
//
//   {"version": 1, "range": "mse",
//    "layers": [{"node": NAME, "op": "Conv", "scheme": "keep" | "bf16" | "f16" | "int8" | "int8-dynamic" | "int8-weights" | "int4" | "nf4" | "fp4",
//                "rounding": "rtn" | "mse" | "hqq" | "gptq" | "adaround", "group": N, "moves": TEXT, "bias_shift": [NUMBER, ...], "reason": TEXT}, ...],
//    "activations": [{"value": NAME, "scale": NUMBER, "zero_point": 0 .. 255, "method": TEXT}, ...]}
#ifndef ONAGER_LIB_COMPRESS_RECIPE_H
#define ONAGER_LIB_COMPRESS_RECIPE_H

#include "lib/Compress/Histogram.h"
#include "lib/Compress/ModelGraph.h"
#include "lib/Compress/Rounding.h"
#include "llvm/Support/JSON.h"

namespace onager::compress {

struct Layer;

enum class Scheme {
  keep,         ///< as it is
  bf16,         ///< weights and activations rounded to bfloat16, sums of f32
  f16,          ///< the same to float16
  int8,         ///< weights and activations of 8 bits, scales of activations fixed beforehand
  int8Dynamic,  ///< weights and activations of 8 bits, scales of activations found while the model runs
  int8Weights,  ///< weights of 8 bits in groups, of convolutions around 0 by output channel; activations of f32
  int4,         ///< weights of 4 bits in groups, activations of f32
  nf4,          ///< weights of 16 levels, quantiles of the normal distribution, in groups; activations of f32
  fp4           ///< the same with the levels of a float of 4 bits
};

const char *printScheme(Scheme scheme);
bool readScheme(const std::string &name, Scheme &scheme);
const char *printRoundingMethod(RoundingMethod method);
bool readRoundingMethod(const std::string &name, RoundingMethod &method);
const char *printRangeMethod(RangeMethod method);
bool readRangeMethod(const std::string &name, RangeMethod &method);
/// The names that these know; of schemes all but keep.
std::vector<std::string> listSchemes(), listRoundingMethods(), listRangeMethods();
/// True where weights take less than 16 bits, so that they are rounded to steps.
inline bool isQuantised(Scheme scheme) { return scheme >= Scheme::int8; }
/// True where weights and activations are bytes.
inline bool hasByteInputs(Scheme scheme) { return scheme == Scheme::int8 || scheme == Scheme::int8Dynamic; }
/// True where weights are among 16 levels of a codebook.
inline bool hasCodebook(Scheme scheme) { return scheme == Scheme::nf4 || scheme == Scheme::fp4; }
/// True where weights alone are quantised, in groups.
inline bool hasGroups(Scheme scheme) { return scheme >= Scheme::int8Weights; }

/// True for Conv and ConvTranspose.
inline bool isConvolution(const std::string &op) { return op == "Conv" || op == "ConvTranspose"; }

/// What becomes of one layer, and what came of it.
struct LayerRecipe {
  std::string node, op;
  Scheme scheme = Scheme::keep;
  RoundingMethod rounding = RoundingMethod::rtn;
  int64_t group = 32;          ///< of convolutions of int4: what the size of equal parts of a filter is near to
  std::string reason;          ///< why it is kept
  uint64_t bytesBefore = 0, bytesAfter = 0;
  std::vector<RoundedGroup> groups; ///< of roundings by data: output by output
  std::string moves;           ///< of adaround: what moves the nearest integers to those of `groups` (Moves.h)
  std::vector<float> shift;    ///< what is added to each output channel, to make up for the mean of what rounding changes; empty for nothing
  double weightSqnr = 0;       ///< signal to noise of the rounded weights, in dB
};

/// Scale and zero point of a value of 8 bits, 0 .. 255.
struct Activation {
  float scale = 1;
  int zeroPoint = 0;
  std::string method; ///< how its range was found: a range method or "batch-norm"; "" where that is not known
};

struct Recipe {
  RangeMethod range = RangeMethod::mse;
  std::vector<LayerRecipe> layers;                 ///< in the graph's order
  std::map<std::string, Activation> activations;
};

/// Says why a scheme's weights cannot be rounded so; "" where they can.
std::string explainUnfit(Scheme scheme, RoundingMethod rounding);

/// What is asked for by those who have no recipe.
struct Request {
  Scheme scheme = Scheme::int8;
  RoundingMethod rounding = RoundingMethod::rtn;
  int64_t group = 0; ///< 0: chosen for each layer
  RangeMethod range = RangeMethod::mse;
  std::vector<std::string> kept; ///< names of nodes
};

/// A layer as it is.
LayerRecipe keepLayer(const ModelGraph &model, const Layer &layer, const std::string &reason);

/// Lists the model's layers and decides for each. False and a reason where `kept` names none of them, or where no layer can take the scheme.
bool planRecipe(const ModelGraph &model, const Request &request, Recipe &recipe, std::string &error);

llvm::json::Value printRecipe(const Recipe &recipe);
/// Reads a recipe for a model. False and a reason where the text is none, or names nodes or values that the model lacks.
bool readRecipe(const std::string &text, const ModelGraph &model, Recipe &recipe, std::string &error);

} // namespace onager::compress

#endif
