// Launches of units that differ in names alone share the first; units that differ in types, constants or hero stay apart.
// RUN: %opt %s --kernel-deduplicate-units | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK: kernel.launch @first
// CHECK: kernel.launch @first
// CHECK: kernel.launch @other_type
// CHECK: kernel.launch @other_constant
func.func @main(%x: tensor<8xf32>, %y: tensor<4xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<4xf32>, tensor<8xf32>) {
  %0 = kernel.launch @first(%x) : (tensor<8xf32>) -> tensor<8xf32>
  %1 = kernel.launch @second(%x) : (tensor<8xf32>) -> tensor<8xf32>
  %2 = kernel.launch @other_type(%y) : (tensor<4xf32>) -> tensor<4xf32>
  %3 = kernel.launch @other_constant(%x) : (tensor<8xf32>) -> tensor<8xf32>
  return %0, %1, %2, %3 : tensor<8xf32>, tensor<8xf32>, tensor<4xf32>, tensor<8xf32>
}

// Launches on constants of one unit are one, where the first stands before or around the others.
// CHECK-LABEL: func.func @constants
// CHECK: %[[W:.*]] = graph.constant
// CHECK: %[[PACKED:.*]] = kernel.launch @first(%[[W]]) {constant}
// CHECK: graph.if
// CHECK-NEXT: graph.yield %[[PACKED]]
// CHECK: else
// CHECK-NEXT: kernel.launch @other_constant
func.func @constants(%condition: tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>) {
  %w = graph.constant dense<1.0> : tensor<8xf32> : tensor<8xf32>
  %packed = kernel.launch @first(%w) {constant} : (tensor<8xf32>) -> tensor<8xf32>
  %0 = graph.if %condition {symbols = array<i64>, then_exprs = affine_map<() -> ()>, else_exprs = affine_map<() -> ()>} : (tensor<i1>) -> tensor<8xf32> {
    %again = kernel.launch @second(%w) {constant} : (tensor<8xf32>) -> tensor<8xf32>
    graph.yield %again : tensor<8xf32>
  } else {
    %other = kernel.launch @other_constant(%w) {constant} : (tensor<8xf32>) -> tensor<8xf32>
    graph.yield %other : tensor<8xf32>
  }
  return %packed, %0 : tensor<8xf32>, tensor<8xf32>
}

// CHECK: kernel.unit @first
kernel.unit @first <map> {
^bb0(%x: tensor<8xf32>):
  %c = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %0 = graph.add %x, %c : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  kernel.yield %0 : tensor<8xf32>
}

// CHECK-NOT: kernel.unit @second
kernel.unit @second <map> {
^bb0(%value: tensor<8xf32>):
  %one = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %sum = graph.add %value, %one : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  kernel.yield %sum : tensor<8xf32>
}

// CHECK: kernel.unit @other_type
kernel.unit @other_type <map> {
^bb0(%x: tensor<4xf32>):
  %c = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %0 = graph.add %x, %c : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  kernel.yield %0 : tensor<4xf32>
}

// CHECK: kernel.unit @other_constant
kernel.unit @other_constant <map> {
^bb0(%x: tensor<8xf32>):
  %c = graph.constant dense<2.0> : tensor<f32> : tensor<f32>
  %0 = graph.add %x, %c : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  kernel.yield %0 : tensor<8xf32>
}
