// Steps that operators of the domain com.microsoft share.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_MICROSOFT_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_MICROSOFT_H

#include "lib/Import/OnnxToGraph/Importer.h"

namespace onager::frontend {

/// Numbers of `bits` bits, packed into the bytes of the last dim from the lowest bits up, one element each.
mlir::Value unpackBits(Emitter &e, mlir::Value packed, int64_t bits);

} // namespace onager::frontend

#endif
