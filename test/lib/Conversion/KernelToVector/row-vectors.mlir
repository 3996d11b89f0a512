// Softmax of rows of more than a few elements goes by vectors: a row of a few vectors stays in registers, a longer one is swept by several chains; what is
// left is masked.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// CHECK-LABEL: func.func @held
// CHECK: scf.for
// CHECK-NOT: scf.for
// CHECK: llvm.load {{.*}} -> vector<16xf32>
// CHECK: llvm.intr.masked.load {{.*}} vector<16xf32>
// CHECK-COUNT-4: vector.shuffle
// CHECK-NOT: llvm.load {{.*}} -> vector<16xf32>
// CHECK: llvm.intr.masked.store
// CHECK-NOT: llvm.intr.masked.store
// CHECK-LABEL: func.func @swept
// CHECK: scf.for
// CHECK: step %c64
// CHECK-COUNT-4: llvm.load {{.*}} -> vector<16xf32>
// CHECK-NOT: llvm.load
// CHECK: step %c16
func.func @main(%x: tensor<7x20xf32> {graph.name = "x"}, %z: tensor<7x?xf32, affine_map<()[s0] -> (7, s0)>> {graph.name = "z"})
    -> (tensor<7x20xf32> {graph.name = "y"}, tensor<7x?xf32, affine_map<()[s0] -> (7, s0)>> {graph.name = "w"}) attributes {graph.symbols = ["N"]} {
  %0 = kernel.launch @held(%x) : (tensor<7x20xf32>) -> tensor<7x20xf32>
  %1 = kernel.launch @swept(%z) : (tensor<7x?xf32, affine_map<()[s0] -> (7, s0)>>) -> tensor<7x?xf32, affine_map<()[s0] -> (7, s0)>>
  return %0, %1 : tensor<7x20xf32>, tensor<7x?xf32, affine_map<()[s0] -> (7, s0)>>
}
kernel.unit @held <softmax> {
^bb0(%x: tensor<7x20xf32>):
  %0 = graph.softmax %x {axis = 1 : i64} : (tensor<7x20xf32>) -> tensor<7x20xf32>
  kernel.yield %0 : tensor<7x20xf32>
}
kernel.unit @swept <softmax> {
^bb0(%x: tensor<7x?xf32, affine_map<()[s0] -> (7, s0)>>):
  %0 = graph.softmax %x {axis = 1 : i64} : (tensor<7x?xf32, affine_map<()[s0] -> (7, s0)>>) -> tensor<7x?xf32, affine_map<()[s0] -> (7, s0)>>
  kernel.yield %0 : tensor<7x?xf32, affine_map<()[s0] -> (7, s0)>>
}
