// Places of the largest elements: the windows of a block of a row keep theirs in stack memory, and one loop per tap compares all of them. Where windows lie
// partly outside of x, the loop is shorter. What is yielded behind the places is computed when they are stored.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// CHECK-LABEL: func.func @windows
// CHECK-DAG: llvm.alloca {{.*}} x f32
// CHECK-DAG: llvm.alloca {{.*}} x i64
// CHECK: scf.for {{.*}} step %c512_i64
// CHECK: scf.for
// CHECK: llvm.store
// CHECK: loop_annotation
// CHECK: scf.for
// CHECK: scf.for
// CHECK: scf.for
// CHECK: arith.cmpf ogt
// CHECK: arith.select
// CHECK: loop_annotation
// CHECK: scf.for
// CHECK: arith.addi
// CHECK: func.func @onager_main
func.func @main(%x: tensor<2x3x9x700xf32> {graph.name = "x"}, %one: tensor<i64> {graph.name = "one"}) -> (tensor<2x3x9x700xi64> {graph.name = "y"}) attributes {graph.symbols = []} {
  %0 = kernel.launch @windows(%x, %one) : (tensor<2x3x9x700xf32>, tensor<i64>) -> tensor<2x3x9x700xi64>
  return %0 : tensor<2x3x9x700xi64>
}
kernel.unit @windows <pool_indices> {
^bb0(%x: tensor<2x3x9x700xf32>, %one: tensor<i64>):
  %0 = graph.max_pool_indices %x {kernel = array<i64: 5, 5>, strides = array<i64: 1, 1>, pads = affine_map<() -> (2, 2)>, dilations = array<i64: 1, 1>,
                                  column_major = false} : (tensor<2x3x9x700xf32>) -> tensor<2x3x9x700xi64>
  %1 = graph.add %0, %one : (tensor<2x3x9x700xi64>, tensor<i64>) -> tensor<2x3x9x700xi64>
  kernel.yield %1 : tensor<2x3x9x700xi64>
}
