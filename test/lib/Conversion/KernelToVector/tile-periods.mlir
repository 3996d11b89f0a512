// Where tiles repeat the last dim, rows go period by period, without a remainder of a division for each element; periods shorter than a vector, and -O0, do not.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s
// RUN: %opt %s --kernel-annotate-work=exact=true --kernel-plan-buffers --convert-kernel-to-vector=exact=true --verify-vector | FileCheck %s --check-prefix=EXACT

// CHECK-LABEL: func.func @wide
// CHECK-COUNT-3: scf.for
// CHECK-NOT: arith.remui
// CHECK: loop_annotation
// CHECK-LABEL: func.func @narrow
// CHECK: arith.remui
// EXACT-LABEL: func.func @wide
// EXACT: arith.remui
func.func @main(%x: tensor<5x20xf32> {graph.name = "x"}, %z: tensor<5x6xf32> {graph.name = "z"}) -> (tensor<5x60xf32> {graph.name = "y"}, tensor<5x12xf32> {graph.name = "w"}) attributes {graph.symbols = []} {
  %0 = kernel.launch @wide(%x) : (tensor<5x20xf32>) -> tensor<5x60xf32>
  %1 = kernel.launch @narrow(%z) : (tensor<5x6xf32>) -> tensor<5x12xf32>
  return %0, %1 : tensor<5x60xf32>, tensor<5x12xf32>
}
kernel.unit @wide <map> {
^bb0(%x: tensor<5x20xf32>):
  %0 = graph.tile %x : (tensor<5x20xf32>) -> tensor<5x60xf32>
  kernel.yield %0 : tensor<5x60xf32>
}
kernel.unit @narrow <map> {
^bb0(%x: tensor<5x6xf32>):
  %0 = graph.tile %x : (tensor<5x6xf32>) -> tensor<5x12xf32>
  kernel.yield %0 : tensor<5x12xf32>
}
