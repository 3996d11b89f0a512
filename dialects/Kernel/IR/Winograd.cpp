// Numbers and cost of Winograd convolutions; see Winograd.h.
#include "dialects/Kernel/IR/Winograd.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

namespace onager::kernel {

WinogradFilterMatrix getWinogradFilterMatrix() {
  const double points[] = {0, kWinogradA, -kWinogradA, kWinogradB, -kWinogradB};
  WinogradFilterMatrix g{};
  for (int64_t p = 0; p < 5; ++p) {
    double scale = 1;
    for (int64_t q = 0; q < 5; ++q)
      if (q != p)
        scale *= points[p] - points[q];
    for (int64_t k = 0; k < 3; ++k)
      g.rows[p][k] = (k == 0 ? 1 : k == 1 ? points[p] : points[p] * points[p]) / scale;
  }
  g.rows[5][2] = 1;
  return g;
}

namespace {

/// Lanes of a vector, and columns that the narrowest register tile takes.
constexpr int64_t kLanes = 16, kNarrowest = 8;
/// Cycles, measured on Zen 4: to transform a channel of 16 tiles in and out, and to stream one number of the filters from beyond the second-level cache.
constexpr double kInputCycles = 300, kOutputCycles = 220, kStreamCycles = 0.5;
/// Cycles of a direct convolution per vector multiply-add, and what must be won at least.
constexpr double kDirectCycles = 1.1, kLeastGain = 1.1;

/// Cycles of one block for all channels.
double getBlockCycles(const WinogradSize &s, int64_t rows, int64_t columns) {
  double filters = static_cast<double>(kWinogradPositions * s.channels * s.outChannels);
  double products = filters * (static_cast<double>(llvm::alignTo(rows * columns, kNarrowest)) / kLanes + kStreamCycles);
  double groups = static_cast<double>(rows * llvm::divideCeil(columns, kLanes));
  return products + groups * (kInputCycles * static_cast<double>(s.channels) + kOutputCycles * static_cast<double>(s.outChannels));
}

/// Estimates one thread's time, and in `half` the slower of two halves of the work.
double getCycles(const WinogradSize &s, const WinogradBlocks &b, double &half) {
  double before = 0, total = 0, upToMiddle = 0;
  double middle = static_cast<double>(b.rowBlocks * b.columnBlocks) / 2;
  for (int64_t k = 0; k < b.rowBlocks * b.columnBlocks; ++k) {
    int64_t row = k / b.columnBlocks, column = k % b.columnBlocks;
    int64_t columns = std::min(b.columns, b.tileColumns - column * b.columns);
    double cycles = getBlockCycles(s, b.getFirstRow(row + 1) - b.getFirstRow(row), columns);
    upToMiddle += cycles * std::clamp(middle - before, 0.0, 1.0);
    before += 1;
    total += cycles;
  }
  half = std::max(upToMiddle, total - upToMiddle);
  return total;
}

} // namespace

int64_t getMostWinogradTiles(int64_t channels, int64_t l2Bytes) {
  // Transformed inputs take two thirds of the cache: products and a part of the filters need room as well.
  return std::max<int64_t>(l2Bytes * 2 / 3 / (kWinogradPositions * 4 * std::max<int64_t>(channels, 1)), kLanes);
}

WinogradBlocks planWinograd(const WinogradSize &s) {
  WinogradBlocks b{};
  b.tileRows = std::max<int64_t>(llvm::divideCeil(s.height, kWinogradOutputs), 1);
  b.tileColumns = std::max<int64_t>(llvm::divideCeil(s.width, kWinogradOutputs), 1);
  int64_t most = getMostWinogradTiles(s.channels, s.l2Bytes);
  b.columnBlocks = llvm::divideCeil(b.tileColumns, std::min<int64_t>(most, b.tileColumns));
  b.columns = b.columnBlocks == 1 ? b.tileColumns : llvm::alignTo(llvm::divideCeil(b.tileColumns, b.columnBlocks), kNarrowest);
  b.columnBlocks = llvm::divideCeil(b.tileColumns, b.columns);
  double best = 0;
  int64_t mostRows = std::clamp<int64_t>(most / b.columns, 1, b.tileRows), fewest = llvm::divideCeil(b.tileRows, mostRows);
  WinogradBlocks chosen = b;
  for (int64_t blocks = fewest; blocks <= std::min<int64_t>(b.tileRows, fewest + 3); ++blocks) {
    b.rowBlocks = blocks;
    double half = 0, cycles = getCycles(s, b, half);
    if (best != 0 && cycles + 2 * half >= best)
      continue;
    best = cycles + 2 * half;
    chosen = b;
    chosen.cycles = cycles;
  }
  chosen.rows = llvm::divideCeil(chosen.tileRows, chosen.rowBlocks);
  return chosen;
}

bool isWinogradFaster(const WinogradSize &s) {
  double direct = kDirectCycles * static_cast<double>(s.channels * s.outChannels * 9 * s.height * s.width) / kLanes;
  return planWinograd(s).cycles * kLeastGain < direct;
}

} // namespace onager::kernel
