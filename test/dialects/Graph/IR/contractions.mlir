// Products, convolutions, attention and recurrent layers keep their meaning through text and bytecode.
// RUN: %opt %s | onager-opt | FileCheck %s
// RUN: %opt %s --emit-bytecode | onager-opt | FileCheck %s

// CHECK-LABEL: func.func @contractions
func.func @contractions(%a: tensor<5x4x8xf32>, %b: tensor<8x2xf32>, %x: tensor<1x4x8x8xf32>, %w: tensor<6x2x3x3xf32>, %t: tensor<4x3x2x2xf32>) {
  // CHECK: graph.matmul %{{.+}}, %{{.+}} : (tensor<5x4x8xf32>, tensor<8x2xf32>) -> tensor<5x4x2xf32>
  %0 = graph.matmul %a, %b : (tensor<5x4x8xf32>, tensor<8x2xf32>) -> tensor<5x4x2xf32>
  // CHECK: graph.conv %{{.+}}, %{{.+}} {dilations = array<i64: 1, 1>, group = 2 : i64, pads = #{{.+}}, strides = array<i64: 2, 2>} : (tensor<1x4x8x8xf32>, tensor<6x2x3x3xf32>) -> tensor<1x6x4x4xf32>
  %1 = graph.conv %x, %w {dilations = array<i64: 1, 1>, group = 2 : i64, pads = affine_map<() -> (1, 1)>, strides = array<i64: 2, 2>} : (tensor<1x4x8x8xf32>, tensor<6x2x3x3xf32>) -> tensor<1x6x4x4xf32>
  // CHECK: graph.conv_transpose %{{.+}}, %{{.+}} {dilations = array<i64: 1, 1>, group = 1 : i64, pads = #{{.+}}, strides = array<i64: 2, 2>} : (tensor<1x4x8x8xf32>, tensor<4x3x2x2xf32>) -> tensor<1x3x16x16xf32>
  %2 = graph.conv_transpose %x, %t {dilations = array<i64: 1, 1>, group = 1 : i64, pads = affine_map<() -> (0, 0)>, strides = array<i64: 2, 2>} : (tensor<1x4x8x8xf32>, tensor<4x3x2x2xf32>) -> tensor<1x3x16x16xf32>
  return
}

// CHECK-LABEL: func.func @recurrent
// CHECK-SAME: %[[GATES:.+]]: tensor<5x2x12xf32>, %[[R:.+]]: tensor<4x12xf32>, %[[H:.+]]: tensor<2x4xf32>, %[[LENGTHS:.+]]: tensor<2xi32>
func.func @recurrent(%gates: tensor<5x2x12xf32>, %r: tensor<4x12xf32>, %h: tensor<2x4xf32>, %lengths: tensor<2xi32>) {
  // CHECK: %{{.+}}, %{{.+}}, %{{.+}} = graph.recurrent %[[GATES]], %[[R]], %[[H]], %[[LENGTHS]]
  // CHECK-SAME: activations = ["Sigmoid", "Tanh"]
  // CHECK-SAME: kind = #graph.cell_kind<gru>
  // CHECK-SAME: operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 0, 0>
  %s, %last, %cell = graph.recurrent %gates, %r, %h, %lengths {
      kind = #graph.cell_kind<gru>, activations = ["Sigmoid", "Tanh"], alphas = array<f64: 0.0, 0.0>, betas = array<f64: 0.0, 0.0>, clip = 0.0 : f64,
      reverse = false, linear_before_reset = true, input_forget = false, operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 0, 0>}
    : (tensor<5x2x12xf32>, tensor<4x12xf32>, tensor<2x4xf32>, tensor<2xi32>) -> (tensor<5x2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>)
  return
}

// CHECK-LABEL: func.func @attention
// CHECK-SAME: %[[Q:.+]]: tensor<2x5x8xf32>, %[[K:.+]]: tensor<9x8xf32>, %[[V:.+]]: tensor<9x16xf32>, %[[BIAS:.+]]: tensor<9xf32>, %[[SEEN:.+]]: tensor<5x9xi1>, %[[NONE:.+]]: tensor<5x1xi1>
func.func @attention(%q: tensor<2x5x8xf32>, %k: tensor<9x8xf32>, %v: tensor<9x16xf32>, %bias: tensor<9xf32>, %seen: tensor<5x9xi1>, %none: tensor<5x1xi1>) {
  // CHECK: graph.attention %[[Q]], %[[K]], %[[V]], %[[BIAS]], %[[SEEN]], %[[NONE]] {fills = array<f64: 0.000000e+00, 0xFFF0000000000000>, operandSegmentSizes = array<i32: 1, 1, 1, 2, 1, 0, 0>, scale = 5.000000e-01 : f64}
  %0 = graph.attention %q, %k, %v, %bias, %seen, %none {scale = 0.5 : f64, fills = array<f64: 0.0, 0xFFF0000000000000>, operandSegmentSizes = array<i32: 1, 1, 1, 2, 1, 0, 0>}
    : (tensor<2x5x8xf32>, tensor<9x8xf32>, tensor<9x16xf32>, tensor<9xf32>, tensor<5x9xi1>, tensor<5x1xi1>) -> tensor<2x5x16xf32>
  return
}
