// Reductions along the last dims of an operand in memory: rows of a few vectors are put together 16 at a time, longer ones are swept one by one. Rows of a few
// elements and operands that are computed are left to LLVM's vectors.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// CHECK-LABEL: func.func @together
// CHECK: scf.if
// CHECK-COUNT-16: llvm.intr.masked.load
// CHECK-COUNT-30: vector.shuffle
// CHECK: llvm.store {{.*}} : vector<16xf32>
// CHECK: else
// CHECK: scf.for
// CHECK: llvm.intr.masked.load
// CHECK: loop_annotation
// CHECK-LABEL: func.func @alone
// CHECK-NOT: scf.if
// CHECK: scf.for {{.*}} step %c64_i64 iter_args
// CHECK-COUNT-4: llvm.load {{.*}} -> vector<16xf32>
// CHECK-LABEL: func.func @short
// CHECK-NOT: vector<16xf32>
// CHECK-LABEL: func.func @computed
// CHECK-NOT: vector<16xf32>
// CHECK: func.func @onager_main
func.func @main(%x: tensor<40x5x4xf32> {graph.name = "x"}, %y: tensor<40x256xf32> {graph.name = "y"}, %z: tensor<40x4xf32> {graph.name = "z"})
    -> (tensor<40x1x1xf32> {graph.name = "a"}, tensor<40x1xf32> {graph.name = "b"}, tensor<40x1xf32> {graph.name = "c"}, tensor<40x1xf32> {graph.name = "d"}) attributes {graph.symbols = []} {
  %0 = kernel.launch @together(%x) : (tensor<40x5x4xf32>) -> tensor<40x1x1xf32>
  %1 = kernel.launch @alone(%y) : (tensor<40x256xf32>) -> tensor<40x1xf32>
  %2 = kernel.launch @short(%z) : (tensor<40x4xf32>) -> tensor<40x1xf32>
  %3 = kernel.launch @computed(%y) : (tensor<40x256xf32>) -> tensor<40x1xf32>
  return %0, %1, %2, %3 : tensor<40x1x1xf32>, tensor<40x1xf32>, tensor<40x1xf32>, tensor<40x1xf32>
}
kernel.unit @together <reduce> {
^bb0(%x: tensor<40x5x4xf32>):
  %0 = graph.reduce %x {kind = #graph.reduce_kind<mean>, axes = array<i64: 1, 2>} : (tensor<40x5x4xf32>) -> tensor<40x1x1xf32>
  kernel.yield %0 : tensor<40x1x1xf32>
}
kernel.unit @alone <reduce> {
^bb0(%x: tensor<40x256xf32>):
  %0 = graph.reduce %x {kind = #graph.reduce_kind<max>, axes = array<i64: 1>} : (tensor<40x256xf32>) -> tensor<40x1xf32>
  %1 = graph.relu %0 : (tensor<40x1xf32>) -> tensor<40x1xf32>
  kernel.yield %1 : tensor<40x1xf32>
}
kernel.unit @short <reduce> {
^bb0(%x: tensor<40x4xf32>):
  %0 = graph.reduce %x {kind = #graph.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<40x4xf32>) -> tensor<40x1xf32>
  kernel.yield %0 : tensor<40x1xf32>
}
kernel.unit @computed <reduce> {
^bb0(%x: tensor<40x256xf32>):
  %0 = graph.exp %x : (tensor<40x256xf32>) -> tensor<40x256xf32>
  %1 = graph.reduce %0 {kind = #graph.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<40x256xf32>) -> tensor<40x1xf32>
  kernel.yield %1 : tensor<40x1xf32>
}
