// What is prepared in scratch memory for several items of a launch is prepared once for all that a thread takes: few rows that weights of few bits meet, and the
// pixels that all filters of a convolution of bytes meet, whose blocks are innermost.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s
// RUN: %opt %s --kernel-annotate-work | FileCheck %s --check-prefix=WORK

// 2 images of 49 pixels are one run each; 16 row tiles are 8 blocks of filters.
// WORK: #[[BLOCKS:.*]] = affine_map<() -> (16)>
// WORK: kernel.unit @rows {{.*}} marks_scratch
// WORK: kernel.unit @pixels {{.*}}items = #[[BLOCKS]], marks_scratch

// CHECK: func.func @rows(
// CHECK: scf.for
// CHECK: %[[FEW:.+]] = llvm.load %[[SCRATCH:.+]] {alignment = 8 : i64} : !llvm.ptr -> i64
// CHECK: arith.cmpi slt, %[[FEW]], %c0_i64
// CHECK-NEXT: scf.if
// CHECK: llvm.store %{{.+}}, %{{.+}} : i64
// CHECK: func.func @pixels(
// CHECK: scf.for %[[ITEM:.+]] = %arg2 to %arg3
// CHECK: %[[NUMBER:.+]] = arith.divui %[[ITEM]], %c8_i64
// CHECK: %[[HELD:.+]] = llvm.load %[[SCRATCH:.+]] {alignment = 8 : i64} : !llvm.ptr -> i64
// CHECK: arith.cmpi ne, %[[HELD]], %[[NUMBER]] : i64
// CHECK-NEXT: scf.if
// CHECK: arith.cmpi slt, %[[HELD]], %c0_i64
// CHECK-NEXT: scf.if
// CHECK: llvm.store %[[NUMBER]], %{{.+}} : i64
// CHECK: func.func @onager_main
// CHECK: llvm.store %c-1_i64
// CHECK: call @rows(
// CHECK: llvm.store %c-1_i64
// CHECK: call @pixels(
func.func @main(%x: tensor<1x64xf32> {graph.name = "x"}, %y: tensor<2x32x7x7xui8> {graph.name = "y"}) -> (tensor<1x128xf32> {graph.name = "a"}, tensor<2x96x7x7xi32> {graph.name = "b"}) attributes {graph.symbols = []} {
  %w = graph.constant dense<1> : tensor<8x8x16x4xui8> : tensor<8x8x16x4xui8>
  %s = graph.constant dense<1.0> : tensor<8x2x16xf32> : tensor<8x2x16xf32>
  %f = graph.constant dense<1> : tensor<1x16x8x6x4xi8> : tensor<1x16x8x6x4xi8>
  %b = graph.constant dense<0> : tensor<96xi32> : tensor<96xi32>
  %0 = kernel.launch @rows(%x, %w, %s) : (tensor<1x64xf32>, tensor<8x8x16x4xui8>, tensor<8x2x16xf32>) -> tensor<1x128xf32>
  %1 = kernel.launch @pixels(%y, %f, %b) : (tensor<2x32x7x7xui8>, tensor<1x16x8x6x4xi8>, tensor<96xi32>) -> tensor<2x96x7x7xi32>
  return %0, %1 : tensor<1x128xf32>, tensor<2x96x7x7xi32>
}
kernel.unit @rows <block_gemm> {
^bb0(%x: tensor<1x64xf32>, %w: tensor<8x8x16x4xui8>, %s: tensor<8x2x16xf32>):
  %0 = kernel.block_gemm %x, %w, %s zeros %s {bits = 4 : i64, block = 32 : i64} : (tensor<1x64xf32>, tensor<8x8x16x4xui8>, tensor<8x2x16xf32>, tensor<8x2x16xf32>) -> tensor<1x128xf32>
  kernel.yield %0 : tensor<1x128xf32>
}
kernel.unit @pixels <int8_conv> {
^bb0(%y: tensor<2x32x7x7xui8>, %f: tensor<1x16x8x6x4xi8>, %b: tensor<96xi32>):
  %0 = kernel.int8_conv %y, %f, %b {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64, padding = 0 : i64, zero_point = 0 : i64, low = 0 : i64, high = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>} : (tensor<2x32x7x7xui8>, tensor<1x16x8x6x4xi8>, tensor<96xi32>) -> tensor<2x96x7x7xi32>
  kernel.yield %0 : tensor<2x96x7x7xi32>
}
