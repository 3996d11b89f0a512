// From vectors and scalar math to the LLVM dialect.
#ifndef ONAGER_CONVERSION_VECTORTOLLVM_PASSES
#define ONAGER_CONVERSION_VECTORTOLLVM_PASSES

include "mlir/Pass/PassBase.td"

def NameNodes : Pass<"name-nodes", "::mlir::ModuleOp"> {
  let summary = "Names functions after ONNX nodes and gives each instruction a line";
  let description = [{
    Debuggers and profilers then show where in the model the time goes. A function that @onager_main calls takes the names of the first
    call's nodes: letters and digits kept, others `_`, `__` between nodes, `onnx_` before them, cut at 96 characters; `_and_N_more` where
    N calls more lead to it, then a number where that is taken. Each node has a line of the file that `model` names, in the order in which
    the driver calls them, then of their first mention; an operation without a node has its function's line.

    ```mlir
    llvm.call @unit0(%run) : (!llvm.ptr) -> i32 loc("conv 1")
    // becomes
    llvm.call @onnx_conv_1(%run) : (!llvm.ptr) -> i32 loc("model.onnx":1:0)
    ```
    Runs last: it replaces the names that locations hold. Does not change what is computed.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
  let options = [Option<"model", "model", "std::string", "\"model.onnx\"", "Name of the model's file">];
  let statistics = [Statistic<"namedFunctions", "named-functions", "Functions that got the name of a node">];
}

def ExpandMath : Pass<"expand-math", "::mlir::ModuleOp"> {
  let summary = "Replaces math functions of f32, and some of f64, by arithmetic";
  let description = [{
    Exponentials, logarithms, pow, erf and the circular and hyperbolic functions of f32 become straight-line arithmetic, which LLVM's loop
    vectoriser turns into vector code. exp, erf and tanh take f32 and vectors of it, the others scalars, which they compute in f64. sin, cos
    and tan of large arguments read a table that the pass adds to the module. exp and tanh of f64 and its vectors are computed in f64; its other functions,
    atan2 and others are left to the conversion that follows.

    ```mlir
    %1 = math.exp %0 : f32
    // becomes multiplications and additions
    ```
    May change numbers: tanh and erf of f32 within 5 units in the last place of the exact function, tanh of f64 within 3, the others within 1.5.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
}

def ConvertLoopsToBranches : Pass<"convert-loops-to-branches", "::mlir::ModuleOp"> {
  let summary = "Converts structured control flow to branches";
  let description = [{
    Takes upstream's patterns for the dialect scf, from the last operation to the first: each splits a block, so that this moves every operation once,
    where the order of upstream's pass moves the rest of the block each time and remembers it. Blocks come out in the same order. Must hold before:
    functions may have any structured control flow but parallel loops with reductions that upstream does not lower. Afterwards none is left.

    ```mlir
    scf.if %c { func.call @f() : () -> () }
    // becomes
    cf.cond_br %c, ^bb1, ^bb2
    ```
    Does nothing where there is no operation of scf. Does not change numbers.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect"];
}

def ConvertArithmeticToLLVM : Pass<"convert-arithmetic-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Converts functions, branches, scalars and vectors to the LLVM dialect";
  let description = [{
    Takes upstream's conversions of the dialects arith, cf, func, index, math, ub and vector together: one walk over a module instead of seven, without
    casts between them. Must hold before: vectors have one dim, structured control flow is gone, `arith` operations that LLVM does not have are expanded.
    Afterwards the LLVM dialect is left, and casts between index and i64 that `reconcile-unrealized-casts` cancels.

    ```mlir
    %0 = arith.addf %x, %y : vector<8xf32>
    // becomes
    %0 = llvm.fadd %x, %y : vector<8xf32>
    ```
    Does nothing to operations of the LLVM dialect. Does not change numbers.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
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
