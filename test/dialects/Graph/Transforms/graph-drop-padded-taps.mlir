// Taps that read nothing but padding leave the filter.
// RUN: %opt %s --graph-drop-padded-taps | FileCheck %s

// CHECK-DAG: #[[NONE:.+]] = affine_map<() -> (0, 0)>
// CHECK-DAG: #[[CENTRE:.+]] = affine_map<() -> (0, 0, 1, 1)>
// CHECK-DAG: #[[LINE:.+]] = affine_map<() -> (4)>
// CHECK-DAG: #[[FIRST:.+]] = affine_map<() -> (0, 0, 0)>

// CHECK-LABEL: func.func @pyramid
// CHECK-SAME: %[[X:[^:]+]]: tensor<1x2x16x16xf32>
// CHECK: %[[FILTER:.+]] = graph.slice %{{.+}} {starts = #[[CENTRE]], steps = array<i64: 1, 1, 1, 1>} : (tensor<4x2x3x3xf32>) -> tensor<4x2x1x1xf32>
// CHECK: graph.conv %[[X]], %[[FILTER]] {{.*}}pads = #[[NONE]]
func.func @pyramid(%x: tensor<1x2x16x16xf32>) -> tensor<1x4x16x16xf32> {
  %w = graph.constant dense<1.0> : tensor<4x2x3x3xf32> : tensor<4x2x3x3xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 24, 24>, pads = affine_map<() -> (24, 24)>, group = 1 : i64} : (tensor<1x2x16x16xf32>, tensor<4x2x3x3xf32>) -> tensor<1x4x16x16xf32>
  return %0 : tensor<1x4x16x16xf32>
}

// Positions 0, 6 and 12 read the elements -4, 2 and 8 by the first tap, 6, 12 and 18 by the last of six.
// CHECK-LABEL: func.func @steps
// CHECK: graph.slice %{{.+}} {starts = #[[FIRST]], {{.*}} : (tensor<4x2x6xf32>) -> tensor<4x2x5xf32>
// CHECK: graph.conv {{.*}}pads = #[[LINE]]
func.func @steps(%x: tensor<1x2x6xf32>) -> tensor<1x4x3xf32> {
  %w = graph.constant dense<1.0> : tensor<4x2x6xf32> : tensor<4x2x6xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 6>, dilations = array<i64: 2>, pads = affine_map<() -> (4)>, group = 1 : i64} : (tensor<1x2x6xf32>, tensor<4x2x6xf32>) -> tensor<1x4x3xf32>
  return %0 : tensor<1x4x3xf32>
}

// Each tap reads the image somewhere; without the first tap windows would begin at element 4; sizes that are not known; a filter that a run computes.
// CHECK-LABEL: func.func @stays
// CHECK-NOT: graph.slice
func.func @stays(%x: tensor<1x2x16xf32>, %n: tensor<1x2x?xf32, affine_map<()[s0] -> (1, 2, s0)>>, %v: tensor<4x2x3xf32>)
    -> (tensor<1x4x16xf32>, tensor<1x4x8xf32>, tensor<1x4x?xf32, affine_map<()[s0] -> (1, 4, s0)>>, tensor<1x4x16xf32>) {
  %w = graph.constant dense<1.0> : tensor<4x2x3xf32> : tensor<4x2x3xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 12>, pads = affine_map<() -> (12)>, group = 1 : i64} : (tensor<1x2x16xf32>, tensor<4x2x3xf32>) -> tensor<1x4x16xf32>
  %pair = graph.constant dense<1.0> : tensor<4x2x2xf32> : tensor<4x2x2xf32>
  %1 = graph.conv %x, %pair {strides = array<i64: 1>, dilations = array<i64: 24>, pads = affine_map<() -> (20)>, group = 1 : i64} : (tensor<1x2x16xf32>, tensor<4x2x2xf32>) -> tensor<1x4x8xf32>
  %2 = graph.conv %n, %w {strides = array<i64: 1>, dilations = array<i64: 24>, pads = affine_map<() -> (24)>, group = 1 : i64} : (tensor<1x2x?xf32, affine_map<()[s0] -> (1, 2, s0)>>, tensor<4x2x3xf32>) -> tensor<1x4x?xf32, affine_map<()[s0] -> (1, 4, s0)>>
  %3 = graph.conv %x, %v {strides = array<i64: 1>, dilations = array<i64: 24>, pads = affine_map<() -> (24)>, group = 1 : i64} : (tensor<1x2x16xf32>, tensor<4x2x3xf32>) -> tensor<1x4x16xf32>
  return %0, %1, %2, %3 : tensor<1x4x16xf32>, tensor<1x4x8xf32>, tensor<1x4x?xf32, affine_map<()[s0] -> (1, 4, s0)>>, tensor<1x4x16xf32>
}
