// Convolutions and products of dequantised bytes become integer ones, scaled behind; others stay.
// RUN: %opt %s --graph-raise-int8 --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @conv
// CHECK-SAME: %[[X:.+]]: tensor<1x2x8x8xui8>
// CHECK-DAG: %[[W:.+]] = graph.constant dense<5> : tensor<4x2x1x1xi8>
// CHECK-DAG: %[[WIDE:.+]] = graph.cast %[[X]]
// CHECK-DAG: %[[CENTRED:.+]] = graph.sub %[[WIDE]]
// CHECK-DAG: %[[WEIGHTS:.+]] = graph.cast %[[W]] {{.+}} -> tensor<4x2x1x1xi32>
// CHECK: %[[SUM:.+]] = graph.conv %[[CENTRED]], %[[WEIGHTS]] {{.+}} -> tensor<1x4x8x8xi32>
// CHECK: %[[SCALE:.+]] = graph.mul %{{.+}} : (tensor<4x1x1xf32>, tensor<f32>) -> tensor<4x1x1xf32>
// CHECK: %[[NUMBERS:.+]] = graph.cast %[[SUM]]
// CHECK: graph.mul %[[NUMBERS]], %[[SCALE]]
func.func @conv(%x: tensor<1x2x8x8xui8>) -> tensor<1x4x8x8xf32> {
  %zero = graph.constant dense<7> : tensor<i32> : tensor<i32>
  %s = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %w = graph.constant dense<5> : tensor<4x2x1x1xi8> : tensor<4x2x1x1xi8>
  %t = graph.constant dense<[[[[0.1]]], [[[0.2]]], [[[0.3]]], [[[0.4]]]]> : tensor<4x1x1x1xf32> : tensor<4x1x1x1xf32>
  %0 = graph.cast %x : (tensor<1x2x8x8xui8>) -> tensor<1x2x8x8xi32>
  %1 = graph.sub %0, %zero : (tensor<1x2x8x8xi32>, tensor<i32>) -> tensor<1x2x8x8xi32>
  %2 = graph.cast %1 : (tensor<1x2x8x8xi32>) -> tensor<1x2x8x8xf32>
  %3 = graph.mul %2, %s : (tensor<1x2x8x8xf32>, tensor<f32>) -> tensor<1x2x8x8xf32>
  %4 = graph.cast %w : (tensor<4x2x1x1xi8>) -> tensor<4x2x1x1xf32>
  %5 = graph.mul %4, %t : (tensor<4x2x1x1xf32>, tensor<4x1x1x1xf32>) -> tensor<4x2x1x1xf32>
  %6 = graph.conv %3, %5 {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x2x8x8xf32>, tensor<4x2x1x1xf32>) -> tensor<1x4x8x8xf32>
  return %6 : tensor<1x4x8x8xf32>
}

// -----

// Weights of ui8 around 128 are bytes of i8; those of a transposed product are transposed.
// CHECK-LABEL: func.func @matmul
// CHECK: %[[T:.+]] = graph.transpose %{{.+}} : (tensor<6x3xi8>) -> tensor<3x6xi8>
// CHECK: %[[W:.+]] = graph.cast %[[T]]
// CHECK: graph.matmul %{{.+}}, %[[W]] : (tensor<?x3xi32, #{{.+}}>, tensor<3x6xi32>) -> tensor<?x6xi32, #{{.+}}>
func.func @matmul(%x: tensor<?x3xi8, affine_map<()[s0] -> (s0, 3)>>) -> tensor<?x6xf32, affine_map<()[s0] -> (s0, 6)>> {
  %zero = graph.constant dense<128> : tensor<i32> : tensor<i32>
  %s = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %w = graph.constant dense<200> : tensor<6x3xui8> : tensor<6x3xui8>
  %0 = graph.cast %x : (tensor<?x3xi8, affine_map<()[s0] -> (s0, 3)>>) -> tensor<?x3xf32, affine_map<()[s0] -> (s0, 3)>>
  %1 = graph.mul %0, %s : (tensor<?x3xf32, affine_map<()[s0] -> (s0, 3)>>, tensor<f32>) -> tensor<?x3xf32, affine_map<()[s0] -> (s0, 3)>>
  %2 = graph.cast %w : (tensor<6x3xui8>) -> tensor<6x3xi32>
  %3 = graph.sub %2, %zero : (tensor<6x3xi32>, tensor<i32>) -> tensor<6x3xi32>
  %4 = graph.cast %3 : (tensor<6x3xi32>) -> tensor<6x3xf32>
  %5 = graph.mul %4, %s : (tensor<6x3xf32>, tensor<f32>) -> tensor<6x3xf32>
  %6 = graph.transpose %5 {perm = array<i64: 1, 0>} : (tensor<6x3xf32>) -> tensor<3x6xf32>
  %7 = graph.matmul %1, %6 : (tensor<?x3xf32, affine_map<()[s0] -> (s0, 3)>>, tensor<3x6xf32>) -> tensor<?x6xf32, affine_map<()[s0] -> (s0, 6)>>
  return %7 : tensor<?x6xf32, affine_map<()[s0] -> (s0, 6)>>
}

// -----

// Numbers that do not fit into 8 signed bits, scales along the sum, floats.
// CHECK-LABEL: func.func @others
// CHECK-NOT: xi32>) -> tensor<4x6xi32>
// CHECK: return
func.func @others(%x: tensor<4x3xui8>, %f: tensor<4x3xf32>) -> (tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) {
  %zero = graph.constant dense<100> : tensor<i32> : tensor<i32>
  %s = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %rows = graph.constant dense<0.5> : tensor<3x1xf32> : tensor<3x1xf32>
  %large = graph.constant dense<250> : tensor<3x6xui8> : tensor<3x6xui8>
  %w = graph.constant dense<25> : tensor<3x6xi8> : tensor<3x6xi8>
  %0 = graph.cast %x : (tensor<4x3xui8>) -> tensor<4x3xf32>
  %1 = graph.mul %0, %s : (tensor<4x3xf32>, tensor<f32>) -> tensor<4x3xf32>
  %2 = graph.cast %large : (tensor<3x6xui8>) -> tensor<3x6xi32>
  %3 = graph.sub %2, %zero : (tensor<3x6xi32>, tensor<i32>) -> tensor<3x6xi32>
  %4 = graph.cast %3 : (tensor<3x6xi32>) -> tensor<3x6xf32>
  %5 = graph.mul %4, %s : (tensor<3x6xf32>, tensor<f32>) -> tensor<3x6xf32>
  %6 = graph.matmul %1, %5 : (tensor<4x3xf32>, tensor<3x6xf32>) -> tensor<4x6xf32>
  %7 = graph.cast %w : (tensor<3x6xi8>) -> tensor<3x6xf32>
  %8 = graph.mul %7, %rows : (tensor<3x6xf32>, tensor<3x1xf32>) -> tensor<3x6xf32>
  %9 = graph.matmul %1, %8 : (tensor<4x3xf32>, tensor<3x6xf32>) -> tensor<4x6xf32>
  %10 = graph.mul %7, %s : (tensor<3x6xf32>, tensor<f32>) -> tensor<3x6xf32>
  %11 = graph.matmul %f, %10 : (tensor<4x3xf32>, tensor<3x6xf32>) -> tensor<4x6xf32>
  return %6, %9, %11 : tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>
}
