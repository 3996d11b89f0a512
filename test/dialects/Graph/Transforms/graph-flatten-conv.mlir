// Dims that windows do not move over leave their convolutions.
// RUN: %opt %s --graph-flatten-conv --graph-simplify | FileCheck %s

// The bias and the activation are computed on the matrix; the product over a plane takes it with the dims.
// CHECK-LABEL: func.func @one_pixel
// CHECK: %[[ROWS:.+]] = graph.reshape %{{.+}} : (tensor<1x64x1x1xf32>) -> tensor<1x64xf32>
// CHECK: %[[SUM:.+]] = graph.matmul %[[ROWS]], %{{.+}} : (tensor<1x64xf32>, tensor<64x16xf32>) -> tensor<1x16xf32>
// CHECK: %[[BIAS:.+]] = graph.reshape %{{.+}} : (tensor<16x1x1xf32>) -> tensor<16xf32>
// CHECK: graph.add %[[SUM]], %[[BIAS]] : (tensor<1x16xf32>, tensor<16xf32>) -> tensor<1x16xf32>
// CHECK: %[[GATE:.+]] = graph.sigmoid %{{.+}} -> tensor<1x16xf32>
// CHECK: %[[WIDE:.+]] = graph.reshape %[[GATE]] : (tensor<1x16xf32>) -> tensor<1x16x1x1xf32>
// CHECK: graph.mul %{{.+}}, %[[WIDE]]
func.func @one_pixel(%x: tensor<1x64x1x1xf32>, %b: tensor<16x1x1xf32>, %y: tensor<1x16x7x7xf32>) -> tensor<1x16x7x7xf32> {
  %w = graph.constant dense<1.0> : tensor<16x64x1x1xf32> : tensor<16x64x1x1xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x64x1x1xf32>, tensor<16x64x1x1xf32>) -> tensor<1x16x1x1xf32>
  %1 = graph.add %0, %b : (tensor<1x16x1x1xf32>, tensor<16x1x1xf32>) -> tensor<1x16x1x1xf32>
  %2 = graph.sigmoid %1 : (tensor<1x16x1x1xf32>) -> tensor<1x16x1x1xf32>
  %3 = graph.mul %y, %2 : (tensor<1x16x7x7xf32>, tensor<1x16x1x1xf32>) -> tensor<1x16x7x7xf32>
  return %3 : tensor<1x16x7x7xf32>
}

// A window that is as large as the image, of images of which there may be any number; an activation that reads the sum twice.
// CHECK-LABEL: func.func @whole_image
// CHECK: graph.matmul %{{.+}} -> tensor<?x16xf32
// CHECK: graph.sigmoid %{{.+}} -> tensor<?x16xf32
// CHECK: graph.mul %{{.+}} -> tensor<?x16xf32
// CHECK-NOT: graph.conv
func.func @whole_image(%x: tensor<?x8x7x7xf32, affine_map<()[s0] -> (s0, 8, 7, 7)>>) -> tensor<?x16x1x1xf32, affine_map<()[s0] -> (s0, 16, 1, 1)>> {
  %w = graph.constant dense<1.0> : tensor<16x8x7x7xf32> : tensor<16x8x7x7xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<?x8x7x7xf32, affine_map<()[s0] -> (s0, 8, 7, 7)>>, tensor<16x8x7x7xf32>) -> tensor<?x16x1x1xf32, affine_map<()[s0] -> (s0, 16, 1, 1)>>
  %1 = graph.sigmoid %0 : (tensor<?x16x1x1xf32, affine_map<()[s0] -> (s0, 16, 1, 1)>>) -> tensor<?x16x1x1xf32, affine_map<()[s0] -> (s0, 16, 1, 1)>>
  %2 = graph.mul %0, %1 : (tensor<?x16x1x1xf32, affine_map<()[s0] -> (s0, 16, 1, 1)>>, tensor<?x16x1x1xf32, affine_map<()[s0] -> (s0, 16, 1, 1)>>) -> tensor<?x16x1x1xf32, affine_map<()[s0] -> (s0, 16, 1, 1)>>
  return %2 : tensor<?x16x1x1xf32, affine_map<()[s0] -> (s0, 16, 1, 1)>>
}

// Taps in the padding are left out, and so is what lies beside the only window.
// CHECK-LABEL: func.func @taps
// CHECK-DAG: graph.slice %{{.+}} {starts = #{{.+}}, steps = array<i64: 1, 1, 2>} : (tensor<1x8x4xf32>) -> tensor<1x8x2xf32>
// CHECK-DAG: graph.slice %{{.+}} : (tensor<4x8x3xf32>) -> tensor<4x8x2xf32>
// CHECK: graph.matmul %{{.+}} : (tensor<1x16xf32>, tensor<16x4xf32>) -> tensor<1x4xf32>
func.func @taps(%x: tensor<1x8x4xf32>) -> tensor<1x4x1xf32> {
  %w = graph.constant dense<1.0> : tensor<4x8x3xf32> : tensor<4x8x3xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 4>, dilations = array<i64: 2>, pads = affine_map<() -> (1)>, group = 1 : i64} : (tensor<1x8x4xf32>, tensor<4x8x3xf32>) -> tensor<1x4x1xf32>
  return %0 : tensor<1x4x1xf32>
}

// Windows over time alone: a frame is one dim; the residual is reshaped beside it.
// CHECK-LABEL: func.func @over_time
// CHECK: %[[X:.+]] = graph.reshape %{{.+}} : (tensor<1x8x6x5x5xf32>) -> tensor<1x8x6x25xf32>
// CHECK: graph.conv %[[X]], %{{.+}} {dilations = array<i64: 1, 1>, {{.*}}strides = array<i64: 1, 1>} : (tensor<1x8x6x25xf32>, tensor<8x8x3x1xf32>) -> tensor<1x8x6x25xf32>
// CHECK: graph.add %{{.+}}, %{{.+}} : (tensor<1x8x6x25xf32>, tensor<1x8x6x25xf32>) -> tensor<1x8x6x25xf32>
// CHECK: graph.mul %{{.+}}, %{{.+}} : (tensor<1x8x6x25xf32>, tensor<8x1x1xf32>) -> tensor<1x8x6x25xf32>
// CHECK: graph.reshape %{{.+}} : (tensor<1x8x6x25xf32>) -> tensor<1x8x6x5x5xf32>
func.func @over_time(%x: tensor<1x8x6x5x5xf32>, %w: tensor<8x8x3x1x1xf32>, %r: tensor<1x8x6x5x5xf32>, %s: tensor<8x1x1x1xf32>) -> tensor<1x8x6x5x5xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1, 1>, dilations = array<i64: 1, 1, 1>, pads = affine_map<() -> (1, 0, 0)>, group = 1 : i64} : (tensor<1x8x6x5x5xf32>, tensor<8x8x3x1x1xf32>) -> tensor<1x8x6x5x5xf32>
  %1 = graph.add %0, %r : (tensor<1x8x6x5x5xf32>, tensor<1x8x6x5x5xf32>) -> tensor<1x8x6x5x5xf32>
  %2 = graph.mul %1, %s : (tensor<1x8x6x5x5xf32>, tensor<8x1x1x1xf32>) -> tensor<1x8x6x5x5xf32>
  return %2 : tensor<1x8x6x5x5xf32>
}

// Something that spreads over rows alone stays behind the reshape; two positions, two groups and filters that are an input stay as they are.
// CHECK-LABEL: func.func @stays
// CHECK: graph.reshape %{{.+}} -> tensor<1x8x6x5x5xf32>
// CHECK: graph.add %{{.+}}, %{{.+}} : (tensor<1x8x6x5x5xf32>, tensor<5x1xf32>)
// CHECK: graph.conv %{{.+}} -> tensor<1x4x2xf32>
// CHECK: graph.conv %{{.+}} -> tensor<1x4x1xf32>
// CHECK: graph.conv %{{.+}} -> tensor<1x4x1xf32>
func.func @stays(%x: tensor<1x8x6x5x5xf32>, %w: tensor<8x8x3x1x1xf32>, %rows: tensor<5x1xf32>, %y: tensor<1x8x4xf32>, %v: tensor<4x8x4xf32>)
    -> (tensor<1x8x6x5x5xf32>, tensor<1x4x2xf32>, tensor<1x4x1xf32>, tensor<1x4x1xf32>) {
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1, 1>, dilations = array<i64: 1, 1, 1>, pads = affine_map<() -> (1, 0, 0)>, group = 1 : i64} : (tensor<1x8x6x5x5xf32>, tensor<8x8x3x1x1xf32>) -> tensor<1x8x6x5x5xf32>
  %1 = graph.add %0, %rows : (tensor<1x8x6x5x5xf32>, tensor<5x1xf32>) -> tensor<1x8x6x5x5xf32>
  %f = graph.constant dense<1.0> : tensor<4x8x3xf32> : tensor<4x8x3xf32>
  %2 = graph.conv %y, %f {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (0)>, group = 1 : i64} : (tensor<1x8x4xf32>, tensor<4x8x3xf32>) -> tensor<1x4x2xf32>
  %g = graph.constant dense<1.0> : tensor<4x4x4xf32> : tensor<4x4x4xf32>
  %3 = graph.conv %y, %g {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (0)>, group = 2 : i64} : (tensor<1x8x4xf32>, tensor<4x4x4xf32>) -> tensor<1x4x1xf32>
  %4 = graph.conv %y, %v {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (0)>, group = 1 : i64} : (tensor<1x8x4xf32>, tensor<4x8x4xf32>) -> tensor<1x4x1xf32>
  return %1, %2, %3, %4 : tensor<1x8x6x5x5xf32>, tensor<1x4x2xf32>, tensor<1x4x1xf32>, tensor<1x4x1xf32>
}
