// Convolutions of constants with enough channels, terms and pixels are split into parts of bf16; others stay.
// RUN: %opt %s --convert-conv-to-bf16x3 --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @plain
// CHECK: %[[P:.+]] = kernel.bf16x3_filter %[[W:.+]] : tensor<100x70x1x1xf32> -> tensor<4x3x3x2x16x32xbf16>
// CHECK: %[[Z:.+]] = graph.constant dense<0.000000e+00> : tensor<f32>
// CHECK: %[[M:.+]] = graph.mul %[[W]], %[[Z]]
// CHECK: %[[S:.+]] = graph.reduce %[[M]] {{.*}} -> tensor<100x1x1x1xf32>
// CHECK: %[[N:.+]] = graph.reshape %[[S]] : (tensor<100x1x1x1xf32>) -> tensor<100xf32>
// CHECK: %[[Y:.+]] = kernel.bf16x3_conv %arg0, %[[P]], %[[N]] {{{.*}}kernel = array<i64: 1, 1>{{.*}}} : (tensor<2x70x7x7xf32>, tensor<4x3x3x2x16x32xbf16>, tensor<100xf32>) -> tensor<2x100x7x7xf32>
// CHECK: return %[[Y]]
func.func @plain(%x: tensor<2x70x7x7xf32>) -> tensor<2x100x7x7xf32> {
  %w = graph.constant dense<1.0> : tensor<100x70x1x1xf32> : tensor<100x70x1x1xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, group = 1 : i64} : (tensor<2x70x7x7xf32>, tensor<100x70x1x1xf32>) -> tensor<2x100x7x7xf32>
  return %0 : tensor<2x100x7x7xf32>
}

// -----

// Windows take more output channels, since their pixels are gathered.
// CHECK-LABEL: func.func @windows
// CHECK: kernel.bf16x3_filter %{{.+}} : tensor<64x16x3x3xf32> -> tensor<2x5x3x2x16x32xbf16>
// CHECK: graph.conv
func.func @windows(%x: tensor<1x16x20x20xf32>) -> (tensor<1x64x10x10xf32>, tensor<1x48x10x10xf32>) {
  %w = graph.constant dense<1.0> : tensor<64x16x3x3xf32> : tensor<64x16x3x3xf32>
  %v = graph.constant dense<1.0> : tensor<48x16x3x3xf32> : tensor<48x16x3x3xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 2, 2>, pads = affine_map<() -> (1, 1)>, dilations = array<i64: 1, 1>, group = 1 : i64} : (tensor<1x16x20x20xf32>, tensor<64x16x3x3xf32>) -> tensor<1x64x10x10xf32>
  %1 = graph.conv %x, %v {strides = array<i64: 2, 2>, pads = affine_map<() -> (1, 1)>, dilations = array<i64: 1, 1>, group = 1 : i64} : (tensor<1x16x20x20xf32>, tensor<48x16x3x3xf32>) -> tensor<1x48x10x10xf32>
  return %0, %1 : tensor<1x64x10x10xf32>, tensor<1x48x10x10xf32>
}

// -----

// Large filters take more pixels.
// CHECK-LABEL: func.func @large
// CHECK-NOT: bf16x3
func.func @large(%x: tensor<1x512x7x7xf32>) -> tensor<1x512x7x7xf32> {
  %w = graph.constant dense<1.0> : tensor<512x512x1x1xf32> : tensor<512x512x1x1xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, group = 1 : i64} : (tensor<1x512x7x7xf32>, tensor<512x512x1x1xf32>) -> tensor<1x512x7x7xf32>
  return %0 : tensor<1x512x7x7xf32>
}

// -----

// Few pixels, few terms, groups, and filters that a run computes.
// CHECK-LABEL: func.func @others
// CHECK-NOT: bf16x3
// CHECK-COUNT-4: graph.conv
func.func @others(%x: tensor<1x64x5x6xf32>, %y: tensor<1x32x8x8xf32>, %z: tensor<1x128x8x8xf32>, %f: tensor<64x128x1x1xf32>)
    -> (tensor<1x64x5x6xf32>, tensor<1x64x8x8xf32>, tensor<1x64x8x8xf32>, tensor<1x64x8x8xf32>) {
  %w = graph.constant dense<1.0> : tensor<64x64x1x1xf32> : tensor<64x64x1x1xf32>
  %v = graph.constant dense<1.0> : tensor<64x32x1x1xf32> : tensor<64x32x1x1xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, group = 1 : i64} : (tensor<1x64x5x6xf32>, tensor<64x64x1x1xf32>) -> tensor<1x64x5x6xf32>
  %1 = graph.conv %y, %v {strides = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<64x32x1x1xf32>) -> tensor<1x64x8x8xf32>
  %2 = graph.conv %z, %w {strides = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, group = 2 : i64} : (tensor<1x128x8x8xf32>, tensor<64x64x1x1xf32>) -> tensor<1x64x8x8xf32>
  %3 = graph.conv %z, %f {strides = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, group = 1 : i64} : (tensor<1x128x8x8xf32>, tensor<64x128x1x1xf32>) -> tensor<1x64x8x8xf32>
  return %0, %1, %2, %3 : tensor<1x64x5x6xf32>, tensor<1x64x8x8xf32>, tensor<1x64x8x8xf32>, tensor<1x64x8x8xf32>
}
