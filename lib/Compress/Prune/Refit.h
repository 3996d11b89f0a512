// Weights that make up for what was pruned: ridge least squares against what the layer gave before.
#ifndef ONAGER_LIB_COMPRESS_PRUNE_REFIT_H
#define ONAGER_LIB_COMPRESS_PRUNE_REFIT_H

#include "lib/Compress/Prune/Pruning.h"

namespace onager::compress {

/// A constant that can take up a shift of all of a layer's outputs: its bias, that of an addition behind it, or the means of a normalisation behind it.
struct ShiftPlace {
  enum class Kind { none, own, added, mean } kind = Kind::none;
  std::string constant;
};
ShiftPlace findShiftPlace(const ModelGraph &model, const Layer &layer);

/// True for products, and for convolutions without groups, whose weights nobody else reads.
bool isFittable(const ModelGraph &model, const Layer &layer);

/// Layers that read an axis that was cut, or that read or write a stream that was turned, and can be fitted, in the graph's order.
std::vector<Layer> listCutLayers(const ModelGraph &model, const std::vector<Slice> &slices, const std::map<std::string, TurnedLayer> &turned = {});

/// Sums over the rows of one layer: its inputs X in the pruned model, and what it gave in the plain one, Y, of the channels that are left.
class LayerFit {
public:
  /// Layers with more terms than this are refitted by a factor and a shift for each output channel.
  static constexpr size_t kMostTerms = 2304;

  LayerFit(const ModelGraph &model, const Layer &layer, const std::vector<Slice> &slices);
  bool isScales() const { return scales; }
  size_t countTerms() const { return terms; }
  /// Adds rows: what the layer reads or, for factors and shifts, what it gives now; and what it gave.
  void add(const Rows &found, const Rows &expected);
  /// X^T X without the constant 1.
  Gram makeGram() const;
  /// Writes the fitted weights. A hundredth of the mean of X^T X's diagonal keeps weights near what they are where the data say little.
  RefitError apply(ModelGraph &model) const;
  /// The same for masked weights, which start as they are given: those that are 0 stay 0. By conjugate gradients, so that the outputs' masks may differ.
  RefitError applyMasked(ModelGraph &model, const Rows &masked);

private:
  double measure(const std::vector<double> &solution) const;
  std::vector<double> multiply(const std::vector<double> &b) const;
  std::vector<double> makeStart(const ModelGraph &model) const;
  std::vector<double> solve(const std::vector<double> &start) const;
  std::vector<double> solveMasked(const std::vector<double> &start) const;
  RefitError write(ModelGraph &model, const std::vector<double> &start, const std::vector<double> &solution) const;
  RefitError applyScales(ModelGraph &model) const;
  void applyShift(ModelGraph &model, const std::vector<double> &shift) const;

  Layer layer;
  ShiftPlace place;
  Rows weights;
  std::vector<size_t> kept; ///< output channels of the plain model
  size_t terms;             ///< with the constant 1 behind, where there is a place for a shift
  bool scales;
  Gram gram;
  std::vector<double> moments; ///< X^T Y
  double squares = 0;          ///< of Y
  std::vector<double> sums;    ///< of scales: for each channel count, f, e, ff, fe, ee
};

} // namespace onager::compress

#endif
