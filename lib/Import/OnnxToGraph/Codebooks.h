// The numbers that codes of four bits stand for in com.microsoft's MatMulBnb4.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_CODEBOOKS_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_CODEBOOKS_H

namespace onager::frontend {

/// Signed floats with two bits of exponent.
constexpr double kFloat4[16] = {0, 1.0 / 192, 2.0 / 3, 1, 1.0 / 3, 0.5, 1.0 / 6, 0.25, 0, -1.0 / 192, -2.0 / 3, -1, -1.0 / 3, -0.5, -1.0 / 6, -0.25};

/// Quantiles of the normal distribution.
constexpr double kNormal4[16] = {-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
                                 -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                                 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1};

} // namespace onager::frontend

#endif
