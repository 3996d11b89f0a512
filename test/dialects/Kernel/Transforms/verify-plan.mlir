// What kernel-plan-buffers leaves keeps the promises of the plan stage.
// RUN: %opt %s --kernel-plan-buffers --verify-plan | FileCheck %s

// CHECK: kernel.buffers
// CHECK: kernel.launch @unit0
func.func @main(%x: tensor<8xf32> {graph.name = "x"}) -> (tensor<8xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
  %w = graph.constant dense<1.0> : tensor<8xf32> : tensor<8xf32>
  %a = kernel.launch @unit0(%x, %w) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %b = kernel.launch @unit0(%a, %x) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %c = kernel.launch @unit0(%b, %a) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %c : tensor<8xf32>
}
kernel.unit @unit0 <map> attributes {items = affine_map<() -> (8)>, operations = affine_map<() -> (8)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<8xf32>, %y: tensor<8xf32>):
  %0 = graph.add %x, %y : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  kernel.yield %0 : tensor<8xf32>
}
