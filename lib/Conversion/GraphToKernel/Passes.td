// From the `graph` dialect to launch units.
#ifndef ONAGER_CONVERSION_GRAPHTOKERNEL_PASSES
#define ONAGER_CONVERSION_GRAPHTOKERNEL_PASSES

include "mlir/Pass/PassBase.td"

def ConvertMatmulToGemm : Pass<"convert-matmul-to-gemm", "::mlir::func::FuncOp"> {
  let summary = "Splits matmul into packing of the right operand and a panel gemm";
  let description = [{
    A `graph.matmul` of floats up to 32 bits becomes `kernel.pack` of the right operand and `kernel.gemm`; 16-bit operands are cast to
    f32 first and the result cast back (named in the compile report: sums keep f32). Left alone: integers, f64, and right operands with fewer
    than 8 columns or a contraction over fewer than 4 elements (rationale: 16-wide panels would be mostly padding; the generic form
    reduces along k instead). Convolutions of 16-bit floats are cast likewise.

    ```mlir
    %2 = graph.matmul %0, %1 : (tensor<4x8xf32>, tensor<8x32xf32>) -> tensor<4x32xf32>
    // becomes
    %p = kernel.pack %1 : tensor<8x32xf32> -> tensor<2x8x16xf32>
    %2 = kernel.gemm %0, %p : (tensor<4x8xf32>, tensor<2x8x16xf32>) -> tensor<4x32xf32>
    ```
    Holds after: every `kernel.gemm` is f32. May change numbers: sums are chains of f32 fused multiply-adds.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let statistics = [Statistic<"numGemms", "gemms", "matmuls that became gemms">];
}

def ConvertGraphToKernel : Pass<"convert-graph-to-kernel", "::mlir::ModuleOp"> {
  let summary = "Puts every computing operation into a launch unit";
  let description = [{
    Walks each block once. An operation joins the unit of one of its operands as epilogue where it is elementwise and has the
    unit's shape; a movement, reduction or packing takes in elementwise and movement producers that nobody else reads (prologue). A merge is
    made only where it cannot close a cycle: the unit has no other consumer yet, or every other operand comes from a lower level
    (longest path from the inputs). Units that read constants alone stay apart, so that they can be computed at compile time.
    Views (`graph.reshape`), constants, calls, control flow and symbol definitions stay in the program.

    ```mlir
    %0 = graph.add %x, %y : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    %1 = graph.relu %0 : (tensor<8xf32>) -> tensor<8xf32>
    // becomes
    %1 = kernel.launch @unit0(%x, %y) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    ```
    With `fuse=false` (-O0) each operation gets a unit of its own. Must hold before: shapes known or symbolic. Does nothing to a
    program that has no computing operation.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let options = [Option<"fuse", "fuse", "bool", /*default=*/"true", "Put several operations into one unit">];
  let statistics = [Statistic<"numUnits", "units", "units formed">, Statistic<"numFused", "fused", "operations that joined another's unit">];
}

#endif
