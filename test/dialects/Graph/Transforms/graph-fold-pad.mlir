// Constants around an image become the pads of the convolution or pool that reads it.
// RUN: %opt %s --graph-fold-pad | FileCheck %s

// CHECK-DAG: #[[ONES:.+]] = affine_map<() -> (1, 1)>
// CHECK-DAG: #[[SUM:.+]] = affine_map<() -> (2, 1)>

// CHECK-LABEL: func.func @convolution
// CHECK-SAME: %[[X:[^:]+]]: tensor<1x3x8x8xf32>
// CHECK-NOT: graph.pad
// CHECK: graph.conv %[[X]], %{{.+}} {{.*}}pads = #[[SUM]]
func.func @convolution(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x3x3xf32>) -> tensor<1x4x9x9xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %0 = graph.pad %x, %zero {low = affine_map<() -> (0, 0, 1, 1)>, mode = #graph.pad_mode<constant>} : (tensor<1x3x8x8xf32>, tensor<f32>) -> tensor<1x3x10x10xf32>
  %1 = graph.conv %0, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 0)>, group = 1 : i64} : (tensor<1x3x10x10xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x9x9xf32>
  return %1 : tensor<1x4x9x9xf32>
}

// Another number, another dim, and less at the end: the nodes stay.
// CHECK-LABEL: func.func @stays
// CHECK-COUNT-3: graph.pad
func.func @stays(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x3x3xf32>, %v: tensor<4x4x3x3xf32>) -> (tensor<1x4x8x8xf32>, tensor<1x4x6x6xf32>, tensor<1x4x6x6xf32>) {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %0 = graph.pad %x, %one {low = affine_map<() -> (0, 0, 1, 1)>, mode = #graph.pad_mode<constant>} : (tensor<1x3x8x8xf32>, tensor<f32>) -> tensor<1x3x10x10xf32>
  %1 = graph.conv %0, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x3x10x10xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x8x8xf32>
  %2 = graph.pad %x, %zero {low = affine_map<() -> (0, 1, 0, 0)>, mode = #graph.pad_mode<constant>} : (tensor<1x3x8x8xf32>, tensor<f32>) -> tensor<1x4x8x8xf32>
  %3 = graph.conv %2, %v {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x4x8x8xf32>, tensor<4x4x3x3xf32>) -> tensor<1x4x6x6xf32>
  %4 = graph.pad %x, %zero {low = affine_map<() -> (0, 0, 1, 1)>, mode = #graph.pad_mode<constant>} : (tensor<1x3x8x8xf32>, tensor<f32>) -> tensor<1x3x8x8xf32>
  %5 = graph.conv %4, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x6x6xf32>
  return %1, %3, %5 : tensor<1x4x8x8xf32>, tensor<1x4x6x6xf32>, tensor<1x4x6x6xf32>
}

// CHECK-LABEL: func.func @symbolic
// CHECK-NOT: graph.pad
// CHECK: graph.conv %{{.+}}, %{{.+}} {{.*}}pads = #[[ONES]]
func.func @symbolic(%x: tensor<1x3x?x8xf32, affine_map<()[s0] -> (1, 3, s0, 8)>>, %w: tensor<4x3x3x3xf32>) -> tensor<1x4x?x8xf32, affine_map<()[s0] -> (1, 4, s0, 8)>> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %0 = graph.pad %x, %zero {low = affine_map<() -> (0, 0, 1, 1)>, mode = #graph.pad_mode<constant>} : (tensor<1x3x?x8xf32, affine_map<()[s0] -> (1, 3, s0, 8)>>, tensor<f32>) -> tensor<1x3x?x10xf32, affine_map<()[s0] -> (1, 3, s0 + 2, 10)>>
  %1 = graph.conv %0, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x3x?x10xf32, affine_map<()[s0] -> (1, 3, s0 + 2, 10)>>, tensor<4x3x3x3xf32>) -> tensor<1x4x?x8xf32, affine_map<()[s0] -> (1, 4, s0, 8)>>
  return %1 : tensor<1x4x?x8xf32, affine_map<()[s0] -> (1, 4, s0, 8)>>
}

// -infinity is below every element; 0 is where elements come from a relu.
// CHECK-LABEL: func.func @largest
// CHECK-NOT: graph.pad
// CHECK: graph.pool %{{.+}} {{.*}}pads = #[[ONES]], pads_end = #[[ONES]]
// CHECK: graph.relu
// CHECK-NEXT: graph.pool %{{.+}} {{.*}}pads = #[[ONES]], pads_end = #[[ONES]]
func.func @largest(%x: tensor<1x3x8x8xf32>) -> (tensor<1x3x4x4xf32>, tensor<1x3x4x4xf32>) {
  %lowest = graph.constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %0 = graph.pad %x, %lowest {low = affine_map<() -> (0, 0, 1, 1)>, mode = #graph.pad_mode<constant>} : (tensor<1x3x8x8xf32>, tensor<f32>) -> tensor<1x3x10x10xf32>
  %1 = graph.pool %0 {kind = #graph.pool_kind<max>, kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads = affine_map<() -> (0, 0)>, pads_end = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, count_padding = false, p = 2 : i64} : (tensor<1x3x10x10xf32>) -> tensor<1x3x4x4xf32>
  %2 = graph.relu %x : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32>
  %3 = graph.pad %2, %zero {low = affine_map<() -> (0, 0, 1, 1)>, mode = #graph.pad_mode<constant>} : (tensor<1x3x8x8xf32>, tensor<f32>) -> tensor<1x3x10x10xf32>
  %4 = graph.pool %3 {kind = #graph.pool_kind<max>, kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads = affine_map<() -> (0, 0)>, pads_end = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, count_padding = false, p = 2 : i64} : (tensor<1x3x10x10xf32>) -> tensor<1x3x4x4xf32>
  return %1, %4 : tensor<1x3x4x4xf32>, tensor<1x3x4x4xf32>
}

// 0 may be the largest; the last window, rounded up, lies behind the image.
// CHECK-LABEL: func.func @largest_stays
// CHECK-COUNT-2: graph.pad
func.func @largest_stays(%x: tensor<1x3x8x8xf32>) -> (tensor<1x3x4x4xf32>, tensor<1x3x5x5xf32>) {
  %lowest = graph.constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %0 = graph.pad %x, %zero {low = affine_map<() -> (0, 0, 1, 1)>, mode = #graph.pad_mode<constant>} : (tensor<1x3x8x8xf32>, tensor<f32>) -> tensor<1x3x10x10xf32>
  %1 = graph.pool %0 {kind = #graph.pool_kind<max>, kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads = affine_map<() -> (0, 0)>, pads_end = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, count_padding = false, p = 2 : i64} : (tensor<1x3x10x10xf32>) -> tensor<1x3x4x4xf32>
  %2 = graph.pad %x, %lowest {low = affine_map<() -> (0, 0, 0, 0)>, mode = #graph.pad_mode<constant>} : (tensor<1x3x8x8xf32>, tensor<f32>) -> tensor<1x3x9x9xf32>
  %3 = graph.pool %2 {kind = #graph.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = affine_map<() -> (0, 0)>, pads_end = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, count_padding = false, p = 2 : i64} : (tensor<1x3x9x9xf32>) -> tensor<1x3x5x5xf32>
  return %1, %3 : tensor<1x3x4x4xf32>, tensor<1x3x5x5xf32>
}

// An average that counts zeros counts them as padding.
// CHECK-LABEL: func.func @average
// CHECK-NOT: graph.pad
// CHECK: graph.pool %{{.+}} {count_padding = true, {{.*}}pads = #[[ONES]], pads_end = #[[ONES]]
func.func @average(%x: tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %0 = graph.pad %x, %zero {low = affine_map<() -> (0, 0, 1, 1)>, mode = #graph.pad_mode<constant>} : (tensor<1x3x8x8xf32>, tensor<f32>) -> tensor<1x3x10x10xf32>
  %1 = graph.pool %0 {kind = #graph.pool_kind<average>, kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, pads_end = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, count_padding = false, p = 2 : i64} : (tensor<1x3x10x10xf32>) -> tensor<1x3x8x8xf32>
  return %1 : tensor<1x3x8x8xf32>
}
