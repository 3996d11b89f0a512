// Each check of the operations on bytes, with the case that breaks it.
// RUN: onager-opt %s --split-input-file --verify-diagnostics

kernel.unit @int8_pack_c1 <map> {
^bb0(%w: tensor<9x4x1x1xui8>):
  // expected-error @below {{[int8_pack_c1] weights of 'tensor<9x4x1x1xui8>', expected i8}}
  %y = kernel.int8_pack %w {form = #kernel.int8_form<conv>} : tensor<9x4x1x1xui8> -> tensor<1x2x1x6x4xi8>
  kernel.yield %y : tensor<1x2x1x6x4xi8>
}

// -----

kernel.unit @int8_pack_c2 <map> {
^bb0(%w: tensor<9x4x1x1xi8>):
  // expected-error @below {{[int8_pack_c2] 'tensor<9x4x1x1xi8>' does not pack to 'tensor<2x1x6x4xi8>'}}
  %y = kernel.int8_pack %w {form = #kernel.int8_form<conv>} : tensor<9x4x1x1xi8> -> tensor<2x1x6x4xi8>
  kernel.yield %y : tensor<2x1x6x4xi8>
}

// -----

kernel.unit @int8_pack_c3 <map> {
^bb0(%w: tensor<9x4x1x1xi8>):
  // expected-error @below {{[int8_pack_c3] rows of 'tensor<1x2x1x6x4xi16>', expected 4 of i8 or 2 of i16}}
  %y = kernel.int8_pack %w {form = #kernel.int8_form<conv>} : tensor<9x4x1x1xi8> -> tensor<1x2x1x6x4xi16>
  kernel.yield %y : tensor<1x2x1x6x4xi16>
}

// -----

kernel.unit @int8_pack_c4 <map> {
^bb0(%w: tensor<9x8x1x1xi8>):
  // expected-error @below {{[int8_pack_c4] 'tensor<1x2x1x6x4xi8>' has no room for 'tensor<9x8x1x1xi8>'}}
  %y = kernel.int8_pack %w {form = #kernel.int8_form<conv>} : tensor<9x8x1x1xi8> -> tensor<1x2x1x6x4xi8>
  kernel.yield %y : tensor<1x2x1x6x4xi8>
}

// -----

kernel.unit @int8_conv_c1 <int8_conv> {
^bb0(%x: tensor<1x4x8x8xf32>, %p: tensor<1x2x1x6x4xi8>, %start: tensor<9xi32>):
  // expected-error @below {{[int8_conv_c1] x is 'tensor<1x4x8x8xf32>', expected bytes}}
  %y = kernel.int8_conv %x, %p, %start {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64, padding = 0 : i64, zero_point = 0 : i64, low = 0 : i64, high = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>} : (tensor<1x4x8x8xf32>, tensor<1x2x1x6x4xi8>, tensor<9xi32>) -> tensor<1x9x8x8xi32>
  kernel.yield %y : tensor<1x9x8x8xi32>
}

// -----

kernel.unit @int8_conv_c2 <int8_conv> {
^bb0(%x: tensor<1x4x8x8xui8>, %p: tensor<1x2x1x6x4xi8>, %start: tensor<9xi32>, %scale: tensor<9xf32>):
  // expected-error @below {{[int8_conv_c2] a result of 'tensor<1x9x8x8xui8>' with 4 operands}}
  %y = kernel.int8_conv %x, %p, %start, %scale {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64, padding = 0 : i64, zero_point = 0 : i64, low = 0 : i64, high = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0>} : (tensor<1x4x8x8xui8>, tensor<1x2x1x6x4xi8>, tensor<9xi32>, tensor<9xf32>) -> tensor<1x9x8x8xui8>
  kernel.yield %y : tensor<1x9x8x8xui8>
}

// -----

kernel.unit @int8_conv_c3 <int8_conv> {
^bb0(%x: tensor<1x4x8x8xui8>, %p: tensor<1x2x1x6x4xi8>, %start: tensor<9xi32>):
  // expected-error @below {{[int8_conv_c3] window attributes for 2 spatial dims}}
  %y = kernel.int8_conv %x, %p, %start {kernel = array<i64: 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64, padding = 0 : i64, zero_point = 0 : i64, low = 0 : i64, high = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>} : (tensor<1x4x8x8xui8>, tensor<1x2x1x6x4xi8>, tensor<9xi32>) -> tensor<1x9x8x8xi32>
  kernel.yield %y : tensor<1x9x8x8xi32>
}

// -----

kernel.unit @int8_conv_c4 <int8_conv> {
^bb0(%x: tensor<1x4x8x8xui8>, %p: tensor<1x2x1x6x4xi8>, %start: tensor<8xi32>):
  // expected-error @below {{[int8_conv_c4] numbers of channels in 'tensor<8xi32>', expected as many as there are channels}}
  %y = kernel.int8_conv %x, %p, %start {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64, padding = 0 : i64, zero_point = 0 : i64, low = 0 : i64, high = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>} : (tensor<1x4x8x8xui8>, tensor<1x2x1x6x4xi8>, tensor<8xi32>) -> tensor<1x9x8x8xi32>
  kernel.yield %y : tensor<1x9x8x8xi32>
}

// -----

kernel.unit @int8_pack_c3_amx <map> {
^bb0(%w: tensor<6x10xi8>):
  // expected-error @below {{[int8_pack_c3] rows of 'tensor<2x1x2x16x4xi8>', expected 64 of i8}}
  %p = kernel.int8_pack %w {form = #kernel.int8_form<amx>} : tensor<6x10xi8> -> tensor<2x1x2x16x4xi8>
  kernel.yield %p : tensor<2x1x2x16x4xi8>
}

// -----

kernel.unit @int8_gemm_c5 <amx_gemm> {
^bb0(%x: tensor<4x6xui8>, %p: tensor<1x2x4x16x4xi8>, %start: tensor<64xi32>):
  // expected-error @below {{[int8_gemm_c5] weights 'tensor<1x2x4x16x4xi8>' are not packed for tiles}}
  %y = kernel.int8_gemm %x, %p, %start {zero_point = 0 : i64, low = 0 : i64, high = 0 : i64, amx, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>} : (tensor<4x6xui8>, tensor<1x2x4x16x4xi8>, tensor<64xi32>) -> tensor<4x10xi32>
  kernel.yield %y : tensor<4x10xi32>
}

// -----

kernel.unit @int8_gemm_c1 <int8_gemm> {
^bb0(%x: tensor<4x6xi32>, %p: tensor<1x2x4x16x4xi8>, %start: tensor<64xi32>):
  // expected-error @below {{[int8_gemm_c1] x is 'tensor<4x6xi32>', expected bytes}}
  %y = kernel.int8_gemm %x, %p, %start {zero_point = 0 : i64, low = 0 : i64, high = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>} : (tensor<4x6xi32>, tensor<1x2x4x16x4xi8>, tensor<64xi32>) -> tensor<4x10xi32>
  kernel.yield %y : tensor<4x10xi32>
}

// -----

kernel.unit @int8_gemm_c2 <int8_gemm> {
^bb0(%x: tensor<4x6xui8>, %p: tensor<1x2x4x16x4xi8>, %start: tensor<64xi32>):
  // expected-error @below {{[int8_gemm_c2] a result of 'tensor<4x10xui8>' with 3 operands}}
  %y = kernel.int8_gemm %x, %p, %start {zero_point = 0 : i64, low = 0 : i64, high = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>} : (tensor<4x6xui8>, tensor<1x2x4x16x4xi8>, tensor<64xi32>) -> tensor<4x10xui8>
  kernel.yield %y : tensor<4x10xui8>
}

// -----

kernel.unit @int8_gemm_c3 <int8_gemm> {
^bb0(%x: tensor<4x6xui8>, %p: tensor<2x4x16x4xi8>, %start: tensor<64xi32>):
  // expected-error @below {{[int8_gemm_c3] ranks 2 and 4 give rank 2}}
  %y = kernel.int8_gemm %x, %p, %start {zero_point = 0 : i64, low = 0 : i64, high = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>} : (tensor<4x6xui8>, tensor<2x4x16x4xi8>, tensor<64xi32>) -> tensor<4x10xi32>
  kernel.yield %y : tensor<4x10xi32>
}

// -----

kernel.unit @int8_gemm_c4 <int8_gemm> {
^bb0(%x: tensor<4x6xui8>, %p: tensor<1x2x4x16x4xi8>, %start: tensor<10xi32>):
  // expected-error @below {{[int8_gemm_c4] numbers of channels in 'tensor<10xi32>', expected as many as there are channels}}
  %y = kernel.int8_gemm %x, %p, %start {zero_point = 0 : i64, low = 0 : i64, high = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>} : (tensor<4x6xui8>, tensor<1x2x4x16x4xi8>, tensor<10xi32>) -> tensor<4x10xi32>
  kernel.yield %y : tensor<4x10xi32>
}

// -----

kernel.unit @bf16_pack_c1 <map> {
^bb0(%x: tensor<64x10xf32>):
  // expected-error @below {{[bf16_pack_c1] 'tensor<64x10xf32>' does not pack to 'tensor<1x32x4x16x2xbf16>'}}
  %y = kernel.bf16_pack %x : tensor<64x10xf32> -> tensor<1x32x4x16x2xbf16>
  kernel.yield %y : tensor<1x32x4x16x2xbf16>
}

// -----

kernel.unit @bf16_pack_c2 <map> {
^bb0(%x: tensor<64x10xbf16>):
  // expected-error @below {{[bf16_pack_c2] rows of 'tensor<1x32x4x16x2xbf16>', expected 32}}
  %y = kernel.bf16_pack %x {amx} : tensor<64x10xbf16> -> tensor<1x32x4x16x2xbf16>
  kernel.yield %y : tensor<1x32x4x16x2xbf16>
}

// -----

kernel.unit @bf16_pack_c3 <map> {
^bb0(%x: tensor<64x10xbf16>):
  // expected-error @below {{[bf16_pack_c3] 'tensor<1x2x4x16x2xbf16>' has no room for 'tensor<64x10xbf16>'}}
  %y = kernel.bf16_pack %x : tensor<64x10xbf16> -> tensor<1x2x4x16x2xbf16>
  kernel.yield %y : tensor<1x2x4x16x2xbf16>
}

// -----

kernel.unit @bf16_gemm_c1 <bf16_gemm> {
^bb0(%x: tensor<4x64xf32>, %p: tensor<1x32x4x16x2xbf16>, %start: tensor<64xf32>):
  // expected-error @below {{[bf16_gemm_c1] 'tensor<4x64xf32>' times 'tensor<1x32x4x16x2xbf16>' gives 'tensor<4x10xf32>', expected f32 of bf16}}
  %y = kernel.bf16_gemm %x, %p, %start : (tensor<4x64xf32>, tensor<1x32x4x16x2xbf16>, tensor<64xf32>) -> tensor<4x10xf32>
  kernel.yield %y : tensor<4x10xf32>
}

// -----

kernel.unit @bf16_gemm_c2 <bf16_gemm> {
^bb0(%x: tensor<4x64xbf16>, %p: tensor<32x4x16x2xbf16>, %start: tensor<64xf32>):
  // expected-error @below {{[bf16_gemm_c2] ranks 2 and 4 give rank 2}}
  %y = kernel.bf16_gemm %x, %p, %start : (tensor<4x64xbf16>, tensor<32x4x16x2xbf16>, tensor<64xf32>) -> tensor<4x10xf32>
  kernel.yield %y : tensor<4x10xf32>
}

// -----

kernel.unit @bf16_gemm_c3 <bf16_gemm> {
^bb0(%x: tensor<4x64xbf16>, %p: tensor<1x32x4x16x2xbf16>, %start: tensor<10xf32>):
  // expected-error @below {{[bf16_gemm_c3] start is 'tensor<10xf32>', expected as many as there are columns}}
  %y = kernel.bf16_gemm %x, %p, %start : (tensor<4x64xbf16>, tensor<1x32x4x16x2xbf16>, tensor<10xf32>) -> tensor<4x10xf32>
  kernel.yield %y : tensor<4x10xf32>
}

// -----

kernel.unit @bf16_gemm_c4 <bf16_gemm> {
^bb0(%x: tensor<4x64xbf16>, %p: tensor<1x32x4x16x2xbf16>, %start: tensor<64xf32>):
  // expected-error @below {{[bf16_gemm_c4] weights 'tensor<1x32x4x16x2xbf16>' are not packed for tiles}}
  %y = kernel.bf16_gemm %x, %p, %start {amx} : (tensor<4x64xbf16>, tensor<1x32x4x16x2xbf16>, tensor<64xf32>) -> tensor<4x10xf32>
  kernel.yield %y : tensor<4x10xf32>
}
