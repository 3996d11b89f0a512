// Masks: weights of a layer that become 0 while its shape stays.
#ifndef ONAGER_LIB_COMPRESS_PRUNE_MASK_H
#define ONAGER_LIB_COMPRESS_PRUNE_MASK_H

#include "lib/Compress/Cholesky.h"
#include "lib/Compress/Prune/Unfold.h"

namespace onager::compress {

enum class MaskMethod {
  magnitude, ///< |w|, compared over the layer
  wanda,     ///< |w| times the norm of what it is multiplied by, compared over an output's weights (Sun et al. 2023)
  sparsegpt  ///< w^2 over the inverse Gram matrix' diagonal; what is removed is made up for by the weights behind it (Frantar and Alistarh 2023)
};

const char *printMaskMethod(MaskMethod method);
bool readMaskMethod(const std::string &name, MaskMethod &method);

/// N of M consecutive weights of an output stay, or a share of all becomes 0.
struct MaskPattern {
  int64_t kept = 0, of = 0;
  double share = 0;
};

/// Reads "2:4" or "0.5"; false for what is neither, or would leave all or nothing.
bool readMaskPattern(const std::string &text, MaskPattern &pattern);

struct MaskedLayer {
  std::string node, pattern;
  MaskMethod method = MaskMethod::magnitude;
  uint64_t weights = 0, zeros = 0;
  double change = 0; ///< squares of what changed over squares of the weights
  std::string kernel; ///< what the compiler makes of the zeros, for the report
};

/// The weights of one group of a layer, [outputs, terms], with the mask applied. `gram` is that of their inputs; without terms for the method magnitude.
void maskRows(Rows &weights, const MaskPattern &pattern, MaskMethod method, const Gram &gram);

/// Says why a layer takes no mask; "" where it does.
std::string explainUnmaskable(const ModelGraph &model, const Layer &layer);

} // namespace onager::compress

#endif
