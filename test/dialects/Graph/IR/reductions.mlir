// Reductions, scans and windows keep their meaning through text and bytecode.
// RUN: %opt %s | onager-opt | FileCheck %s
// RUN: %opt %s --emit-bytecode | onager-opt | FileCheck %s

// CHECK-LABEL: func.func @reductions
func.func @reductions(%x: tensor<2x3x4xf32>) {
  // CHECK: graph.reduce %{{.+}} {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<sum>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  %sum = graph.reduce %x {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<sum>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  // CHECK: graph.reduce %{{.+}} {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<prod>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  %prod = graph.reduce %x {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<prod>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  // CHECK: graph.reduce %{{.+}} {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<max>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  %max = graph.reduce %x {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<max>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  // CHECK: graph.reduce %{{.+}} {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<min>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  %min = graph.reduce %x {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<min>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  // CHECK: graph.reduce %{{.+}} {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<mean>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  %mean = graph.reduce %x {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<mean>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  // CHECK: graph.reduce %{{.+}} {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<sum_square>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  %sum_square = graph.reduce %x {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<sum_square>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  // CHECK: graph.reduce %{{.+}} {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<sum_abs>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  %sum_abs = graph.reduce %x {axes = array<i64: 0, 2>, kind = #graph.reduce_kind<sum_abs>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
  // CHECK: graph.arg_reduce %{{.+}} {axis = 1 : i64, kind = #graph.reduce_kind<min>, last = true} : (tensor<2x3x4xf32>) -> tensor<2x1x4xi64>
  %0 = graph.arg_reduce %x {axis = 1 : i64, kind = #graph.reduce_kind<min>, last = true} : (tensor<2x3x4xf32>) -> tensor<2x1x4xi64>
  // CHECK: graph.cumulate %{{.+}} {axis = 2 : i64, exclusive = true, kind = #graph.reduce_kind<prod>, reverse = false} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  %1 = graph.cumulate %x {axis = 2 : i64, exclusive = true, kind = #graph.reduce_kind<prod>, reverse = false} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  // CHECK: graph.softmax %{{.+}} {axis = 2 : i64, log} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  %2 = graph.softmax %x {axis = 2 : i64, log} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  // CHECK: graph.normalize %{{.+}} {axes = array<i64: 1, 2>, epsilon = 1.000000e-05 : f64, rms} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  %3 = graph.normalize %x {axes = array<i64: 1, 2>, epsilon = 1.000000e-05 : f64, rms} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return
}

// CHECK-LABEL: func.func @windows
func.func @windows(%x: tensor<1x2x6xf32>) {
  // CHECK: graph.pool %{{.+}} {count_padding = true, dilations = array<i64: 1>, kernel = array<i64: 3>, kind = #graph.pool_kind<average>, p = 2 : i64, pads = #{{.+}}, pads_end = #{{.+}}, strides = array<i64: 2>} : (tensor<1x2x6xf32>) -> tensor<1x2x3xf32>
  %0 = graph.pool %x {count_padding = true, dilations = array<i64: 1>, kernel = array<i64: 3>, kind = #graph.pool_kind<average>, p = 2 : i64, pads = affine_map<() -> (1)>, pads_end = affine_map<() -> (1)>, strides = array<i64: 2>} : (tensor<1x2x6xf32>) -> tensor<1x2x3xf32>
  // CHECK: graph.max_pool_indices %{{.+}} {column_major = false, dilations = array<i64: 1>, kernel = array<i64: 2>, pads = #{{.+}}, strides = array<i64: 2>} : (tensor<1x2x6xf32>) -> tensor<1x2x3xi64>
  %1 = graph.max_pool_indices %x {column_major = false, dilations = array<i64: 1>, kernel = array<i64: 2>, pads = affine_map<() -> (0)>, strides = array<i64: 2>} : (tensor<1x2x6xf32>) -> tensor<1x2x3xi64>
  return
}
