// GELU by erf and by tanh becomes one operation in the orders that exporters write; other constants and other functions stay.
// RUN: %opt %s --graph-raise-gelu --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @erf
// CHECK-SAME: %[[X:.+]]: tensor<8xf32>
// CHECK: %[[Y:.+]] = graph.gelu %[[X]] : (tensor<8xf32>) -> tensor<8xf32>
// CHECK: return %[[Y]]
func.func @erf(%x: tensor<8xf32>) -> tensor<8xf32> {
  %root = graph.constant dense<1.41421354> : tensor<f32> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<1xf32> : tensor<1xf32>
  %0 = graph.div %x, %root : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %1 = graph.erf %0 : (tensor<8xf32>) -> tensor<8xf32>
  %2 = graph.add %one, %1 : (tensor<f32>, tensor<8xf32>) -> tensor<8xf32>
  %3 = graph.mul %x, %2 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %4 = graph.mul %3, %half : (tensor<8xf32>, tensor<1xf32>) -> tensor<8xf32>
  return %4 : tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @tanh
// CHECK-SAME: %[[X:.+]]: tensor<8xf32>
// CHECK: %[[Y:.+]] = graph.gelu %[[X]] {tanh} : (tensor<8xf32>) -> tensor<8xf32>
// CHECK: return %[[Y]]
func.func @tanh(%x: tensor<8xf32>) -> tensor<8xf32> {
  %c = graph.constant dense<4.471500e-02> : tensor<f32> : tensor<f32>
  %s = graph.constant dense<0.797884583> : tensor<f32> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %0 = graph.mul %x, %x : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %1 = graph.mul %0, %x : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %2 = graph.mul %1, %c : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %3 = graph.add %x, %2 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %4 = graph.mul %3, %s : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %5 = graph.tanh %4 : (tensor<8xf32>) -> tensor<8xf32>
  %6 = graph.add %5, %one : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %7 = graph.mul %half, %x : (tensor<f32>, tensor<8xf32>) -> tensor<8xf32>
  %8 = graph.mul %7, %6 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %8 : tensor<8xf32>
}

// -----

// x * (1 + 0.044715 x^2), in 16 bits, where constants have fewer digits.
// CHECK-LABEL: func.func @factored
// CHECK: graph.gelu %{{.+}} {tanh} : (tensor<8xf16>) -> tensor<8xf16>
func.func @factored(%x: tensor<8xf16>) -> tensor<8xf16> {
  %c = graph.constant dense<4.470830e-02> : tensor<f16> : tensor<f16>
  %s = graph.constant dense<7.978520e-01> : tensor<f16> : tensor<f16>
  %one = graph.constant dense<1.0> : tensor<f16> : tensor<f16>
  %half = graph.constant dense<0.5> : tensor<f16> : tensor<f16>
  %0 = graph.mul %x, %s : (tensor<8xf16>, tensor<f16>) -> tensor<8xf16>
  %1 = graph.mul %x, %c : (tensor<8xf16>, tensor<f16>) -> tensor<8xf16>
  %2 = graph.mul %1, %x : (tensor<8xf16>, tensor<8xf16>) -> tensor<8xf16>
  %3 = graph.add %2, %one : (tensor<8xf16>, tensor<f16>) -> tensor<8xf16>
  %4 = graph.mul %0, %3 : (tensor<8xf16>, tensor<8xf16>) -> tensor<8xf16>
  %5 = graph.tanh %4 : (tensor<8xf16>) -> tensor<8xf16>
  %6 = graph.add %5, %one : (tensor<8xf16>, tensor<f16>) -> tensor<8xf16>
  %7 = graph.mul %6, %x : (tensor<8xf16>, tensor<8xf16>) -> tensor<8xf16>
  %8 = graph.mul %7, %half : (tensor<8xf16>, tensor<f16>) -> tensor<8xf16>
  return %8 : tensor<8xf16>
}

// -----

// CHECK-LABEL: func.func @other_divisor
// CHECK-NOT: graph.gelu
func.func @other_divisor(%x: tensor<8xf32>) -> tensor<8xf32> {
  %root = graph.constant dense<1.5> : tensor<f32> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %0 = graph.div %x, %root : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %1 = graph.erf %0 : (tensor<8xf32>) -> tensor<8xf32>
  %2 = graph.add %1, %one : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %3 = graph.mul %x, %2 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %4 = graph.mul %3, %half : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  return %4 : tensor<8xf32>
}
// CHECK-LABEL: func.func @gate_of_another
// CHECK-NOT: graph.gelu
func.func @gate_of_another(%x: tensor<8xf32>, %z: tensor<8xf32>) -> tensor<8xf32> {
  %root = graph.constant dense<0.707106769> : tensor<f32> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %0 = graph.mul %z, %root : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %1 = graph.erf %0 : (tensor<8xf32>) -> tensor<8xf32>
  %2 = graph.add %1, %one : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %3 = graph.mul %x, %2 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %4 = graph.mul %3, %half : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  return %4 : tensor<8xf32>
}
