// Rows of a few elements are unrolled and kept in registers, with one loop over rows; at -O0 and where they are longer they are swept one by one.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s
// RUN: %opt %s --kernel-annotate-work=exact=true --kernel-plan-buffers --convert-kernel-to-vector=exact=true --verify-vector | FileCheck %s --check-prefix=EXACT

// CHECK-LABEL: func.func @short
// CHECK: scf.for
// CHECK: scf.for
// CHECK-NOT: scf.for
// CHECK-COUNT-2: llvm.maximumnum
// CHECK-NOT: scf.for
// CHECK: arith.divf
// CHECK-NOT: scf.for
// CHECK: loop_annotation
// CHECK-LABEL: func.func @long
// CHECK-COUNT-4: scf.for
// EXACT-LABEL: func.func @short
// EXACT-COUNT-4: scf.for
// EXACT-LABEL: func.func @long
func.func @main(%x: tensor<5x7x3xf32> {graph.name = "x"}, %z: tensor<5x7x17xf64> {graph.name = "z"}) -> (tensor<5x7x3xf32> {graph.name = "y"}, tensor<5x7x17xf64> {graph.name = "w"}) attributes {graph.symbols = []} {
  %0 = kernel.launch @short(%x) : (tensor<5x7x3xf32>) -> tensor<5x7x3xf32>
  %1 = kernel.launch @long(%z) : (tensor<5x7x17xf64>) -> tensor<5x7x17xf64>
  return %0, %1 : tensor<5x7x3xf32>, tensor<5x7x17xf64>
}
kernel.unit @short <softmax> {
^bb0(%x: tensor<5x7x3xf32>):
  %0 = graph.softmax %x {axis = 2 : i64} : (tensor<5x7x3xf32>) -> tensor<5x7x3xf32>
  kernel.yield %0 : tensor<5x7x3xf32>
}
kernel.unit @long <softmax> {
^bb0(%x: tensor<5x7x17xf64>):
  %0 = graph.softmax %x {axis = 2 : i64} : (tensor<5x7x17xf64>) -> tensor<5x7x17xf64>
  kernel.yield %0 : tensor<5x7x17xf64>
}
