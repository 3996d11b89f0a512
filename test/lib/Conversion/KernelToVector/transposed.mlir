// Squares of transposed operands go through registers, straight to the result where nothing else is computed; a short dim is walked element by element.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s
// RUN: %opt %s --kernel-annotate-work | FileCheck %s --check-prefix=WORK

// WORK: #[[SQUARES:.+]] = affine_map<() -> (9)>
// WORK: #[[ROWS:.+]] = affine_map<() -> (40)>
// WORK: kernel.unit @moved <map> attributes {items = #[[SQUARES]],
// WORK: kernel.unit @short <map> attributes {items = #[[ROWS]],
// CHECK-LABEL: func.func @moved
// CHECK-NOT: llvm.alloca {{.+}} x f32
// CHECK: vector.shuffle {{.+}} : vector<16xi32>, vector<16xi32>
// CHECK-NOT: arith.addf
// CHECK-LABEL: func.func @added
// CHECK: llvm.alloca %{{.+}} x f32
// CHECK: vector.shuffle
// CHECK: arith.addf
// CHECK-LABEL: func.func @short
// CHECK-NOT: vector.shuffle
func.func @main(%x: tensor<3x20x40xf32> {graph.name = "x"}, %z: tensor<3x40x20xf32> {graph.name = "z"}, %s: tensor<5x40xf32> {graph.name = "s"})
    -> (tensor<3x40x20xf32> {graph.name = "y"}, tensor<3x40x20xf32> {graph.name = "w"}, tensor<40x5xf32> {graph.name = "v"}) attributes {graph.symbols = []} {
  %0 = kernel.launch @moved(%x) : (tensor<3x20x40xf32>) -> tensor<3x40x20xf32>
  %1 = kernel.launch @added(%x, %z) : (tensor<3x20x40xf32>, tensor<3x40x20xf32>) -> tensor<3x40x20xf32>
  %2 = kernel.launch @short(%s) : (tensor<5x40xf32>) -> tensor<40x5xf32>
  return %0, %1, %2 : tensor<3x40x20xf32>, tensor<3x40x20xf32>, tensor<40x5xf32>
}
kernel.unit @moved <map> {
^bb0(%x: tensor<3x20x40xf32>):
  %0 = graph.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<3x20x40xf32>) -> tensor<3x40x20xf32>
  kernel.yield %0 : tensor<3x40x20xf32>
}
kernel.unit @added <map> {
^bb0(%x: tensor<3x20x40xf32>, %z: tensor<3x40x20xf32>):
  %0 = graph.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<3x20x40xf32>) -> tensor<3x40x20xf32>
  %1 = graph.add %0, %z : (tensor<3x40x20xf32>, tensor<3x40x20xf32>) -> tensor<3x40x20xf32>
  kernel.yield %1 : tensor<3x40x20xf32>
}
kernel.unit @short <map> {
^bb0(%x: tensor<5x40xf32>):
  %0 = graph.transpose %x {perm = array<i64: 1, 0>} : (tensor<5x40xf32>) -> tensor<40x5xf32>
  kernel.yield %0 : tensor<40x5xf32>
}
