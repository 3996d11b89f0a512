// Powers and quotients by constants become cheaper operations; others stay.
// RUN: %opt %s --graph-reduce-strength --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @powers
// CHECK-SAME: %[[X:.+]]: tensor<8xf32>
// CHECK-DAG: %[[SQUARE:.+]] = graph.mul %[[X]], %[[X]]
// CHECK-DAG: %[[ROOT:.+]] = graph.sqrt %[[X]]
// CHECK-DAG: %[[INVERSE:.+]] = graph.reciprocal %[[X]]
// CHECK: return %[[X]], %[[SQUARE]], %[[ROOT]], %[[INVERSE]]
func.func @powers(%x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) {
  %one = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %two = graph.constant dense<2.0> : tensor<f32> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %minus = graph.constant dense<-1.0> : tensor<f32> : tensor<f32>
  %0 = graph.pow %x, %one : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %1 = graph.pow %x, %two : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %2 = graph.pow %x, %half : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %3 = graph.pow %x, %minus : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  return %0, %1, %2, %3 : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @quotients
// CHECK: %[[EIGHTH:.+]] = graph.constant dense<1.250000e-01> : tensor<f32>
// CHECK: graph.mul %{{.+}}, %[[EIGHTH]]
// CHECK: graph.div
// CHECK: graph.pow
func.func @quotients(%x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) {
  %eight = graph.constant dense<8.0> : tensor<f32> : tensor<f32>
  %three = graph.constant dense<3.0> : tensor<f32> : tensor<f32>
  %odd = graph.constant dense<2.5> : tensor<f32> : tensor<f32>
  %0 = graph.div %x, %eight : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %1 = graph.div %x, %three : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %2 = graph.pow %x, %odd : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  return %0, %1, %2 : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
}
