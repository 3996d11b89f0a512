// Units, launches, packing and panel products keep their meaning through text and bytecode.
// RUN: %opt %s | onager-opt | FileCheck %s
// RUN: %opt %s --emit-bytecode | onager-opt | FileCheck %s

// CHECK: module attributes {kernel.buffers = [#kernel.buffer<input 0, #{{.+}}, 0 to 1, false>, #kernel.buffer<slot 1, #{{.+}}, 2 to 3, true>]}
module attributes {kernel.buffers = [#kernel.buffer<input 0, affine_map<() -> (32)>, 0 to 1, false>, #kernel.buffer<slot 1, affine_map<()[s0] -> (s0 * 4)>, 2 to 3, true>]} {
  // CHECK-LABEL: func.func @main
  func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
    // CHECK: kernel.launch @twice(%{{.+}}) {barrier = true} : (tensor<8xf32>) -> tensor<8xf32>
    %0 = kernel.launch @twice(%x) {barrier = true} : (tensor<8xf32>) -> tensor<8xf32>
    return %0 : tensor<8xf32>
  }

  // CHECK: kernel.unit @twice <map> attributes {items = #{{.+}}} {
  // CHECK-NEXT: ^bb0(%[[X:.+]]: tensor<8xf32>):
  // CHECK-NEXT: %[[Y:.+]] = graph.add %[[X]], %[[X]]
  // CHECK-NEXT: kernel.yield %[[Y]] : tensor<8xf32>
  kernel.unit @twice <map> attributes {items = affine_map<() -> (8)>} {
  ^bb0(%x: tensor<8xf32>):
    %0 = graph.add %x, %x : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    kernel.yield %0 : tensor<8xf32>
  }

  // CHECK: kernel.unit @product <gemm> {
  kernel.unit @product <gemm> {
  ^bb0(%a: tensor<4x8xf32>, %b: tensor<8x2xf32>):
    // CHECK: kernel.pack %{{.+}} : tensor<8x2xf32> -> tensor<1x8x16xf32>
    %p = kernel.pack %b : tensor<8x2xf32> -> tensor<1x8x16xf32>
    // CHECK: kernel.gemm %{{.+}}, %{{.+}} : (tensor<4x8xf32>, tensor<1x8x16xf32>) -> tensor<4x2xf32>
    %c = kernel.gemm %a, %p : (tensor<4x8xf32>, tensor<1x8x16xf32>) -> tensor<4x2xf32>
    kernel.yield %c : tensor<4x2xf32>
  }

  // CHECK: kernel.unit @dots <dot_rows> {
  kernel.unit @dots <dot_rows> {
  ^bb0(%a: tensor<4x8xf32>, %b: tensor<5x8xf32>):
    // CHECK: kernel.dot_rows %{{.+}}, %{{.+}} : (tensor<4x8xf32>, tensor<5x8xf32>) -> tensor<4x5xf32>
    %c = kernel.dot_rows %a, %b : (tensor<4x8xf32>, tensor<5x8xf32>) -> tensor<4x5xf32>
    kernel.yield %c : tensor<4x5xf32>
  }

  // CHECK: kernel.unit @winograd <winograd> {
  kernel.unit @winograd <winograd> {
  ^bb0(%x: tensor<1x4x8x8xf32>, %w: tensor<13x4x3x3xf32>):
    // CHECK: kernel.winograd_filter %{{.+}} : tensor<13x4x3x3xf32> -> tensor<2x6x6x4x12xf32>
    %u = kernel.winograd_filter %w : tensor<13x4x3x3xf32> -> tensor<2x6x6x4x12xf32>
    // CHECK: kernel.winograd_conv %{{.+}}, %{{.+}} {pads = #{{.+}}} : (tensor<1x4x8x8xf32>, tensor<2x6x6x4x12xf32>) -> tensor<1x13x8x8xf32>
    %y = kernel.winograd_conv %x, %u {pads = affine_map<() -> (1, 1)>} : (tensor<1x4x8x8xf32>, tensor<2x6x6x4x12xf32>) -> tensor<1x13x8x8xf32>
    kernel.yield %y : tensor<1x13x8x8xf32>
  }

  // CHECK: kernel.unit @packed <packed_conv> {
  kernel.unit @packed <packed_conv> {
  ^bb0(%x: tensor<1x4x8x8xf32>, %p: tensor<1x36x16xf32>):
    // CHECK: kernel.packed_conv %{{.+}}, %{{.+}} {dilations = array<i64: 1, 1>, kernel = array<i64: 3, 3>, pads = #{{.+}}, strides = array<i64: 2, 2>} : (tensor<1x4x8x8xf32>, tensor<1x36x16xf32>) -> tensor<1x13x4x4xf32>
    %y = kernel.packed_conv %x, %p {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>} : (tensor<1x4x8x8xf32>, tensor<1x36x16xf32>) -> tensor<1x13x4x4xf32>
    kernel.yield %y : tensor<1x13x4x4xf32>
  }

  // CHECK: kernel.unit @bytes <int8_conv> {
  kernel.unit @bytes <int8_conv> {
  ^bb0(%x: tensor<1x4x8x8xui8>, %w: tensor<9x4x1x1xi8>, %start: tensor<9xi32>, %scale: tensor<9xf32>):
    // CHECK: kernel.int8_pack %{{.+}} {form = #kernel.int8_form<conv>} : tensor<9x4x1x1xi8> -> tensor<1x2x1x6x4xi8>
    %p = kernel.int8_pack %w {form = #kernel.int8_form<conv>} : tensor<9x4x1x1xi8> -> tensor<1x2x1x6x4xi8>
    // CHECK: kernel.int8_conv %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} {{{.+}}} : (tensor<1x4x8x8xui8>, tensor<1x2x1x6x4xi8>, tensor<9xi32>, tensor<9xf32>, tensor<9xf32>) -> tensor<1x9x8x8xi8>
    %y = kernel.int8_conv %x, %p, %start, %scale, %scale {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64, padding = 3 : i64, zero_point = 1 : i64, low = -128 : i64, high = 127 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1>} : (tensor<1x4x8x8xui8>, tensor<1x2x1x6x4xi8>, tensor<9xi32>, tensor<9xf32>, tensor<9xf32>) -> tensor<1x9x8x8xi8>
    kernel.yield %y : tensor<1x9x8x8xi8>
  }

  // CHECK: kernel.unit @rows <int8_gemm> {
  kernel.unit @rows <int8_gemm> {
  ^bb0(%x: tensor<4x6xi8>, %p: tensor<1x2x4x16x4xi8>, %start: tensor<64xi32>):
    // CHECK: kernel.int8_gemm %{{.+}}, %{{.+}}, %{{.+}} {{{.+}}} : (tensor<4x6xi8>, tensor<1x2x4x16x4xi8>, tensor<64xi32>) -> tensor<4x10xi32>
    %y = kernel.int8_gemm %x, %p, %start {zero_point = 0 : i64, low = 0 : i64, high = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>} : (tensor<4x6xi8>, tensor<1x2x4x16x4xi8>, tensor<64xi32>) -> tensor<4x10xi32>
    kernel.yield %y : tensor<4x10xi32>
  }

  // CHECK: kernel.unit @halves <bf16_gemm> {
  kernel.unit @halves <bf16_gemm> {
  ^bb0(%x: tensor<4x64xbf16>, %w: tensor<64x10xbf16>, %start: tensor<64xf32>):
    // CHECK: kernel.bf16_pack %{{.+}} : tensor<64x10xbf16> -> tensor<1x32x4x16x2xbf16>
    %p = kernel.bf16_pack %w : tensor<64x10xbf16> -> tensor<1x32x4x16x2xbf16>
    // CHECK: kernel.bf16_gemm %{{.+}}, %{{.+}}, %{{.+}} : (tensor<4x64xbf16>, tensor<1x32x4x16x2xbf16>, tensor<64xf32>) -> tensor<4x10xf32>
    %y = kernel.bf16_gemm %x, %p, %start : (tensor<4x64xbf16>, tensor<1x32x4x16x2xbf16>, tensor<64xf32>) -> tensor<4x10xf32>
    kernel.yield %y : tensor<4x10xf32>
  }

  // CHECK: kernel.unit @parts <bf16x3_conv> {
  kernel.unit @parts <bf16x3_conv> {
  ^bb0(%x: tensor<1x64x7x7xf32>, %w: tensor<40x64x1x1xf32>, %m: tensor<40xf32>):
    // CHECK: kernel.bf16x3_filter %{{.+}} : tensor<40x64x1x1xf32> -> tensor<2x2x3x2x16x32xbf16>
    %p = kernel.bf16x3_filter %w : tensor<40x64x1x1xf32> -> tensor<2x2x3x2x16x32xbf16>
    // CHECK: kernel.bf16x3_conv %{{.+}}, %{{.+}}, %{{.+}} {dilations = array<i64: 1, 1>, kernel = array<i64: 1, 1>, pads = #{{.+}}, strides = array<i64: 1, 1>} : (tensor<1x64x7x7xf32>, tensor<2x2x3x2x16x32xbf16>, tensor<40xf32>) -> tensor<1x40x7x7xf32>
    %y = kernel.bf16x3_conv %x, %p, %m {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>}
      : (tensor<1x64x7x7xf32>, tensor<2x2x3x2x16x32xbf16>, tensor<40xf32>) -> tensor<1x40x7x7xf32>
    kernel.yield %y : tensor<1x40x7x7xf32>
  }
}
