// Identities go, movements in a row become one, and nothing that computes is touched.
// RUN: %opt %s --graph-simplify | FileCheck %s

// CHECK-LABEL: func.func @transposes_cancel
// CHECK-SAME: %[[X:.+]]: tensor<2x3xf32>
// CHECK-NEXT: return %[[X]]
func.func @transposes_cancel(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = graph.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %1 = graph.transpose %0 {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @transposes_merge
// CHECK: %[[T:.+]] = graph.transpose %{{.+}} {perm = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
// CHECK-NEXT: return %[[T]]
func.func @transposes_merge(%x: tensor<2x3x4xf32>) -> tensor<4x2x3xf32> {
  %0 = graph.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<2x3x4xf32>) -> tensor<2x4x3xf32>
  %1 = graph.transpose %0 {perm = array<i64: 1, 0, 2>} : (tensor<2x4x3xf32>) -> tensor<4x2x3xf32>
  return %1 : tensor<4x2x3xf32>
}

// A transpose that moves dims of extent 1 alone is a view.
// CHECK-LABEL: func.func @transpose_of_ones
// CHECK-NOT: graph.transpose
// CHECK: graph.reshape %{{.+}} : (tensor<2x1x3xf32>) -> tensor<1x2x3xf32>
func.func @transpose_of_ones(%x: tensor<2x1x3xf32>) -> tensor<1x2x3xf32> {
  %0 = graph.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<2x1x3xf32>) -> tensor<1x2x3xf32>
  return %0 : tensor<1x2x3xf32>
}

// CHECK-LABEL: func.func @transpose_that_moves
// CHECK: graph.transpose
func.func @transpose_that_moves(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %0 = graph.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// CHECK-LABEL: func.func @reshapes
// CHECK: %[[R:.+]] = graph.reshape %{{.+}} : (tensor<2x6xf32>) -> tensor<4x3xf32>
// CHECK-NEXT: return %[[R]]
func.func @reshapes(%x: tensor<2x6xf32>) -> tensor<4x3xf32> {
  %0 = graph.reshape %x : (tensor<2x6xf32>) -> tensor<12xf32>
  %1 = graph.reshape %0 : (tensor<12xf32>) -> tensor<4x3xf32>
  return %1 : tensor<4x3xf32>
}

// CHECK-LABEL: func.func @identities
// CHECK-SAME: %[[X:.+]]: tensor<2x6xf32>
// CHECK-NEXT: return %[[X]]
func.func @identities(%x: tensor<2x6xf32>) -> tensor<2x6xf32> {
  %0 = graph.cast %x : (tensor<2x6xf32>) -> tensor<2x6xf32>
  %1 = graph.reshape %0 : (tensor<2x6xf32>) -> tensor<2x6xf32>
  %2 = graph.broadcast %1 : (tensor<2x6xf32>) -> tensor<2x6xf32>
  %3 = graph.tile %2 : (tensor<2x6xf32>) -> tensor<2x6xf32>
  %4 = graph.slice %3 {starts = affine_map<() -> (0, 0)>, steps = array<i64: 1, 1>} : (tensor<2x6xf32>) -> tensor<2x6xf32>
  return %4 : tensor<2x6xf32>
}

// A slice of the same extent that walks backwards is none.
// CHECK-LABEL: func.func @reversal
// CHECK: graph.slice
func.func @reversal(%x: tensor<6xf32>) -> tensor<6xf32> {
  %0 = graph.slice %x {starts = affine_map<() -> (5)>, steps = array<i64: -1>} : (tensor<6xf32>) -> tensor<6xf32>
  return %0 : tensor<6xf32>
}

// CHECK-LABEL: func.func @arithmetic
// CHECK: graph.add
// CHECK: graph.cast
func.func @arithmetic(%x: tensor<6xf32>) -> tensor<6xf16> {
  %0 = graph.add %x, %x : (tensor<6xf32>, tensor<6xf32>) -> tensor<6xf32>
  %1 = graph.cast %0 : (tensor<6xf32>) -> tensor<6xf16>
  return %1 : tensor<6xf16>
}

// CHECK-LABEL: func.func @slices
// CHECK-SAME: %[[X:.+]]: tensor<20xf32>
// CHECK-NEXT: %[[Y:.+]] = graph.slice %[[X]] {starts = #[[PLACE:.+]], steps = array<i64: -6>} : (tensor<20xf32>) -> tensor<2xf32>
// CHECK-NEXT: return %[[Y]]
func.func @slices(%x: tensor<20xf32>) -> tensor<2xf32> {
  %0 = graph.slice %x {starts = affine_map<() -> (3)>, steps = array<i64: 2>} : (tensor<20xf32>) -> tensor<8xf32>
  %1 = graph.slice %0 {starts = affine_map<() -> (6)>, steps = array<i64: -3>} : (tensor<8xf32>) -> tensor<2xf32>
  return %1 : tensor<2xf32>
}

// What lies within one part of a concatenation is taken of that; what spans two is not.
// CHECK-LABEL: func.func @slices_of_concat
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<2x4xf32>, %[[Y:[a-z0-9]+]]: tensor<2x3xf32>
// CHECK: %[[ALL:.+]] = graph.concat
// CHECK: %[[INNER:.+]] = graph.slice %[[Y]] {{.*}}steps = array<i64: 1, -1>} : (tensor<2x3xf32>) -> tensor<1x2xf32>
// CHECK: %[[ACROSS:.+]] = graph.slice %[[ALL]]
// CHECK: return %[[Y]], %[[INNER]], %[[ACROSS]]
func.func @slices_of_concat(%x: tensor<2x4xf32>, %y: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<1x2xf32>, tensor<2x2xf32>) {
  %0 = graph.concat %x, %y {axis = 1 : i64} : (tensor<2x4xf32>, tensor<2x3xf32>) -> tensor<2x7xf32>
  %1 = graph.slice %0 {starts = affine_map<() -> (0, 4)>, steps = array<i64: 1, 1>} : (tensor<2x7xf32>) -> tensor<2x3xf32>
  %2 = graph.slice %0 {starts = affine_map<() -> (1, 6)>, steps = array<i64: 1, -1>} : (tensor<2x7xf32>) -> tensor<1x2xf32>
  %3 = graph.slice %0 {starts = affine_map<() -> (0, 3)>, steps = array<i64: 1, 1>} : (tensor<2x7xf32>) -> tensor<2x2xf32>
  return %1, %2, %3 : tensor<2x3xf32>, tensor<1x2xf32>, tensor<2x2xf32>
}

// A concatenation that reads parts of another one reads what these are made of; one that others read, or along another axis, stays.
// CHECK-LABEL: func.func @concats
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<2x4xf32>, %[[Y:[a-z0-9]+]]: tensor<2x3xf32>
// CHECK: %[[END:.+]] = graph.slice %[[X]] {{.*}} : (tensor<2x4xf32>) -> tensor<2x1xf32>
// CHECK: %[[ONE:.+]] = graph.concat %[[Y]], %[[END]], %[[Y]], %[[X]], %[[Y]] {axis = 1 : i64} :
// CHECK: %[[READ:.+]] = graph.concat %[[X]], %[[Y]] {axis = 1 : i64}
// CHECK: %[[TWO:.+]] = graph.concat %[[READ]], %[[Y]] {axis = 1 : i64}
// CHECK: %[[WIDE:.+]] = graph.concat %[[Y]], %[[Y]] {axis = 1 : i64}
// CHECK: graph.concat %[[WIDE]], %[[WIDE]] {axis = 0 : i64}
func.func @concats(%x: tensor<2x4xf32>, %y: tensor<2x3xf32>) -> (tensor<2x14xf32>, tensor<2x7xf32>, tensor<2x10xf32>, tensor<4x6xf32>) {
  %0 = graph.concat %x, %y {axis = 1 : i64} : (tensor<2x4xf32>, tensor<2x3xf32>) -> tensor<2x7xf32>
  %1 = graph.slice %0 {starts = affine_map<() -> (0, 3)>, steps = array<i64: 1, 1>} : (tensor<2x7xf32>) -> tensor<2x4xf32>
  %2 = graph.concat %x, %y {axis = 1 : i64} : (tensor<2x4xf32>, tensor<2x3xf32>) -> tensor<2x7xf32>
  %3 = graph.concat %y, %1, %2 {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x4xf32>, tensor<2x7xf32>) -> tensor<2x14xf32>
  %4 = graph.concat %x, %y {axis = 1 : i64} : (tensor<2x4xf32>, tensor<2x3xf32>) -> tensor<2x7xf32>
  %5 = graph.concat %4, %y {axis = 1 : i64} : (tensor<2x7xf32>, tensor<2x3xf32>) -> tensor<2x10xf32>
  %6 = graph.concat %y, %y {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x6xf32>
  %7 = graph.concat %6, %6 {axis = 0 : i64} : (tensor<2x6xf32>, tensor<2x6xf32>) -> tensor<4x6xf32>
  return %3, %4, %5, %7 : tensor<2x14xf32>, tensor<2x7xf32>, tensor<2x10xf32>, tensor<4x6xf32>
}
