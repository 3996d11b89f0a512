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

kernel.unit @gemm_c3 <gemm> {
^bb0(%a: tensor<2x64x64xf32>, %p: tensor<2x2x64x16xf32>):
  // expected-error @below {{[gemm_c3] bf16x3 with more than one matrix in 'tensor<2x2x64x16xf32>'}}
  %c = kernel.gemm %a, %p {bf16x3} : (tensor<2x64x64xf32>, tensor<2x2x64x16xf32>) -> tensor<2x64x32xf32>
  kernel.yield %c : tensor<2x64x32xf32>
}

// -----

kernel.unit @dot_rows_c1 <dot_rows> {
^bb0(%a: tensor<2x8xf32>, %b: tensor<8xf32>):
  // expected-error @below {{[dot_rows_c1] ranks 2 and 1 do not give rank 2}}
  %c = kernel.dot_rows %a, %b : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x1xf32>
  kernel.yield %c : tensor<2x1xf32>
}

// -----

kernel.unit @dot_rows_c2 <dot_rows> {
^bb0(%a: tensor<2x8xf32>, %b: tensor<5x7xf32>):
  // expected-error @below {{[dot_rows_c2] a dim is 7, expected 8}}
  %c = kernel.dot_rows %a, %b : (tensor<2x8xf32>, tensor<5x7xf32>) -> tensor<2x5xf32>
  kernel.yield %c : tensor<2x5xf32>
}

// -----

kernel.unit @dot_rows_c3 <dot_rows> {
^bb0(%a: tensor<9x8xf32>, %b: tensor<5x8xf32>):
  // expected-error @below {{[dot_rows_c3] rows of 'tensor<9x8xf32>', expected a known number of at most 8}}
  %c = kernel.dot_rows %a, %b : (tensor<9x8xf32>, tensor<5x8xf32>) -> tensor<9x5xf32>
  kernel.yield %c : tensor<9x5xf32>
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
  // expected-error @below {{[winograd_conv_c3] expected two pads, and channels that are numbers}}
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

kernel.unit @packed_conv_c1 <packed_conv> {
^bb0(%x: tensor<1x4x8x8xf32>, %p: tensor<1x1x4x16xf32>):
  // expected-error @below {{[packed_conv_c1] ranks 4 and 4 give rank 4, expected equal ones and 3}}
  %y = kernel.packed_conv %x, %p {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>} : (tensor<1x4x8x8xf32>, tensor<1x1x4x16xf32>) -> tensor<1x13x8x8xf32>
  kernel.yield %y : tensor<1x13x8x8xf32>
}

// -----

kernel.unit @packed_conv_c2 <packed_conv> {
^bb0(%x: tensor<1x4x8x8xf32>, %p: tensor<1x5x16xf32>):
  // expected-error @below {{[packed_conv_c2] a dim is 5, expected 4}}
  %y = kernel.packed_conv %x, %p {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>} : (tensor<1x4x8x8xf32>, tensor<1x5x16xf32>) -> tensor<1x13x8x8xf32>
  kernel.yield %y : tensor<1x13x8x8xf32>
}

// -----

kernel.unit @packed_conv_c3 <packed_conv> {
^bb0(%x: tensor<1x4x8x8xf32>, %p: tensor<1x4x16xf32>):
  // expected-error @below {{[packed_conv_c3] expected windows over 2 dims, and channels that are numbers}}
  %y = kernel.packed_conv %x, %p {kernel = array<i64: 1, 1>, strides = array<i64: 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>} : (tensor<1x4x8x8xf32>, tensor<1x4x16xf32>) -> tensor<1x13x8x8xf32>
  kernel.yield %y : tensor<1x13x8x8xf32>
}

// -----

kernel.unit @packed_conv_c4 <packed_conv> {
^bb0(%x: tensor<1x4x8x8xf32>, %p: tensor<1x4x16xf32>):
  // expected-error @below {{[packed_conv_c4] 17 channels from filters for 16}}
  %y = kernel.packed_conv %x, %p {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>} : (tensor<1x4x8x8xf32>, tensor<1x4x16xf32>) -> tensor<1x17x8x8xf32>
  kernel.yield %y : tensor<1x17x8x8xf32>
}

// -----

kernel.unit @block_pack_c1 <map> {
^bb0(%w: tensor<8x2x16xui8>):
  // expected-error @below {{[block_pack_c1] 'tensor<8x2x16xui8>' does not pack to 'tensor<1x8x16x2xui8>'}}
  %0 = kernel.block_pack %w {bits = 4 : i64} : tensor<8x2x16xui8> -> tensor<1x8x16x2xui8>
  kernel.yield %0 : tensor<1x8x16x2xui8>
}

// -----

kernel.unit @block_gemm_c1 <block_gemm> {
^bb0(%x: tensor<3x64xf32>, %p: tensor<1x8x16x4xui8>, %s: tensor<2x16xf32>):
  // expected-error @below {{[block_gemm_c1] ranks 2, 4 and 2 do not give rank 2}}
  %0 = kernel.block_gemm %x, %p, %s zeros %s {bits = 4 : i64, block = 32 : i64} : (tensor<3x64xf32>, tensor<1x8x16x4xui8>, tensor<2x16xf32>, tensor<2x16xf32>) -> tensor<3x8xf32>
  kernel.yield %0 : tensor<3x8xf32>
}

// -----

kernel.unit @block_gemm_c2 <block_gemm> {
^bb0(%x: tensor<3x64xf32>, %p: tensor<1x8x16x4xui8>, %s: tensor<1x3x16xf32>):
  // expected-error @below {{[block_gemm_c2] 'tensor<1x8x16x4xui8>' with scales 'tensor<1x3x16xf32>', blocks of 32}}
  %0 = kernel.block_gemm %x, %p, %s zeros %s {bits = 4 : i64, block = 32 : i64} : (tensor<3x64xf32>, tensor<1x8x16x4xui8>, tensor<1x3x16xf32>, tensor<1x3x16xf32>) -> tensor<3x8xf32>
  kernel.yield %0 : tensor<3x8xf32>
}

// -----

kernel.unit @block_gemm_c3 <block_gemm> {
^bb0(%x: tensor<3x64xf32>, %p: tensor<1x8x16x4xui8>, %s: tensor<1x2x16xf32>, %l: tensor<16xf32>):
  // expected-error @below {{[block_gemm_c3] expected zeros, or levels that products of f32 take}}
  %0 = kernel.block_gemm %x, %p, %s levels %l {bits = 4 : i64, block = 32 : i64, digits} : (tensor<3x64xf32>, tensor<1x8x16x4xui8>, tensor<1x2x16xf32>, tensor<16xf32>) -> tensor<3x8xf32>
  kernel.yield %0 : tensor<3x8xf32>
}

// -----

kernel.unit @sparse_pack_c1 <map> {
^bb0(%w: tensor<10x300xf64>):
  // expected-error @below {{[sparse_pack_c1] weights of type 'tensor<10x300xf64>', expected a matrix of f32 of known size}}
  %s, %i, %v = kernel.sparse_pack %w : tensor<10x300xf64> -> tensor<3x11xi32>, tensor<70xui16>, tensor<70xf32>
  kernel.yield %s : tensor<3x11xi32>
}

// -----

kernel.unit @sparse_pack_c2 <map> {
^bb0(%w: tensor<10x300xf32>):
  // expected-error @below {{[sparse_pack_c2] starts of type 'tensor<3x10xi32>', expected 'tensor<3x11xi32>'}}
  %s, %i, %v = kernel.sparse_pack %w : tensor<10x300xf32> -> tensor<3x10xi32>, tensor<70xui16>, tensor<70xf32>
  kernel.yield %s : tensor<3x10xi32>
}

// -----

kernel.unit @sparse_pack_c3 <map> {
^bb0(%w: tensor<10x300xf32>):
  // expected-error @below {{[sparse_pack_c3] indices of type 'tensor<71xui16>' for values of type 'tensor<70xf32>'}}
  %s, %i, %v = kernel.sparse_pack %w : tensor<10x300xf32> -> tensor<3x11xi32>, tensor<71xui16>, tensor<70xf32>
  kernel.yield %s : tensor<3x11xi32>
}

// -----

kernel.unit @sparse_gemm_c1 <map> {
^bb0(%x: tensor<64x300xf32>, %s: tensor<3x11xi32>, %i: tensor<70xui16>, %v: tensor<70xf32>):
  // expected-error @below {{[sparse_gemm_c1] rank 2 does not give rank 3}}
  %y = kernel.sparse_gemm %x, %s, %i, %v : (tensor<64x300xf32>, tensor<3x11xi32>, tensor<70xui16>, tensor<70xf32>) -> tensor<1x64x10xf32>
  kernel.yield %y : tensor<1x64x10xf32>
}

// -----

kernel.unit @sparse_gemm_c2 <map> {
^bb0(%x: tensor<64x300xf32>, %s: tensor<2x11xi32>, %i: tensor<70xui16>, %v: tensor<70xf32>):
  // expected-error @below {{[sparse_gemm_c2] 'tensor<2x11xi32>' are no starts for 'tensor<64x300xf32>' giving 'tensor<64x10xf32>'}}
  %y = kernel.sparse_gemm %x, %s, %i, %v : (tensor<64x300xf32>, tensor<2x11xi32>, tensor<70xui16>, tensor<70xf32>) -> tensor<64x10xf32>
  kernel.yield %y : tensor<64x10xf32>
}

// -----

kernel.unit @sparse_conv_c1 <map> {
^bb0(%x: tensor<1x32x8x8xf32>, %s: tensor<1x65xi32>, %i: tensor<70xui16>, %v: tensor<70xf32>):
  // expected-error @below {{[sparse_conv_c1] windows over 1 dims, ranks 4 and 4}}
  %y = kernel.sparse_conv %x, %s, %i, %v {kernel = array<i64: 1>, strides = array<i64: 1>, dilations = array<i64: 1>, pads = affine_map<() -> (0)>} : (tensor<1x32x8x8xf32>, tensor<1x65xi32>, tensor<70xui16>, tensor<70xf32>) -> tensor<1x64x8x8xf32>
  kernel.yield %y : tensor<1x64x8x8xf32>
}

// -----

kernel.unit @sparse_conv_c2 <map> {
^bb0(%x: tensor<1x32x8x8xf32>, %s: tensor<1x65xi32>, %i: tensor<70xui16>, %v: tensor<70xf32>):
  // expected-error @below {{[sparse_conv_c2] 'tensor<1x65xi32>' are no starts for 'tensor<1x32x8x8xf32>' giving 'tensor<1x60x8x8xf32>'}}
  %y = kernel.sparse_conv %x, %s, %i, %v {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>} : (tensor<1x32x8x8xf32>, tensor<1x65xi32>, tensor<70xui16>, tensor<70xf32>) -> tensor<1x60x8x8xf32>
  kernel.yield %y : tensor<1x60x8x8xf32>
}

// -----

kernel.unit @bf16x3_filter_c1 <map> {
^bb0(%w: tensor<64x24x1x1xf32>):
  // expected-error @below {{[bf16x3_filter_c1] 'tensor<64x24x1x1xf32>' does not become 'tensor<2x1x3x2x16x32xf32>'}}
  %p = kernel.bf16x3_filter %w : tensor<64x24x1x1xf32> -> tensor<2x1x3x2x16x32xf32>
  kernel.yield %p : tensor<2x1x3x2x16x32xf32>
}

// -----

kernel.unit @bf16x3_filter_c2 <map> {
^bb0(%w: tensor<64x24x3x3xf32>):
  // expected-error @below {{[bf16x3_filter_c2] 'tensor<64x24x3x3xf32>' does not fill 'tensor<2x6x3x2x16x32xbf16>'}}
  %p = kernel.bf16x3_filter %w : tensor<64x24x3x3xf32> -> tensor<2x6x3x2x16x32xbf16>
  kernel.yield %p : tensor<2x6x3x2x16x32xbf16>
}

// -----

kernel.unit @bf16x3_conv_c1 <bf16x3_conv> {
^bb0(%x: tensor<1x64x7x7xf32>, %p: tensor<2x2x3x2x16xbf16>, %m: tensor<64xf32>):
  // expected-error @below {{[bf16x3_conv_c1] ranks 4, 5 and 1 give rank 4}}
  %y = kernel.bf16x3_conv %x, %p, %m {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>}
    : (tensor<1x64x7x7xf32>, tensor<2x2x3x2x16xbf16>, tensor<64xf32>) -> tensor<1x64x7x7xf32>
  kernel.yield %y : tensor<1x64x7x7xf32>
}

// -----

kernel.unit @bf16x3_conv_c2 <bf16x3_conv> {
^bb0(%x: tensor<1x64x7x7xf32>, %p: tensor<2x2x3x2x16x32xbf16>, %m: tensor<64xf32>):
  // expected-error @below {{[bf16x3_conv_c2] expected windows over 2 dims, and channels that are numbers}}
  %y = kernel.bf16x3_conv %x, %p, %m {kernel = array<i64: 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>}
    : (tensor<1x64x7x7xf32>, tensor<2x2x3x2x16x32xbf16>, tensor<64xf32>) -> tensor<1x64x7x7xf32>
  kernel.yield %y : tensor<1x64x7x7xf32>
}

// -----

kernel.unit @bf16x3_conv_c3 <bf16x3_conv> {
^bb0(%x: tensor<1x64x7x7xf32>, %p: tensor<2x2x3x2x16x32xbf16>, %m: tensor<64xf32>):
  // expected-error @below {{[bf16x3_conv_c3] 'tensor<2x2x3x2x16x32xbf16>' and 'tensor<64xf32>' for 65 channels of 64 terms}}
  %y = kernel.bf16x3_conv %x, %p, %m {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>}
    : (tensor<1x64x7x7xf32>, tensor<2x2x3x2x16x32xbf16>, tensor<64xf32>) -> tensor<1x65x7x7xf32>
  kernel.yield %y : tensor<1x65x7x7xf32>
}
