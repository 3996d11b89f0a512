// Data that a model is calibrated and judged by: many sets of inputs in a folder.
#ifndef ONAGER_TOOLS_SAMPLES_H
#define ONAGER_TOOLS_SAMPLES_H

#include "Inputs.h"

namespace onager::cli {

/// The samples of a folder, by name: archives NAME.npz of arrays named like the inputs, folders of input_K.pb or INPUT.npy and, for models of one input, files
/// NAME.npy and NAME.pb. They are read when they are asked for.
class Samples {
public:
  /// Lists a folder; `random:N` stands for N samples of random numbers, as `random` makes them, which must outlive the object. Fails where there is none.
  Samples(const std::string &folder, const InputArguments &random);
  size_t size() const { return count; }
  bool isRandom() const { return paths.empty(); }
  /// Reads a sample in the signature's order.
  std::vector<Tensor> load(size_t index, const rt::Manifest &manifest) const;

private:
  std::vector<std::string> paths;
  const InputArguments &random;
  size_t count = 0;
};

} // namespace onager::cli

#endif
