// Sequences whose length is found while running: ranks, dims and data one after another (Values.h).
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_RAGGED_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_RAGGED_H

#include "lib/Import/OnnxToGraph/Importer.h"

namespace onager::frontend {

/// Returns the number of elements.
mlir::AffineExpr getLength(const Datum &ragged);
/// Returns the element at a position, counted from the end where it is negative; fails where the elements' rank is not known.
mlir::Value getElement(Emitter &e, const Datum &ragged, mlir::Value position);
/// Puts a tensor before a position, or at the end where there is none.
Datum insertElement(Emitter &e, const Datum &ragged, mlir::Value position, mlir::Value tensor);
/// Removes the element at a position, or the last where there is none.
Datum eraseElement(Emitter &e, const Datum &ragged, mlir::Value position);
/// Joins the elements along an axis, or along a new one. Their shapes must be the same but for the first axis, along which they may differ.
mlir::Value concatElements(Emitter &e, const Datum &ragged, int64_t axis, bool isNew);
/// Cuts a tensor into parts of `size` along an axis, the last of what is left.
Datum splitEvenly(Emitter &e, mlir::Value x, int64_t axis, mlir::AffineExpr size);
/// Cuts a tensor into parts of the given sizes along its first axis.
Datum splitRows(Emitter &e, mlir::Value x, mlir::Value sizes);

} // namespace onager::frontend

#endif
