// Steps that operators of the domain com.microsoft share.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_MICROSOFT_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_MICROSOFT_H

#include "lib/Import/OnnxToGraph/Importer.h"

namespace onager::frontend {

/// Numbers of `bits` bits, packed into the bytes of the last dim from the lowest bits up, one element each.
mlir::Value unpackBits(Emitter &e, mlir::Value packed, int64_t bits);

/// The activation of a fused operator by its name; parameters that are not given are NaN or missing.
mlir::Value activate(Emitter &e, llvm::StringRef name, llvm::ArrayRef<double> params, mlir::Value x);

/// Gives tokens that would repeat an n-gram of the row's ids [rows, length] i64 the value `banned` in the scores [rows, words].
mlir::Value banRepeats(Emitter &e, mlir::Value ids, mlir::Value scores, int64_t size, mlir::Value banned);

/// An operand with its scale and its zero point, which may be null.
struct Quantised {
  mlir::Value numbers, scale, zeroPoint;
};

/// The product of a and b in f32: integers are summed, then scaled. Scales and zero points hold one number, or those of b one per column.
mlir::Value multiplyQuantised(Emitter &e, const Quantised &a, const Quantised &b);
/// x in numbers of 8 bits that cover its range and 0.
Quantised quantizeDynamically(Node &node, mlir::Value x);

} // namespace onager::frontend

#endif
