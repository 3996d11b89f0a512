// Functions of loops over memory pass unchanged.
// RUN: %opt %s --verify-vector | FileCheck %s

// CHECK-LABEL: func.func @unit0
// CHECK: scf.for
func.func @unit0(%p: !llvm.ptr, %begin: i64, %end: i64) {
  %one = arith.constant 1 : i64
  scf.for %i = %begin to %end step %one : i64 {
    %address = llvm.getelementptr %p[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %x = llvm.load %address : !llvm.ptr -> f32
    %y = math.exp %x : f32
    llvm.store %y, %address : f32, !llvm.ptr
  }
  return
}
