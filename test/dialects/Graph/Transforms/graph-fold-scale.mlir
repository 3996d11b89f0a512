// A constant scale per output channel behind a convolution that nobody else reads moves into the filter, and into the bias.
// RUN: %opt %s --graph-fold-scale | FileCheck %s

// CHECK-LABEL: func.func @scale
// CHECK-SAME: %[[X:.+]]: tensor<1x3x6x6xf32>
// CHECK-DAG: %[[W:.+]] = graph.constant {{.*}} : tensor<8x3x3x3xf32>
// CHECK-DAG: %[[S:.+]] = graph.constant {{.*}} : tensor<8x1x1xf32>
// CHECK: %[[R:.+]] = graph.reshape %[[S]] : (tensor<8x1x1xf32>) -> tensor<8x1x1x1xf32>
// CHECK: %[[F:.+]] = graph.mul %[[W]], %[[R]] : (tensor<8x3x3x3xf32>, tensor<8x1x1x1xf32>) -> tensor<8x3x3x3xf32>
// CHECK: %[[Y:.+]] = graph.conv %[[X]], %[[F]] {{.*}}pads = #{{.+}}, strides = array<i64: 1, 1>}
// CHECK-NEXT: return %[[Y]]
func.func @scale(%x: tensor<1x3x6x6xf32>) -> tensor<1x8x4x4xf32> {
  %w = graph.constant dense<0.5> : tensor<8x3x3x3xf32> : tensor<8x3x3x3xf32>
  %s = graph.constant dense<2.0> : tensor<8x1x1xf32> : tensor<8x1x1xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x3x6x6xf32>, tensor<8x3x3x3xf32>) -> tensor<1x8x4x4xf32>
  %1 = graph.mul %0, %s : (tensor<1x8x4x4xf32>, tensor<8x1x1xf32>) -> tensor<1x8x4x4xf32>
  return %1 : tensor<1x8x4x4xf32>
}

// CHECK-LABEL: func.func @scale_behind_bias
// CHECK: %[[F:.+]] = graph.mul {{.*}} : (tensor<8x3x3x3xf32>, tensor<8x1x1x1xf32>) -> tensor<8x3x3x3xf32>
// CHECK: %[[Y:.+]] = graph.conv %{{.+}}, %[[F]]
// CHECK: %[[B:.+]] = graph.mul {{.*}} : (tensor<8x1x1xf32>, tensor<8x1x1xf32>) -> tensor<8x1x1xf32>
// CHECK: %[[Z:.+]] = graph.add %[[Y]], %[[B]]
// CHECK-NEXT: return %[[Z]]
func.func @scale_behind_bias(%x: tensor<1x3x6x6xf32>) -> tensor<1x8x4x4xf32> {
  %w = graph.constant dense<0.5> : tensor<8x3x3x3xf32> : tensor<8x3x3x3xf32>
  %b = graph.constant dense<1.0> : tensor<8x1x1xf32> : tensor<8x1x1xf32>
  %s = graph.constant dense<2.0> : tensor<8x1x1xf32> : tensor<8x1x1xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x3x6x6xf32>, tensor<8x3x3x3xf32>) -> tensor<1x8x4x4xf32>
  %1 = graph.add %0, %b : (tensor<1x8x4x4xf32>, tensor<8x1x1xf32>) -> tensor<1x8x4x4xf32>
  %2 = graph.mul %1, %s : (tensor<1x8x4x4xf32>, tensor<8x1x1xf32>) -> tensor<1x8x4x4xf32>
  return %2 : tensor<1x8x4x4xf32>
}

// Somebody else reads the convolution: two filters would be stored.
// CHECK-LABEL: func.func @two_readers
// CHECK: %[[Y:.+]] = graph.conv
// CHECK: graph.mul %[[Y]]
func.func @two_readers(%x: tensor<1x3x6x6xf32>) -> (tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>) {
  %w = graph.constant dense<0.5> : tensor<8x3x3x3xf32> : tensor<8x3x3x3xf32>
  %s = graph.constant dense<2.0> : tensor<8x1x1xf32> : tensor<8x1x1xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x3x6x6xf32>, tensor<8x3x3x3xf32>) -> tensor<1x8x4x4xf32>
  %1 = graph.mul %0, %s : (tensor<1x8x4x4xf32>, tensor<8x1x1xf32>) -> tensor<1x8x4x4xf32>
  return %0, %1 : tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>
}

// A scale along the columns is none per channel, and one that the caller gives is not constant.
// CHECK-LABEL: func.func @other_scales
// CHECK: graph.conv
// CHECK: graph.mul
// CHECK: graph.mul
func.func @other_scales(%x: tensor<1x3x6x6xf32>, %given: tensor<8x1x1xf32>) -> tensor<1x8x4x4xf32> {
  %w = graph.constant dense<0.5> : tensor<8x3x3x3xf32> : tensor<8x3x3x3xf32>
  %s = graph.constant dense<2.0> : tensor<4xf32> : tensor<4xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x3x6x6xf32>, tensor<8x3x3x3xf32>) -> tensor<1x8x4x4xf32>
  %1 = graph.mul %0, %s : (tensor<1x8x4x4xf32>, tensor<4xf32>) -> tensor<1x8x4x4xf32>
  %2 = graph.mul %1, %given : (tensor<1x8x4x4xf32>, tensor<8x1x1xf32>) -> tensor<1x8x4x4xf32>
  return %2 : tensor<1x8x4x4xf32>
}
