// Activations of recurrent cells, as attributes list them.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_RECURRENT_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_RECURRENT_H

#include "lib/Import/OnnxToGraph/Importer.h"

namespace onager::frontend {

/// Names and parameters, one each per use and direction.
struct CellActivations {
  llvm::SmallVector<llvm::StringRef> names;
  llvm::SmallVector<double> alphas, betas;
};

/// Reads the attributes activations, activation_alpha and activation_beta; `defaults` are the names for one direction. nullopt after a failure.
std::optional<CellActivations> readActivations(Node &node, llvm::ArrayRef<std::string> defaults, int64_t directions);

} // namespace onager::frontend

#endif
