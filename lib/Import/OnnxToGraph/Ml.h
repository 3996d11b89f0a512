// What the importers of classical machine learning (domain ai.onnx.ml) share.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_ML_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_ML_H

#include "lib/Import/OnnxToGraph/Importer.h"

namespace onager::frontend {

/// Applies a post_transform (NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT) to scores [N, T]; fails on another name.
mlir::Value transformScores(Emitter &e, mlir::Value scores, llvm::StringRef name);
/// Brings an input to rank 2; a vector is one row.
mlir::Value asRows(Emitter &e, mlir::Value x);
/// The labels of a classifier, integers or strings, as a constant [C]; fails where they are missing.
mlir::Value readLabels(Node &node, int64_t &count);
/// Labels [N] of the largest score in each row.
mlir::Value pickLabels(Emitter &e, mlir::Value scores, mlir::Value labels);
/// All elements of a tensor attribute as numbers; empty where it is absent.
std::vector<double> readTensor(Node &node, llvm::StringRef name);
/// A constant vector of any length.
mlir::Value makeVector(Emitter &e, llvm::ArrayRef<double> values, mlir::Type element);

} // namespace onager::frontend

#endif
