// Parts of attention that the operators of com.microsoft share.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_MICROSOFTATTENTION_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_MICROSOFTATTENTION_H

#include "lib/Import/OnnxToGraph/Importer.h"
#include <cmath>

namespace onager::frontend {

/// [B, S, heads * H] -> [B, heads, S, H].
mlir::Value splitHeads(Emitter &e, mlir::Value x, int64_t heads);
/// [B, heads, S, H] -> [B, S, heads * H].
mlir::Value mergeHeads(Emitter &e, mlir::Value x);
/// Rotates pairs of the first `width` elements of x [B, heads, S, H] by angles [B or 1, 1, S, width / 2]; or both with S before the heads.
mlir::Value rotate(Emitter &e, mlir::Value x, mlir::Value cosines, mlir::Value sines, mlir::AffineExpr width, bool isInterleaved);
/// Rows of a cache [positions, W] at positions [B, S] as [B, 1, S, W]; the 1 is at `headAxis`, 1 or 2.
mlir::Value pickAngles(Emitter &e, mlir::Value cache, mlir::Value positions, int64_t headAxis = 1);
/// Both where both are given, else the one that is.
mlir::Value both(Emitter &e, mlir::Value a, mlir::Value b);

/// How scores become weights.
struct Scores {
  double scale = 0;          ///< 0: 1 / sqrt(H)
  double softcap = 0;        ///< limits scores to +-softcap, by tanh
  mlir::Value bias;          ///< added to the scores where given
  mlir::Value allowed;       ///< positions that a query sees, where given
  mlir::Value counted;       ///< positions that are no padding, where given
  double padding = -10000;   ///< added to the scores of padding
  mlir::Value sink;          ///< the score of a position without a value, where given
};

/// What attention gives beside its result.
struct Weights {
  mlir::Value scores, weights; ///< before the softmax and what a query does not see, and after it
};

/// softmax(scale * q k^T + bias) v for q [..., S, H], k [..., T, H], v [..., T, V], in f32 for shorter floats.
mlir::Value attend(Emitter &e, mlir::Value q, mlir::Value k, mlir::Value v, const Scores &how, Weights *weights = nullptr);
/// Sets the outputs of Attention from the projections [B, S, queries + keys + values], a mask and keys and values of before.
void setProjected(Node &node, mlir::Value all, mlir::Value mask, mlir::Value past, mlir::Value bias);

} // namespace onager::frontend

#endif
