// From the `graph` dialect to launch units.
#ifndef ONAGER_CONVERSION_GRAPHTOKERNEL_PASSES
#define ONAGER_CONVERSION_GRAPHTOKERNEL_PASSES

include "mlir/Pass/PassBase.td"

def ConvertMatmulToDotRows : Pass<"convert-matmul-to-dot-rows", "::mlir::func::FuncOp"> {
  let summary = "Products of few rows or few columns read both operands along their rows";
  let description = [{
    A `graph.matmul` of f32 with up to 8 rows, whose right operand a run transposes before it, becomes `kernel.dot_rows` of the untransposed one (rationale: a transposition
    costs more than the product). One with fewer than 8 columns becomes `kernel.dot_rows` of the transposed right operand and the left one, transposed
    (rationale: panels would be mostly padding, and both transpositions are small). Must hold: sums of a known number of 32 products or more. Left alone: right operands
    that are known, which gemm packs at compile time, unless their columns are few.

    ```mlir
    %t = graph.transpose %b {perm = array<i64: 1, 0>} : (tensor<100x64xf32>) -> tensor<64x100xf32>
    %2 = graph.matmul %a, %t : (tensor<1x64xf32>, tensor<64x100xf32>) -> tensor<1x100xf32>
    // becomes
    %2 = kernel.dot_rows %a, %b : (tensor<1x64xf32>, tensor<100x64xf32>) -> tensor<1x100xf32>
    ```
    May change numbers: products are summed in 16 chains.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let statistics = [Statistic<"numConverted", "converted", "products that became dot products of rows">];
}

def ConvertMatmulToGemm : Pass<"convert-matmul-to-gemm", "::mlir::func::FuncOp"> {
  let summary = "Splits matmul into packing of the right operand and a panel gemm";
  let description = [{
    A `graph.matmul` of floats up to 32 bits becomes `kernel.pack` of the right operand and `kernel.gemm`; 16-bit operands are cast to
    f32 first and the result cast back (named in the compile report: sums keep f32). Left alone: integers, f64, and right operands with fewer
    than 8 columns or a contraction over fewer than 4 elements (rationale: 16-wide panels would be mostly padding; the generic form
    reduces along k instead), and up to 8 rows times a matrix that each run computes (rationale: packing takes as long as the product). Convolutions of 16-bit floats are cast likewise.

    ```mlir
    %2 = graph.matmul %0, %1 : (tensor<4x8xf32>, tensor<8x32xf32>) -> tensor<4x32xf32>
    // becomes
    %p = kernel.pack %1 : tensor<8x32xf32> -> tensor<2x8x16xf32>
    %2 = kernel.gemm %0, %p : (tensor<4x8xf32>, tensor<2x8x16xf32>) -> tensor<4x32xf32>
    ```
    With `bf16x3` products of enough rows, columns and terms, or of unknown numbers of them, with one matrix have that attribute (rationale: tile registers
    multiply numbers of bf16 sixteen times as fast as vectors those of f32, and six products of such numbers stand for one).
    Holds after: every `kernel.gemm` is f32. May change numbers: sums are chains of f32 fused multiply-adds, or those of the parts of bf16.
  }];
  let options = [Option<"bf16x3", "bf16x3", "bool", "false", "The target multiplies tiles of bf16 (AMX-BF16), which products of f32 may take">];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let statistics = [Statistic<"numGemms", "gemms", "matmuls that became gemms">];
}

def ConvertBlockMatmul : Pass<"convert-block-matmul", "::mlir::func::FuncOp"> {
  let summary = "Packs weights of few bits for products that read them as they are";
  let description = [{
    A `graph.block_matmul` becomes `kernel.block_pack` of the weights, `kernel.pack` of the scales and of the zero points, and `kernel.block_gemm`. Zero
    points that were cast from bytes, or are one such number, stay bytes; scales that were cast from bf16 stay that. Constants are packed at compile
    time. With `dot-product` few rows become fixed-point numbers of three bytes below the largest of each block (or of each 128 numbers of a longer
    one), whose products with the weights are summed in integers.

    ```mlir
    %y = graph.block_matmul %x, %w, %s, %z {bits = 4 : i64, block = 32 : i64} : (...) -> tensor<?x8xf32>
    // becomes
    %p = kernel.block_pack %w {bits = 4 : i64} : tensor<8x2x16xui8> -> tensor<1x8x16x4xui8>
    %y = kernel.block_gemm %x, %p, %ps, %pz {bits = 4 : i64, block = 32 : i64} : (...) -> tensor<?x8xf32>
    ```
    Changes numbers (named in the compile report): zero points are taken off a block's sum; fixed-point numbers are off by about 2^-23 of their
    block's largest at most.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let options = [Option<"dotProduct", "dot-product", "bool", "false", "The target adds products of four bytes (AVX512-VNNI)">];
  let statistics = [Statistic<"numProducts", "products", "products in this form">];
}

def GraphMarkPast : Pass<"graph-mark-past", "::mlir::func::FuncOp"> {
  let summary = "Lets attention read caches of keys and values where the past holds them";
  let description = [{
    A `graph.attention` whose keys and values are arguments with new rows behind them gets the arguments as `past_k` and `past_v` (rationale: a step of a decoder
    copies both caches; they are in the processor's cache where they were read from, while the copies are on their way to memory). Where the model's
    weights alone do not fit the last-level cache, of `l3-bytes`, such concatenations that are results of the function become `nontemporal` (rationale:
    nothing of a copy is left there until the next step; a line that is written past the caches is not read from memory first).

    ```mlir
    %k = graph.concat %past, %now {axis = 1 : i64} : (tensor<2x8x64xf32>, tensor<2x1x64xf32>) -> tensor<2x9x64xf32>
    %y = graph.attention %q, %k, %v {...} : (...)
    // becomes
    %k = graph.concat %past, %now {axis = 1 : i64, nontemporal} : (tensor<2x8x64xf32>, tensor<2x1x64xf32>) -> tensor<2x9x64xf32>
    %y = graph.attention %q, %k, %v, %past, %past_v {...} : (...)
    ```
    Does nothing where keys or values are transposed, cast or computed behind the concatenation, and where their pasts have different numbers of rows.
    May change numbers: few queries meet the rows of the past and new ones in blocks of their own.
  }];
  let options = [Option<"l3Bytes", "l3-bytes", "int64_t", /*default=*/"32 << 20", "Size of the last-level cache">];
  let statistics = [Statistic<"numMarked", "marked", "attentions that know their past">];
}

def GraphMarkSparse : Pass<"graph-mark-sparse", "::mlir::func::FuncOp"> {
  let summary = "Finds the products whose weights hold so many zeros that leaving them out is faster";
  let description = [{
    Puts the attribute `sparse` on each product of f32 with constant weights, and convolution with constant filters, a quarter of whose weights are 0 or more:
    how many weights there are, zeros among them, and how many times faster the sparse form is by the estimate of Sparse.h. Where it is not to be taken,
    `dense` gives the reason. Symbols count as the least that is known of them. With `winograd` convolutions are compared with that form, with `bf16x3` products
    of many rows with one and a half times the speed of vectors.
    Scales of filters that are computed from constants keep zeros.

    ```mlir
    %2 = graph.matmul %0, %1 : (tensor<64x256xf32>, tensor<256x128xf32>) -> tensor<64x128xf32>
    // becomes
    %2 = graph.matmul %0, %1 {sparse = {speedup = 3.2 : f64, weights = 32768 : i64, zeros = 28000 : i64}} : (...) -> tensor<64x128xf32>
    ```
    Must hold before: constants have their bytes, so that variants that are made where a model runs are as their generic form (rationale: its artifact does
    not hold other weights). Changes nothing else; does nothing to weights that a run computes, and to other types.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let options = [Option<"winograd", "winograd", "bool", "true", "Convolutions may take Winograd's form">,
                 Option<"bf16x3", "bf16x3", "bool", "false", "Dense products may be made of parts of bf16">];
  let statistics = [Statistic<"numSparse", "sparse", "products whose zeros are left out">];
}

def ConvertContractionToSparse : Pass<"convert-contraction-to-sparse", "::mlir::func::FuncOp"> {
  let summary = "Leaves out products with weights of 0";
  let description = [{
    A `graph.matmul` or `graph.conv` that graph-mark-sparse found faster in this form becomes `kernel.sparse_pack` of its weights, which is computed at compile
    time, and `kernel.sparse_gemm` or `kernel.sparse_conv`. Does nothing to others.

    ```mlir
    %2 = graph.matmul %0, %1 {sparse = {speedup = 3.2 : f64, weights = 32768 : i64, zeros = 28000 : i64}} : (...) -> tensor<64x128xf32>
    // becomes
    %t = graph.transpose %1 {perm = array<i64: 1, 0>} : (tensor<256x128xf32>) -> tensor<128x256xf32>
    %s, %i, %v = kernel.sparse_pack %t : tensor<128x256xf32> -> tensor<2x129xi32>, tensor<4768xui16>, tensor<4768xf32>
    %2 = kernel.sparse_gemm %0, %s, %i, %v : (...) -> tensor<64x128xf32>
    ```
    May change numbers (named in the compile report): an infinite or NaN input times a weight of 0 is left out instead of giving NaN; sums of finite ones are
    the same chains of multiply-adds, except that Winograd's form is not taken.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let statistics = [Statistic<"numProducts", "products", "products and convolutions in this form">];
}

def ConvertConvToWinograd : Pass<"convert-conv-to-winograd", "::mlir::func::FuncOp"> {
  let summary = "Computes convolutions of 3 x 3 by fewer products: Winograd's F(4x4, 3x3)";
  let description = [{
    A `graph.conv` of f32 with constant filters of 3 x 3, stride 1, dilation 1 and one group over a known number of channels becomes
    `kernel.winograd_filter`, which is computed at compile time, and `kernel.winograd_conv`, where the cost model of Winograd.h expects it to be
    faster; extents that are unknown count as 32. Filters of K x 3 x 3 over volumes do as well: each slice of the result is an image, whose C K channels
    are the slices of x under the taps (graph.pad, graph.slice, graph.concat), and the images are transposed to volumes. Dilation along the depth is free.
    Else it does nothing: few channels or tiny images do not pay for the transforms, and filters that are computed in each run would be
    transformed in each.

    ```mlir
    %0 = graph.conv %x, %w {...} : (tensor<1x64x56x56xf32>, tensor<64x64x3x3xf32>) -> tensor<1x64x56x56xf32>
    // becomes
    %u = kernel.winograd_filter %w : tensor<64x64x3x3xf32> -> tensor<6x6x6x64x12xf32>
    %0 = kernel.winograd_conv %x, %u {...} : (tensor<1x64x56x56xf32>, tensor<6x6x6x64x12xf32>) -> tensor<1x64x56x56xf32>
    ```
    Changes numbers (named in the compile report): products are rounded in the transformed domain, and an infinite or NaN input makes the whole tile
    of 4 x 4 pixels NaN. Filters take four times the room.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let options = [Option<"tileRows", "tile-rows", "int64_t", /*default=*/"12", "Rows of the target's register tile">,
                 Option<"l2Bytes", "l2-bytes", "int64_t", /*default=*/"1 << 20", "Size of the second-level cache">];
  let statistics = [Statistic<"numConvs", "convs", "convolutions in this form">];
}

def ConvertConvToBf16x3 : Pass<"convert-conv-to-bf16x3", "::mlir::func::FuncOp"> {
  let summary = "Multiplies convolutions of f32 in tiles of bf16, three numbers of which stand for one";
  let description = [{
    A `graph.conv` of f32 with constant filters, one group, and enough output channels, terms and pixels becomes `kernel.bf16x3_filter`, which is computed at compile
    time, and `kernel.bf16x3_conv`; the product of the filters with 0, summed, tells which are not finite. Else it does nothing: splitting the pixels costs
    more than tiles save. Runs behind convert-conv-to-winograd, which takes fewer products. An unknown number of pixels counts as enough.

    ```mlir
    %0 = graph.conv %x, %w {...} : (tensor<1x64x56x56xf32>, tensor<256x64x1x1xf32>) -> tensor<1x256x56x56xf32>
    // becomes
    %p = kernel.bf16x3_filter %w : tensor<256x64x1x1xf32> -> tensor<8x2x3x2x16x32xbf16>
    %m = graph.mul %w, %zero : (tensor<256x64x1x1xf32>, tensor<f32>) -> tensor<256x64x1x1xf32>
    %s = graph.reduce %m {...} : (tensor<256x64x1x1xf32>) -> tensor<256x1x1x1xf32>
    %n = graph.reshape %s : (tensor<256x1x1x1xf32>) -> tensor<256xf32>
    %0 = kernel.bf16x3_conv %x, %p, %n {...} : (tensor<1x64x56x56xf32>, tensor<8x2x3x2x16x32xbf16>, tensor<256xf32>) -> tensor<1x256x56x56xf32>
    ```
    Changes numbers (named in the compile report): see `bf16x3` of kernel.gemm. Filters take one and a half times the room.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let statistics = [Statistic<"numConvs", "convs", "convolutions in this form">];
}

def ConvertConvToPacked : Pass<"convert-conv-to-packed", "::mlir::func::FuncOp"> {
  let summary = "Puts output channels into the lanes of vectors where planes have few pixels";
  let description = [{
    A `graph.conv` of f32 with constant filters, one group and an image of known, small size, or of one dim of unknown size, becomes `kernel.pack` of the
    transposed filters, which is computed at compile time, and `kernel.packed_conv`. Else it does nothing: large planes fill the vectors with pixels, and
    short sums or few output channels do not pay for the transposition of their results.

    ```mlir
    %0 = graph.conv %x, %w {...} : (tensor<1x512x7x7xf32>, tensor<2048x512x1x1xf32>) -> tensor<1x2048x7x7xf32>
    // becomes
    %m = graph.reshape %w : (tensor<2048x512x1x1xf32>) -> tensor<2048x512xf32>
    %t = graph.transpose %m {perm = array<i64: 1, 0>} : (tensor<2048x512xf32>) -> tensor<512x2048xf32>
    %p = kernel.pack %t : tensor<512x2048xf32> -> tensor<128x512x16xf32>
    %0 = kernel.packed_conv %x, %p {...} : (tensor<1x512x7x7xf32>, tensor<128x512x16xf32>) -> tensor<1x2048x7x7xf32>
    ```
    Changes no numbers: sums are the same chains of multiply-adds.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let statistics = [Statistic<"numConvs", "convs", "convolutions in this form">];
}

def ConvertContractionToInt8 : Pass<"convert-contraction-to-int8", "::mlir::func::FuncOp"> {
  let summary = "Multiplies bytes by the processor's products of bytes, and makes bytes of the sums";
  let description = [{
    A `graph.conv` or `graph.matmul` of i32 on bytes less a zero point becomes `kernel.int8_conv` or `kernel.int8_gemm`; images of one pixel are rows of a
    matrix. Weights are packed at compile time. The zero point times the weights' sum is where a sum starts, or is taken off behind it where only a run
    knows it. Scales, biases, limits and rounding behind a sum are taken in where they end in bytes and nothing else reads what is between; otherwise the
    result stays i32. Must hold: weights are constants of 8 signed bits, or fit there less a number whose products with the sums of x are added. With `amx`
    products of eight rows or more, of which none may be known, are of tiles. Windows that have no form in bytes (many taps, large strides, three dims) are
    rows of a matrix where they lie side by side, and else sums of f32 where these are exact. Does nothing to other integers.

    ```mlir
    %sum = graph.conv %integers, %weights {...} : (tensor<1x4x8x8xi32>, tensor<8x4x1x1xi32>) -> tensor<1x8x8x8xi32>
    // becomes
    %p = kernel.int8_pack %bytes {form = #kernel.int8_form<conv>} : tensor<8x4x1x1xi8> -> tensor<1x2x1x6x4xi8>
    %sum = kernel.int8_conv %x, %p, %start {...} : (tensor<1x4x8x8xui8>, tensor<1x2x1x6x4xi8>, tensor<8xi32>) -> tensor<1x8x8x8xi32>
    ```
    Changes numbers (named in the compile report): scales and biases are one multiply-add of f32, and beside products of bytes other numbers become bytes by
    the reciprocal of a scale (rationale: divisions would take most of their time); either may choose the next byte.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let options = [Option<"vectorBytes", "vector-bytes", "unsigned", "64", "Width of the target's vector registers">,
                 Option<"dotProduct", "dot-product", "bool", "false", "The target adds products of four bytes (AVX512-VNNI)">,
                 Option<"amx", "amx", "bool", "false", "The target multiplies tiles of bytes, too (AMX-INT8)">];
  let statistics = [Statistic<"numContractions", "contractions", "convolutions and products of bytes">];
}

def ConvertContractionToBf16 : Pass<"convert-contraction-to-bf16", "::mlir::func::FuncOp"> {
  let summary = "Multiplies numbers of bf16 as such, with sums of f32";
  let description = [{
    A `graph.matmul` of f32 whose operands were cast from bf16 becomes `kernel.bf16_gemm`; a constant per column that is added to it alone is where its sums
    start. Must hold: the right operand is one matrix made of constants, cast from bf16 or exact in it, of 16 rows and columns or more. With `amx` products
    are of tiles. Without it, and without `dot-product`, weights are widened in registers, which pays where they are read once: products of more than four
    rows, or of an unknown number, stay f32. Does nothing to other products (rationale: numbers that bf16 cannot hold would be rounded).

    ```mlir
    %wide = graph.cast %x : (tensor<8x64xbf16>) -> tensor<8x64xf32>
    %weights = graph.cast %w : (tensor<64x64xbf16>) -> tensor<64x64xf32>
    %y = graph.matmul %wide, %weights : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
    // becomes
    %p = kernel.bf16_pack %w {amx} : tensor<64x64xbf16> -> tensor<2x2x2x16x32xbf16>
    %y = kernel.bf16_gemm %x, %p, %start {amx} : (tensor<8x64xbf16>, tensor<2x2x2x16x32xbf16>, tensor<64xf32>) -> tensor<8x64xf32>
    ```
    Changes numbers (named in the compile report): products stay exact, sums are taken in another order, and with `amx` or `dot-product` denormal numbers
    count as 0.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let options = [Option<"vectorBytes", "vector-bytes", "unsigned", "64", "Width of the target's vector registers">,
                 Option<"dotProduct", "dot-product", "bool", "false", "The target adds products of pairs of bf16 (AVX512-BF16) faster than it multiplies f32">,
                 Option<"amx", "amx", "bool", "false", "The target multiplies tiles of bf16 (AMX-BF16)">];
  let statistics = [Statistic<"numProducts", "products", "products of bf16">];
}

def ConvertGraphToKernel : Pass<"convert-graph-to-kernel", "::mlir::ModuleOp"> {
  let summary = "Puts every computing operation into a launch unit";
  let description = [{
    Walks each block once. An operation joins the unit of one of its operands as epilogue where it is elementwise and has the
    unit's shape; a movement, reduction or packing takes in elementwise and movement producers that nobody else reads (prologue). A merge is
    made only where it cannot close a cycle: the unit has no other consumer yet, or every other operand comes from a lower level
    (longest path from the inputs). Units that read constants alone stay apart, so that they can be computed at compile time.
    Attention that knows the past takes in the concatenations of its caches where these are results of the function and nothing else reads them: its unit
    writes what it reads. So it does for one query, or an unknown number with new rows in memory.
    Views (`graph.reshape`), constants, calls, control flow and symbol definitions stay in the program.

    ```mlir
    %0 = graph.add %x, %y : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    %1 = graph.relu %0 : (tensor<8xf32>) -> tensor<8xf32>
    // becomes
    %1 = kernel.launch @unit0(%x, %y) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    ```
    With `fuse=false` (-O0) each operation gets a unit of its own. Must hold before: shapes known or symbolic. Does nothing to a
    program that has no computing operation.
  }];
  let dependentDialects = ["::onager::kernel::KernelDialect"];
  let options = [Option<"fuse", "fuse", "bool", /*default=*/"true", "Put several operations into one unit">];
  let statistics = [Statistic<"numUnits", "units", "units formed">, Statistic<"numFused", "fused", "operations that joined another's unit">];
}

#endif
