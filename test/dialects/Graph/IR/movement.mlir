// Data movement keeps its meaning through text and bytecode.
// RUN: %opt %s | onager-opt | FileCheck %s
// RUN: %opt %s --emit-bytecode | onager-opt | FileCheck %s

// CHECK-LABEL: func.func @shapes
func.func @shapes(%x: tensor<2x3x4xf32>, %one: tensor<2x1x4xf32>, %s: tensor<f32>, %scales: tensor<3xf32>) {
  // CHECK: graph.reshape %{{.+}} : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
  %0 = graph.reshape %x : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
  // CHECK: graph.broadcast %{{.+}} : (tensor<2x1x4xf32>) -> tensor<5x2x3x4xf32>
  %1 = graph.broadcast %one : (tensor<2x1x4xf32>) -> tensor<5x2x3x4xf32>
  // CHECK: graph.transpose %{{.+}} {perm = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  %2 = graph.transpose %x {perm = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  // CHECK: graph.slice %{{.+}} {starts = #{{.+}}, steps = array<i64: 1, 2, -1>} : (tensor<2x3x4xf32>) -> tensor<2x2x4xf32>
  %3 = graph.slice %x {starts = affine_map<() -> (0, 0, 3)>, steps = array<i64: 1, 2, -1>} : (tensor<2x3x4xf32>) -> tensor<2x2x4xf32>
  // CHECK: graph.concat %{{.+}}, %{{.+}} {axis = 1 : i64} : (tensor<2x3x4xf32>, tensor<2x1x4xf32>) -> tensor<2x4x4xf32>
  %4 = graph.concat %x, %one {axis = 1 : i64} : (tensor<2x3x4xf32>, tensor<2x1x4xf32>) -> tensor<2x4x4xf32>
  // CHECK: graph.pad %{{.+}}, %{{.+}} {low = #{{.+}}, mode = #graph.pad_mode<reflect>} : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<2x5x4xf32>
  %5 = graph.pad %x, %s {low = affine_map<() -> (0, 1, -1)>, mode = #graph.pad_mode<reflect>} : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<2x5x4xf32>
  // CHECK: graph.tile %{{.+}} : (tensor<2x3x4xf32>) -> tensor<2x6x4xf32>
  %6 = graph.tile %x : (tensor<2x3x4xf32>) -> tensor<2x6x4xf32>
  // CHECK: graph.iota %{{.+}}, %{{.+}} {axis = 0 : i64} : (tensor<f32>, tensor<f32>) -> tensor<8xf32>
  %7 = graph.iota %s, %s {axis = 0 : i64} : (tensor<f32>, tensor<f32>) -> tensor<8xf32>
  // CHECK: graph.random {seed = 7 : i64} : () -> tensor<8xf32>
  %random = graph.random {seed = 7 : i64} : () -> tensor<8xf32>
  // CHECK: graph.resize %{{.+}}, %{{.+}} {antialias = false, coordinates = "half_pixel", cubic_coeff = -7.500000e-01 : f64, exclude_outside = false, extrapolation = 0.000000e+00 : f64, mode = #graph.resize_mode<linear>, rounding = "floor"} : (tensor<2x1x4xf32>, tensor<3xf32>) -> tensor<2x1x8xf32>
  %8 = graph.resize %one, %scales {antialias = false, coordinates = "half_pixel", cubic_coeff = -7.500000e-01 : f64, exclude_outside = false, extrapolation = 0.000000e+00 : f64, mode = #graph.resize_mode<linear>, rounding = "floor"} : (tensor<2x1x4xf32>, tensor<3xf32>) -> tensor<2x1x8xf32>
  return
}

// CHECK-LABEL: func.func @indices
func.func @indices(%x: tensor<3x4xf32>, %i: tensor<2xi64>, %e: tensor<3x2xi32>, %t: tensor<2x1xi64>, %u: tensor<3x2xf32>, %v: tensor<2x4xf32>, %i2: tensor<3xi64>) {
  // CHECK: graph.gather %{{.+}}, %{{.+}} {axis = 1 : i64} : (tensor<3x4xf32>, tensor<2xi64>) -> tensor<3x2xf32>
  %0 = graph.gather %x, %i {axis = 1 : i64} : (tensor<3x4xf32>, tensor<2xi64>) -> tensor<3x2xf32>
  // CHECK: graph.gather_elements %{{.+}}, %{{.+}} {axis = 1 : i64} : (tensor<3x4xf32>, tensor<3x2xi32>) -> tensor<3x2xf32>
  %1 = graph.gather_elements %x, %e {axis = 1 : i64} : (tensor<3x4xf32>, tensor<3x2xi32>) -> tensor<3x2xf32>
  // CHECK: graph.gather_nd %{{.+}}, %{{.+}} {batch_dims = 0 : i64} : (tensor<3x4xf32>, tensor<2x1xi64>) -> tensor<2x4xf32>
  %2 = graph.gather_nd %x, %t {batch_dims = 0 : i64} : (tensor<3x4xf32>, tensor<2x1xi64>) -> tensor<2x4xf32>
  // CHECK: graph.scatter_elements %{{.+}}, %{{.+}}, %{{.+}} {axis = 1 : i64, kind = #graph.scatter_kind<add>} : (tensor<3x4xf32>, tensor<3x2xi32>, tensor<3x2xf32>) -> tensor<3x4xf32>
  %3 = graph.scatter_elements %x, %e, %u {axis = 1 : i64, kind = #graph.scatter_kind<add>} : (tensor<3x4xf32>, tensor<3x2xi32>, tensor<3x2xf32>) -> tensor<3x4xf32>
  // CHECK: graph.scatter_nd %{{.+}}, %{{.+}}, %{{.+}} {kind = #graph.scatter_kind<none>} : (tensor<3x4xf32>, tensor<2x1xi64>, tensor<2x4xf32>) -> tensor<3x4xf32>
  %4 = graph.scatter_nd %x, %t, %v {kind = #graph.scatter_kind<none>} : (tensor<3x4xf32>, tensor<2x1xi64>, tensor<2x4xf32>) -> tensor<3x4xf32>
  // CHECK: graph.reverse_sequence %{{.+}}, %{{.+}} {batch_axis = 0 : i64, time_axis = 1 : i64} : (tensor<3x4xf32>, tensor<3xi64>) -> tensor<3x4xf32>
  %5 = graph.reverse_sequence %x, %i2 {batch_axis = 0 : i64, time_axis = 1 : i64} : (tensor<3x4xf32>, tensor<3xi64>) -> tensor<3x4xf32>
  return
}
