// Large launches of the program are given to the runtime's function where a gang has several threads and the runtime has the function; small ones, and those of loops, whose
// executions in a run are several, are shared by the formula.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// CHECK: func.func @onager_main
// CHECK: %[[SHARE:.+]] = scf.if
// CHECK: llvm.mlir.zero
// CHECK: llvm.icmp "ne" %[[SHARE]]
// CHECK: %[[CODE:.+]] = func.constant @large
// CHECK: %[[ADDRESS:.+]] = builtin.unrealized_conversion_cast %[[CODE]]
// CHECK: llvm.call %[[SHARE]]({{.*}}, %[[ADDRESS]], %{{.+}})
// CHECK: else
// CHECK: call @large(
// CHECK-NOT: constant @small
// CHECK: call @small(
// CHECK-NOT: constant @small
func.func @main(%x: tensor<2000x1000xf32> {graph.name = "x"}, %y: tensor<8xf32> {graph.name = "y"}) -> (tensor<2000x1000xf32> {graph.name = "a"}, tensor<8xf32> {graph.name = "b"}) attributes {graph.symbols = []} {
  %0 = kernel.launch @large(%x) : (tensor<2000x1000xf32>) -> tensor<2000x1000xf32>
  %1 = kernel.launch @small(%y) : (tensor<8xf32>) -> tensor<8xf32>
  return %0, %1 : tensor<2000x1000xf32>, tensor<8xf32>
}
kernel.unit @large <map> {
^bb0(%x: tensor<2000x1000xf32>):
  %0 = graph.relu %x : (tensor<2000x1000xf32>) -> tensor<2000x1000xf32>
  kernel.yield %0 : tensor<2000x1000xf32>
}
kernel.unit @small <map> {
^bb0(%x: tensor<8xf32>):
  %0 = graph.relu %x : (tensor<8xf32>) -> tensor<8xf32>
  kernel.yield %0 : tensor<8xf32>
}
