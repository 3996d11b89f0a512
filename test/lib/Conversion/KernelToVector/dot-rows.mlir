// Rows times rows: 16 sums in registers, what is left of a row under a mask, and tiles of one row for the last of a block.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// CHECK-LABEL: func.func @dots
// CHECK: scf.for {{.*}} step %c4_i64
// CHECK: scf.for {{.*}} step %c16_i64 iter_args
// CHECK-COUNT-12: vector.fma
// CHECK-NOT: vector.fma
// CHECK: scf.yield
// CHECK-COUNT-7: llvm.intr.masked.load
// CHECK: scf.for {{.*}} step %c1_i64
// CHECK: scf.for {{.*}} step %c16_i64 iter_args
// CHECK-COUNT-3: vector.fma
// CHECK: scf.yield
func.func @main(%a: tensor<3x70xf32> {graph.name = "a"}, %b: tensor<?x70xf32, affine_map<()[s0] -> (s0, 70)>> {graph.name = "b"}) -> (tensor<3x?xf32, affine_map<()[s0] -> (3, s0)>> {graph.name = "y"}) attributes {graph.symbols = ["N"]} {
  %0 = kernel.launch @dots(%a, %b) : (tensor<3x70xf32>, tensor<?x70xf32, affine_map<()[s0] -> (s0, 70)>>) -> tensor<3x?xf32, affine_map<()[s0] -> (3, s0)>>
  return %0 : tensor<3x?xf32, affine_map<()[s0] -> (3, s0)>>
}
kernel.unit @dots <dot_rows> {
^bb0(%a: tensor<3x70xf32>, %b: tensor<?x70xf32, affine_map<()[s0] -> (s0, 70)>>):
  %0 = kernel.dot_rows %a, %b : (tensor<3x70xf32>, tensor<?x70xf32, affine_map<()[s0] -> (s0, 70)>>) -> tensor<3x?xf32, affine_map<()[s0] -> (3, s0)>>
  kernel.yield %0 : tensor<3x?xf32, affine_map<()[s0] -> (3, s0)>>
}
