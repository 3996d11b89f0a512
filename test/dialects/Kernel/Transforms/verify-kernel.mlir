// A program of launches, views, constants and control flow over units that state their work passes unchanged.
// RUN: %opt %s --verify-kernel | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK: kernel.launch @unit0
func.func @main(%x: tensor<8xf32>) -> tensor<2x4xf32> {
  %0 = kernel.launch @unit0(%x) : (tensor<8xf32>) -> tensor<8xf32>
  %1 = graph.reshape %0 : (tensor<8xf32>) -> tensor<2x4xf32>
  return %1 : tensor<2x4xf32>
}
kernel.unit @unit0 <map> attributes {items = affine_map<() -> (8)>, operations = affine_map<() -> (8)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<8xf32>):
  %0 = graph.relu %x : (tensor<8xf32>) -> tensor<8xf32>
  kernel.yield %0 : tensor<8xf32>
}
