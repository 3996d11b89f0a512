// Operations of the `kernel` dialect.
#ifndef ONAGER_KERNEL_OPS
#define ONAGER_KERNEL_OPS

include "dialects/Kernel/IR/KernelDialect.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

class Kernel_Op<string mnemonic, list<Trait> traits = []> : Op<Kernel_Dialect, mnemonic, traits>;

def Kernel_UnitOp : Kernel_Op<"unit", [IsolatedFromAbove, Symbol, SingleBlock]> {
  let summary = "A launch unit: one machine function over tensors";
  let description = [{
    The block's arguments are the tensors read, the yielded ones those written. `hero` picks the emitter. Launches of
    the same unit may pass tensors whose types differ in the grouping of dims, never in the number of elements.
    Checks: unit_c1: the body yields a tensor at least; unit_c2: its arguments are ranked tensors.
    ```mlir
    kernel.unit @unit0 #kernel.hero<map> {
    ^bb0(%x: tensor<8xf32>):
      %0 = graph.relu %x : (tensor<8xf32>) -> tensor<8xf32>
      kernel.yield %0 : tensor<8xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Kernel_HeroAttr:$hero);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name $hero attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
}

def Kernel_YieldOp : Kernel_Op<"yield", [Pure, ReturnLike, Terminator, ParentOneOf<["UnitOp"]>]> {
  let summary = "What a unit writes";
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let assemblyFormat = "$values attr-dict `:` type($values)";
}

def Kernel_LaunchOp : Kernel_Op<"launch", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Runs a unit";
  let description = [{
    After the plan stage `operand_buffers` and `buffers` index the module's `kernel.buffers`, `scratch` is a slot
    with room for each thread or -1, and `barrier` says that threads meet before the launch.
    Checks: launch_c1: the unit exists; launch_c2: it has as many tensors; launch_c3: of the same element types.
    ```mlir
    %1 = kernel.launch @unit0(%0) : (tensor<8xf32>) -> tensor<8xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$unit, Variadic<AnyRankedTensor>:$inputs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$unit `(` $inputs `)` attr-dict `:` functional-type($inputs, results)";
}

def Kernel_PackOp : Kernel_Op<"pack", [Pure]> {
  let summary = "The right operand of a gemm in panels: [..., K, N] -> [..., ceil(N / 16), K, 16], zeros behind N";
  let description = [{
    Checks: pack_c1: one dim more than the operand, panels of 16 columns.
    ```mlir
    %p = kernel.pack %b : tensor<8x2xf32> -> tensor<1x8x16xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def Kernel_GemmOp : Kernel_Op<"gemm", [Pure]> {
  let summary = "[..., M, K] x packed [..., ceil(N / 16), K, 16] -> [..., M, N]; leading dims broadcast";
  let description = [{
    Each element of the result is one chain of fused multiply-adds over rising k in f32. With `bf16x3` many rows are multiplied in tile registers instead:
    both operands become sums of three numbers of bf16, whose products are summed in f32, without the last three, which are below 2^-20 of the whole.
    Tiles with a number that is not finite are chains as before.
    Checks: gemm_c1: ranks; gemm_c2: inner dims are equal; gemm_c3: bf16x3 where the right operand is one matrix.
    ```mlir
    %2 = kernel.gemm %a, %b : (tensor<4x8xf32>, tensor<1x8x16xf32>) -> tensor<4x2xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$packed, UnitAttr:$bf16x3);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Kernel_DotRowsOp : Kernel_Op<"dot_rows", [Pure]> {
  let summary = "[..., R, K] x [..., C, K] -> [..., R, C]: rows by rows, in f32, both in memory; leading dims broadcast";
  let description = [{
    Each element of the result is 16 chains of fused multiply-adds over rising k, put together by halves.
    Checks: dot_rows_c1: ranks; dot_rows_c2: the last dims are equal; dot_rows_c3: rows of a known number, at most 8.
    ```mlir
    %2 = kernel.dot_rows %a, %b : (tensor<1x64xf32>, tensor<100x64xf32>) -> tensor<1x100xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Kernel_BlockPackOp : Kernel_Op<"block_pack", [Pure]> {
  let summary = "Weights of few bits in panels of 16 columns, for block_gemm";
  let description = [{
    [N, blocks, bytes] becomes [ceil(N / 16), steps, 16, 4] of ui8. A step is four numbers along K of 8 bits: those of a column lie together. Of 2 or 4 bits
    it is eight: byte j of a column holds number k + j in its low half and k + 4 + j in the high one. Columns behind N are 0.
    Checks: block_pack_c1: panels of 16 columns by four bytes of ui8.
    ```mlir
    %p = kernel.block_pack %w {bits = 4 : i64} : tensor<8x2x16xui8> -> tensor<1x8x16x4xui8>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, I64Attr:$bits);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def Kernel_BlockGemmOp : Kernel_Op<"block_gemm", [Pure, AttrSizedOperandSegments]> {
  let summary = "x [..., K] times weights of few bits in panels -> [..., N]";
  let description = [{
    `packed` as block_pack makes it; weight (k, n) is (number - zero) * scale, with `scales` and `zeros` [ceil(N / 16), blocks, 16] of a block of `block`
    numbers along K. Scales are of f32 or bf16; zeros of f32 or, where all are such integers, of ui8. With a codebook weight (k, n) is levels [number] * scale, with
    16 `levels` of f32. For few rows weights are read as they are: with `digits` in products of
    bytes, x as fixed-point numbers of three bytes below the largest of each block, else widened to f32. For more rows, and rows that are not finite, panels
    of f32 weights are made on the way.
    Checks: block_gemm_c1: ranks; block_gemm_c2: as many steps as blocks have; block_gemm_c3: zeros, or levels without `digits`.
    ```mlir
    %y = kernel.block_gemm %x, %p, %s zeros %z {bits = 4 : i64, block = 32 : i64, digits}
      : (tensor<?x64xf32>, tensor<1x8x16x4xui8>, tensor<1x2x16xf32>, tensor<1x2x16xui8>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$packed, AnyRankedTensor:$scales, Optional<AnyRankedTensor>:$zeros,
                       Optional<AnyRankedTensor>:$levels, I64Attr:$bits, I64Attr:$block, UnitAttr:$digits);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x `,` $packed `,` $scales (`zeros` $zeros^)? (`levels` $levels^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Kernel_WinogradFilterOp : Kernel_Op<"winograd_filter", [Pure]> {
  let summary = "Filters [O, C, 3, 3] transformed and packed for winograd_conv: [ceil(O / R), 6, 6, C, R], zeros behind O";
  let description = [{
    Element (t, i, j, c, r) is row i of G times filter (t R + r, c) times row j of G, computed in f64; see Winograd.h for G. R is the number of rows
    of the target's register tile.
    Checks: winograd_filter_c1: filters of 3 x 3; winograd_filter_c2: the result has 6 x 6 positions of as many channels; winograd_filter_c3: its
    row tiles have room for the filters.
    ```mlir
    %u = kernel.winograd_filter %w : tensor<32x16x3x3xf32> -> tensor<3x6x6x16x12xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def Kernel_WinogradConvOp : Kernel_Op<"winograd_conv", [Pure]> {
  let summary = "x [N, C, H, W] with filters of 3 x 3, stride 1, as Winograd's F(4x4, 3x3) -> [N, O, H', W']";
  let description = [{
    Tiles of 4 x 4 pixels take 36 products per channel instead of 144. `pads` are the zeros before the first row and column. An infinite input makes
    its tile NaN.
    Checks: winograd_conv_c1: ranks; winograd_conv_c2: channels fit; winograd_conv_c3: channels are numbers, two
    pads; winograd_conv_c4: there are filters for all channels.
    ```mlir
    %y = kernel.winograd_conv %x, %u {pads = affine_map<() -> (1, 1)>}
      : (tensor<1x16x28x28xf32>, tensor<3x6x6x16x12xf32>) -> tensor<1x32x28x28xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$filter, AffineMapAttr:$pads);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Kernel_PackedConvOp : Kernel_Op<"packed_conv", [Pure]> {
  let summary = "x [N, C, spatial...] with packed filters [ceil(O / 16), C * taps, 16] -> [N, O, spatial'...]";
  let description = [{
    Output channels lie in the lanes of vectors, so that planes of few pixels leave none empty. Each element is one chain of fused multiply-adds over
    rising channels, then taps, in f32. `pads` are the zeros before the first element of each spatial dim.
    Checks: packed_conv_c1: ranks; packed_conv_c2: channels times taps fit; packed_conv_c3: one entry of every window attribute per spatial dim, and
    channels that are numbers; packed_conv_c4: there are filters for all channels.
    ```mlir
    %y = kernel.packed_conv %x, %p {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>}
      : (tensor<1x32x7x7xf32>, tensor<4x32x16xf32>) -> tensor<1x64x7x7xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$packed, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations,
                       AffineMapAttr:$pads);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Kernel_Bf16x3FilterOp : Kernel_Op<"bf16x3_filter", [Pure]> {
  let summary = "Filters [O, C, spatial...] as sums of three numbers of bf16: [ceil(O / 32), ceil(K / 32), 3, 2, 16, 32], K being channels times taps";
  let description = [{
    Element (t, s, p, h, r, k) is part p of the weight of output channel 32 t + 16 h + r and term 32 s + k: high, middle, low as Bf16x3.h has them; 0 behind
    O and K, and for the lower parts of what is not finite.
    Checks: bf16x3_filter_c1: filters of f32 become six dims of bf16; bf16x3_filter_c2: as many as there are.
    ```mlir
    %p = kernel.bf16x3_filter %w : tensor<64x24x1x1xf32> -> tensor<2x1x3x2x16x32xbf16>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def Kernel_Bf16x3ConvOp : Kernel_Op<"bf16x3_conv", [Pure]> {
  let summary = "x [N, C, spatial...] with filters in parts of bf16 -> [N, O, spatial'...]";
  let description = [{
    Pixels under the windows are split into parts like the filters, and multiplied in tile registers: see bf16x3 of gemm. `marks` [O] are NaN for filters with
    a weight that is not finite, else 0; tiles with such a filter or pixel are chains of fused multiply-adds of f32 over rising channels, then taps.
    Checks: bf16x3_conv_c1: ranks; bf16x3_conv_c2: numbers of channels, and one entry of every window attribute per spatial dim; bf16x3_conv_c3: parts and
    marks for all channels and terms.
    ```mlir
    %y = kernel.bf16x3_conv %x, %p, %m {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>}
      : (tensor<1x64x56x56xf32>, tensor<2x2x3x2x16x32xbf16>, tensor<64xf32>) -> tensor<1x64x56x56xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$filter, AnyRankedTensor:$marks, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$dilations, AffineMapAttr:$pads);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Kernel_SparsePackOp : Kernel_Op<"sparse_pack", [Pure]> {
  let summary = "The weights [outputs, K] that are not 0, by runs along K and outputs, for sparse_gemm and sparse_conv";
  let description = [{
    K is cut into runs of 128. The weights of a run and output lie one behind the other, by rising k: from `starts`[run, output] to `starts`[run, output + 1],
    which count over all runs. `indices` are their places in the run. There is room for as many as the model's constant has; what a scale has made 0 leaves zeros
    at the end, and more than there is room for is refused.
    Checks: sparse_pack_c1: a matrix of numbers; sparse_pack_c2: i32 starts of each run and output, and one more; sparse_pack_c3: as many indices of ui16 as
    values of f32.
    ```mlir
    %starts, %indices, %values = kernel.sparse_pack %w : tensor<10x300xf32> -> tensor<3x11xi32>, tensor<70xui16>, tensor<70xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x);
  let results = (outs AnyRankedTensor:$starts, AnyRankedTensor:$indices, AnyRankedTensor:$values);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($starts) `,` type($indices) `,` type($values)";
  let hasVerifier = 1;
}

def Kernel_SparseGemmOp : Kernel_Op<"sparse_gemm", [Pure]> {
  let summary = "[..., M, K] x the weights that are not 0, as sparse_pack stores them -> [..., M, N]";
  let description = [{
    Each element of the result is one chain of fused multiply-adds over rising k in f32, which leaves out weights of 0.
    Checks: sparse_gemm_c1: ranks; sparse_gemm_c2: K and N are numbers, starts of as many runs and outputs.
    ```mlir
    %y = kernel.sparse_gemm %x, %starts, %indices, %values : (tensor<64x300xf32>, tensor<3x11xi32>, tensor<70xui16>, tensor<70xf32>) -> tensor<64x10xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$starts, AnyRankedTensor:$indices, AnyRankedTensor:$values);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Kernel_SparseConvOp : Kernel_Op<"sparse_conv", [Pure]> {
  let summary = "x [N, C, spatial...] with the filters' weights that are not 0, as sparse_pack stores them -> [N, O, spatial'...]";
  let description = [{
    As packed_conv: K are channels times taps. Each element is one chain of fused multiply-adds over rising channels, then taps, in f32, which leaves out weights
    of 0.
    Checks: sparse_conv_c1: ranks, and one entry of every window attribute per spatial dim; sparse_conv_c2: channels are numbers, starts of as many runs and
    outputs.
    ```mlir
    %y = kernel.sparse_conv %x, %starts, %indices, %values {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
      pads = affine_map<() -> (0, 0)>} : (tensor<1x32x28x28xf32>, tensor<1x65xi32>, tensor<200xui16>, tensor<200xf32>) -> tensor<1x64x28x28xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$starts, AnyRankedTensor:$indices, AnyRankedTensor:$values, DenseI64ArrayAttr:$kernel,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations, AffineMapAttr:$pads);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Kernel_Int8PackOp : Kernel_Op<"int8_pack", [Pure]> {
  let summary = "8-bit weights in the order in which products of four bytes, or of two 16-bit numbers, read them";
  let description = [{
    Sums run over quads of four weights; a quad is one element row of i8 for `vpdpbusd`, or two rows of i16 for `vpmaddwd`, which hold weights 0 and 2,
    then 1 and 3. Quads are filled up with zeros. E is 4 or 2, S quads or twice as many.
    `conv`: filters [O, C / group, kernel...] -> [group, ceil(O / group / R), S, R, E], R rows of a register tile.
    `depthwise`: filters [O, 1, kernel...] -> [O, S, E], quads as getTapQuads of Int8.h makes them.
    `gemm`: [K, N] -> [ceil(N / 4 L), S, 4, L, E] for vectors of L sums, columns in the order of getLaneColumn of Int8.h.
    `amx`: [K, N] -> [2 ceil(N / 64), ceil(K / 64), 2, 16, 64] for tile registers: panels of 32 columns, steps of 64 numbers, and two tiles in each, whose
    rows have a quad of each of 16 columns, in order.
    Checks: int8_pack_c1: weights of i8; int8_pack_c2: ranks fit the form; int8_pack_c3: rows of 4 i8 or 2 i16, of 64 i8 for amx; int8_pack_c4: room for
    the weights.
    ```mlir
    %p = kernel.int8_pack %w {form = #kernel.int8_form<conv>} : tensor<16x32x1x1xi8> -> tensor<1x3x8x6x4xi8>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, Kernel_Int8FormAttr:$form, DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$strides,
                       DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$dilations);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

// Sums of products of bytes become numbers of i32, or, where `scale` and `offset` are given, bytes:
// clamp(round(sum * scale + offset) + zero_point, low, high), halves rounded to even.
class Kernel_Int8Op<string mnemonic> : Kernel_Op<mnemonic, [Pure, AttrSizedOperandSegments]> {
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Kernel_Int8ConvOp : Kernel_Int8Op<"int8_conv"> {
  let summary = "x [N, C, spatial...] of bytes with packed filters -> [N, O, spatial...] of i32 or bytes";
  let description = [{
    The sum of an output channel starts with its entry of `start` [O] and takes byte times weight for each tap; a byte of i8 counts 128 more than it
    is. Outside of the image lies `padding`, a number of x's type. Where `scale` and `offset` [O] are given, the result is
    clamp(round(sum * scale + offset) + zero_point, low, high), halves rounded to even.
    Checks: int8_conv_c1: bytes; int8_conv_c2: a result of i32 without scale and offset, of bytes with both; int8_conv_c3: one entry of every window
    attribute per spatial dim, one or two of them; int8_conv_c4: one entry of start, scale and offset per output channel.
    ```mlir
    %y = kernel.int8_conv %x, %p, %start, %scale, %offset {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
      pads = affine_map<() -> (0, 0)>, group = 1 : i64, padding = 0 : i64, zero_point = 3 : i64, low = 0 : i64, high = 255 : i64,
      operandSegmentSizes = array<i32: 1, 1, 1, 1, 1>} : (...) -> tensor<1x16x8x8xui8>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$filter, AnyRankedTensor:$start, Optional<AnyRankedTensor>:$scale,
                       Optional<AnyRankedTensor>:$offset, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides, AffineMapAttr:$pads,
                       DenseI64ArrayAttr:$dilations, I64Attr:$group, I64Attr:$padding, I64Attr:$zero_point, I64Attr:$low, I64Attr:$high);
}

def Kernel_Int8GemmOp : Kernel_Int8Op<"int8_gemm"> {
  let summary = "[..., M, K] of bytes x packed weights -> [..., M, N] of i32 or bytes";
  let description = [{
    As int8_conv, for the rows of x: `start`, `scale` and `offset` have an entry for each of the columns that the packed weights have room for.
    Weights are packed in the form `gemm`; with `amx`, which multiplies tiles, they are in that form, and bytes of i8 count as they are.
    Checks: int8_gemm_c1: bytes; int8_gemm_c2: a result of i32 without scale and offset, of bytes with both; int8_gemm_c3: ranks; int8_gemm_c4: one
    entry of start, scale and offset per packed column; int8_gemm_c5: weights for tiles where `amx` is given.
    ```mlir
    %y = kernel.int8_gemm %x, %p, %start {zero_point = 0 : i64, low = 0 : i64, high = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>}
      : (tensor<4x64xui8>, tensor<1x16x4x16x4xi8>, tensor<64xi32>) -> tensor<4x10xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$packed, AnyRankedTensor:$start, Optional<AnyRankedTensor>:$scale,
                       Optional<AnyRankedTensor>:$offset, I64Attr:$zero_point, I64Attr:$low, I64Attr:$high, UnitAttr:$amx);
}

def Kernel_Bf16PackOp : Kernel_Op<"bf16_pack", [Pure]> {
  let summary = "Weights of bf16 in the order in which products of two of them read them";
  let description = [{
    As int8_pack, with two numbers in the place of a quad, filled up with zeros: [K, N] -> [ceil(N / 4 L), ceil(K / 2), 4, L, 2] for vectors of L sums,
    columns in the order of getLaneColumn of Int8.h; with `amx` [2 ceil(N / 64), ceil(K / 32), 2, 16, 32] for tile registers.
    Checks: bf16_pack_c1: a matrix of bf16 becomes five dims of bf16; bf16_pack_c2: rows of 2, of 32 with `amx`; bf16_pack_c3: room for the weights.
    ```mlir
    %p = kernel.bf16_pack %w : tensor<64x10xbf16> -> tensor<1x32x4x16x2xbf16>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, UnitAttr:$amx);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def Kernel_Bf16GemmOp : Kernel_Op<"bf16_gemm", [Pure]> {
  let summary = "[..., M, K] of bf16 x packed weights of bf16 -> [..., M, N] of f32";
  let description = [{
    Products are exact, sums f32: that of a column starts with its entry of `start`, which has one for each of the columns that the packed weights have
    room for. With `amx` tiles are multiplied, with `dot` pairs by AVX512-BF16; both count denormal numbers as 0. Else numbers are widened to f32.
    Checks: bf16_gemm_c1: bf16 gives f32; bf16_gemm_c2: ranks; bf16_gemm_c3: one entry of start per packed column; bf16_gemm_c4: weights for tiles where
    `amx` is given, for vectors where it is not.
    ```mlir
    %y = kernel.bf16_gemm %x, %p, %start : (tensor<4x64xbf16>, tensor<1x32x4x16x2xbf16>, tensor<64xf32>) -> tensor<4x10xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$packed, AnyRankedTensor:$start, UnitAttr:$amx, UnitAttr:$dot);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif
