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

def VerifyLLVM : Pass<"verify-llvm"> {
  let summary = "Checks what the llvm stage promises to code generation";
  let description = [{
    What is left is the LLVM dialect alone, without unrealised casts and without functions that no library of the artifact has. Changes nothing; the note
    of an error names the step that should have done the work.

    ```mlir
    %0 = arith.addf %a, %b : f32
    // error: [verify_llvm_c1] an operation of another dialect is left
    ```
    Checks: verify_llvm_c1: dialects; verify_llvm_c2: unrealised casts; verify_llvm_c3: no `__nv_` function is declared.
  }];
}

#endif
