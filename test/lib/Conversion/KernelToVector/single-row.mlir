// The product of a single row takes as many of its share's panels at once as there are, the last by pairs. Of weights that come from memory the panels are
// read one after the other, in several chains.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// CHECK-DAG: func.func @gemm_f32_1x128(
// CHECK-DAG: func.func @gemm_f32_1x128_stream(
// CHECK-DAG: func.func @gemm_f32_1x64(
// CHECK-DAG: func.func @gemm_f32_1x32(
// CHECK: func.func @known(
// CHECK-NOT: gemm_f32_2x
// CHECK: call @gemm_f32_1x128(
// CHECK: call @gemm_f32_1x64(
// CHECK: call @gemm_f32_1x32(
// CHECK-NOT: gemm_f32_2x
// CHECK: func.func @unknown(
// CHECK: call @gemm_f32_1x128(
// CHECK: call @gemm_f32_12x32
// CHECK: func.func @large(
// CHECK: call @gemm_f32_1x128_stream(
// CHECK: call @gemm_f32_1x64_stream(
// CHECK: call @gemm_f32_1x32(
func.func @main(%x: tensor<1x8xf32> {graph.name = "x"}, %y: tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>> {graph.name = "y"}, %z: tensor<1x4099xf32> {graph.name = "z"})
    -> (tensor<1x224xf32> {graph.name = "a"}, tensor<?x224xf32, affine_map<()[s0] -> (s0, 224)>> {graph.name = "b"}, tensor<1x224xf32> {graph.name = "c"}) attributes {graph.symbols = ["N"]} {
  %w = graph.constant dense<1.0> : tensor<14x8x16xf32> : tensor<14x8x16xf32>
  %0 = kernel.launch @known(%x, %w) : (tensor<1x8xf32>, tensor<14x8x16xf32>) -> tensor<1x224xf32>
  %1 = kernel.launch @unknown(%y, %w) : (tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>, tensor<14x8x16xf32>) -> tensor<?x224xf32, affine_map<()[s0] -> (s0, 224)>>
  %v = graph.constant dense<1.0> : tensor<14x4099x16xf32> : tensor<14x4099x16xf32>
  %2 = kernel.launch @large(%z, %v) : (tensor<1x4099xf32>, tensor<14x4099x16xf32>) -> tensor<1x224xf32>
  return %0, %1, %2 : tensor<1x224xf32>, tensor<?x224xf32, affine_map<()[s0] -> (s0, 224)>>, tensor<1x224xf32>
}
kernel.unit @known <gemm> {
^bb0(%x: tensor<1x8xf32>, %w: tensor<14x8x16xf32>):
  %0 = kernel.gemm %x, %w : (tensor<1x8xf32>, tensor<14x8x16xf32>) -> tensor<1x224xf32>
  kernel.yield %0 : tensor<1x224xf32>
}
kernel.unit @unknown <gemm> {
^bb0(%x: tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>, %w: tensor<14x8x16xf32>):
  %0 = kernel.gemm %x, %w : (tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>, tensor<14x8x16xf32>) -> tensor<?x224xf32, affine_map<()[s0] -> (s0, 224)>>
  kernel.yield %0 : tensor<?x224xf32, affine_map<()[s0] -> (s0, 224)>>
}
kernel.unit @large <gemm> {
^bb0(%x: tensor<1x4099xf32>, %w: tensor<14x4099x16xf32>):
  %0 = kernel.gemm %x, %w : (tensor<1x4099xf32>, tensor<14x4099x16xf32>) -> tensor<1x224xf32>
  kernel.yield %0 : tensor<1x224xf32>
}
