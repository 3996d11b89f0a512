// Narrow floats are computed in f32 between casts at the borders; casts and calls stay as they are.
// RUN: %opt %s --graph-widen-floats --split-input-file | FileCheck %s

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
