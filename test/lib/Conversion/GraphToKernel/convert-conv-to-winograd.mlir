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

// Few channels do not pay for the transforms, tiny images not for the filters.
// CHECK-LABEL: func.func @does_not_pay
// CHECK-NOT: winograd
// CHECK: return
func.func @does_not_pay(%x: tensor<1x3x28x28xf32>, %tiny: tensor<1x512x7x7xf32>) -> (tensor<1x8x28x28xf32>, tensor<1x512x7x7xf32>) {
  %few = graph.constant dense<0.5> : tensor<8x3x3x3xf32> : tensor<8x3x3x3xf32>
  %many = graph.constant dense<0.5> : tensor<512x512x3x3xf32> : tensor<512x512x3x3xf32>
  %0 = graph.conv %x, %few {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x3x28x28xf32>, tensor<8x3x3x3xf32>) -> tensor<1x8x28x28xf32>
  %1 = graph.conv %tiny, %many {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x512x7x7xf32>, tensor<512x512x3x3xf32>) -> tensor<1x512x7x7xf32>
  return %0, %1 : tensor<1x8x28x28xf32>, tensor<1x512x7x7xf32>
}

// Planes of unknown size take the form as those of 32 x 32 do.
// CHECK-LABEL: func.func @unknown_planes
// CHECK: kernel.winograd_conv %{{.+}} : (tensor<1x32x?x28xf32, {{.+}}>, tensor<4x6x6x32x12xf32>) -> tensor<1x40x?x28xf32, {{.+}}>
// CHECK: kernel.winograd_conv %{{.+}} : (tensor<1x32x?x?xf32, {{.+}}>, tensor<4x6x6x32x12xf32>) -> tensor<1x40x?x?xf32, {{.+}}>
// CHECK: graph.conv
#tall = affine_map<()[s0] -> (1, 32, s0, 28)>
#tall_result = affine_map<()[s0] -> (1, 40, s0, 28)>
#any = affine_map<()[s0, s1] -> (1, 32, s0, s1)>
#any_result = affine_map<()[s0, s1] -> (1, 40, s0, s1)>
#few = affine_map<()[s0, s1] -> (1, 3, s0, s1)>
#few_result = affine_map<()[s0, s1] -> (1, 8, s0, s1)>
func.func @unknown_planes(%x: tensor<1x32x?x28xf32, #tall>, %y: tensor<1x32x?x?xf32, #any>, %z: tensor<1x3x?x?xf32, #few>) -> (tensor<1x40x?x28xf32, #tall_result>, tensor<1x40x?x?xf32, #any_result>, tensor<1x8x?x?xf32, #few_result>) {
  %w = graph.constant dense<0.5> : tensor<40x32x3x3xf32> : tensor<40x32x3x3xf32>
  %few = graph.constant dense<0.5> : tensor<8x3x3x3xf32> : tensor<8x3x3x3xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x32x?x28xf32, #tall>, tensor<40x32x3x3xf32>) -> tensor<1x40x?x28xf32, #tall_result>
  %1 = graph.conv %y, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x32x?x?xf32, #any>, tensor<40x32x3x3xf32>) -> tensor<1x40x?x?xf32, #any_result>
  %2 = graph.conv %z, %few {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x3x?x?xf32, #few>, tensor<8x3x3x3xf32>) -> tensor<1x8x?x?xf32, #few_result>
  return %0, %1, %2 : tensor<1x40x?x28xf32, #tall_result>, tensor<1x40x?x?xf32, #any_result>, tensor<1x8x?x?xf32, #few_result>
}

// Slices of volumes are images, the taps along the depth channels of theirs.
// CHECK-LABEL: func.func @volume
// CHECK: graph.pad %{{.+}} {low = #{{.+}}, mode = {{.+}}} : (tensor<2x16x9x28x28xf32>, tensor<f32>) -> tensor<2x16x13x28x28xf32>
// CHECK: %[[X:.+]] = graph.concat %{{.+}}, %{{.+}}, %{{.+}} {axis = 3 : i64} : {{.+}} -> tensor<2x9x16x3x28x28xf32>
// CHECK: %[[I:.+]] = graph.reshape %[[X]] : (tensor<2x9x16x3x28x28xf32>) -> tensor<18x48x28x28xf32>
// CHECK: %[[W:.+]] = graph.reshape %{{.+}} : (tensor<40x16x3x3x3xf32>) -> tensor<40x48x3x3xf32>
// CHECK: %[[U:.+]] = kernel.winograd_filter %[[W]] : tensor<40x48x3x3xf32> -> tensor<4x6x6x48x12xf32>
// CHECK: %[[Y:.+]] = kernel.winograd_conv %[[I]], %[[U]] {pads = #{{.+}}} : {{.+}} -> tensor<18x40x28x28xf32>
// CHECK: %[[S:.+]] = graph.reshape %[[Y]] : (tensor<18x40x28x28xf32>) -> tensor<2x9x40x28x28xf32>
// CHECK: graph.transpose %[[S]] {perm = array<i64: 0, 2, 1, 3, 4>} : (tensor<2x9x40x28x28xf32>) -> tensor<2x40x9x28x28xf32>
func.func @volume(%x: tensor<2x16x9x28x28xf32>) -> tensor<2x40x9x28x28xf32> {
  %w = graph.constant dense<0.5> : tensor<40x16x3x3x3xf32> : tensor<40x16x3x3x3xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1, 1>, dilations = array<i64: 2, 1, 1>, pads = affine_map<() -> (2, 1, 1)>, group = 1 : i64} : (tensor<2x16x9x28x28xf32>, tensor<40x16x3x3x3xf32>) -> tensor<2x40x9x28x28xf32>
  return %0 : tensor<2x40x9x28x28xf32>
}

// Volumes whose slices are not of stride 1.
// CHECK-LABEL: func.func @strided_volume
// CHECK-NOT: winograd
// CHECK: return
func.func @strided_volume(%x: tensor<2x16x9x28x28xf32>) -> tensor<2x40x5x28x28xf32> {
  %w = graph.constant dense<0.5> : tensor<40x16x3x3x3xf32> : tensor<40x16x3x3x3xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 2, 1, 1>, dilations = array<i64: 1, 1, 1>, pads = affine_map<() -> (1, 1, 1)>, group = 1 : i64} : (tensor<2x16x9x28x28xf32>, tensor<40x16x3x3x3xf32>) -> tensor<2x40x5x28x28xf32>
  return %0 : tensor<2x40x5x28x28xf32>
}

// Channels that the filters alone know of.
// CHECK-LABEL: func.func @unknown_channels
// CHECK-NOT: winograd
// CHECK: return
#channels = affine_map<()[s0] -> (1, s0, 28, 28)>
func.func @unknown_channels(%x: tensor<1x?x28x28xf32, #channels>) -> tensor<1x40x28x28xf32> {
  %w = graph.constant dense<0.5> : tensor<40x32x3x3xf32> : tensor<40x32x3x3xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x?x28x28xf32, #channels>, tensor<40x32x3x3xf32>) -> tensor<1x40x28x28xf32>
  return %0 : tensor<1x40x28x28xf32>
}
