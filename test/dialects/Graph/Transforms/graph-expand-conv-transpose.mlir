// A transposed convolution becomes a convolution whose channels are the phases of its result; one with a filter dilated along its stride stays.
// RUN: %opt %s --graph-expand-conv-transpose --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @windows_side_by_side
// CHECK-SAME: %[[X:.+]]: tensor<1x3x4x4xf32>
// CHECK: graph.conv %[[X]], %{{.+}} : (tensor<1x3x4x4xf32>, tensor<32x3x1x1xf32>) -> tensor<1x32x4x4xf32>
// CHECK-NEXT: %[[S:.+]] = graph.reshape {{.*}} -> tensor<1x8x2x2x4x4xf32>
// CHECK-NEXT: %[[T:.+]] = graph.transpose %[[S]] {perm = array<i64: 0, 1, 4, 2, 5, 3>}
// CHECK-NEXT: %[[R:.+]] = graph.reshape %[[T]] {{.*}} -> tensor<1x8x8x8xf32>
// CHECK-NEXT: return %[[R]]
func.func @windows_side_by_side(%x: tensor<1x3x4x4xf32>) -> tensor<1x8x8x8xf32> {
  %w = graph.constant dense<0.5> : tensor<3x8x2x2xf32> : tensor<3x8x2x2xf32>
  %0 = graph.conv_transpose %x, %w {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x3x4x4xf32>, tensor<3x8x2x2xf32>) -> tensor<1x8x8x8xf32>
  return %0 : tensor<1x8x8x8xf32>
}

// -----

// CHECK-LABEL: func.func @cut_border
// CHECK: graph.conv {{.*}} : (tensor<1x3x4x4xf32>, tensor<32x3x2x2xf32>) -> tensor<1x32x5x5xf32>
// CHECK: graph.slice {{.*}} : (tensor<1x8x10x10xf32>) -> tensor<1x8x8x8xf32>
func.func @cut_border(%x: tensor<1x3x4x4xf32>) -> tensor<1x8x8x8xf32> {
  %w = graph.constant dense<0.5> : tensor<3x8x4x4xf32> : tensor<3x8x4x4xf32>
  %0 = graph.conv_transpose %x, %w {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x3x4x4xf32>, tensor<3x8x4x4xf32>) -> tensor<1x8x8x8xf32>
  return %0 : tensor<1x8x8x8xf32>
}

// -----

// CHECK-LABEL: func.func @grouped
// CHECK: graph.conv {{.*}}group = 2 : i64{{.*}} : (tensor<1x4x4x4xf32>, tensor<32x2x1x1xf32>) -> tensor<1x32x4x4xf32>
func.func @grouped(%x: tensor<1x4x4x4xf32>) -> tensor<1x8x8x8xf32> {
  %w = graph.constant dense<0.5> : tensor<4x4x2x2xf32> : tensor<4x4x2x2xf32>
  %0 = graph.conv_transpose %x, %w {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 2 : i64} : (tensor<1x4x4x4xf32>, tensor<4x4x2x2xf32>) -> tensor<1x8x8x8xf32>
  return %0 : tensor<1x8x8x8xf32>
}

// -----

// CHECK-LABEL: func.func @dilated
// CHECK: graph.conv {{.*}}dilations = array<i64: 1, 3>{{.*}} : (tensor<1x4x4x4xf32>, tensor<10x4x1x2xf32>) -> tensor<1x10x3x7xf32>
// CHECK: graph.conv_transpose
func.func @dilated(%x: tensor<1x4x4x4xf32>) -> (tensor<1x5x5x7xf32>, tensor<1x5x5x10xf32>) {
  %w = graph.constant dense<0.5> : tensor<4x5x2x2xf32> : tensor<4x5x2x2xf32>
  %0 = graph.conv_transpose %x, %w {strides = array<i64: 2, 1>, dilations = array<i64: 1, 3>, pads = affine_map<() -> (1, 0)>, group = 1 : i64} : (tensor<1x4x4x4xf32>, tensor<4x5x2x2xf32>) -> tensor<1x5x5x7xf32>
  %1 = graph.conv_transpose %x, %w {strides = array<i64: 1, 2>, dilations = array<i64: 1, 3>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x4x4x4xf32>, tensor<4x5x2x2xf32>) -> tensor<1x5x5x10xf32>
  return %0, %1 : tensor<1x5x5x7xf32>, tensor<1x5x5x10xf32>
}
