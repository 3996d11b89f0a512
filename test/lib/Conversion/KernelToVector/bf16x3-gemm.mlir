// Products of parts of bf16 split rows and panels in blocks, multiply tiles of 32 or 16 rows, and compute in vectors what is not finite. An unknown number of
// rows is looked at while running.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// CHECK-DAG: func.func @bf16x3_rows(
// CHECK-DAG: func.func @bf16x3_panels(
// CHECK-DAG: func.func @bf16x3_32x32(
// CHECK-DAG: func.func @bf16x3_32x32_added(
// CHECK-DAG: func.func @bf16x3_16x32(
// CHECK-DAG: func.func @bf16x3_16x32_added(
// CHECK: func.func @known(
// CHECK: llvm.x86.ldtilecfg
// CHECK: call @bf16x3_rows(
// CHECK: call @bf16x3_panels(
// CHECK: call @bf16x3_32x32(
// CHECK: call @gemm_f32_12x32(
// CHECK: llvm.x86.tilerelease
// CHECK-NOT: gemm_f32_1x128
// CHECK: func.func @unknown(
// CHECK: llvm.x86.ldtilecfg
// CHECK: llvm.x86.tilerelease
// CHECK: call @gemm_f32_1x
func.func @main(%x: tensor<50x64xf32> {graph.name = "x"}, %y: tensor<?x64xf32, affine_map<()[s0] -> (s0, 64)>> {graph.name = "y"})
    -> (tensor<50x40xf32> {graph.name = "a"}, tensor<?x40xf32, affine_map<()[s0] -> (s0, 40)>> {graph.name = "b"}) attributes {graph.symbols = ["N"]} {
  %w = graph.constant dense<1.0> : tensor<3x64x16xf32> : tensor<3x64x16xf32>
  %0 = kernel.launch @known(%x, %w) : (tensor<50x64xf32>, tensor<3x64x16xf32>) -> tensor<50x40xf32>
  %1 = kernel.launch @unknown(%y, %w) : (tensor<?x64xf32, affine_map<()[s0] -> (s0, 64)>>, tensor<3x64x16xf32>) -> tensor<?x40xf32, affine_map<()[s0] -> (s0, 40)>>
  return %0, %1 : tensor<50x40xf32>, tensor<?x40xf32, affine_map<()[s0] -> (s0, 40)>>
}
kernel.unit @known <gemm> {
^bb0(%x: tensor<50x64xf32>, %w: tensor<3x64x16xf32>):
  %0 = kernel.gemm %x, %w {bf16x3} : (tensor<50x64xf32>, tensor<3x64x16xf32>) -> tensor<50x40xf32>
  kernel.yield %0 : tensor<50x40xf32>
}
kernel.unit @unknown <gemm> {
^bb0(%x: tensor<?x64xf32, affine_map<()[s0] -> (s0, 64)>>, %w: tensor<3x64x16xf32>):
  %0 = kernel.gemm %x, %w {bf16x3} : (tensor<?x64xf32, affine_map<()[s0] -> (s0, 64)>>, tensor<3x64x16xf32>) -> tensor<?x40xf32, affine_map<()[s0] -> (s0, 40)>>
  kernel.yield %0 : tensor<?x40xf32, affine_map<()[s0] -> (s0, 40)>>
}
