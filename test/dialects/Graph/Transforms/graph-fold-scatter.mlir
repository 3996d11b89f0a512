// Assignments to boxes whose places are known become concatenations.
// RUN: %opt %s --graph-fold-scatter | FileCheck %s

// A row, counted from the end.
// CHECK-LABEL: func.func @row
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4x?xf32, #{{.+}}>, %[[U:[a-z0-9]+]]: tensor<1x?xf32
// CHECK: %[[ROW:.+]] = graph.reshape %[[U]]
// CHECK: %[[A:.+]] = graph.slice %[[X]] {starts = #[[ZERO:.+]], steps = array<i64: 1, 1>} : {{.*}} -> tensor<2x?xf32
// CHECK: %[[B:.+]] = graph.slice %[[X]] {starts = #{{.+}}, steps = array<i64: 1, 1>} : {{.*}} -> tensor<1x?xf32
// CHECK: graph.concat %[[A]], %[[ROW]], %[[B]] {axis = 0 : i64}
// CHECK-NOT: scatter_nd
func.func @row(%x: tensor<4x?xf32, affine_map<()[s0] -> (4, s0)>>, %u: tensor<1x?xf32, affine_map<()[s0] -> (1, s0)>>) -> tensor<4x?xf32, affine_map<()[s0] -> (4, s0)>> {
  %i = graph.constant dense<-2> : tensor<1x1xi64> : tensor<1x1xi64>
  %0 = graph.scatter_nd %x, %i, %u {kind = #graph.scatter_kind<none>}
    : (tensor<4x?xf32, affine_map<()[s0] -> (4, s0)>>, tensor<1x1xi64>, tensor<1x?xf32, affine_map<()[s0] -> (1, s0)>>) -> tensor<4x?xf32, affine_map<()[s0] -> (4, s0)>>
  return %0 : tensor<4x?xf32, affine_map<()[s0] -> (4, s0)>>
}

// Places as exporters write them: each dim's in a piece of its own. The box begins where the tensor does.
// CHECK-LABEL: func.func @grid
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<2x5x3xf32>, %[[U:[a-z0-9]+]]: tensor<2x2x3xf32>
// CHECK: %[[BOX:.+]] = graph.reshape %[[U]]
// CHECK: %[[REST:.+]] = graph.slice %[[X]] {{.*}} -> tensor<2x3x3xf32>
// CHECK: graph.concat %[[BOX]], %[[REST]] {axis = 1 : i64}
func.func @grid(%x: tensor<2x5x3xf32>, %u: tensor<2x2x3xf32>) -> tensor<2x5x3xf32> {
  %a = graph.constant dense<[[0], [1]]> : tensor<2x1xi64> : tensor<2x1xi64>
  %b = graph.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %0 = graph.broadcast %a : (tensor<2x1xi64>) -> tensor<2x2xi64>
  %1 = graph.broadcast %b : (tensor<2xi64>) -> tensor<2x2xi64>
  %2 = graph.reshape %0 : (tensor<2x2xi64>) -> tensor<2x2x1xi64>
  %3 = graph.reshape %1 : (tensor<2x2xi64>) -> tensor<2x2x1xi64>
  %i = graph.concat %2, %3 {axis = 2 : i64} : (tensor<2x2x1xi64>, tensor<2x2x1xi64>) -> tensor<2x2x2xi64>
  %4 = graph.scatter_nd %x, %i, %u {kind = #graph.scatter_kind<none>} : (tensor<2x5x3xf32>, tensor<2x2x2xi64>, tensor<2x2x3xf32>) -> tensor<2x5x3xf32>
  return %4 : tensor<2x5x3xf32>
}

// CHECK-LABEL: func.func @all
// CHECK-SAME: %{{.+}}: tensor<2x3xf32>, %[[U:[a-z0-9]+]]: tensor<2x3xf32>
// CHECK: %[[ALL:.+]] = graph.reshape %[[U]]
// CHECK: return %[[ALL]]
func.func @all(%x: tensor<2x3xf32>, %u: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %i = graph.constant dense<[[0], [1]]> : tensor<2x1xi64> : tensor<2x1xi64>
  %0 = graph.scatter_nd %x, %i, %u {kind = #graph.scatter_kind<none>} : (tensor<2x3xf32>, tensor<2x1xi64>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// Rows in another order, a row twice, a row that is not there, a corner, sums, and places that a run computes.
// CHECK-LABEL: func.func @left_alone
// CHECK-COUNT-6: graph.scatter_nd
func.func @left_alone(%x: tensor<4x3xf32>, %u: tensor<2x3xf32>, %one: tensor<1x3xf32>, %corner: tensor<1xf32>, %k: tensor<1x1xi64>)
    -> (tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x3xf32>) {
  %back = graph.constant dense<[[2], [1]]> : tensor<2x1xi64> : tensor<2x1xi64>
  %twice = graph.constant dense<1> : tensor<2x1xi64> : tensor<2x1xi64>
  %outside = graph.constant dense<4> : tensor<1x1xi64> : tensor<1x1xi64>
  %place = graph.constant dense<1> : tensor<1x2xi64> : tensor<1x2xi64>
  %first = graph.constant dense<0> : tensor<1x1xi64> : tensor<1x1xi64>
  %0 = graph.scatter_nd %x, %back, %u {kind = #graph.scatter_kind<none>} : (tensor<4x3xf32>, tensor<2x1xi64>, tensor<2x3xf32>) -> tensor<4x3xf32>
  %1 = graph.scatter_nd %x, %twice, %u {kind = #graph.scatter_kind<none>} : (tensor<4x3xf32>, tensor<2x1xi64>, tensor<2x3xf32>) -> tensor<4x3xf32>
  %2 = graph.scatter_nd %x, %outside, %one {kind = #graph.scatter_kind<none>} : (tensor<4x3xf32>, tensor<1x1xi64>, tensor<1x3xf32>) -> tensor<4x3xf32>
  %3 = graph.scatter_nd %x, %place, %corner {kind = #graph.scatter_kind<none>} : (tensor<4x3xf32>, tensor<1x2xi64>, tensor<1xf32>) -> tensor<4x3xf32>
  %4 = graph.scatter_nd %x, %first, %one {kind = #graph.scatter_kind<add>} : (tensor<4x3xf32>, tensor<1x1xi64>, tensor<1x3xf32>) -> tensor<4x3xf32>
  %5 = graph.scatter_nd %x, %k, %one {kind = #graph.scatter_kind<none>} : (tensor<4x3xf32>, tensor<1x1xi64>, tensor<1x3xf32>) -> tensor<4x3xf32>
  return %0, %1, %2, %3, %4, %5 : tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x3xf32>
}
