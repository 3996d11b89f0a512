// Ranges of values without data, from the statistics of BatchNormalization (as in data-free quantisation, Nagel et al. 2019).
#ifndef ONAGER_LIB_COMPRESS_NORMRANGES_H
#define ONAGER_LIB_COMPRESS_NORMRANGES_H

#include "lib/Compress/Histogram.h"
#include "lib/Compress/ModelGraph.h"

namespace onager::compress {

/// What BatchNormalization tells of a value: for each channel its mean and where it ends; one entry stands for all channels.
struct Spread {
  std::vector<double> mean, least, most;
};

/// Follows a model's values from the BatchNormalization that makes them, whose output has in each channel the mean `bias` and the deviation `scale`, or, where none does, takes the running mean and variance of
/// one that reads them. A channel ends so many deviations beside its mean.
///
/// Activation functions, pooling and movements move the ends; ends of sums are those of independent numbers, means added and distances to them added as squares; ends of products are those of all numbers between
/// the ends. Sigmoid, HardSigmoid, Softmax and Tanh have ends of their own.
class NormRanges {
public:
  NormRanges(const ModelGraph &model, double deviations);
  /// The ends over all channels; nothing for values that no BatchNormalization tells of, as model inputs, and what a layer gives into which one was folded.
  std::optional<Range> find(const std::string &value);

private:
  using Found = std::optional<Spread>;
  const Found &trace(const std::string &value);
  Found compute(const std::string &value);
  Found passNode(const onnx::NodeProto &node);
  Found passFunction(const onnx::NodeProto &node);
  Found readNorm(const onnx::NodeProto &node, int mean, int deviation, bool isVariance) const;
  Found add(const onnx::NodeProto &node);
  Found multiply(const onnx::NodeProto &node);
  Found join(const onnx::NodeProto &node);

  const ModelGraph &model;
  double deviations;
  std::map<std::string, const onnx::NodeProto *> readers; ///< of values that BatchNormalization reads
  std::map<std::string, Found> known;
};

} // namespace onager::compress

#endif
