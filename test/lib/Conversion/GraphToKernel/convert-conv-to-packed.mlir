// Convolutions over small planes with constant filters get packed ones; others stay.
// RUN: %opt %s --convert-conv-to-packed | FileCheck %s
// RUN: %opt %s --convert-conv-to-packed --convert-graph-to-kernel | FileCheck %s --check-prefix=UNITS

// CHECK-LABEL: func.func @one_tap
// CHECK: %[[M:.+]] = graph.reshape %{{.+}} : (tensor<40x64x1x1xf32>) -> tensor<40x64xf32>
// CHECK: %[[T:.+]] = graph.transpose %[[M]] {perm = array<i64: 1, 0>} : (tensor<40x64xf32>) -> tensor<64x40xf32>
// CHECK: %[[P:.+]] = kernel.pack %[[T]] : tensor<64x40xf32> -> tensor<3x64x16xf32>
// CHECK: kernel.packed_conv %{{.+}}, %[[P]] {dilations = array<i64: 1, 1>, kernel = array<i64: 1, 1>, pads = #{{.+}}, strides = array<i64: 1, 1>} : (tensor<?x64x7x7xf32, {{.+}}>, tensor<3x64x16xf32>)
// Filters, scaled or not, are packed at compile time.
// UNITS-LABEL: func.func @one_tap
// UNITS: %[[P:.+]] = kernel.launch @{{.+}}(%{{.+}}) {constant} : {{.+}} -> tensor<3x64x16xf32>
// UNITS: kernel.launch @{{.+}}(%{{.+}}, %[[P]]) : (
#batch = affine_map<()[s0] -> (s0, 64, 7, 7)>
#result = affine_map<()[s0] -> (s0, 40, 7, 7)>
func.func @one_tap(%x: tensor<?x64x7x7xf32, #batch>) -> tensor<?x40x7x7xf32, #result> {
  %w = graph.constant dense<0.5> : tensor<40x64x1x1xf32> : tensor<40x64x1x1xf32>
  %s = graph.constant dense<2.0> : tensor<40x1x1x1xf32> : tensor<40x1x1x1xf32>
  %scaled = graph.mul %w, %s : (tensor<40x64x1x1xf32>, tensor<40x1x1x1xf32>) -> tensor<40x64x1x1xf32>
  %0 = graph.conv %x, %scaled {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<?x64x7x7xf32, #batch>, tensor<40x64x1x1xf32>) -> tensor<?x40x7x7xf32, #result>
  return %0 : tensor<?x40x7x7xf32, #result>
}

// Windows, strides, one or three dims.
// CHECK-LABEL: func.func @windows
// CHECK: kernel.pack %{{.+}} : tensor<180x96xf32> -> tensor<6x180x16xf32>
// CHECK: kernel.packed_conv {{.+}} {dilations = array<i64: 2, 1>, kernel = array<i64: 3, 3>, pads = #{{.+}}, strides = array<i64: 1, 2>}
// CHECK: kernel.packed_conv {{.+}} kernel = array<i64: 5>
// CHECK: kernel.packed_conv {{.+}} kernel = array<i64: 2, 2, 2>
func.func @windows(%x: tensor<1x20x14x14xf32>, %y: tensor<1x20x50xf32>, %z: tensor<1x20x4x4x4xf32>) -> (tensor<1x96x12x7xf32>, tensor<1x96x46xf32>, tensor<1x96x3x3x3xf32>) {
  %w = graph.constant dense<0.5> : tensor<96x20x3x3xf32> : tensor<96x20x3x3xf32>
  %v = graph.constant dense<0.5> : tensor<96x20x5xf32> : tensor<96x20x5xf32>
  %u = graph.constant dense<0.5> : tensor<96x20x2x2x2xf32> : tensor<96x20x2x2x2xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 2>, dilations = array<i64: 2, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x20x14x14xf32>, tensor<96x20x3x3xf32>) -> tensor<1x96x12x7xf32>
  %1 = graph.conv %y, %v {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (0)>, group = 1 : i64} : (tensor<1x20x50xf32>, tensor<96x20x5xf32>) -> tensor<1x96x46xf32>
  %2 = graph.conv %z, %u {strides = array<i64: 1, 1, 1>, dilations = array<i64: 1, 1, 1>, pads = affine_map<() -> (0, 0, 0)>, group = 1 : i64} : (tensor<1x20x4x4x4xf32>, tensor<96x20x2x2x2xf32>) -> tensor<1x96x3x3x3xf32>
  return %0, %1, %2 : tensor<1x96x12x7xf32>, tensor<1x96x46xf32>, tensor<1x96x3x3x3xf32>
}

// Filters of each run, groups, doubles.
// CHECK-LABEL: func.func @others
// CHECK-NOT: packed_conv
// CHECK: return
func.func @others(%x: tensor<1x64x7x7xf32>, %w: tensor<40x64x1x1xf32>, %d: tensor<1x64x7x7xf64>) -> (tensor<1x40x7x7xf32>, tensor<1x128x7x7xf32>, tensor<1x40x7x7xf64>) {
  %half = graph.constant dense<0.5> : tensor<128x32x1x1xf32> : tensor<128x32x1x1xf32>
  %wide = graph.constant dense<0.5> : tensor<40x64x1x1xf64> : tensor<40x64x1x1xf64>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x64x7x7xf32>, tensor<40x64x1x1xf32>) -> tensor<1x40x7x7xf32>
  %1 = graph.conv %x, %half {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 2 : i64} : (tensor<1x64x7x7xf32>, tensor<128x32x1x1xf32>) -> tensor<1x128x7x7xf32>
  %2 = graph.conv %d, %wide {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x64x7x7xf64>, tensor<40x64x1x1xf64>) -> tensor<1x40x7x7xf64>
  return %0, %1, %2 : tensor<1x40x7x7xf32>, tensor<1x128x7x7xf32>, tensor<1x40x7x7xf64>
}

// Large planes, planes of unknown size, short sums, few output channels.
// CHECK-LABEL: func.func @does_not_pay
// CHECK-NOT: packed_conv
// CHECK: return
#unknown = affine_map<()[s0] -> (1, 64, s0, 7)>
#unknown_result = affine_map<()[s0] -> (1, 40, s0, 7)>
func.func @does_not_pay(%x: tensor<1x64x28x28xf32>, %y: tensor<1x64x?x7xf32, #unknown>, %z: tensor<1x16x7x7xf32>, %small: tensor<1x64x7x7xf32>)
    -> (tensor<1x40x28x28xf32>, tensor<1x40x?x7xf32, #unknown_result>, tensor<1x40x7x7xf32>, tensor<1x24x7x7xf32>, tensor<1x40x4x4xf32>) {
  %w = graph.constant dense<0.5> : tensor<40x64x1x1xf32> : tensor<40x64x1x1xf32>
  %short = graph.constant dense<0.5> : tensor<40x16x1x1xf32> : tensor<40x16x1x1xf32>
  %few = graph.constant dense<0.5> : tensor<24x64x1x1xf32> : tensor<24x64x1x1xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x64x28x28xf32>, tensor<40x64x1x1xf32>) -> tensor<1x40x28x28xf32>
  %1 = graph.conv %y, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x64x?x7xf32, #unknown>, tensor<40x64x1x1xf32>) -> tensor<1x40x?x7xf32, #unknown_result>
  %2 = graph.conv %z, %short {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x16x7x7xf32>, tensor<40x16x1x1xf32>) -> tensor<1x40x7x7xf32>
  %3 = graph.conv %small, %few {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x64x7x7xf32>, tensor<24x64x1x1xf32>) -> tensor<1x24x7x7xf32>
  %4 = graph.conv %small, %w {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x64x7x7xf32>, tensor<40x64x1x1xf32>) -> tensor<1x40x4x4xf32>
  return %0, %1, %2, %3, %4 : tensor<1x40x28x28xf32>, tensor<1x40x?x7xf32, #unknown_result>, tensor<1x40x7x7xf32>, tensor<1x24x7x7xf32>, tensor<1x40x4x4xf32>
}

// Lines of unknown length, with strides and without; not of short sums, few output channels or unknown padding.
// CHECK-LABEL: func.func @lines
// CHECK-COUNT-2: kernel.packed_conv
// CHECK-COUNT-3: graph.conv
// CHECK: return
#line = affine_map<()[s0] -> (1, 64, s0)>
#line_result = affine_map<()[s0] -> (1, 64, s0)>
#halved = affine_map<()[s0] -> (1, 64, (s0 + 1) floordiv 2)>
#few = affine_map<()[s0] -> (1, 40, s0)>
#padded = affine_map<()[s0, s1] -> (1, 64, s0 + s1 - 2)>
func.func @lines(%x: tensor<1x64x?xf32, #line>) -> (tensor<1x64x?xf32, #line_result>, tensor<1x64x?xf32, #halved>, tensor<1x64x?xf32, #line_result>, tensor<1x40x?xf32, #few>, tensor<1x64x?xf32, #padded>) {
  %w = graph.constant dense<0.5> : tensor<64x64x3xf32> : tensor<64x64x3xf32>
  %short = graph.constant dense<0.5> : tensor<64x64x1xf32> : tensor<64x64x1xf32>
  %narrow = graph.constant dense<0.5> : tensor<40x64x3xf32> : tensor<40x64x3xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (1)>, group = 1 : i64} : (tensor<1x64x?xf32, #line>, tensor<64x64x3xf32>) -> tensor<1x64x?xf32, #line_result>
  %1 = graph.conv %x, %w {strides = array<i64: 2>, dilations = array<i64: 1>, pads = affine_map<() -> (1)>, group = 1 : i64} : (tensor<1x64x?xf32, #line>, tensor<64x64x3xf32>) -> tensor<1x64x?xf32, #halved>
  %2 = graph.conv %x, %short {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (0)>, group = 1 : i64} : (tensor<1x64x?xf32, #line>, tensor<64x64x1xf32>) -> tensor<1x64x?xf32, #line_result>
  %3 = graph.conv %x, %narrow {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (1)>, group = 1 : i64} : (tensor<1x64x?xf32, #line>, tensor<40x64x3xf32>) -> tensor<1x40x?xf32, #few>
  %4 = graph.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<()[s0, s1] -> (s1)>, group = 1 : i64} : (tensor<1x64x?xf32, #line>, tensor<64x64x3xf32>) -> tensor<1x64x?xf32, #padded>
  return %0, %1, %2, %3, %4 : tensor<1x64x?xf32, #line_result>, tensor<1x64x?xf32, #halved>, tensor<1x64x?xf32, #line_result>, tensor<1x40x?xf32, #few>, tensor<1x64x?xf32, #padded>
}
