// Each check of the kernel dialect reports its id, what it found and what it expected.
// RUN: onager-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{[unit_c1] expected a kernel.yield of at least one tensor}}
kernel.unit @unit_c1 <map> {
^bb0(%x: tensor<8xf32>):
  "kernel.yield"() : () -> ()
}

// -----

// expected-error @below {{[unit_c2] an argument of type 'f32', expected a ranked tensor}}
kernel.unit @unit_c2 <map> {
^bb0(%x: tensor<8xf32>, %s: f32):
  kernel.yield %x : tensor<8xf32>
}

// -----

func.func @launch_c1(%x: tensor<8xf32>) {
  // expected-error @below {{[launch_c1] no unit @absent}}
  %0 = kernel.launch @absent(%x) : (tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @launch_c2(%x: tensor<8xf32>) {
  // expected-error @below {{[launch_c2] 2 operands, the unit has 1}}
  %0 = kernel.launch @copy(%x, %x) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return
}
kernel.unit @copy <map> {
^bb0(%x: tensor<8xf32>):
  kernel.yield %x : tensor<8xf32>
}

// -----

func.func @launch_c3(%x: tensor<8xf32>) {
  // expected-error @below {{[launch_c3] one of the results is 'tensor<8xi32>', the unit's is 'tensor<8xf32>'}}
  %0 = kernel.launch @copy(%x) : (tensor<8xf32>) -> tensor<8xi32>
  return
}
kernel.unit @copy <map> {
^bb0(%x: tensor<8xf32>):
  kernel.yield %x : tensor<8xf32>
}

// -----

kernel.unit @pack_c1 <map> {
^bb0(%b: tensor<8x2xf32>):
  // expected-error @below {{[pack_c1] 'tensor<8x2xf32>' does not pack to 'tensor<1x8x8xf32>'}}
  %p = kernel.pack %b : tensor<8x2xf32> -> tensor<1x8x8xf32>
  kernel.yield %p : tensor<1x8x8xf32>
}

// -----

kernel.unit @gemm_c1 <gemm> {
^bb0(%a: tensor<4x8xf32>, %p: tensor<8x16xf32>):
  // expected-error @below {{[gemm_c1] ranks 2 and 2 do not give rank 2}}
  %c = kernel.gemm %a, %p : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x2xf32>
  kernel.yield %c : tensor<4x2xf32>
}

// -----

kernel.unit @gemm_c2 <gemm> {
^bb0(%a: tensor<4x7xf32>, %p: tensor<1x8x16xf32>):
  // expected-error @below {{[gemm_c2] a dim is 8, expected 7}}
  %c = kernel.gemm %a, %p : (tensor<4x7xf32>, tensor<1x8x16xf32>) -> tensor<4x2xf32>
  kernel.yield %c : tensor<4x2xf32>
}

// -----

kernel.unit @winograd_filter_c1 <map> {
^bb0(%w: tensor<12x4x5x5xf32>):
  // expected-error @below {{[winograd_filter_c1] filters of type 'tensor<12x4x5x5xf32>', expected [O, C, 3, 3]}}
  %u = kernel.winograd_filter %w : tensor<12x4x5x5xf32> -> tensor<1x6x6x4x12xf32>
  kernel.yield %u : tensor<1x6x6x4x12xf32>
}

// -----

kernel.unit @winograd_filter_c2 <map> {
^bb0(%w: tensor<12x4x3x3xf32>):
  // expected-error @below {{[winograd_filter_c2] 'tensor<12x4x3x3xf32>' does not transform to 'tensor<1x6x6x5x12xf32>'}}
  %u = kernel.winograd_filter %w : tensor<12x4x3x3xf32> -> tensor<1x6x6x5x12xf32>
  kernel.yield %u : tensor<1x6x6x5x12xf32>
}

// -----

// Too few row tiles for the filters.
kernel.unit @winograd_filter_c3 <map> {
^bb0(%w: tensor<13x4x3x3xf32>):
  // expected-error @below {{[winograd_filter_c3] 1 row tiles of 12 hold no 13 filters}}
  %u = kernel.winograd_filter %w : tensor<13x4x3x3xf32> -> tensor<1x6x6x4x12xf32>
  kernel.yield %u : tensor<1x6x6x4x12xf32>
}

// -----

kernel.unit @winograd_conv_c1 <winograd> {
^bb0(%x: tensor<4x8x8xf32>, %u: tensor<1x6x6x4x12xf32>):
  // expected-error @below {{[winograd_conv_c1] ranks 3 and 5 give rank 4, expected 4 and 5 giving 4}}
  %y = kernel.winograd_conv %x, %u {pads = affine_map<() -> (1, 1)>} : (tensor<4x8x8xf32>, tensor<1x6x6x4x12xf32>) -> tensor<1x12x8x8xf32>
  kernel.yield %y : tensor<1x12x8x8xf32>
}

// -----

kernel.unit @winograd_conv_c2 <winograd> {
^bb0(%x: tensor<1x5x8x8xf32>, %u: tensor<1x6x6x4x12xf32>):
  // expected-error @below {{[winograd_conv_c2] a dim is 4, expected 5}}
  %y = kernel.winograd_conv %x, %u {pads = affine_map<() -> (1, 1)>} : (tensor<1x5x8x8xf32>, tensor<1x6x6x4x12xf32>) -> tensor<1x12x8x8xf32>
  kernel.yield %y : tensor<1x12x8x8xf32>
}

// -----

kernel.unit @winograd_conv_c3 <winograd> {
^bb0(%x: tensor<1x4x8x8xf32>, %u: tensor<1x6x6x4x12xf32>):
  // expected-error @below {{[winograd_conv_c3] expected two pads, and dims that are numbers but for the batch's}}
  %y = kernel.winograd_conv %x, %u {pads = affine_map<() -> (1)>} : (tensor<1x4x8x8xf32>, tensor<1x6x6x4x12xf32>) -> tensor<1x12x8x8xf32>
  kernel.yield %y : tensor<1x12x8x8xf32>
}

// -----

kernel.unit @winograd_conv_c4 <winograd> {
^bb0(%x: tensor<1x4x8x8xf32>, %u: tensor<1x6x6x4x12xf32>):
  // expected-error @below {{[winograd_conv_c4] 13 channels from filters for 12}}
  %y = kernel.winograd_conv %x, %u {pads = affine_map<() -> (1, 1)>} : (tensor<1x4x8x8xf32>, tensor<1x6x6x4x12xf32>) -> tensor<1x13x8x8xf32>
  kernel.yield %y : tensor<1x13x8x8xf32>
}

// -----

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
