// Pools over several dims become pools over fewer: f32 over planes and then depth, other types over one dim after the other.
// RUN: %opt %s --graph-split-pool | FileCheck %s

// CHECK: #[[PADS:.+]] = affine_map<() -> (1, 0)>
// CHECK-LABEL: func.func @volume
// CHECK: %[[PLANES:.+]] = graph.reshape %{{.+}} : (tensor<1x8x16x30x30xf32>) -> tensor<1x128x30x30xf32>
// CHECK: %[[PLANE:.+]] = graph.pool %[[PLANES]] {{.*}}kernel = array<i64: 3, 2>, kind = #graph.pool_kind<max>{{.*}}pads = #[[PADS]], {{.*}}strides = array<i64: 2, 2>} : {{.*}} -> tensor<1x128x15x15xf32>
// CHECK: %[[DEPTHS:.+]] = graph.reshape %{{.+}} : (tensor<1x8x16x15x15xf32>) -> tensor<1x8x16x225xf32>
// CHECK: graph.pool %[[DEPTHS]]{{.*}}kernel = array<i64: 3, 1>{{.*}} -> tensor<1x8x14x225xf32>
// CHECK: graph.reshape %{{.+}} : (tensor<1x8x14x225xf32>) -> tensor<1x8x14x15x15xf32>
func.func @volume(%x: tensor<1x8x16x30x30xf32>) -> tensor<1x8x14x15x15xf32> {
  %0 = graph.pool %x {kind = #graph.pool_kind<max>, kernel = array<i64: 3, 3, 2>, strides = array<i64: 1, 2, 2>, pads = affine_map<() -> (0, 1, 0)>, pads_end = affine_map<() -> (0, 0, 0)>, dilations = array<i64: 1, 1, 1>, count_padding = false, p = 2 : i64} : (tensor<1x8x16x30x30xf32>) -> tensor<1x8x14x15x15xf32>
  return %0 : tensor<1x8x14x15x15xf32>
}

// CHECK-LABEL: func.func @bytes
// CHECK: graph.pool %{{.+}} {{.*}}kernel = array<i64: 3>{{.*}} : (tensor<1x32x9xui8>) -> tensor<1x32x7xui8>
// CHECK: graph.pool %{{.+}} {{.*}}kernel = array<i64: 3, 1>{{.*}} : (tensor<1x4x8x7xui8>) -> tensor<1x4x6x7xui8>
func.func @bytes(%x: tensor<1x4x8x9xui8>) -> tensor<1x4x6x7xui8> {
  %0 = graph.pool %x {kind = #graph.pool_kind<max>, kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, pads_end = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, count_padding = false, p = 2 : i64} : (tensor<1x4x8x9xui8>) -> tensor<1x4x6x7xui8>
  return %0 : tensor<1x4x6x7xui8>
}

// A window that stays where it is in a dim takes no pool there.
// CHECK-LABEL: func.func @depth_alone
// CHECK-COUNT-1: graph.pool %
// CHECK-NOT: graph.pool %
func.func @depth_alone(%x: tensor<1x2x8x5x5xf64>) -> tensor<1x2x6x5x5xf64> {
  %0 = graph.pool %x {kind = #graph.pool_kind<average>, kernel = array<i64: 3, 1, 1>, strides = array<i64: 1, 1, 1>, pads = affine_map<() -> (0, 0, 0)>, pads_end = affine_map<() -> (0, 0, 0)>, dilations = array<i64: 1, 1, 1>, count_padding = false, p = 2 : i64} : (tensor<1x2x8x5x5xf64>) -> tensor<1x2x6x5x5xf64>
  return %0 : tensor<1x2x6x5x5xf64>
}

// Planes of f32, few taps of other types, and averages of 16-bit floats stay.
// CHECK-LABEL: func.func @others
// CHECK-COUNT-3: graph.pool %
// CHECK-NOT: graph.pool %
func.func @others(%x: tensor<1x4x8x8xf32>, %y: tensor<1x4x8x8xui8>, %z: tensor<1x4x8x8xf16>) -> (tensor<1x4x6x6xf32>, tensor<1x4x7x7xui8>, tensor<1x4x6x6xf16>) {
  %0 = graph.pool %x {kind = #graph.pool_kind<max>, kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, pads_end = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, count_padding = false, p = 2 : i64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x6x6xf32>
  %1 = graph.pool %y {kind = #graph.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, pads_end = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, count_padding = false, p = 2 : i64} : (tensor<1x4x8x8xui8>) -> tensor<1x4x7x7xui8>
  %2 = graph.pool %z {kind = #graph.pool_kind<average>, kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, pads_end = affine_map<() -> (0, 0)>, dilations = array<i64: 1, 1>, count_padding = false, p = 2 : i64} : (tensor<1x4x8x8xf16>) -> tensor<1x4x6x6xf16>
  return %0, %1, %2 : tensor<1x4x6x6xf32>, tensor<1x4x7x7xui8>, tensor<1x4x6x6xf16>
}
