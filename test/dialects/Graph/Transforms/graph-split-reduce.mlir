// Reductions over the last dims and others apart from them go over the last ones first.
// RUN: %opt %s --graph-split-reduce | FileCheck %s

// CHECK-LABEL: func.func @squares
// CHECK: %[[ROWS:.+]] = graph.reduce %{{.+}} {axes = array<i64: 3, 4>, kind = #graph.reduce_kind<sum_square>} : (tensor<2x3x4x5x6xf32>) -> tensor<2x3x4x1x1xf32>
// CHECK: graph.reduce %[[ROWS]] {axes = array<i64: 0, 1>, kind = #graph.reduce_kind<sum>} : (tensor<2x3x4x1x1xf32>) -> tensor<1x1x4x1x1xf32>
func.func @squares(%x: tensor<2x3x4x5x6xf32>) -> tensor<1x1x4x1x1xf32> {
  %0 = graph.reduce %x {kind = #graph.reduce_kind<sum_square>, axes = array<i64: 4, 0, 3, 1>} : (tensor<2x3x4x5x6xf32>) -> tensor<1x1x4x1x1xf32>
  return %0 : tensor<1x1x4x1x1xf32>
}

// CHECK-LABEL: func.func @largest
// CHECK: graph.reduce {{.*}}axes = array<i64: 2>, kind = #graph.reduce_kind<max>
// CHECK: graph.reduce {{.*}}axes = array<i64: 0>, kind = #graph.reduce_kind<max>
func.func @largest(%x: tensor<2x3x4xf16>) -> tensor<1x3x1xf16> {
  %0 = graph.reduce %x {kind = #graph.reduce_kind<max>, axes = array<i64: 0, 2>} : (tensor<2x3x4xf16>) -> tensor<1x3x1xf16>
  return %0 : tensor<1x3x1xf16>
}

// Rows, columns, all, means of integers and sums of 16-bit floats stay.
// CHECK-LABEL: func.func @others
// CHECK-COUNT-5: graph.reduce %
// CHECK-NOT: graph.reduce %
func.func @others(%x: tensor<2x3x4xf32>, %i: tensor<2x3x4xi32>, %h: tensor<2x3x4xf16>) -> (tensor<2x1x1xf32>, tensor<1x1x4xf32>, tensor<1x1x1xf32>, tensor<1x3x1xi32>, tensor<1x3x1xf16>) {
  %0 = graph.reduce %x {kind = #graph.reduce_kind<sum>, axes = array<i64: 1, 2>} : (tensor<2x3x4xf32>) -> tensor<2x1x1xf32>
  %1 = graph.reduce %x {kind = #graph.reduce_kind<sum>, axes = array<i64: 0, 1>} : (tensor<2x3x4xf32>) -> tensor<1x1x4xf32>
  %2 = graph.reduce %x {kind = #graph.reduce_kind<sum>, axes = array<i64: 0, 1, 2>} : (tensor<2x3x4xf32>) -> tensor<1x1x1xf32>
  %3 = graph.reduce %i {kind = #graph.reduce_kind<mean>, axes = array<i64: 0, 2>} : (tensor<2x3x4xi32>) -> tensor<1x3x1xi32>
  %4 = graph.reduce %h {kind = #graph.reduce_kind<sum>, axes = array<i64: 0, 2>} : (tensor<2x3x4xf16>) -> tensor<1x3x1xf16>
  return %0, %1, %2, %3, %4 : tensor<2x1x1xf32>, tensor<1x1x4xf32>, tensor<1x1x1xf32>, tensor<1x3x1xi32>, tensor<1x3x1xf16>
}
