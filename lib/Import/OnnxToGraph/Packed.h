// Texts of different lengths that lie one after another in one dim.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_PACKED_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_PACKED_H

#include "lib/Import/OnnxToGraph/Importer.h"

namespace onager::frontend {

/// Where the tokens of packed texts stand; all integers are i64.
struct PackedTexts {
  Emitter &e;
  mlir::AffineExpr texts, tokens;
  mlir::Value first, lengths;    ///< [texts]: a text's first token, and how many it has
  mlir::Value textOf, placeOf;   ///< [tokens]: the text of a token, and its place there

  /// Reads cumulative lengths [texts + 1] of that many tokens; nothing of it is set after a failure.
  PackedTexts(Emitter &e, mlir::Value cumulative, mlir::AffineExpr tokens);

  /// Elements of x [tokens, ...] at places of texts, both of one shape. Places before the first are those of `history` [texts, n, ...], right-aligned,
  /// and without it the text's first.
  mlir::Value take(mlir::Value x, mlir::Value history, mlir::Value places, mlir::Value texts);
  /// The last `count` elements of each text [texts, count, ...], with those of its history before it.
  mlir::Value takeLast(mlir::Value x, mlir::Value history, mlir::AffineExpr count);
};

/// Reads how many of the first `capacity` tokens of each text an input asks for, as flags [texts, capacity]; null after a failure.
mlir::Value readCaptured(Node &node, PackedTexts &packed, unsigned index, int64_t capacity);

} // namespace onager::frontend

#endif
