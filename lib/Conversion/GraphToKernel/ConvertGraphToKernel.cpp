// add, relu -> kernel.launch of one unit with both. Test: convert-graph-to-kernel.mlir
#include "dialects/Kernel/IR/Kernel.h"
#include "lib/Conversion/GraphToKernel/Clusters.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "mlir/IR/IRMapping.h"

#define DEBUG_TYPE "convert-graph-to-kernel"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTGRAPHTOKERNEL
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

/// True for constants that a unit keeps inside: one element.
static bool isScalarConstant(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return graph::getConstantValue(value) && type.hasStaticShape() && type.getNumElements() == 1;
}

/// True where the unit keeps the operand's constant inside; the emitters of contractions read their operands from memory.
static bool isInlined(Operation *op, Value operand) {
  return isScalarConstant(operand) && !isa<graph::ConvOp, graph::ConvTransposeOp, graph::MatmulOp, graph::RecurrentOp, graph::AttentionOp, kernel::GemmOp, kernel::DotRowsOp, kernel::BlockGemmOp,
                                             kernel::WinogradConvOp, kernel::PackedConvOp, kernel::Bf16x3ConvOp, kernel::Int8ConvOp, kernel::Int8GemmOp, kernel::Bf16GemmOp, kernel::SparseGemmOp,
                                             kernel::SparseConvOp>(op);
}

/// Values that the cluster reads from outside, in order of first use.
static llvm::SetVector<Value> getInputs(const Cluster &cluster, bool keepConstantsOutside) {
  llvm::SetVector<Value> inputs;
  for (Operation *op : cluster.ops)
    for (Value operand : op->getOperands())
      if (!llvm::is_contained(cluster.ops, operand.getDefiningOp()) && (keepConstantsOutside || !isInlined(op, operand)))
        inputs.insert(operand);
  return inputs;
}

/// Results that something outside of the cluster reads.
static SmallVector<Value> getOutputs(const Cluster &cluster) {
  SmallVector<Value> outputs;
  for (Operation *op : cluster.ops)
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) { return !llvm::is_contained(cluster.ops, user); }))
        outputs.push_back(result);
  return outputs;
}

namespace {
struct ConvertGraphToKernel : impl::ConvertGraphToKernelBase<ConvertGraphToKernel> {
  using ConvertGraphToKernelBase::ConvertGraphToKernelBase;

  void runOnOperation() override {
    nextUnit = 0;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      SmallVector<Block *> blocks;
      function.walk([&](Block *block) { blocks.push_back(block); });
      for (Block *block : blocks)
        convertBlock(*block);
    }
  }

  void convertBlock(Block &block) {
    ClusterBuilder builder(block, fuse);
    builder.run();
    numFused += builder.fused;
    for (Cluster *cluster : builder.schedule())
      if (cluster->program)
        cluster->ops.front()->moveBefore(block.getTerminator());
      else
        makeUnit(*cluster, block);
    for (Operation &op : llvm::make_early_inc_range(block))
      if (isa<graph::ConstantOp>(op) && op.use_empty())
        op.erase();
      else if (isa<graph::ConstantOp>(op))
        op.moveBefore(&block, block.begin());
  }

  /// Outlines the cluster's operations and launches them at the end of the block.
  void makeUnit(Cluster &cluster, Block &block) {
    llvm::SetVector<Value> inputs = getInputs(cluster, cluster.constant);
    SmallVector<Value> outputs = getOutputs(cluster);
    if (outputs.empty()) {
      for (Operation *op : llvm::reverse(cluster.ops))
        op->erase();
      return;
    }
    Operation *root = cluster.hero ? cluster.hero : cluster.ops.back();
    SmallVector<Location> locations;
    for (Operation *op : cluster.ops)
      locations.push_back(op->getLoc());
    OpBuilder builder(&getContext());
    builder.setInsertionPointToEnd(getOperation().getBody());
    Location loc = builder.getFusedLoc(locations);
    std::string name = "unit" + std::to_string(nextUnit++);
    ++numUnits;
    auto unit = kernel::UnitOp::create(builder, loc, name, getHero(root, fuse));
    fillUnit(unit, cluster, inputs.getArrayRef(), outputs);
    builder.setInsertionPoint(block.getTerminator());
    auto launch = kernel::LaunchOp::create(builder, loc, ValueRange(outputs).getTypes(), name, inputs.getArrayRef());
    if (cluster.constant)
      launch->setAttr("constant", builder.getUnitAttr());
    for (auto [output, result] : llvm::zip(outputs, launch.getResults()))
      output.replaceUsesWithIf(result, [&](OpOperand &use) { return !llvm::is_contained(cluster.ops, use.getOwner()); });
    for (Operation *op : llvm::reverse(cluster.ops))
      op->erase();
  }

  void fillUnit(kernel::UnitOp unit, const Cluster &cluster, ArrayRef<Value> inputs, ArrayRef<Value> outputs) {
    Block *body = new Block();
    unit.getBody().push_back(body);
    IRMapping mapping;
    for (Value input : inputs)
      mapping.map(input, body->addArgument(input.getType(), input.getLoc()));
    OpBuilder builder = OpBuilder::atBlockEnd(body);
    for (Operation *op : cluster.ops) {
      for (Value operand : op->getOperands())
        if (!mapping.contains(operand))
          builder.clone(*operand.getDefiningOp(), mapping);
      builder.clone(*op, mapping);
    }
    SmallVector<Value> results;
    for (Value output : outputs)
      results.push_back(mapping.lookup(output));
    kernel::YieldOp::create(builder, unit.getLoc(), results);
  }

  unsigned nextUnit = 0; ///< not the statistic, which starts anywhere where LLVM was built without statistics
};
} // namespace
} // namespace onager
