// Convolutions in parts of bf16 split the pixels of a run in blocks of terms, in place or gathered, multiply 32 channels with all of them, and put filters
// together again for tiles that are not finite.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// CHECK-DAG: func.func @bf16x3_panels(
// CHECK-DAG: func.func @bf16x3_32x32(
// CHECK-DAG: func.func @bf16x3_32x32_added(
// CHECK-DAG: func.func @bf16x3_join(
// CHECK: func.func @plain(
// CHECK: llvm.x86.ldtilecfg
// CHECK: call @bf16x3_panels(
// CHECK: call @bf16x3_32x32(
// CHECK: call @bf16x3_join(
// CHECK: call @gemm_f32_12x32_strided(
// CHECK: llvm.x86.tilerelease
// CHECK: func.func @windows(
// CHECK: call @bf16x3_panels(
// CHECK: llvm.x86.tilerelease
func.func @main(%x: tensor<1x64x8x8xf32> {graph.name = "x"}) -> (tensor<1x64x8x8xf32> {graph.name = "y"}, tensor<1x64x4x4xf32> {graph.name = "z"}) attributes {graph.symbols = []} {
  %p = graph.constant dense<1.0> : tensor<2x2x3x2x16x32xbf16> : tensor<2x2x3x2x16x32xbf16>
  %q = graph.constant dense<1.0> : tensor<2x18x3x2x16x32xbf16> : tensor<2x18x3x2x16x32xbf16>
  %m = graph.constant dense<0.0> : tensor<64xf32> : tensor<64xf32>
  %0 = kernel.launch @plain(%x, %p, %m) : (tensor<1x64x8x8xf32>, tensor<2x2x3x2x16x32xbf16>, tensor<64xf32>) -> tensor<1x64x8x8xf32>
  %1 = kernel.launch @windows(%x, %q, %m) : (tensor<1x64x8x8xf32>, tensor<2x18x3x2x16x32xbf16>, tensor<64xf32>) -> tensor<1x64x4x4xf32>
  return %0, %1 : tensor<1x64x8x8xf32>, tensor<1x64x4x4xf32>
}
kernel.unit @plain <bf16x3_conv> {
^bb0(%x: tensor<1x64x8x8xf32>, %p: tensor<2x2x3x2x16x32xbf16>, %m: tensor<64xf32>):
  %y = kernel.bf16x3_conv %x, %p, %m {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>}
    : (tensor<1x64x8x8xf32>, tensor<2x2x3x2x16x32xbf16>, tensor<64xf32>) -> tensor<1x64x8x8xf32>
  kernel.yield %y : tensor<1x64x8x8xf32>
}
kernel.unit @windows <bf16x3_conv> {
^bb0(%x: tensor<1x64x8x8xf32>, %p: tensor<2x18x3x2x16x32xbf16>, %m: tensor<64xf32>):
  %y = kernel.bf16x3_conv %x, %p, %m {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>}
    : (tensor<1x64x8x8xf32>, tensor<2x18x3x2x16x32xbf16>, tensor<64xf32>) -> tensor<1x64x4x4xf32>
  kernel.yield %y : tensor<1x64x4x4xf32>
}
