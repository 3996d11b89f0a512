// Passes of the `kernel` dialect: from formed units to a planned program.
#ifndef ONAGER_DIALECTS_KERNEL_TRANSFORMS_PASSES
#define ONAGER_DIALECTS_KERNEL_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def KernelCollapseDims : Pass<"kernel-collapse-dims", "::onager::kernel::UnitOp"> {
  let summary = "Merges adjacent dims of elementwise and reducing units that every tensor walks alike";
  let description = [{
    In a unit that holds elementwise operations alone, or beside one reduction, dims d and d + 1 of the iteration space become one where each tensor
    either has both with the extents of the result or has both absent or of extent 1; dims of extent 1 everywhere go. Loops
    get longer and shorter in number, indices cheaper. Other units stay as they are. Launches keep their types: only the
    grouping of dims differs, not the order of elements.

    ```mlir
    ^bb0(%x: tensor<4x5x6xf32>, %y: tensor<6xf32>):
      %0 = graph.add %x, %y : (tensor<4x5x6xf32>, tensor<6xf32>) -> tensor<4x5x6xf32>
    // becomes
    ^bb0(%x: tensor<20x6xf32>, %y: tensor<1x6xf32>):
      %0 = graph.add %x, %y : (tensor<20x6xf32>, tensor<1x6xf32>) -> tensor<20x6xf32>
    ```
  }];
  let statistics = [Statistic<"numCollapsed", "collapsed", "units whose rank fell">];
}

def KernelFuseDepthwise : Pass<"kernel-fuse-depthwise", "::mlir::ModuleOp"> {
  let summary = "Computes a pointwise convolution and the depthwise one behind it band by band, in one unit";
  let description = [{
    Where the planes that a pointwise convolution writes are read by a depthwise convolution alone, and do not fit into the second-level cache or are of
    unknown size, both units become one: its shares compute the channels of a band of rows, and slide windows over them while they are in the cache
    (rationale: planes that leave it take longer to write and to read than to compute). Rows at the borders of bands are computed twice. Does nothing
    where the pointwise convolution has more than 32 input channels (products of so many hide what planes cost) or less than 16 output channels, or its
    epilogue reads planes, where windows have more than 25 taps or step by more than two columns, or where vectors have less than 64 bytes. Results do not change. Units must belong to one launch each.

    ```mlir
    %0 = kernel.launch @unit0(%x, %w) : (tensor<1x16x112x112xf32>, tensor<96x16x1x1xf32>) -> tensor<1x96x112x112xf32>
    %1 = kernel.launch @unit1(%0, %v) : (tensor<1x96x112x112xf32>, tensor<96x1x3x3xf32>) -> tensor<1x96x56x56xf32>
    // becomes
    %1 = kernel.launch @unit1(%x, %w, %v) : (tensor<1x16x112x112xf32>, tensor<96x16x1x1xf32>, tensor<96x1x3x3xf32>) -> tensor<1x96x56x56xf32>
    ```
  }];
  let options = [Option<"vectorBytes", "vector-bytes", "unsigned", /*default=*/"64", "Bytes of the target's vector registers">,
                 Option<"cacheBytes", "cache-bytes", "int64_t", /*default=*/"1 << 20", "Bytes of the second-level cache">];
  let statistics = [Statistic<"numFused", "fused", "depthwise convolutions that share a unit with a pointwise one">];
}

def KernelDeduplicateUnits : Pass<"kernel-deduplicate-units", "::mlir::ModuleOp"> {
  let summary = "Lets launches of structurally equal units share one";
  let description = [{
    Two units are equal where their printed bodies and heroes are (names of nodes do not count). The first in module order
    stays and its location lists all nodes it serves; launches of the others are redirected. A launch on constants is removed where an equal one
    dominates it: its weights are there once (rationale: a network that runs before a loop and in it). Does nothing where all units differ.

    ```mlir
    kernel.launch @unit0(%x) ...
    kernel.launch @unit1(%y) ...   // unit1 is unit0 again
    // becomes
    kernel.launch @unit0(%x) ...
    kernel.launch @unit0(%y) ...
    ```
  }];
  let statistics = [Statistic<"numRemoved", "removed", "units removed">, Statistic<"numMerged", "merged", "launches on constants removed">];
}

def KernelPlanBuffers : Pass<"kernel-plan-buffers", "::mlir::ModuleOp"> {
  let summary = "Gives every tensor of the program a buffer and every launch its barrier";
  let description = [{
    Inputs and outputs are the caller's. Constants, and results of launches marked `constant`, are weights. A tensor whose size depends
    on the input shapes alone lives in a slot of the arena, from the launch that writes it to the last one before the
    barrier behind its last reader; any other in a growable block. `graph.reshape` shares its operand's buffer, and what is returned has a block
    where the view or the operand has a size that depends on values. A launch gets a barrier where
    it reads what was written since the last one. Results that the program returns without having computed them, or twice, or as views of fixed
    size of what has none, are copied by a unit. Symbols and requirements that follow from the input shapes move to the program's front.

    ```mlir
    %0 = kernel.launch @unit0(%x) : (tensor<8xf32>) -> tensor<8xf32>
    // becomes
    %0 = kernel.launch @unit0(%x) {barrier = false, buffers = array<i64: 1>, ordinal = 0 : i64, scratch = -1 : i64} : ...
    ```
    Holds after: `kernel.buffers` on the module lists all buffers; no two slots that are live at the same launch overlap (the runtime
    packs them by these lifetimes).
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
}

def VerifyKernel : Pass<"verify-kernel", "::mlir::ModuleOp"> {
  let summary = "Checks what the kernel stage promises to the stages behind it";
  let description = [{
    The program `@main` computes nothing itself: it holds launches, views, constants, library calls, control flow and symbol definitions.
    Every unit states its work. Changes nothing; the note of an error names the pass that should have done the work.

    ```mlir
    func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
      %0 = graph.relu %x : (tensor<8xf32>) -> tensor<8xf32>
    // error: [verify_kernel_c1] an operation that computes lies outside of every launch unit
    ```
    Checks: verify_kernel_c1: the program computes nothing; verify_kernel_c2: units state `items`, `operations` and `scratch`; verify_kernel_c3:
    units hold operations of the `graph` and `kernel` dialects alone.
  }];
}

def VerifyPlan : Pass<"verify-plan", "::mlir::ModuleOp"> {
  let summary = "Checks what the plan stage promises to the stages behind it";
  let description = [{
    Every tensor that a timed operation of `@main` reads or writes has a buffer of `kernel.buffers`; a slot is live at each operation that uses
    it; nobody writes to an input or a weight. Changes nothing; the note of an error names the pass that should have done the work.

    ```mlir
    %0 = kernel.launch @unit0(%x) : (tensor<8xf32>) -> tensor<8xf32>
    // error: [verify_plan_c1] 'operand_buffers' is missing
    ```
    Checks: verify_plan_c1: buffers are assigned; verify_plan_c2: they exist; verify_plan_c3: slots are live where they are used;
    verify_plan_c4: results lie in outputs, slots or blocks.
  }];
}

#endif
