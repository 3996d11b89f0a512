// Narrow floats are computed in f32 between casts at the borders; casts and calls stay as they are.
// RUN: %opt %s --graph-widen-floats --split-input-file | FileCheck %s
// RUN: %opt %s --graph-widen-floats=bf16 --split-input-file | FileCheck %s --check-prefixes=CHECK,ROUND

// CHECK-LABEL: func.func @chain
// CHECK-SAME: %[[X:.+]]: tensor<8xf16>
// CHECK: %[[W:.+]] = graph.cast %[[X]] : (tensor<8xf16>) -> tensor<8xf32>
// CHECK: %[[A:.+]] = graph.relu %[[W]] : (tensor<8xf32>) -> tensor<8xf32>
// CHECK: %[[B:.+]] = graph.exp %[[A]] : (tensor<8xf32>) -> tensor<8xf32>
// CHECK: %[[N:.+]] = graph.cast %[[B]] : (tensor<8xf32>) -> tensor<8xf16>
// CHECK: return %[[N]]
func.func @chain(%x: tensor<8xf16>) -> tensor<8xf16> {
  %0 = graph.relu %x : (tensor<8xf16>) -> tensor<8xf16>
  %1 = graph.exp %0 : (tensor<8xf16>) -> tensor<8xf16>
  return %1 : tensor<8xf16>
}

// -----

// CHECK-LABEL: func.func @comparison
// CHECK: graph.less %{{.+}}, %{{.+}} : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xi1>
func.func @comparison(%x: tensor<8xbf16>) -> tensor<8xi1> {
  %0 = graph.neg %x : (tensor<8xbf16>) -> tensor<8xbf16>
  %1 = graph.cast %0 : (tensor<8xbf16>) -> tensor<8xf32>
  %2 = graph.less %1, %1 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xi1>
  return %2 : tensor<8xi1>
}

// -----

// CHECK-LABEL: func.func @wide_already
// CHECK-NOT: graph.cast
func.func @wide_already(%x: tensor<8xf32>) -> tensor<8xf32> {
  %0 = graph.relu %x : (tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// What a product of bf16 reads is rounded, unless it is already; other readers get it as it is.
// CHECK-LABEL: func.func @product
// ROUND: %[[A:.+]] = graph.exp %{{.+}} : (tensor<8x16xf32>) -> tensor<8x16xf32>
// ROUND: %[[N:.+]] = graph.cast %[[A]] : (tensor<8x16xf32>) -> tensor<8x16xbf16>
// ROUND: %[[R:.+]] = graph.cast %[[N]] : (tensor<8x16xbf16>) -> tensor<8x16xf32>
// ROUND: graph.matmul %[[R]], %{{.+}} : (tensor<8x16xf32>, tensor<16x16xf32>) -> tensor<8x16xf32>
// ROUND: graph.add %{{.+}}, %[[A]]
func.func @product(%x: tensor<8x16xbf16>) -> tensor<8x16xbf16> {
  %w = graph.constant dense<0.5> : tensor<16x16xbf16> : tensor<16x16xbf16>
  %0 = graph.exp %x : (tensor<8x16xbf16>) -> tensor<8x16xbf16>
  %1 = graph.matmul %0, %w : (tensor<8x16xbf16>, tensor<16x16xbf16>) -> tensor<8x16xbf16>
  %2 = graph.add %1, %0 : (tensor<8x16xbf16>, tensor<8x16xbf16>) -> tensor<8x16xbf16>
  return %2 : tensor<8x16xbf16>
}

// -----

// CHECK-LABEL: func.func @rounded_already
// ROUND: %[[W:.+]] = graph.cast %arg0 : (tensor<8x16xbf16>) -> tensor<8x16xf32>
// ROUND: graph.matmul %[[W]]
func.func @rounded_already(%x: tensor<8x16xbf16>) -> tensor<8x16xbf16> {
  %w = graph.constant dense<0.5> : tensor<16x16xbf16> : tensor<16x16xbf16>
  %0 = graph.matmul %x, %w : (tensor<8x16xbf16>, tensor<16x16xbf16>) -> tensor<8x16xbf16>
  return %0 : tensor<8x16xbf16>
}

// What only moves elements stays narrow; between operations that compute it does not.
// CHECK-LABEL: func.func @movements
// CHECK: graph.concat {{.*}} -> tensor<16xf16>
// CHECK: graph.slice {{.*}} -> tensor<4xf16>
// CHECK: graph.reshape {{.*}} -> tensor<2x4xf32>
// CHECK: graph.relu {{.*}} -> tensor<2x4xf32>
func.func @movements(%x: tensor<8xf16>) -> (tensor<4xf16>, tensor<2x4xf16>) {
  %0 = graph.concat %x, %x {axis = 0 : i64} : (tensor<8xf16>, tensor<8xf16>) -> tensor<16xf16>
  %1 = graph.slice %0 {starts = affine_map<() -> (2)>, steps = array<i64: 1>} : (tensor<16xf16>) -> tensor<4xf16>
  %2 = graph.reshape %x : (tensor<8xf16>) -> tensor<2x4xf16>
  %3 = graph.relu %2 : (tensor<2x4xf16>) -> tensor<2x4xf16>
  return %1, %3 : tensor<4xf16>, tensor<2x4xf16>
}
