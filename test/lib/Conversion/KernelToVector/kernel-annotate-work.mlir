// Units state their work items, scalar operations and scratch; nothing else changes.
// RUN: %opt %s --kernel-annotate-work | FileCheck %s

// CHECK-DAG: #[[NONE:.+]] = affine_map<() -> (0)>
// CHECK-DAG: #[[FOUR:.+]] = affine_map<() -> (4)>

// CHECK: kernel.unit @fixed <map> attributes {items = #{{.+}}, operations = #{{.+}}, scratch = #[[NONE]]} {
// CHECK-NEXT: ^bb0(%{{.+}}: tensor<8xf32>):
// CHECK-NEXT: %{{.+}} = graph.relu
kernel.unit @fixed <map> {
^bb0(%x: tensor<8xf32>):
  %0 = graph.relu %x : (tensor<8xf32>) -> tensor<8xf32>
  kernel.yield %0 : tensor<8xf32>
}

#n = affine_map<()[s0] -> (s0)>
// CHECK: kernel.unit @symbolic <map> attributes {items = #{{.+}}, operations = #{{.+}}, scratch = #[[NONE]]} {
kernel.unit @symbolic <map> {
^bb0(%x: tensor<?xf32, #n>):
  %0 = graph.relu %x : (tensor<?xf32, #n>) -> tensor<?xf32, #n>
  kernel.yield %0 : tensor<?xf32, #n>
}

// CHECK: kernel.unit @product <gemm> attributes {items = #{{.+}}, operations = #{{.+}}, scratch = #{{.+}}} {
kernel.unit @product <gemm> {
^bb0(%a: tensor<4x8xf32>, %p: tensor<2x8x16xf32>):
  %0 = kernel.gemm %a, %p : (tensor<4x8xf32>, tensor<2x8x16xf32>) -> tensor<4x32xf32>
  kernel.yield %0 : tensor<4x32xf32>
}

// A product has an item for each pair of panels.
// CHECK: kernel.unit @several <gemm> attributes {items = #[[FOUR]], operations
kernel.unit @several <gemm> {
^bb0(%a: tensor<5x8xf32>, %p: tensor<8x8x16xf32>):
  %0 = kernel.gemm %a, %p : (tensor<5x8xf32>, tensor<8x8x16xf32>) -> tensor<5x128xf32>
  kernel.yield %0 : tensor<5x128xf32>
}

// Blocks of output channels read pixels that are gathered once: shares are cut between them.
// CHECK: kernel.unit @blocks <conv> attributes {grain = #[[FOUR]], items
kernel.unit @blocks <conv> {
^bb0(%x: tensor<1x64x8x8xf32>, %w: tensor<384x64x3x3xf32>):
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x64x8x8xf32>, tensor<384x64x3x3xf32>) -> tensor<1x384x8x8xf32>
  kernel.yield %0 : tensor<1x384x8x8xf32>
}
