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

// Units with anything else inside stay as they are.
// CHECK: kernel.unit @transposed <map> {
// CHECK-NEXT: ^bb0(%{{.+}}: tensor<4x5x6xf32>):
kernel.unit @transposed <map> {
^bb0(%x: tensor<4x5x6xf32>):
  %0 = graph.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<4x5x6xf32>) -> tensor<5x4x6xf32>
  %1 = graph.exp %0 : (tensor<5x4x6xf32>) -> tensor<5x4x6xf32>
  kernel.yield %1 : tensor<5x4x6xf32>
}
