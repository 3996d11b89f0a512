// Writing a stream in the basis of its principal components.
#ifndef ONAGER_LIB_COMPRESS_SLICE_SLICING_H
#define ONAGER_LIB_COMPRESS_SLICE_SLICING_H

#include "lib/Compress/Prune/Remove.h"
#include "lib/Compress/Slice/Rotation.h"
#include "lib/Compress/Slice/Stream.h"

namespace onager::compress {

/// A layer that reads or writes a stream: its output is (Y - shift) turn, where Y is what `plain` was before.
struct TurnedLayer {
  std::string plain;
  Rotation turn;            ///< of what is written; no rows where the outputs are no part of the stream
  std::vector<float> shift; ///< what an addition behind the layer took over of a norm's bias; empty where none did
};

struct SlicedLayers {
  std::vector<Slice> reads;                  ///< the axes of weights that read the stream, and how many of their positions went: the last
  std::map<std::string, TurnedLayer> turned; ///< by the layers' outputs
};

/// Rewrites a stream without an obstacle: `bases` are one orthonormal rotation, [width, kept], for all of it, or one for each value that norms read, by its name.
void sliceStream(ModelGraph &model, const Stream &stream, const std::map<std::string, Rotation> &bases, SlicedLayers &layers);

} // namespace onager::compress

#endif
