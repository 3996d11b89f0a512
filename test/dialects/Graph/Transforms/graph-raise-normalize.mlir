// Decomposed normalisations become one operation; a deviation of other values stays.
// RUN: %opt %s --graph-raise-normalize --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @layer
// CHECK-SAME: %[[X:.+]]: tensor<2x8xf32>
// CHECK: %[[Y:.+]] = graph.normalize %[[X]] {axes = array<i64: 1>, epsilon = 9.{{.*}}E-6 : f64} : (tensor<2x8xf32>) -> tensor<2x8xf32>
// CHECK: return %[[Y]]
func.func @layer(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %e = graph.constant dense<1.0e-05> : tensor<f32> : tensor<f32>
  %mean = graph.reduce %x {kind = #graph.reduce_kind<mean>, axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %c = graph.sub %x, %mean : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  %s = graph.mul %c, %c : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %v = graph.reduce %s {kind = #graph.reduce_kind<mean>, axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %a = graph.add %v, %e : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %d = graph.sqrt %a : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %y = graph.div %c, %d : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----

// CHECK-LABEL: func.func @root_mean_square
// CHECK-SAME: %[[X:.+]]: tensor<2x8xf32>
// CHECK: graph.normalize %[[X]] {axes = array<i64: 1>, epsilon = {{.*}}, rms}
func.func @root_mean_square(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %e = graph.constant dense<1.0e-05> : tensor<f32> : tensor<f32>
  %s = graph.mul %x, %x : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %v = graph.reduce %s {kind = #graph.reduce_kind<mean>, axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %a = graph.add %v, %e : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %d = graph.sqrt %a : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %r = graph.reciprocal %d : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %y = graph.mul %x, %r : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----

// CHECK-LABEL: func.func @other
// CHECK-NOT: graph.normalize
// CHECK: graph.div
func.func @other(%x: tensor<2x8xf32>, %z: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %e = graph.constant dense<1.0e-05> : tensor<f32> : tensor<f32>
  %s = graph.mul %z, %z : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %v = graph.reduce %s {kind = #graph.reduce_kind<mean>, axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %a = graph.add %v, %e : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %d = graph.sqrt %a : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %y = graph.div %x, %d : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}
