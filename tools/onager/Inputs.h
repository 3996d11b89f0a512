// Where the inputs of a run come from: files named on the command line, a folder, or random numbers.
#ifndef ONAGER_TOOLS_INPUTS_H
#define ONAGER_TOOLS_INPUTS_H

#include "Cli.h"
#include "Tensor.h"
#include "runtime/core/manifest.h"
#include <map>
#include <optional>

namespace onager::cli {

/// The options that make inputs.
class InputArguments {
public:
  /// Declares --dim and --seed. `app` keeps a reference to this object.
  void addRandom(CLI::App &app);
  /// Declares --input, which must provide all inputs where `needed`.
  void addFiles(CLI::App &app, bool needed);
  /// Declares --inputs DIR.
  void addFolder(CLI::App &app);
  /// Returns the inputs in the signature's order: those of --input, else those of the folder, else random ones where nothing was asked for
  /// and --input is not needed. Fails on inputs that nothing provides.
  std::vector<Tensor> collect(const rt::Manifest &manifest) const;
  /// Returns the inputs of a folder, as --inputs reads it.
  static std::vector<Tensor> collectFolder(const rt::Manifest &manifest, const std::string &folder);
  /// Returns the random inputs that --dim and --seed ask for, other ones for each index.
  std::vector<Tensor> collectRandom(const rt::Manifest &manifest, uint64_t index) const;
  /// The extent that --dim gives a symbol of the model, if any.
  std::optional<int64_t> findDim(const rt::Manifest &manifest, size_t symbol) const;

private:
  using Slots = std::vector<std::pair<Tensor, bool>>; ///< for each input: the tensor and whether it is there

  void readFiles(const rt::Manifest &manifest, Slots &slots, std::vector<bool> &isRandom) const;
  void readFolder(const rt::Manifest &manifest, Slots &slots) const;
  std::vector<int64_t> bindSymbols(const rt::Manifest &manifest, const Slots &slots) const;

  std::vector<std::string> files, dims;
  std::string folder;
  uint64_t seed = 0;
  bool needsFiles = false;
};

} // namespace onager::cli

#endif
