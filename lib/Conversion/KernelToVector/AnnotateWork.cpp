// How the work of each kind of unit is counted and shared. Test: kernel-annotate-work.mlir
#include "lib/Conversion/KernelToVector/Columns.h"
#include "lib/Conversion/KernelToVector/Passes.h"
#include "lib/Conversion/KernelToVector/ReduceRows.h"
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include <limits>

#define DEBUG_TYPE "kernel-annotate-work"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_KERNELANNOTATEWORK
#include "lib/Conversion/KernelToVector/Passes.h.inc"

AffineExpr whereAny(AffineExpr items, AffineExpr elements) { return items * elements.ceilDiv(std::numeric_limits<int64_t>::max()); }

WorkInfo getWork(kernel::UnitOp unit, const EmitOptions &options) {
  using kernel::Hero;
  switch (unit.getHero()) {
  case Hero::concat:
    return getConcatWork(unit);
  case Hero::scatter:
    return getScatterWork(unit);
  case Hero::recurrent:
    return getRecurrentWork(unit);
  case Hero::scan:
    return getScanWork(unit);
  case Hero::col2im:
    return getCol2ImWork(unit);
  case Hero::arg_reduce:
    return getArgReduceWork(unit);
  case Hero::softmax:
  case Hero::normalize:
    return options.exact ? getMapWork(unit, options.exact) : reducesColumns(unit) ? getColumnWork(unit) : getRowWork(unit);
  case Hero::reduce:
    return options.exact ? getMapWork(unit, true) : reducesColumns(unit) ? getColumnWork(unit) : reducesRows(unit) ? getReduceRowsWork(unit) : getMapWork(unit, false);
  case Hero::gemm:
    return getGemmWork(unit, options);
  case Hero::matmul:
    return getMatmulWork(unit);
  case Hero::dot_rows:
    return getDotRowsWork(unit);
  case Hero::block_gemm:
    return getBlockGemmWork(unit, options);
  case Hero::attention:
    return getAttentionWork(unit);
  case Hero::conv:
    return options.exact ? getMapWork(unit, options.exact) : getConvWork(unit, options);
  case Hero::winograd:
    return getWinogradWork(unit, options);
  case Hero::packed_conv:
    return getPackedConvWork(unit, options);
  case Hero::bf16x3_conv:
    return getBf16x3ConvWork(unit);
  case Hero::sparse_pack:
    return getSparsePackWork(unit);
  case Hero::sparse_gemm:
    return getSparseGemmWork(unit, options);
  case Hero::sparse_conv:
    return getSparseConvWork(unit, options);
  case Hero::int8_conv:
    return getInt8ConvWork(unit, options);
  case Hero::int8_depthwise:
    return getInt8DepthwiseWork(unit, options);
  case Hero::int8_gemm:
  case Hero::bf16_gemm:
    return getInt8GemmWork(unit, options);
  case Hero::amx_gemm:
  case Hero::amx_bf16_gemm:
    return getAmxGemmWork(unit);
  case Hero::depthwise:
    return options.exact ? getMapWork(unit, options.exact) : getDepthwiseWork(unit, options);
  case Hero::pointwise_depthwise:
    return getPointwiseDepthwiseWork(unit, options);
  case Hero::pool:
    return options.exact ? getMapWork(unit, options.exact) : getPoolWork(unit, options);
  case Hero::pool_indices:
    return options.exact ? getMapWork(unit, options.exact) : getPoolIndicesWork(unit);
  case Hero::resize:
    return options.exact ? getMapWork(unit, options.exact) : getResizeRowsWork(unit, options);
  default:
    return getMapWork(unit, options.exact);
  }
}

EmitOptions makeEmitOptions(bool exact, unsigned vectorBytes) {
  EmitOptions options;
  options.exact = exact;
  options.target.vectorBytes = vectorBytes;
  options.target.vectorRegisters = vectorBytes == 64 ? 32 : 16;
  return options;
}

namespace {
struct AnnotateWork : impl::KernelAnnotateWorkBase<AnnotateWork> {
  using KernelAnnotateWorkBase::KernelAnnotateWorkBase;
  void runOnOperation() override {
    EmitOptions options = makeEmitOptions(exact, vectorBytes);
    for (auto unit : getOperation().getOps<kernel::UnitOp>()) {
      WorkInfo work = getWork(unit, options);
      unit->setAttr("items", graph::makeExprs(&getContext(), work.items));
      unit->setAttr("operations", graph::makeExprs(&getContext(), work.operations));
      unit->setAttr("scratch", graph::makeExprs(&getContext(), work.scratchBytes));
      if (work.grain && !graph::isConstant(work.grain, 1))
        unit->setAttr("grain", graph::makeExprs(&getContext(), work.grain));
      if (work.marksScratch)
        unit->setAttr("marks_scratch", UnitAttr::get(&getContext()));
    }
  }
};
} // namespace
} // namespace onager
