// From vectors and scalar math to the LLVM dialect.
#ifndef ONAGER_CONVERSION_VECTORTOLLVM_PASSES
#define ONAGER_CONVERSION_VECTORTOLLVM_PASSES

include "mlir/Pass/PassBase.td"

def ExpandMath : Pass<"expand-math", "::mlir::func::FuncOp"> {
  let summary = "Replaces math functions of f32 by polynomials";
  let description = [{
    `math.exp`, `math.log`, `math.tanh` and `math.erf` on f32 become straight-line arithmetic, which LLVM's loop vectoriser turns
    into vector code. Other math operations are left to the conversion that follows.

    ```mlir
    %1 = math.exp %0 : f32
    // becomes multiplications and additions
    ```
    May change numbers: within 5 units in the last place of the exact function; e^x below the smallest normal number is 0.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
}

#endif
