// From launch units to loops over memory.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_PASSES
#define ONAGER_CONVERSION_KERNELTOVECTOR_PASSES

include "mlir/Pass/PassBase.td"

def KernelAnnotateWork : Pass<"kernel-annotate-work", "::mlir::ModuleOp"> {
  let summary = "States how much work each unit has and how it is shared";
  let description = [{
    Puts on each `kernel.unit` the number of its work items (`items`), its scalar operations (`operations`) and the bytes of scratch that
    one thread needs (`scratch`), as expressions of symbols; where several items prepare something together, how many (`grain`). Units that
    find in scratch what they put there for an item before mark it (`marks_scratch`). The plan and the driver read them; the driver clears the
    mark before each launch.

    ```mlir
    kernel.unit @unit0 #kernel.hero<map> { ... }
    // becomes
    kernel.unit @unit0 #kernel.hero<map> attributes {items = affine_map<() -> (8)>, operations = ..., scratch = affine_map<() -> (0)>} { ... }
    ```
    Must hold before: units are formed and collapsed. Changes nothing else.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let options = [Option<"exact", "exact", "bool", "false", "Plan for the scalar form of -O0">,
                 Option<"vectorBytes", "vector-bytes", "unsigned", "64", "Width of the target's vector registers">];
}

def ConvertKernelToVector : Pass<"convert-kernel-to-vector", "::mlir::ModuleOp"> {
  let summary = "Emits each unit as a function of loops, and the driver that calls them";
  let description = [{
    A `kernel.unit` becomes `func.func @unitK(run, args, begin, end) -> i32`, the planned program `func.func @onager_main(run, thread) ->
    i32` (see include/onager-rt/abi.h). Messages of run-time failures are collected in `kernel.errors`, the places of stored weights in
    `kernel.weight_offsets`; those that `kernel.shared_weights` names are the generic form's. With `exact` (-O0) floats accumulate in f64 and no unit uses a vector emitter.

    ```mlir
    kernel.unit @unit0 #kernel.hero<map> { ^bb0(%x: tensor<8xf32>): %0 = graph.relu %x ... }
    // becomes
    func.func @unit0(%run: !llvm.ptr, %args: !llvm.ptr, %begin: i64, %end: i64) -> i32 { scf.for ... }
    ```
    Holds after: no `graph` or `kernel` operation is left. Sums of f32 may be reassociated into vector lanes unless `exact`.
  }];
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect", "::mlir::vector::VectorDialect", "::mlir::LLVM::LLVMDialect"];
  let options = [Option<"exact", "exact", "bool", "false", "Accumulate in f64 and use no vector emitter">,
                 Option<"vectorBytes", "vector-bytes", "unsigned", "64", "Width of the target's vector registers">];
}

def VerifyVector : Pass<"verify-vector"> {
  let summary = "Checks what the vector stage promises to the stages behind it";
  let description = [{
    What is left are functions of loops over memory: the dialects func, scf, cf, arith, math, vector, memref, index, ub and llvm, and no tensor.
    Changes nothing; the note of an error names the pass that should have done the work.

    ```mlir
    %0 = graph.relu %x : (tensor<8xf32>) -> tensor<8xf32>
    // error: [verify_vector_c1] an operation of a dialect above loops is left
    ```
    Checks: verify_vector_c1: dialects; verify_vector_c2: no tensors.
  }];
}

#endif
