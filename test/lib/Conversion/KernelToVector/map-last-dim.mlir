// Where tiles repeat the last dim, rows go period by period, without a remainder of a division for each element; periods shorter than a vector, and -O0, do not.
// Where a transposition puts a few neighbours apart, one step writes all of them. Where a pad changes the last dim, rows are three loops, and the one inside of the source reads it without a comparison.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s
// RUN: %opt %s --kernel-annotate-work=exact=true --kernel-plan-buffers --convert-kernel-to-vector=exact=true --verify-vector | FileCheck %s --check-prefix=EXACT

// CHECK-LABEL: func.func @wide
// CHECK-COUNT-3: scf.for
// CHECK-NOT: arith.remui
// CHECK: loop_annotation
// CHECK-LABEL: func.func @narrow
// CHECK: arith.remui
// CHECK-LABEL: func.func @padded
// CHECK-COUNT-2: scf.for
// CHECK-NOT: invariant {access
// CHECK: scf.for
// CHECK-NOT: arith.cmpi
// CHECK: llvm.load {{.*}} invariant {access
// CHECK-NOT: invariant {access
// CHECK: scf.for
// CHECK-NOT: scf.for
// CHECK-LABEL: func.func @apart
// CHECK-COUNT-2: scf.for
// CHECK-COUNT-2: llvm.load {{.*}} invariant {access
// CHECK-NOT: llvm.load {{.*}} invariant {access
// CHECK: loop_annotation
// EXACT-LABEL: func.func @wide
// EXACT: arith.remui
// EXACT-LABEL: func.func @padded
// EXACT-COUNT-2: scf.for
// EXACT: arith.cmpi
// EXACT-NOT: scf.for
// EXACT-LABEL: func.func @apart
func.func @main(%x: tensor<5x20xf32> {graph.name = "x"}, %z: tensor<5x6xf32> {graph.name = "z"}, %v: tensor<5x3x20x2xf32> {graph.name = "v"})
    -> (tensor<5x60xf32> {graph.name = "y"}, tensor<5x12xf32> {graph.name = "w"}, tensor<5x30xf32> {graph.name = "p"}, tensor<2x5x3x20xf32> {graph.name = "q"}) attributes {graph.symbols = []} {
  %0 = kernel.launch @wide(%x) : (tensor<5x20xf32>) -> tensor<5x60xf32>
  %1 = kernel.launch @narrow(%z) : (tensor<5x6xf32>) -> tensor<5x12xf32>
  %2 = kernel.launch @padded(%x) : (tensor<5x20xf32>) -> tensor<5x30xf32>
  %3 = kernel.launch @apart(%v) : (tensor<5x3x20x2xf32>) -> tensor<2x5x3x20xf32>
  return %0, %1, %2, %3 : tensor<5x60xf32>, tensor<5x12xf32>, tensor<5x30xf32>, tensor<2x5x3x20xf32>
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
kernel.unit @padded <map> {
^bb0(%x: tensor<5x20xf32>):
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %0 = graph.pad %x, %zero {low = affine_map<() -> (0, 3)>, mode = #graph.pad_mode<constant>} : (tensor<5x20xf32>, tensor<f32>) -> tensor<5x30xf32>
  kernel.yield %0 : tensor<5x30xf32>
}
kernel.unit @apart <map> {
^bb0(%x: tensor<5x3x20x2xf32>):
  %0 = graph.transpose %x {perm = array<i64: 3, 0, 1, 2>} : (tensor<5x3x20x2xf32>) -> tensor<2x5x3x20xf32>
  kernel.yield %0 : tensor<2x5x3x20xf32>
}
