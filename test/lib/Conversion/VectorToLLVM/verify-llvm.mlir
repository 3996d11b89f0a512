// A module of the LLVM dialect alone passes unchanged; so does what the llvm stage makes of loops and math.
// RUN: %opt %s --llvm-stage --verify-llvm | FileCheck %s

// CHECK: llvm.func @loop
// CHECK: llvm.cond_br
// CHECK-NOT: math.exp
func.func @loop(%p: !llvm.ptr, %begin: i64, %end: i64) {
  %one = arith.constant 1 : i64
  scf.for %i = %begin to %end step %one : i64 {
    %address = llvm.getelementptr %p[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %x = llvm.load %address : !llvm.ptr -> f32
    %y = math.exp %x : f32
    llvm.store %y, %address : f32, !llvm.ptr
  }
  return
}
