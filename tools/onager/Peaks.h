// What this machine can do at best, to hold kernels against.
#ifndef ONAGER_TOOLS_PEAKS_H
#define ONAGER_TOOLS_PEAKS_H

namespace onager::cli {

/// Rates of a number of threads together.
struct Peaks {
  double flops; ///< floating-point operations a second: multiply-adds of float in registers, two operations each
  double bytes; ///< bytes a second read from memory
};

/// Measures for about a tenth of a second.
Peaks measurePeaks(int threads);

} // namespace onager::cli

#endif
