// Identities go, movements in a row become one, and nothing that computes is touched.
// RUN: %opt %s --graph-simplify | FileCheck %s

// CHECK-LABEL: func.func @transposes_cancel
// CHECK-SAME: %[[X:.+]]: tensor<2x3xf32>
// CHECK-NEXT: return %[[X]]
func.func @transposes_cancel(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = graph.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %1 = graph.transpose %0 {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @transposes_merge
// CHECK: %[[T:.+]] = graph.transpose %{{.+}} {perm = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
// CHECK-NEXT: return %[[T]]
func.func @transposes_merge(%x: tensor<2x3x4xf32>) -> tensor<4x2x3xf32> {
  %0 = graph.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<2x3x4xf32>) -> tensor<2x4x3xf32>
  %1 = graph.transpose %0 {perm = array<i64: 1, 0, 2>} : (tensor<2x4x3xf32>) -> tensor<4x2x3xf32>
  return %1 : tensor<4x2x3xf32>
}

// A transpose that moves dims of extent 1 alone is a view.
// CHECK-LABEL: func.func @transpose_of_ones
// CHECK-NOT: graph.transpose
// CHECK: graph.reshape %{{.+}} : (tensor<2x1x3xf32>) -> tensor<1x2x3xf32>
func.func @transpose_of_ones(%x: tensor<2x1x3xf32>) -> tensor<1x2x3xf32> {
  %0 = graph.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<2x1x3xf32>) -> tensor<1x2x3xf32>
  return %0 : tensor<1x2x3xf32>
}

// CHECK-LABEL: func.func @transpose_that_moves
// CHECK: graph.transpose
func.func @transpose_that_moves(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %0 = graph.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// CHECK-LABEL: func.func @reshapes
// CHECK: %[[R:.+]] = graph.reshape %{{.+}} : (tensor<2x6xf32>) -> tensor<4x3xf32>
// CHECK-NEXT: return %[[R]]
func.func @reshapes(%x: tensor<2x6xf32>) -> tensor<4x3xf32> {
  %0 = graph.reshape %x : (tensor<2x6xf32>) -> tensor<12xf32>
  %1 = graph.reshape %0 : (tensor<12xf32>) -> tensor<4x3xf32>
  return %1 : tensor<4x3xf32>
}

// CHECK-LABEL: func.func @identities
// CHECK-SAME: %[[X:.+]]: tensor<2x6xf32>
// CHECK-NEXT: return %[[X]]
func.func @identities(%x: tensor<2x6xf32>) -> tensor<2x6xf32> {
  %0 = graph.cast %x : (tensor<2x6xf32>) -> tensor<2x6xf32>
  %1 = graph.reshape %0 : (tensor<2x6xf32>) -> tensor<2x6xf32>
  %2 = graph.broadcast %1 : (tensor<2x6xf32>) -> tensor<2x6xf32>
  %3 = graph.tile %2 : (tensor<2x6xf32>) -> tensor<2x6xf32>
  %4 = graph.slice %3 {starts = affine_map<() -> (0, 0)>, steps = array<i64: 1, 1>} : (tensor<2x6xf32>) -> tensor<2x6xf32>
  return %4 : tensor<2x6xf32>
}

// A slice of the same extent that walks backwards is none.
// CHECK-LABEL: func.func @reversal
// CHECK: graph.slice
func.func @reversal(%x: tensor<6xf32>) -> tensor<6xf32> {
  %0 = graph.slice %x {starts = affine_map<() -> (5)>, steps = array<i64: -1>} : (tensor<6xf32>) -> tensor<6xf32>
  return %0 : tensor<6xf32>
}

// CHECK-LABEL: func.func @arithmetic
// CHECK: graph.add
// CHECK: graph.cast
func.func @arithmetic(%x: tensor<6xf32>) -> tensor<6xf16> {
  %0 = graph.add %x, %x : (tensor<6xf32>, tensor<6xf32>) -> tensor<6xf32>
  %1 = graph.cast %0 : (tensor<6xf32>) -> tensor<6xf16>
  return %1 : tensor<6xf16>
}
