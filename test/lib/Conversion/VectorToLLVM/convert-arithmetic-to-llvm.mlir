// Functions, branches, numbers and vectors become LLVM's in one conversion; no cast is left where index meets i64.
// RUN: %opt %s --convert-arithmetic-to-llvm --reconcile-unrealized-casts --verify-llvm | FileCheck %s

// CHECK-LABEL: llvm.func @all(
// CHECK-SAME: %[[X:.*]]: vector<8xf32>, %[[N:.*]]: i64, %[[AT:.*]]: i64) -> f32
func.func @all(%x: vector<8xf32>, %n: index, %at: i64) -> f32 {
  // CHECK: %[[ONE:.*]] = llvm.mlir.constant(1 : index) : i64
  %one = arith.constant 1 : index
  // CHECK: llvm.add %[[N]], %[[ONE]] : i64
  %more = arith.addi %n, %one : index
  // CHECK: llvm.add %{{.*}}, %[[AT]] : i64
  %cast = arith.index_cast %more : index to i64
  %sum = arith.addi %cast, %at : i64
  %some = arith.cmpi slt, %sum, %at : i64
  // CHECK: llvm.cond_br
  cf.cond_br %some, ^bb1, ^bb2
^bb1:
  // CHECK: %[[Y:.*]] = llvm.fadd %[[X]], %[[X]] : vector<8xf32>
  // CHECK: llvm.intr.sqrt(%[[Y]])
  %y = arith.addf %x, %x : vector<8xf32>
  %root = math.sqrt %y : vector<8xf32>
  // CHECK: llvm.intr.vector.reduce.fadd
  %total = vector.reduction <add>, %root : vector<8xf32> into f32
  // CHECK: llvm.return
  return %total : f32
^bb2:
  // CHECK: llvm.mlir.poison : f32
  %none = ub.poison : f32
  return %none : f32
}
