// Units of a pointwise convolution and of the depthwise one that alone reads its planes become one where the planes leave the second-level cache.
// RUN: %opt %s --kernel-fuse-depthwise --split-input-file | FileCheck %s
// RUN: %opt %s --kernel-fuse-depthwise=vector-bytes=32 --split-input-file | FileCheck %s --check-prefix=NARROW
// RUN: %opt %s --kernel-fuse-depthwise=cache-bytes=100000000 --split-input-file | FileCheck %s --check-prefix=LARGE

// NARROW-NOT: pointwise_depthwise
// Of planes of known size none leaves a cache of 100 MB.
// LARGE-COUNT-1: kernel.unit @{{.+}} <pointwise_depthwise>
// LARGE-NOT: pointwise_depthwise

// CHECK-LABEL: func.func @epilogues
// CHECK-NEXT: %[[Y:.+]] = kernel.launch @windows(%{{.+}}, %{{.+}}, %{{.+}}, %{{.+}}) : (tensor<1x16x112x112xf32>, tensor<96x16x1x1xf32>, tensor<96x1x1xf32>, tensor<96x1x3x3xf32>)
// CHECK-NEXT: return %[[Y]]
// CHECK-NOT: kernel.unit @pixels
// CHECK: kernel.unit @windows <pointwise_depthwise> {
// CHECK-NEXT: ^bb0(%[[X:.+]]: {{.+}}, %[[W:.+]]: {{.+}}, %[[B:.+]]: {{.+}}, %[[V:.+]]: tensor<96x1x3x3xf32>):
// CHECK-NEXT: %[[C:.+]] = graph.conv %[[X]], %[[W]]
// CHECK-NEXT: %[[D:.+]] = graph.add %[[C]], %[[B]]
// CHECK-NEXT: %[[E:.+]] = graph.conv %[[D]], %[[V]]
// CHECK-NEXT: %[[F:.+]] = graph.relu %[[E]]
// CHECK-NEXT: kernel.yield %[[F]]
#none = affine_map<() -> (0, 0)>
#one = affine_map<() -> (1, 1)>
func.func @epilogues(%x: tensor<1x16x112x112xf32>, %w: tensor<96x16x1x1xf32>, %b: tensor<96x1x1xf32>, %v: tensor<96x1x3x3xf32>) -> tensor<1x96x56x56xf32> {
  %0 = kernel.launch @pixels(%x, %w, %b) : (tensor<1x16x112x112xf32>, tensor<96x16x1x1xf32>, tensor<96x1x1xf32>) -> tensor<1x96x112x112xf32>
  %1 = kernel.launch @windows(%0, %v) : (tensor<1x96x112x112xf32>, tensor<96x1x3x3xf32>) -> tensor<1x96x56x56xf32>
  return %1 : tensor<1x96x56x56xf32>
}
kernel.unit @pixels <conv> {
^bb0(%x: tensor<1x16x112x112xf32>, %w: tensor<96x16x1x1xf32>, %b: tensor<96x1x1xf32>):
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = #none, group = 1 : i64} : (tensor<1x16x112x112xf32>, tensor<96x16x1x1xf32>) -> tensor<1x96x112x112xf32>
  %1 = graph.add %0, %b : (tensor<1x96x112x112xf32>, tensor<96x1x1xf32>) -> tensor<1x96x112x112xf32>
  kernel.yield %1 : tensor<1x96x112x112xf32>
}
kernel.unit @windows <depthwise> {
^bb0(%x: tensor<1x96x112x112xf32>, %v: tensor<96x1x3x3xf32>):
  %0 = graph.conv %x, %v {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = #one, group = 96 : i64} : (tensor<1x96x112x112xf32>, tensor<96x1x3x3xf32>) -> tensor<1x96x56x56xf32>
  %1 = graph.relu %0 : (tensor<1x96x56x56xf32>) -> tensor<1x96x56x56xf32>
  kernel.yield %1 : tensor<1x96x56x56xf32>
}

// -----

// Planes of unknown size.
// CHECK-LABEL: func.func @symbolic
// CHECK-NEXT: kernel.launch @windows(%{{.+}}, %{{.+}}, %{{.+}}) :
// CHECK: kernel.unit @windows <pointwise_depthwise>
#none = affine_map<() -> (0, 0)>
#one = affine_map<() -> (1, 1)>
#narrow = affine_map<()[s0, s1] -> (1, 16, s0, s1)>
#wide = affine_map<()[s0, s1] -> (1, 32, s0, s1)>
func.func @symbolic(%x: tensor<1x16x?x?xf32, #narrow>, %w: tensor<32x16x1x1xf32>, %v: tensor<32x1x3x3xf32>) -> tensor<1x32x?x?xf32, #wide> {
  %0 = kernel.launch @pixels(%x, %w) : (tensor<1x16x?x?xf32, #narrow>, tensor<32x16x1x1xf32>) -> tensor<1x32x?x?xf32, #wide>
  %1 = kernel.launch @windows(%0, %v) : (tensor<1x32x?x?xf32, #wide>, tensor<32x1x3x3xf32>) -> tensor<1x32x?x?xf32, #wide>
  return %1 : tensor<1x32x?x?xf32, #wide>
}
kernel.unit @pixels <conv> {
^bb0(%x: tensor<1x16x?x?xf32, #narrow>, %w: tensor<32x16x1x1xf32>):
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = #none, group = 1 : i64} : (tensor<1x16x?x?xf32, #narrow>, tensor<32x16x1x1xf32>) -> tensor<1x32x?x?xf32, #wide>
  kernel.yield %0 : tensor<1x32x?x?xf32, #wide>
}
kernel.unit @windows <depthwise> {
^bb0(%x: tensor<1x32x?x?xf32, #wide>, %v: tensor<32x1x3x3xf32>):
  %0 = graph.conv %x, %v {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = #one, group = 32 : i64} : (tensor<1x32x?x?xf32, #wide>, tensor<32x1x3x3xf32>) -> tensor<1x32x?x?xf32, #wide>
  kernel.yield %0 : tensor<1x32x?x?xf32, #wide>
}

// -----

// Planes that another launch reads, and planes that stay in the cache.
// CHECK-LABEL: func.func @apart
// CHECK-COUNT-4: kernel.launch
// CHECK-NOT: pointwise_depthwise
#none = affine_map<() -> (0, 0)>
#one = affine_map<() -> (1, 1)>
func.func @apart(%x: tensor<1x16x112x112xf32>, %w: tensor<32x16x1x1xf32>, %v: tensor<32x1x3x3xf32>, %y: tensor<1x16x20x20xf32>) -> (tensor<1x32x112x112xf32>, tensor<1x32x112x112xf32>, tensor<1x32x20x20xf32>) {
  %0 = kernel.launch @pixels(%x, %w) : (tensor<1x16x112x112xf32>, tensor<32x16x1x1xf32>) -> tensor<1x32x112x112xf32>
  %1 = kernel.launch @windows(%0, %v) : (tensor<1x32x112x112xf32>, tensor<32x1x3x3xf32>) -> tensor<1x32x112x112xf32>
  %2 = kernel.launch @few_pixels(%y, %w) : (tensor<1x16x20x20xf32>, tensor<32x16x1x1xf32>) -> tensor<1x32x20x20xf32>
  %3 = kernel.launch @few_windows(%2, %v) : (tensor<1x32x20x20xf32>, tensor<32x1x3x3xf32>) -> tensor<1x32x20x20xf32>
  return %0, %1, %3 : tensor<1x32x112x112xf32>, tensor<1x32x112x112xf32>, tensor<1x32x20x20xf32>
}
kernel.unit @pixels <conv> {
^bb0(%x: tensor<1x16x112x112xf32>, %w: tensor<32x16x1x1xf32>):
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = #none, group = 1 : i64} : (tensor<1x16x112x112xf32>, tensor<32x16x1x1xf32>) -> tensor<1x32x112x112xf32>
  kernel.yield %0 : tensor<1x32x112x112xf32>
}
kernel.unit @windows <depthwise> {
^bb0(%x: tensor<1x32x112x112xf32>, %v: tensor<32x1x3x3xf32>):
  %0 = graph.conv %x, %v {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = #one, group = 32 : i64} : (tensor<1x32x112x112xf32>, tensor<32x1x3x3xf32>) -> tensor<1x32x112x112xf32>
  kernel.yield %0 : tensor<1x32x112x112xf32>
}
kernel.unit @few_pixels <conv> {
^bb0(%x: tensor<1x16x20x20xf32>, %w: tensor<32x16x1x1xf32>):
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = #none, group = 1 : i64} : (tensor<1x16x20x20xf32>, tensor<32x16x1x1xf32>) -> tensor<1x32x20x20xf32>
  kernel.yield %0 : tensor<1x32x20x20xf32>
}
kernel.unit @few_windows <depthwise> {
^bb0(%x: tensor<1x32x20x20xf32>, %v: tensor<32x1x3x3xf32>):
  %0 = graph.conv %x, %v {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = #one, group = 32 : i64} : (tensor<1x32x20x20xf32>, tensor<32x1x3x3xf32>) -> tensor<1x32x20x20xf32>
  kernel.yield %0 : tensor<1x32x20x20xf32>
}

// -----

// An epilogue of the size of the planes, several output channels for each input channel.
// CHECK-LABEL: func.func @others
// CHECK-COUNT-3: kernel.launch
// CHECK-NOT: pointwise_depthwise
#none = affine_map<() -> (0, 0)>
#one = affine_map<() -> (1, 1)>
func.func @others(%x: tensor<1x16x112x112xf32>, %w: tensor<32x16x1x1xf32>, %image: tensor<1x32x112x112xf32>, %v: tensor<32x1x3x3xf32>, %u: tensor<64x1x3x3xf32>) -> (tensor<1x32x112x112xf32>, tensor<1x64x112x112xf32>) {
  %0 = kernel.launch @pixels(%x, %w, %image) : (tensor<1x16x112x112xf32>, tensor<32x16x1x1xf32>, tensor<1x32x112x112xf32>) -> tensor<1x32x112x112xf32>
  %1 = kernel.launch @windows(%0, %v) : (tensor<1x32x112x112xf32>, tensor<32x1x3x3xf32>) -> tensor<1x32x112x112xf32>
  %2 = kernel.launch @twice(%1, %u) : (tensor<1x32x112x112xf32>, tensor<64x1x3x3xf32>) -> tensor<1x64x112x112xf32>
  return %1, %2 : tensor<1x32x112x112xf32>, tensor<1x64x112x112xf32>
}
kernel.unit @pixels <conv> {
^bb0(%x: tensor<1x16x112x112xf32>, %w: tensor<32x16x1x1xf32>, %image: tensor<1x32x112x112xf32>):
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = #none, group = 1 : i64} : (tensor<1x16x112x112xf32>, tensor<32x16x1x1xf32>) -> tensor<1x32x112x112xf32>
  %1 = graph.add %0, %image : (tensor<1x32x112x112xf32>, tensor<1x32x112x112xf32>) -> tensor<1x32x112x112xf32>
  kernel.yield %1 : tensor<1x32x112x112xf32>
}
kernel.unit @windows <depthwise> {
^bb0(%x: tensor<1x32x112x112xf32>, %v: tensor<32x1x3x3xf32>):
  %0 = graph.conv %x, %v {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = #one, group = 32 : i64} : (tensor<1x32x112x112xf32>, tensor<32x1x3x3xf32>) -> tensor<1x32x112x112xf32>
  kernel.yield %0 : tensor<1x32x112x112xf32>
}
kernel.unit @twice <depthwise> {
^bb0(%x: tensor<1x32x112x112xf32>, %v: tensor<64x1x3x3xf32>):
  %0 = graph.conv %x, %v {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = #one, group = 32 : i64} : (tensor<1x32x112x112xf32>, tensor<64x1x3x3xf32>) -> tensor<1x64x112x112xf32>
  kernel.yield %0 : tensor<1x64x112x112xf32>
}

// -----

// Products of many channels hide what planes cost.
// CHECK-LABEL: func.func @near
// CHECK-COUNT-2: kernel.launch
// CHECK-NOT: pointwise_depthwise
#none = affine_map<() -> (0, 0)>
#one = affine_map<() -> (1, 1)>
func.func @near(%x: tensor<1x64x80x80xf32>, %w: tensor<64x64x1x1xf32>, %v: tensor<64x1x3x3xf32>) -> tensor<1x64x80x80xf32> {
  %0 = kernel.launch @pixels(%x, %w) : (tensor<1x64x80x80xf32>, tensor<64x64x1x1xf32>) -> tensor<1x64x80x80xf32>
  %1 = kernel.launch @windows(%0, %v) : (tensor<1x64x80x80xf32>, tensor<64x1x3x3xf32>) -> tensor<1x64x80x80xf32>
  return %1 : tensor<1x64x80x80xf32>
}
kernel.unit @pixels <conv> {
^bb0(%x: tensor<1x64x80x80xf32>, %w: tensor<64x64x1x1xf32>):
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = #none, group = 1 : i64} : (tensor<1x64x80x80xf32>, tensor<64x64x1x1xf32>) -> tensor<1x64x80x80xf32>
  kernel.yield %0 : tensor<1x64x80x80xf32>
}
kernel.unit @windows <depthwise> {
^bb0(%x: tensor<1x64x80x80xf32>, %v: tensor<64x1x3x3xf32>):
  %0 = graph.conv %x, %v {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = #one, group = 64 : i64} : (tensor<1x64x80x80xf32>, tensor<64x1x3x3xf32>) -> tensor<1x64x80x80xf32>
  kernel.yield %0 : tensor<1x64x80x80xf32>
}
