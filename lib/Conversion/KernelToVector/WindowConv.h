// Convolutions of stride 1 whose windows read the image's lines themselves.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_WINDOWCONV_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_WINDOWCONV_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// True where windows of several taps go one pixel at a time over one or two dims, and rows are long enough to have their padding between them.
bool slidesWindows(kernel::UnitOp unit, const TargetInfo &target);
void emitWindowConv(UnitEmitter &e);
WorkInfo getWindowConvWork(kernel::UnitOp unit, const EmitOptions &options);

} // namespace onager

#endif
