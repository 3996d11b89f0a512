// A decomposed softmax becomes one operation, but not where the exponents are not shifted by their largest.
// RUN: %opt %s --graph-raise-softmax --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @shifted
// CHECK-SAME: %[[X:.+]]: tensor<2x8xf32>
// CHECK: %[[Y:.+]] = graph.softmax %[[X]] {axis = 1 : i64}
// CHECK: return %[[Y]]
func.func @shifted(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %top = graph.reduce %x {kind = #graph.reduce_kind<max>, axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %s = graph.sub %x, %top : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  %p = graph.exp %s : (tensor<2x8xf32>) -> tensor<2x8xf32>
  %sum = graph.reduce %p {kind = #graph.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %y = graph.div %p, %sum : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----

// CHECK-LABEL: func.func @plain
// CHECK-NOT: graph.softmax
// CHECK: graph.div
func.func @plain(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %p = graph.exp %x : (tensor<2x8xf32>) -> tensor<2x8xf32>
  %sum = graph.reduce %p {kind = #graph.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %y = graph.div %p, %sum : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}
