// Positions that a slice drops are left out of the convolution in front of it.
// RUN: %opt %s --graph-fold-slice | FileCheck %s

// CHECK-DAG: #[[FOUR:.+]] = affine_map<() -> (4)>
// CHECK-DAG: #[[ONE:.+]] = affine_map<() -> (1)>

// A causal network pads on both sides and drops the end; the bias and the activation are computed on what is left.
// CHECK-LABEL: func.func @causal
// CHECK-NOT: graph.slice
// CHECK: graph.conv %{{.+}}, %{{.+}} {{.*}}pads = #[[FOUR]]{{.*}} -> tensor<1x8x20xf32>
// CHECK: graph.add %{{.+}}, %{{.+}} : (tensor<1x8x20xf32>, tensor<8x1xf32>) -> tensor<1x8x20xf32>
// CHECK: graph.relu %{{.+}} -> tensor<1x8x20xf32>
func.func @causal(%x: tensor<1x8x20xf32>, %w: tensor<8x8x3xf32>, %b: tensor<8x1xf32>) -> tensor<1x8x20xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 2>, pads = affine_map<() -> (4)>, group = 1 : i64} : (tensor<1x8x20xf32>, tensor<8x8x3xf32>) -> tensor<1x8x24xf32>
  %1 = graph.add %0, %b : (tensor<1x8x24xf32>, tensor<8x1xf32>) -> tensor<1x8x24xf32>
  %2 = graph.relu %1 : (tensor<1x8x24xf32>) -> tensor<1x8x24xf32>
  %3 = graph.slice %2 {starts = affine_map<() -> (0, 0, 0)>, steps = array<i64: 1, 1, 1>} : (tensor<1x8x24xf32>) -> tensor<1x8x20xf32>
  return %3 : tensor<1x8x20xf32>
}

// Positions before the first one go with the pads of as many strides; a step multiplies the strides.
// CHECK-LABEL: func.func @begins_later
// CHECK-NOT: graph.slice
// CHECK: graph.conv %{{.+}}, %{{.+}} {{.*}}pads = #[[ONE]], strides = array<i64: 6>{{.*}} -> tensor<1x8x2xf32>
func.func @begins_later(%x: tensor<1x8x20xf32>, %w: tensor<8x8x3xf32>) -> tensor<1x8x2xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 2>, dilations = array<i64: 1>, pads = affine_map<() -> (3)>, group = 1 : i64} : (tensor<1x8x20xf32>, tensor<8x8x3xf32>) -> tensor<1x8x11xf32>
  %1 = graph.slice %0 {starts = affine_map<() -> (0, 0, 1)>, steps = array<i64: 1, 1, 3>} : (tensor<1x8x11xf32>) -> tensor<1x8x2xf32>
  return %1 : tensor<1x8x2xf32>
}

// CHECK-LABEL: func.func @symbolic
// CHECK-NOT: graph.slice
// CHECK: graph.conv %{{.+}}, %{{.+}} {{.*}}pads = #[[FOUR]]{{.*}} -> tensor<1x8x?xf32
func.func @symbolic(%x: tensor<1x8x?xf32, affine_map<()[s0] -> (1, 8, s0)>>, %w: tensor<8x8x3xf32>) -> tensor<1x8x?xf32, affine_map<()[s0] -> (1, 8, s0)>> {
  %0 = graph.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 2>, pads = affine_map<() -> (4)>, group = 1 : i64} : (tensor<1x8x?xf32, affine_map<()[s0] -> (1, 8, s0)>>, tensor<8x8x3xf32>) -> tensor<1x8x?xf32, affine_map<()[s0] -> (1, 8, s0 + 4)>>
  %1 = graph.slice %0 {starts = affine_map<() -> (0, 0, 0)>, steps = array<i64: 1, 1, 1>} : (tensor<1x8x?xf32, affine_map<()[s0] -> (1, 8, s0 + 4)>>) -> tensor<1x8x?xf32, affine_map<()[s0] -> (1, 8, s0)>>
  return %1 : tensor<1x8x?xf32, affine_map<()[s0] -> (1, 8, s0)>>
}

// Behind the pads, backwards, over channels, with another reader, and with something of its own for each position: the slices stay.
// CHECK-LABEL: func.func @stays
// CHECK-COUNT-5: graph.slice
func.func @stays(%x: tensor<1x8x20xf32>, %w: tensor<8x8x3xf32>, %y: tensor<20xf32>) -> (tensor<1x8x17xf32>, tensor<1x8x20xf32>, tensor<1x4x20xf32>, tensor<1x8x20xf32>, tensor<1x8x18xf32>, tensor<1x8x18xf32>) {
  %0 = graph.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (1)>, group = 1 : i64} : (tensor<1x8x20xf32>, tensor<8x8x3xf32>) -> tensor<1x8x20xf32>
  %1 = graph.slice %0 {starts = affine_map<() -> (0, 0, 2)>, steps = array<i64: 1, 1, 1>} : (tensor<1x8x20xf32>) -> tensor<1x8x17xf32>
  %2 = graph.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (1)>, group = 1 : i64} : (tensor<1x8x20xf32>, tensor<8x8x3xf32>) -> tensor<1x8x20xf32>
  %3 = graph.slice %2 {starts = affine_map<() -> (0, 0, 19)>, steps = array<i64: 1, 1, -1>} : (tensor<1x8x20xf32>) -> tensor<1x8x20xf32>
  %4 = graph.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (1)>, group = 1 : i64} : (tensor<1x8x20xf32>, tensor<8x8x3xf32>) -> tensor<1x8x20xf32>
  %5 = graph.slice %4 {starts = affine_map<() -> (0, 0, 0)>, steps = array<i64: 1, 1, 1>} : (tensor<1x8x20xf32>) -> tensor<1x4x20xf32>
  %6 = graph.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (1)>, group = 1 : i64} : (tensor<1x8x20xf32>, tensor<8x8x3xf32>) -> tensor<1x8x20xf32>
  %7 = graph.slice %6 {starts = affine_map<() -> (0, 0, 0)>, steps = array<i64: 1, 1, 1>} : (tensor<1x8x20xf32>) -> tensor<1x8x18xf32>
  %8 = graph.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (1)>, group = 1 : i64} : (tensor<1x8x20xf32>, tensor<8x8x3xf32>) -> tensor<1x8x20xf32>
  %9 = graph.add %8, %y : (tensor<1x8x20xf32>, tensor<20xf32>) -> tensor<1x8x20xf32>
  %10 = graph.slice %9 {starts = affine_map<() -> (0, 0, 0)>, steps = array<i64: 1, 1, 1>} : (tensor<1x8x20xf32>) -> tensor<1x8x18xf32>
  return %1, %3, %5, %6, %7, %10 : tensor<1x8x17xf32>, tensor<1x8x20xf32>, tensor<1x4x20xf32>, tensor<1x8x20xf32>, tensor<1x8x18xf32>, tensor<1x8x18xf32>
}
