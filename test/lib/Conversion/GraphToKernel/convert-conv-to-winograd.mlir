// Convolutions of 3 x 3 with constant filters take Winograd's form where it pays; others stay.
// RUN: %opt %s --convert-conv-to-winograd | FileCheck %s
// RUN: %opt %s --convert-conv-to-winograd=tile-rows=6 | FileCheck %s --check-prefix=NARROW
// RUN: %opt %s --convert-conv-to-winograd --convert-graph-to-kernel | FileCheck %s --check-prefix=UNITS

// CHECK-LABEL: func.func @pays
// CHECK: %[[U:.+]] = kernel.winograd_filter %{{.+}} : tensor<40x32x3x3xf32> -> tensor<4x6x6x32x12xf32>
// CHECK: kernel.winograd_conv %{{.+}}, %[[U]] {pads = #{{.+}}} : (tensor<?x32x28x28xf32, {{.+}}>, tensor<4x6x6x32x12xf32>)
// NARROW-LABEL: func.func @pays
// NARROW: kernel.winograd_filter %{{.+}} : tensor<40x32x3x3xf32> -> tensor<7x6x6x32x6xf32>
// The filter, scaled or not, is transformed at compile time.
// UNITS-LABEL: func.func @pays
// UNITS: %[[S:.+]] = kernel.launch {{.+}} {constant} : {{.+}} -> tensor<40x32x3x3xf32>
// UNITS: %[[U:.+]] = kernel.launch @{{.+}}(%[[S]]) {constant} : {{.+}} -> tensor<4x6x6x32x12xf32>
// UNITS: kernel.launch @{{.+}}(%{{.+}}, %[[U]]) : (
#batch = affine_map<()[s0] -> (s0, 32, 28, 28)>
#result = affine_map<()[s0] -> (s0, 40, 28, 28)>
func.func @pays(%x: tensor<?x32x28x28xf32, #batch>) -> tensor<?x40x28x28xf32, #result> {
  %w = graph.constant dense<0.5> : tensor<40x32x3x3xf32> : tensor<40x32x3x3xf32>
  %s = graph.constant dense<2.0> : tensor<40x1x1x1xf32> : tensor<40x1x1x1xf32>
  %scaled = graph.mul %w, %s : (tensor<40x32x3x3xf32>, tensor<40x1x1x1xf32>) -> tensor<40x32x3x3xf32>
  %0 = graph.conv %x, %scaled {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<?x32x28x28xf32, #batch>, tensor<40x32x3x3xf32>) -> tensor<?x40x28x28xf32, #result>
  return %0 : tensor<?x40x28x28xf32, #result>
}

// Filters that are computed in each run.
// CHECK-LABEL: func.func @changing_filter
// CHECK-NOT: winograd
// CHECK: return
func.func @changing_filter(%x: tensor<1x32x28x28xf32>, %w: tensor<40x32x3x3xf32>) -> tensor<1x40x26x26xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x32x28x28xf32>, tensor<40x32x3x3xf32>) -> tensor<1x40x26x26xf32>
  return %0 : tensor<1x40x26x26xf32>
}

// Strides, dilations, groups, other windows, other types.
// CHECK-LABEL: func.func @others
// CHECK-NOT: winograd
// CHECK: return
func.func @others(%x: tensor<1x32x28x28xf32>, %d: tensor<1x32x28x28xf64>) -> (tensor<1x40x14x14xf32>, tensor<1x40x24x24xf32>, tensor<1x40x26x26xf32>, tensor<1x40x24x24xf32>, tensor<1x40x26x26xf64>) {
  %w = graph.constant dense<0.5> : tensor<40x32x3x3xf32> : tensor<40x32x3x3xf32>
  %half = graph.constant dense<0.5> : tensor<40x16x3x3xf32> : tensor<40x16x3x3xf32>
  %five = graph.constant dense<0.5> : tensor<40x32x5x5xf32> : tensor<40x32x5x5xf32>
  %wide = graph.constant dense<0.5> : tensor<40x32x3x3xf64> : tensor<40x32x3x3xf64>
  %0 = graph.conv %x, %w {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x32x28x28xf32>, tensor<40x32x3x3xf32>) -> tensor<1x40x14x14xf32>
  %1 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 2, 2>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x32x28x28xf32>, tensor<40x32x3x3xf32>) -> tensor<1x40x24x24xf32>
  %2 = graph.conv %x, %half {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 2 : i64} : (tensor<1x32x28x28xf32>, tensor<40x16x3x3xf32>) -> tensor<1x40x26x26xf32>
  %3 = graph.conv %x, %five {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x32x28x28xf32>, tensor<40x32x5x5xf32>) -> tensor<1x40x24x24xf32>
  %4 = graph.conv %d, %wide {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x32x28x28xf64>, tensor<40x32x3x3xf64>) -> tensor<1x40x26x26xf64>
  return %0, %1, %2, %3, %4 : tensor<1x40x14x14xf32>, tensor<1x40x24x24xf32>, tensor<1x40x26x26xf32>, tensor<1x40x24x24xf32>, tensor<1x40x26x26xf64>
}

// Few channels do not pay for the transforms, tiny images not for the filters; nothing is known of planes whose size is not.
// CHECK-LABEL: func.func @does_not_pay
// CHECK-NOT: winograd
// CHECK: return
#unknown = affine_map<()[s0] -> (1, 32, s0, 28)>
#unknown_result = affine_map<()[s0] -> (1, 40, s0, 28)>
func.func @does_not_pay(%x: tensor<1x3x28x28xf32>, %tiny: tensor<1x512x7x7xf32>, %y: tensor<1x32x?x28xf32, #unknown>) -> (tensor<1x8x28x28xf32>, tensor<1x512x7x7xf32>, tensor<1x40x?x28xf32, #unknown_result>) {
  %few = graph.constant dense<0.5> : tensor<8x3x3x3xf32> : tensor<8x3x3x3xf32>
  %many = graph.constant dense<0.5> : tensor<512x512x3x3xf32> : tensor<512x512x3x3xf32>
  %w = graph.constant dense<0.5> : tensor<40x32x3x3xf32> : tensor<40x32x3x3xf32>
  %0 = graph.conv %x, %few {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x3x28x28xf32>, tensor<8x3x3x3xf32>) -> tensor<1x8x28x28xf32>
  %1 = graph.conv %tiny, %many {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x512x7x7xf32>, tensor<512x512x3x3xf32>) -> tensor<1x512x7x7xf32>
  %2 = graph.conv %y, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x32x?x28xf32, #unknown>, tensor<40x32x3x3xf32>) -> tensor<1x40x?x28xf32, #unknown_result>
  return %0, %1, %2 : tensor<1x8x28x28xf32>, tensor<1x512x7x7xf32>, tensor<1x40x?x28xf32, #unknown_result>
}
