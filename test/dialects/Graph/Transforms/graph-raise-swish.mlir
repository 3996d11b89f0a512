// A product with the sigmoid of a multiple of the same value becomes swish, and so does the quotient by 1 + e^-x; gates of other values stay.
// RUN: %opt %s --graph-raise-swish --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @product
// CHECK-SAME: %[[X:.+]]: tensor<8xf32>
// CHECK: %[[Y:.+]] = graph.swish %[[X]] {alpha = 1.000000e+00 : f64}
// CHECK: %[[Z:.+]] = graph.swish %[[X]] {alpha = 1.500000e+00 : f64}
// CHECK: return %[[Y]], %[[Z]]
func.func @product(%x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %alpha = graph.constant dense<1.5> : tensor<f32> : tensor<f32>
  %0 = graph.sigmoid %x : (tensor<8xf32>) -> tensor<8xf32>
  %1 = graph.mul %0, %x : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %2 = graph.mul %alpha, %x : (tensor<f32>, tensor<8xf32>) -> tensor<8xf32>
  %3 = graph.sigmoid %2 : (tensor<8xf32>) -> tensor<8xf32>
  %4 = graph.mul %x, %3 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %1, %4 : tensor<8xf32>, tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @quotient
// CHECK: graph.swish %{{.+}} {alpha = 1.000000e+00 : f64}
func.func @quotient(%x: tensor<8xf32>) -> tensor<8xf32> {
  %one = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %0 = graph.neg %x : (tensor<8xf32>) -> tensor<8xf32>
  %1 = graph.exp %0 : (tensor<8xf32>) -> tensor<8xf32>
  %2 = graph.add %one, %1 : (tensor<f32>, tensor<8xf32>) -> tensor<8xf32>
  %3 = graph.div %x, %2 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %3 : tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @gate_of_another
// CHECK-NOT: graph.swish
func.func @gate_of_another(%x: tensor<8xf32>, %z: tensor<8xf32>) -> tensor<8xf32> {
  %0 = graph.sigmoid %z : (tensor<8xf32>) -> tensor<8xf32>
  %1 = graph.mul %x, %0 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %1 : tensor<8xf32>
}
