// Cutting classes of positions out of a model.
#ifndef ONAGER_LIB_COMPRESS_PRUNE_REMOVE_H
#define ONAGER_LIB_COMPRESS_PRUNE_REMOVE_H

#include "lib/Compress/Prune/Coupling.h"

namespace onager::compress {

/// What was cut from one constant.
struct Slice {
  std::string weights;
  size_t axis = 0;
  std::vector<int64_t> removed; ///< indices along the axis
};

/// Removes classes, none of which may be pinned, from all constants, and makes groups of convolutions, numbers of heads and dims in constants fit. `coupling` was made of this model and holds no
/// longer afterwards. False and a reason where the rewritten model's shapes contradict each other.
bool removeClasses(ModelGraph &model, const Coupling &coupling, const std::set<int32_t> &classes, std::vector<Slice> &slices, std::string &error);

} // namespace onager::compress

#endif
