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
    Each element of the result is one chain of fused multiply-adds over rising k in f32.
    Checks: gemm_c1: ranks; gemm_c2: inner dims are equal.
    ```mlir
    %2 = kernel.gemm %a, %b : (tensor<4x8xf32>, tensor<1x8x16xf32>) -> tensor<4x2xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$packed);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
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
    Checks: winograd_conv_c1: ranks; winograd_conv_c2: channels fit; winograd_conv_c3: all dims but the batch's are numbers, two
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

#endif
