// Passes of the `graph` dialect.
#ifndef ONAGER_DIALECTS_GRAPH_TRANSFORMS_PASSES
#define ONAGER_DIALECTS_GRAPH_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def GraphExposeValues : Pass<"graph-expose-values", "::mlir::func::FuncOp"> {
  let summary = "Returns values inside the model as results of @main";
  let description = [{
    Two forms of a model can then be compared node by node. Each tensor that an operation with operands computes, outside of regions, and
    that @main does not return already, has a position, counted from 0 in program order. The values at `positions`, or all, become results
    behind those of the model, named by position, a colon and the node.

    ```mlir
    %0 = graph.tanh %x : (tensor<4xf32>) -> tensor<4xf32> loc("first")
    return %1 : tensor<4xf32>
    // becomes
    return %1, %0 : tensor<4xf32>, tensor<4xf32>    // the second is named "0:first"
    ```
    Runs first, so that positions are those of the imported model. Values that are exposed are not fused away, which may change numbers.
    Does nothing to functions other than @main.
  }];
  let options = [ListOption<"positions", "positions", "int64_t", "Positions to expose; all where there are none">];
  let statistics = [Statistic<"exposedValues", "exposed-values", "Values that became results">];
}

def GraphNumberStrings : Pass<"graph-number-strings", "::mlir::func::FuncOp"> {
  let summary = "Replaces strings by their numbers in a table";
  let description = [{
    Every tensor of `!graph.string` becomes one of i64. A run has a table in which equal texts have equal numbers: it begins with the function's
    `graph.strings`, which holds the constants of the model and, as number 0, the empty text; texts of inputs and texts made while running follow.
    Equality, lookup and movement of strings are then those of integers. Arguments and results that were strings are marked by `graph.string`.

    ```mlir
    %0 = graph.constant dense<["b", "a", "b"]> : tensor<3x!graph.string>
    // becomes
    %0 = graph.constant dense<[1, 2, 1]> : tensor<3xi64>       // graph.strings = ["", "b", "a"]
    ```
    Must run before every pass that asks for the width of an element. Does nothing to functions other than @main and where there are no strings.
  }];
  let statistics = [Statistic<"numStrings", "strings", "constant strings">];
}

def GraphFindDecidingInputs : Pass<"graph-find-deciding-inputs", "::mlir::func::FuncOp"> {
  let summary = "Gives symbols to the elements of inputs whose values decide shapes or branches";
  let description = [{
    An input decides where graph-specialize-symbols could evaluate a `graph.bind`, or the condition of a `graph.if`, from its value, other inputs, shapes
    and constants. Inputs of integers of up to 64 bits or bools, of a fixed shape and one to eight elements qualify; of all inputs together the first
    32 elements do. Each element gets a symbol behind those of the function, named `input[index]`, or by its number alone if there is such a name.
    `graph.values` lists them as (symbol, input, element).

    ```mlir
    // graph.symbols = ["n", ""]
    func.func @main(%x: tensor<?xf32, affine_map<()[s0] -> (s0)>> {graph.name = "x"}, %k: tensor<1xi64> {graph.name = "k"})
    graph.bind %k {first = 1 : i64} : tensor<1xi64>
    // the function gets graph.symbols = ["n", "", "k[0]"], graph.values = array<i64: 2, 1, 0>
    ```
    Code is not changed. Does nothing to functions other than @main, and where no input decides.
  }];
  let statistics = [Statistic<"numInputs", "inputs", "inputs that decide">];
}

def GraphSpecializeSymbols : Pass<"graph-specialize-symbols", "::mlir::func::FuncOp"> {
  let summary = "Replaces symbols by what a guard says of them";
  let description = [{
    The guard is one of runtime/core/guard.h, in its text form. A symbol with one value becomes that number; one that equals another, plus an offset,
    becomes that expression; one of which a divisor is known becomes a multiple of a new symbol, which `graph.multiples` lists as (new symbol, symbol,
    divisor). Definitions whose value is then known, by numbers or by the guard's ranges, go, and so do requirements that hold. A symbol that
    `graph.values` gives to an element of an input tells its value. Integer tensors of up to 64 elements that follow from values and symbols become
    constants, bindings of theirs numbers, and a `graph.if` whose condition is known the branch that it takes. The inputs stay.

    ```mlir
    // guard = "batch=1,seq=16::16", graph.symbols = ["batch", "seq"]
    %0 = graph.exp %x : (tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>) -> tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>
    // becomes, with graph.symbols = ["batch", "seq", ""], graph.multiples = array<i64: 2, 1, 16>
    %0 = graph.exp %x : (tensor<1x?xf32, affine_map<()[s0, s1, s2] -> (1, s2 * 16)>>) -> tensor<1x?xf32, affine_map<()[s0, s1, s2] -> (1, s2 * 16)>>
    ```
    Results are those of the general form wherever the guard holds; it is kept as `graph.guard` on the function. Does nothing to functions other than
    @main, and fails where the guard is malformed, names a symbol that no input binds, makes a dim
    negative, or leaves a requirement that no run can meet.
  }];
  let options = [Option<"guard", "guard", "std::string", "\"\"", "What to assume of the symbols">];
  let statistics = [Statistic<"numSymbols", "symbols", "symbols replaced">, Statistic<"numBranches", "branches", "branches taken">];
}

def GraphSimplify : Pass<"graph-simplify", "::mlir::func::FuncOp"> {
  let summary = "Removes identities and merges data movements";
  let description = [{
    Casts to the same type, transposes by the identity, reshapes and broadcasts that change nothing, and full slices go; two
    transposes, reshapes, slices or concatenations in a row become one, the last also with a slice between; a transpose that moves only dims of extent 1 becomes a reshape; a slice that lies within one operand of a
    concatenation is taken of that. Dead operations go.
    Results are equal bit for bit. Does nothing to an operation that computes.

    ```mlir
    %1 = graph.transpose %0 {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
    %2 = graph.transpose %1 {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
    // becomes %0
    ```
  }];
  let statistics = [Statistic<"numRemoved", "removed", "operations removed">];
}

def GraphFlattenConv : Pass<"graph-flatten-conv", "::mlir::func::FuncOp"> {
  let summary = "Takes dims out of convolutions that windows do not move over";
  let description = [{
    A convolution whose result has one position per image, as in squeeze-and-excitation blocks and classifiers' heads, becomes the product of a matrix with a row for
    each image and its filters turned, without the taps that lie in the padding. Must hold: one group, floats of up to 32 bits, constant filters (rationale: they
    are turned at compile time), and spatial sizes that are known; the number of images may not be. Of other convolutions, two dims or more at the end
    in which windows are one element wide become one, as in those of videos over time. Elementwise operations that follow either are computed before the reshape
    that gives the dims back; where a tensor that joins them there spreads over some of the dims only, they stay behind it.

    ```mlir
    %1 = graph.conv %x, %w {...} : (tensor<1x64x1x1xf32>, tensor<16x64x1x1xf32>) -> tensor<1x16x1x1xf32>
    %2 = graph.relu %1 : (tensor<1x16x1x1xf32>) -> tensor<1x16x1x1xf32>
    // becomes
    %1 = graph.matmul %m, %t : (tensor<1x64xf32>, tensor<64x16xf32>) -> tensor<1x16xf32>
    %2 = graph.relu %1 : (tensor<1x16xf32>) -> tensor<1x16xf32>
    %3 = graph.reshape %2 : (tensor<1x16xf32>) -> tensor<1x16x1x1xf32>
    ```
    May change numbers: products are summed in another order.
  }];
  let statistics = [Statistic<"numFlattened", "flattened", "convolutions that became products or lost dims">];
}

def GraphDropPaddedTaps : Pass<"graph-drop-padded-taps", "::mlir::func::FuncOp"> {
  let summary = "Takes taps out of filters that read nothing but padding";
  let description = [{
    Where an image is smaller than the dilation of a convolution with pads, as in atrous pyramids over small images, the outer taps lie outside of it at every position: what is left may
    be a window of one element. First and last taps of a dim are dropped; pads shrink by those dropped in front. Must hold: spatial sizes are known, and filters are computed when the model is
    compiled (rationale: they are copied without the taps). Does nothing where each tap reads the image at some position, and keeps taps in front of which windows would begin inside of
    the image. Infinite or undefined weights that are dropped no longer make zeros undefined.

    ```mlir
    %1 = graph.conv %x, %w {pads = affine_map<() -> (24, 24)>, dilations = [24, 24], ...} : (tensor<1x8x16x16xf32>, tensor<4x8x3x3xf32>) -> tensor<1x4x16x16xf32>
    // becomes
    %0 = graph.slice %w {starts = affine_map<() -> (0, 0, 1, 1)>, ...} : (tensor<4x8x3x3xf32>) -> tensor<4x8x1x1xf32>
    %1 = graph.conv %x, %0 {pads = affine_map<() -> (0, 0)>, ...} : (tensor<1x8x16x16xf32>, tensor<4x8x1x1xf32>) -> tensor<1x4x16x16xf32>
    ```
  }];
  let statistics = [Statistic<"numNarrowed", "narrowed", "convolutions that lost taps">];
}

def GraphSplitReduce : Pass<"graph-split-reduce", "::mlir::func::FuncOp"> {
  let summary = "Reduces over the last dims before others that lie apart from them";
  let description = [{
    Rows of memory are swept in whole vectors, and so are columns; a reduction over both at once, with dims that stay between them, would go element by element. Must hold: partial
    results are as exact as elements: largest and smallest ones, floats of 32 and 64 bits, and integers but for means (rationale: theirs are rounded). Does nothing where the
    axes are the last dims, or none of them is the last.

    ```mlir
    %1 = graph.reduce %0 {kind = #graph.reduce_kind<sum>, axes = array<i64: 0, 2>} : (tensor<2x8x4xf32>) -> tensor<1x8x1xf32>
    // becomes
    %2 = graph.reduce %0 {kind = #graph.reduce_kind<sum>, axes = array<i64: 2>} : (tensor<2x8x4xf32>) -> tensor<2x8x1xf32>
    %1 = graph.reduce %2 {kind = #graph.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<2x8x1xf32>) -> tensor<1x8x1xf32>
    ```
    May change numbers: sums and products run in another order.
  }];
  let statistics = [Statistic<"numSplit", "split", "reductions that became two">];
}

def GraphSplitPool : Pass<"graph-split-pool", "::mlir::func::FuncOp"> {
  let summary = "Pools over one dim after the other instead of over all at once";
  let description = [{
    A window of k1 x k2 x k3 elements costs k1 + k2 + k3 steps instead of their product where a pool follows for each dim: largest elements of largest elements, averages
    of averages, each over what lies inside of its dim. Pools of f32 over a volume become one over its planes (rationale: planes have an emitter) and one over its depth; those of other
    types one for each dim, unless the window is of a few elements. The last dims come first. Must hold: averages and norms are of f32 or f64 (rationale:
    16-bit floats would be rounded on the way). Does nothing for planes of f32 and single dims.

    ```mlir
    %1 = graph.pool %x {kernel = [3, 3, 3], kind = max, ...} : (tensor<1x8x16x30x30xf32>) -> tensor<1x8x14x28x28xf32>
    // becomes
    %1 = graph.reshape %x : (tensor<1x8x16x30x30xf32>) -> tensor<1x128x30x30xf32>
    %2 = graph.pool %1 {kernel = [3, 3], kind = max, ...} : (tensor<1x128x30x30xf32>) -> tensor<1x128x28x28xf32>
    %3 = graph.reshape %2 : (tensor<1x128x28x28xf32>) -> tensor<1x8x16x784xf32>
    %4 = graph.pool %3 {kernel = [3, 1], kind = max, ...} : (tensor<1x8x16x784xf32>) -> tensor<1x8x14x784xf32>
    %5 = graph.reshape %4 : (tensor<1x8x14x784xf32>) -> tensor<1x8x14x28x28xf32>
    ```
    May change numbers: averages and norms are summed in another order.
  }];
  let statistics = [Statistic<"numSplit", "split", "pools that became several">];
}

def GraphFoldPad : Pass<"graph-fold-pad", "::mlir::func::FuncOp"> {
  let summary = "Turns constants around an image into the pads of the convolution or pool that reads it";
  let description = [{
    `conv(pad(x))` with zeros in spatial dims becomes `conv(x)`, whose pads grow; so does a largest element of a window with -infinity around the image, or
    zeros around the result of a relu (rationale: nothing inside is smaller), and an average over zeros, which counts them. Exporters of frameworks that pad on one side
    write such nodes. Must hold: nothing is cropped, and windows of a largest element reach into the image. Pads that something else reads stay beside.

    ```mlir
    %1 = graph.pad %x, %zero {low = affine_map<() -> (0, 0, 1, 1)>, ...} : (tensor<1x3x8x8xf32>, tensor<f32>) -> tensor<1x3x10x10xf32>
    %2 = graph.conv %1, %w {pads = affine_map<() -> (0, 0)>, ...}
    // becomes
    %2 = graph.conv %x, %w {pads = affine_map<() -> (1, 1)>, ...}
    ```
  }];
  let statistics = [Statistic<"numFolded", "folded", "pads folded">];
}

def GraphFoldScatter : Pass<"graph-fold-scatter", "::mlir::func::FuncOp"> {
  let summary = "Writes a box of a tensor by concatenation";
  let description = [{
    A `graph.scatter_nd` whose places are known and walk a box in order, one that is narrower than the tensor in one dim at most, becomes the concatenation of what lies before
    the box, the updates and what lies behind it (rationale: rows are copied whole, each once, and what reads a part of the result reads the part itself; scattering
    copies all, then looks up a place for each row). Exporters write assignments to slices so, with places that broadcasts and concatenations make of constants.
    Does nothing to places that a run computes or that a tensor of unknown size has, and to updates that are added or compared. Results are equal bit for bit.

    ```mlir
    %1 = graph.scatter_nd %x, %row2, %u {kind = #graph.scatter_kind<none>} : (tensor<4x8xf32>, tensor<1x1xi64>, tensor<1x8xf32>) -> tensor<4x8xf32>
    // becomes
    %a = graph.slice %x {starts = affine_map<() -> (0, 0)>, ...} : (tensor<4x8xf32>) -> tensor<2x8xf32>
    %b = graph.slice %x {starts = affine_map<() -> (3, 0)>, ...} : (tensor<4x8xf32>) -> tensor<1x8xf32>
    %1 = graph.concat %a, %u, %b {axis = 0 : i64} : (tensor<2x8xf32>, tensor<1x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
    ```
  }];
  let statistics = [Statistic<"numFolded", "folded", "scatters folded">];
}

def GraphFoldSlice : Pass<"graph-fold-slice", "::mlir::func::FuncOp"> {
  let summary = "Leaves out positions of a convolution that a slice drops";
  let description = [{
    `slice(conv(x))` along spatial dims becomes a convolution of the positions that are left: those before the first one go with the pads, those behind the last
    one with the result's shape, and a step multiplies the strides. Elementwise operations between the two are computed on what is left. Exporters of causal
    networks pad on both sides and drop the end. Must hold: the slice begins within the pads and steps forwards, nobody else reads the convolution or what lies
    between, and what joins it there is alike along the dims that are cut. Results are equal bit for bit but for the order of a convolution's sums.

    ```mlir
    %1 = graph.conv %x, %w {pads = affine_map<() -> (4)>, ...} : (tensor<1x8x20xf32>, tensor<8x8x3xf32>) -> tensor<1x8x24xf32>
    %2 = graph.slice %1 {starts = affine_map<() -> (0, 0, 0)>, ...} : (tensor<1x8x24xf32>) -> tensor<1x8x20xf32>
    // becomes
    %2 = graph.conv %x, %w {pads = affine_map<() -> (4)>, ...} : (tensor<1x8x20xf32>, tensor<8x8x3xf32>) -> tensor<1x8x20xf32>
    ```
  }];
  let statistics = [Statistic<"numFolded", "folded", "slices folded">];
}

def GraphFoldScale : Pass<"graph-fold-scale", "::mlir::func::FuncOp"> {
  let summary = "Multiplies constant scales behind a convolution into its filter";
  let description = [{
    `mul(conv(x, w), s)` with constant w, and constant s of one value per output channel, becomes `conv(x, mul(w, s'))`, s' being s with
    the filter's rank; so does `mul(add(conv(x, w), b), s)` with constant b, which becomes `add(conv(x, w s'), mul(b, s))`. The products of constants are
    computed with the other weights at compile time. This folds batch normalisation, which imports as mul and add. Must hold: the convolution
    has no other reader (rationale: two filters would be stored).

    ```mlir
    %1 = graph.conv %0, %w ...
    %2 = graph.mul %1, %s : (tensor<1x8x4x4xf32>, tensor<8x1x1xf32>) -> tensor<1x8x4x4xf32>
    // becomes
    %w2 = graph.mul %w, %s2 : (tensor<8x3x3x3xf32>, tensor<8x1x1x1xf32>) -> tensor<8x3x3x3xf32>
    %2 = graph.conv %0, %w2 ...
    ```
    May change numbers: the scale is rounded into the filter.
  }];
  let statistics = [Statistic<"numFolded", "folded", "scales folded">];
}

def GraphExpandConvTranspose : Pass<"graph-expand-conv-transpose", "::mlir::func::FuncOp"> {
  let summary = "Turns transposed convolutions into convolutions whose channels are the phases of the result";
  let description = [{
    With stride s a result position takes every s-th tap only, by its remainder modulo s. Each remainder (phase) is a convolution with ceil(K / s) taps;
    all become output channels of one convolution, whose result is interleaved by a transpose and cut to the result's extents. The filter is
    rearranged by constant operations, at compile time. Must hold: no dilation along a stride, a filter of known extents; others stay.

    ```mlir
    %1 = graph.conv_transpose %x, %w {strides = array<i64: 2, 2>, ...} : (tensor<1x3x4x4xf32>, tensor<3x8x2x2xf32>) -> tensor<1x8x8x8xf32>
    // becomes
    %2 = graph.conv %x, %w2 ... : (tensor<1x3x4x4xf32>, tensor<32x3x1x1xf32>) -> tensor<1x32x4x4xf32>
    // reshape, transpose, reshape
    ```
    May change numbers: a sum runs over channels before taps.
  }];
  let dependentDialects = ["::onager::graph::GraphDialect"];
  let statistics = [Statistic<"numExpanded", "expanded", "transposed convolutions turned">];
}

def GraphReduceStrength : Pass<"graph-reduce-strength", "::mlir::func::FuncOp"> {
  let summary = "Replaces powers and quotients with constants by cheaper operations";
  let description = [{
    `pow` of floats by a constant 1, 2, 3, 0.5 or -1 becomes nothing, products, a square root or a reciprocal; `div` of f32 and f64 by a constant power
    of two becomes `mul` by its inverse, which is exact. Other exponents and divisors stay. Must hold: the constant has one element.

    ```mlir
    %1 = graph.pow %0, %two : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
    // becomes
    %1 = graph.mul %0, %0 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    ```
    May change numbers: powers by the last bit; pow(-infinity, 0.5) is infinity, the square root of it is not a number.
  }];
  let dependentDialects = ["::onager::graph::GraphDialect"];
  let statistics = [Statistic<"numReduced", "reduced", "operations replaced">];
}

def GraphRaiseNormalize : Pass<"graph-raise-normalize", "::mlir::func::FuncOp"> {
  let summary = "Recognises decomposed layer normalisation and root mean square normalisation";
  let description = [{
    With c = x - mean(x): c / sqrt(mean(c * c) + epsilon), written with `div`, or `mul` by a reciprocal, becomes `graph.normalize` of x; where c
    is not centred by the mean over the same axes it becomes the root mean square form of c. Scale and bias stay behind it as `mul` and `add`.
    Must hold before: squares are products (`graph-reduce-strength`), epsilon is a constant of one element. Does nothing to other quotients.

    ```mlir
    %4 = graph.sqrt %3 : (tensor<2x1xf32>) -> tensor<2x1xf32>
    %5 = graph.div %c, %4 : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
    // becomes
    %5 = graph.normalize %x {axes = array<i64: 1>, epsilon = 1.0e-05 : f64} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    ```
    May change numbers: sums are taken in another order, and the row is multiplied by 1 / deviation.
  }];
  let dependentDialects = ["::onager::graph::GraphDialect"];
  let statistics = [Statistic<"numRaised", "raised", "normalisations recognised">];
}

def GraphRaiseSoftmax : Pass<"graph-raise-softmax", "::mlir::func::FuncOp"> {
  let summary = "Recognises decomposed softmax";
  let description = [{
    With e = exp(x - max(x)): e / sum(e), both over the same single axis, becomes `graph.softmax`. Does nothing where the exponents are not shifted
    by their largest (rationale: those overflow where softmax does not, which a model may rely on).

    ```mlir
    %3 = graph.reduce %2 {axes = array<i64: 1>, kind = #graph.reduce_kind<sum>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
    %4 = graph.div %2, %3 : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
    // becomes
    %4 = graph.softmax %0 {axis = 1 : i64} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    ```
    May change numbers: the row is multiplied by 1 / sum.
  }];
  let dependentDialects = ["::onager::graph::GraphDialect"];
  let statistics = [Statistic<"numRaised", "raised", "softmaxes recognised">];
}

def GraphRaiseAttention : Pass<"graph-raise-attention", "::mlir::func::FuncOp"> {
  let summary = "Recognises matmul, softmax, matmul as attention";
  let description = [{
    `matmul(softmax(scores), v)` becomes `graph.attention`, whose emitter never stores the scores. Scores are `matmul(q, transpose(k))`, scaled by constants
    (on q, k or the product), then masked by `add` and by `select` with a constant. Rows of weights may be replaced by 0, those that are not numbers too. Keys and values
    that are repeated for groups of heads are read without the copies. Must hold: nothing else reads scores and weights; q, k and v are f32
    (`graph-widen-floats` runs before; casts in between, which round, go); rows of q and v have 8 elements or more (rationale: vectors
    of 16 would be mostly padding), a head has 32 scores or more where their number is known (rationale: fewer are as fast apart).

    ```mlir
    %p = graph.matmul %q, %kt ...
    %w = graph.softmax %p {axis = 2 : i64} ...
    %y = graph.matmul %w, %v ...
    // becomes
    %k = graph.transpose %kt {perm = array<i64: 0, 2, 1>} ...
    %y = graph.attention %q, %k, %v {scale = 1.0 : f64, ...} ...
    ```
    May change numbers: rows are summed by blocks of keys and divided by their sum at the end; scales are multiplied into one.
  }];
  let dependentDialects = ["::onager::graph::GraphDialect"];
  let statistics = [Statistic<"numRaised", "raised", "attentions recognised">];
}

def GraphRaiseGelu : Pass<"graph-raise-gelu", "::mlir::func::FuncOp"> {
  let summary = "Recognises decomposed GELU, by erf and by tanh";
  let description = [{
    Products of x, 0.5 and `1 + erf(x / sqrt 2)`, or `1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))` also as x * (1 + 0.044715 x^2), in any order become
    `graph.gelu`. Must hold before: cubes are products (`graph-reduce-strength`); constants have one element and are right to
    the precision of the element type (rationale: another constant is another function). Does nothing to other products.

    ```mlir
    %3 = graph.add %erf, %one : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
    %4 = graph.mul %x, %3 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    %5 = graph.mul %4, %half : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
    // becomes
    %5 = graph.gelu %x : (tensor<8xf32>) -> tensor<8xf32>
    ```
    May change numbers: in f32 the normal distribution is one quotient of polynomials, and tanh is taken by e^x.
  }];
  let dependentDialects = ["::onager::graph::GraphDialect"];
  let statistics = [Statistic<"numRaised", "raised", "GELUs recognised">];
}

def GraphRaiseSwish : Pass<"graph-raise-swish", "::mlir::func::FuncOp"> {
  let summary = "Recognises decomposed SiLU (swish)";
  let description = [{
    `mul(x, sigmoid(alpha * x))` with a constant alpha, 1 where there is none, becomes `graph.swish`; so does `div(x, 1 + e^-x)`. Must hold: the sigmoid
    is of x itself (rationale: a gate of something else is no swish). Does nothing to other products and quotients.

    ```mlir
    %1 = graph.sigmoid %x : (tensor<8xf32>) -> tensor<8xf32>
    %2 = graph.mul %x, %1 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    // becomes
    %2 = graph.swish %x {alpha = 1.0 : f64} : (tensor<8xf32>) -> tensor<8xf32>
    ```
    May change numbers: x is divided by 1 + e^(-alpha x), one rounding less.
  }];
  let dependentDialects = ["::onager::graph::GraphDialect"];
  let statistics = [Statistic<"numRaised", "raised", "swishes recognised">];
}

def GraphRaiseBlockMatmul : Pass<"graph-raise-block-matmul", "::mlir::func::FuncOp"> {
  let summary = "Reads dequantised weights of few bits as they are";
  let description = [{
    A product with a constant matrix of 2, 4 or 8 bits that is dequantised in front of it (less zero points, times scales: one for all, one for each column, or
    one for each block along K) becomes `graph.block_matmul` with the same scales and zero points; a transpose between both is none. Numbers with a sign
    are moved up by half their range, and so are zero points. One scale for a column becomes one for each block of 128 numbers or of the largest power of two
    that divides K; other blocks are split into powers of two. Must hold: the matrix has 4096 numbers at least (rationale: smaller ones lie in
    the first cache as f32, too), blocks are multiples of 16. Does nothing to products of bytes, which `graph-raise-int8` takes before.

    ```mlir
    %n = graph.cast %bytes : (tensor<64x64xi8>) -> tensor<64x64xf32>
    %w = graph.mul %n, %s : (tensor<64x64xf32>, tensor<1x64xf32>) -> tensor<64x64xf32>
    %y = graph.matmul %x, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    // becomes
    %y = graph.block_matmul %x, %numbers, %scales zeros %zeros {bits = 8 : i64, block = 64 : i64}
      : (tensor<?x64xf32>, tensor<64x1x64xui8>, tensor<64x1xf32>, tensor<64x1xf32>) -> tensor<?x64xf32>
    ```
    Changes numbers (named in the compile report) as products of weights of few bits do: weights are not rounded to f32, or to f16, before they are multiplied.
  }];
  let dependentDialects = ["::onager::graph::GraphDialect"];
  let statistics = [Statistic<"numRaised", "raised", "products recognised">];
}

def GraphHoistQuantize : Pass<"graph-hoist-quantize", "::mlir::func::FuncOp"> {
  let summary = "Moves bytes instead of the numbers that they stand for";
  let description = [{
    Dequantised bytes that are reshaped, transposed, sliced or concatenated and quantised again are quantised first and moved as bytes. Where scale, zero point
    and type are the same the quantisation then does nothing and goes. Must hold: scales and zero points are one constant each; nothing else reads what is
    moved (rationale: it would be moved twice). Does nothing to other operations between the two.

    ```mlir
    %x = graph.mul %numbers, %s : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
    %t = graph.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
    %d = graph.div %t, %s : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
    %q = ... : (tensor<3x2xf32>) -> tensor<3x2xui8>
    // becomes
    %q = graph.transpose %bytes {perm = array<i64: 1, 0>} : (tensor<2x3xui8>) -> tensor<3x2xui8>
    ```
    Does not change numbers: a number times a scale and divided by it again rounds to itself.
  }];
  let dependentDialects = ["::onager::graph::GraphDialect"];
  let statistics = [Statistic<"numHoisted", "hoisted", "quantisations that moved or went">];
}

def GraphRaiseInt8 : Pass<"graph-raise-int8", "::mlir::func::FuncOp"> {
  let summary = "Multiplies the bytes of quantised models as integers";
  let description = [{
    A `graph.conv` or `graph.matmul` of f32 whose operands are dequantised bytes becomes one of i32, times the product of the scales. Must hold: the left
    operand has one zero point and one scale, both constants; the right one is made of constants, its numbers less their zero points fit into 8 signed
    bits and have one scale, or one per output channel; sums fit into 32 bits (rationale: what remains is what processors multiply). Does nothing to
    3-dimensional images, strides above 4 and windows of more than 256 taps, for which there is no emitter.

    ```mlir
    %x = graph.mul %numbers, %s : (tensor<1x2x8x8xf32>, tensor<f32>) -> tensor<1x2x8x8xf32>
    %y = graph.conv %x, %w {...} : (tensor<1x2x8x8xf32>, tensor<4x2x1x1xf32>) -> tensor<1x4x8x8xf32>
    // becomes
    %sum = graph.conv %integers, %weights {...} : (tensor<1x2x8x8xi32>, tensor<4x2x1x1xi32>) -> tensor<1x4x8x8xi32>
    %numbers = graph.cast %sum : (tensor<1x4x8x8xi32>) -> tensor<1x4x8x8xf32>
    %y = graph.mul %numbers, %scale : (tensor<1x4x8x8xf32>, tensor<1x1x1xf32>) -> tensor<1x4x8x8xf32>
    ```
    Changes numbers (named in the compile report): sums are exact, and scaled once.
  }];
  let dependentDialects = ["::onager::graph::GraphDialect"];
  let statistics = [Statistic<"numRaised", "raised", "convolutions and products that became integers">];
}

def GraphWidenFloats : Pass<"graph-widen-floats", "::mlir::func::FuncOp"> {
  let summary = "Computes f16 and bf16 in f32 from end to end";
  let description = [{
    Operations that compute f16 or bf16 elements, or move them in between, work on f32 instead; casts stand where narrow values enter (inputs, constants) and
    where they are needed (results, control flow, library kernels). Constants are cast at compile time. Rationale: arithmetic is in f32 on
    this machine anyway, and without the casts in between neighbours fuse and heroes read their operands directly. Casts, recurrent cells, calls and
    operations without narrow results stay as they are, and so do those that only move elements which nothing computes or computes with. With `bf16` the left operand of a product with constant weights of bf16 is still rounded to
    bf16, if it is not already: processors multiply such numbers (see convert-contraction-to-bf16).

    ```mlir
    %1 = graph.relu %0 : (tensor<8xf16>) -> tensor<8xf16>
    // becomes
    %w = graph.cast %0 : (tensor<8xf16>) -> tensor<8xf32>
    %r = graph.relu %w : (tensor<8xf32>) -> tensor<8xf32>
    %1 = graph.cast %r : (tensor<8xf32>) -> tensor<8xf16>
    ```
    May change numbers: values between operations keep f32's range and precision.
  }];
  let dependentDialects = ["::onager::graph::GraphDialect"];
  let options = [Option<"bf16", "bf16", "bool", /*default=*/"false", "Round left operands of products of bf16">];
  let statistics = [Statistic<"numWidened", "widened", "operations that work on f32">];
}

def VerifyGraph : Pass<"verify-graph", "::mlir::func::FuncOp"> {
  let summary = "Checks what the graph stage promises to the stages behind it";
  let description = [{
    Every operation is one of the `graph` dialect or `func.return`; every tensor's dims are numbers or expressions, as many as its rank, over
    symbols that `graph.symbols` names. Changes nothing; the note of an error names the step that should have done the work. What costs
    time alone (a dead operation, an identity) is no error: at -O0 nothing removes it.

    ```mlir
    %0 = graph.relu %x : (tensor<?xf32>) -> tensor<?xf32>
    // error: [verify_graph_c2] a dim of 'tensor<?xf32>' is neither a number nor an expression of symbols
    ```
    Checks: verify_graph_c1: dialects; verify_graph_c2: dims; verify_graph_c3: symbols.
  }];
}

#endif
