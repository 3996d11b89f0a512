// Adjacent dims that every tensor of an elementwise unit walks alike become one; the order of elements stays.
// RUN: %opt %s --kernel-collapse-dims | FileCheck %s

// CHECK: kernel.unit @row <map> {
// CHECK-NEXT: ^bb0(%[[X:.+]]: tensor<20x6xf32>, %[[Y:.+]]: tensor<1x6xf32>):
// CHECK-NEXT: %{{.+}} = graph.add %[[X]], %[[Y]] : (tensor<20x6xf32>, tensor<1x6xf32>) -> tensor<20x6xf32>
kernel.unit @row <map> {
^bb0(%x: tensor<4x5x6xf32>, %y: tensor<6xf32>):
  %0 = graph.add %x, %y : (tensor<4x5x6xf32>, tensor<6xf32>) -> tensor<4x5x6xf32>
  kernel.yield %0 : tensor<4x5x6xf32>
}

// A column in the middle keeps its neighbours apart.
// CHECK: kernel.unit @column <map> {
// CHECK-NEXT: ^bb0(%{{.+}}: tensor<4x5x6xf32>, %{{.+}}: tensor<5x1xf32>):
kernel.unit @column <map> {
^bb0(%x: tensor<4x5x6xf32>, %y: tensor<5x1xf32>):
  %0 = graph.add %x, %y : (tensor<4x5x6xf32>, tensor<5x1xf32>) -> tensor<4x5x6xf32>
  kernel.yield %0 : tensor<4x5x6xf32>
}

// CHECK: kernel.unit @ones <map> {
// CHECK-NEXT: ^bb0(%{{.+}}: tensor<6xf32>):
kernel.unit @ones <map> {
^bb0(%x: tensor<1x6x1xf32>):
  %0 = graph.exp %x : (tensor<1x6x1xf32>) -> tensor<1x6x1xf32>
  kernel.yield %0 : tensor<1x6x1xf32>
}

#nd = affine_map<()[s0, s1] -> (s0, s1, 8)>
// CHECK: kernel.unit @symbols <map> {
// CHECK-NEXT: ^bb0(%{{.+}}: tensor<?xf32, #[[FLAT:.+]]>):
kernel.unit @symbols <map> {
^bb0(%x: tensor<?x?x8xf32, #nd>):
  %0 = graph.exp %x : (tensor<?x?x8xf32, #nd>) -> tensor<?x?x8xf32, #nd>
  kernel.yield %0 : tensor<?x?x8xf32, #nd>
}

// Dims that are reduced become one, and those that stay.
// CHECK: kernel.unit @planes <reduce> {
// CHECK-NEXT: ^bb0(%[[X:.+]]: tensor<12x35xf32>):
// CHECK-NEXT: %[[SUM:.+]] = graph.reduce %[[X]] {axes = array<i64: 1>, kind = #graph.reduce_kind<mean>} : (tensor<12x35xf32>) -> tensor<12x1xf32>
// CHECK-NEXT: %{{.+}} = graph.exp %[[SUM]] : (tensor<12x1xf32>) -> tensor<12x1xf32>
kernel.unit @planes <reduce> {
^bb0(%x: tensor<3x4x5x7xf32>):
  %0 = graph.reduce %x {axes = array<i64: 2, 3>, kind = #graph.reduce_kind<mean>} : (tensor<3x4x5x7xf32>) -> tensor<3x4x1x1xf32>
  %1 = graph.exp %0 : (tensor<3x4x1x1xf32>) -> tensor<3x4x1x1xf32>
  kernel.yield %1 : tensor<3x4x1x1xf32>
}

// CHECK: kernel.unit @apart <reduce> {
// CHECK-NEXT: ^bb0(%[[X:.+]]: tensor<3x20x7xf32>, %[[Y:.+]]: tensor<1x20x1xf32>):
// CHECK: graph.reduce %{{.+}} {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<sum>} : (tensor<3x20x7xf32>) -> tensor<1x20x1xf32>
kernel.unit @apart <reduce> {
^bb0(%x: tensor<3x4x5x7xf32>, %y: tensor<4x5x1xf32>):
  %0 = graph.mul %x, %y : (tensor<3x4x5x7xf32>, tensor<4x5x1xf32>) -> tensor<3x4x5x7xf32>
  %1 = graph.reduce %0 {axes = array<i64: 3, 0>, kind = #graph.reduce_kind<sum>} : (tensor<3x4x5x7xf32>) -> tensor<1x4x5x1xf32>
  kernel.yield %1 : tensor<1x4x5x1xf32>
}

// A reduction of nothing but dims of extent 1 keeps them.
// CHECK: kernel.unit @one_element <reduce> {
// CHECK-NEXT: ^bb0(%{{.+}}: tensor<3x4x1xf32>):
kernel.unit @one_element <reduce> {
^bb0(%x: tensor<3x4x1xf32>):
  %0 = graph.reduce %x {axes = array<i64: 2>, kind = #graph.reduce_kind<sum>} : (tensor<3x4x1xf32>) -> tensor<3x4x1xf32>
  kernel.yield %0 : tensor<3x4x1xf32>
}

// Units with anything else inside stay as they are.
// CHECK: kernel.unit @transposed <map> {
// CHECK-NEXT: ^bb0(%{{.+}}: tensor<4x5x6xf32>):
kernel.unit @transposed <map> {
^bb0(%x: tensor<4x5x6xf32>):
  %0 = graph.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<4x5x6xf32>) -> tensor<5x4x6xf32>
  %1 = graph.exp %0 : (tensor<5x4x6xf32>) -> tensor<5x4x6xf32>
  kernel.yield %1 : tensor<5x4x6xf32>
}
