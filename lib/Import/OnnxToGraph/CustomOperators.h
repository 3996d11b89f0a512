// Operators that the application brings: which one a node is, and its import.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_CUSTOMOPERATORS_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_CUSTOMOPERATORS_H

#include "lib/Import/OnnxToGraph/Importer.h"
#include "onager-rt/operators.h"

namespace onager::frontend {

/// Returns the operator with the greatest first version up to the opset, or null.
const onager_operator *findCustomOperator(llvm::ArrayRef<const onager_operator *> operators, llvm::StringRef domain, llvm::StringRef type, int64_t opset);
/// Imports a node of a custom operator; its record gets the number `index`. Returns the record, null after a failure.
mlir::DictionaryAttr importCustomOperator(Node &node, const onager_operator &op, int64_t index);

} // namespace onager::frontend

#endif
