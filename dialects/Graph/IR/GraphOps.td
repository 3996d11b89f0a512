// Operations of the `graph` dialect, by family: structure, elementwise, data movement, reductions, contractions, control flow.
#ifndef ONAGER_GRAPH_OPS
#define ONAGER_GRAPH_OPS

include "dialects/Graph/IR/GraphDialect.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

class Graph_Op<string mnemonic, list<Trait> traits = []> : Op<Graph_Dialect, mnemonic, traits>;

// An operation on tensors without side effects; `$operands attr : types -> types`.
class Graph_PureOp<string mnemonic, list<Trait> traits = []> : Graph_Op<mnemonic, !listconcat([Pure], traits)> {
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

//===---------------------------------------------------------------------------------------------------------------===//
// Structure: constants and symbols
//===---------------------------------------------------------------------------------------------------------------===//

def Graph_ConstantOp : Graph_Op<"constant", [Pure, ConstantLike]> {
  let summary = "A tensor known at compile time";
  let description = [{
    The value is a `dense_resource` whose blob holds the elements as the artifact does (row-major; one byte for bool, 2- and
    4-bit types), usually memory mapped from the model file; or a `dense` attribute, in tests and for small values.
    Checks: constant_c1: the value has the result's type.
    ```mlir
    %0 = graph.constant dense<[1, 2]> : tensor<2xi64>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "attr-dict $value `:` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Graph_IndexTensorOp : Graph_PureOp<"index_tensor"> {
  let summary = "An integer tensor whose elements are expressions of symbols";
  let description = [{
    Element k (row-major) is result k of `exprs`.
    Checks: index_tensor_c1: one expression per element of a static shape; index_tensor_c2: integers.
    ```mlir
    %shape = graph.index_tensor {exprs = affine_map<()[s0] -> (s0, 768)>} : () -> tensor<2xi64>
    ```
  }];
  let arguments = (ins AffineMapAttr:$exprs);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}

def Graph_BindOp : Graph_Op<"bind"> {
  let summary = "Binds symbols to the elements of an integer tensor while the model runs";
  let description = [{
    Symbols `first`, `first + 1`, ... take the elements of `source` in row-major order.
    Checks: bind_c1: the source is an integer tensor of static shape.
    ```mlir
    graph.bind %k {first = 3 : i64} : tensor<1xi64>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$source, I64Attr:$first);
  let assemblyFormat = "$source attr-dict `:` type($source)";
  let hasVerifier = 1;
}

def Graph_DefineOp : Graph_Op<"define"> {
  let summary = "Binds a symbol to a function of expressions that is not affine";
  let description = [{
    `max`, `min`: of all results of `exprs`. `broadcast`: (a, b) -> b where a is 1, else a. `trunc_div`: (a, b) -> a / b
    towards zero, 0 where b is 0. `select_equal`: (a, b, c, d) -> c where a = b, else d.
    Checks: define_c1: as many expressions as the kind takes.
    ```mlir
    graph.define {symbol = 4 : i64, kind = #graph.define_kind<min>, exprs = affine_map<()[s0] -> (s0, 10)>}
    ```
  }];
  let arguments = (ins I64Attr:$symbol, Graph_DefineKindAttr:$kind, AffineMapAttr:$exprs);
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

def Graph_RequireOp : Graph_Op<"require"> {
  let summary = "States that two expressions are equal; a run that breaks it stops with the message";
  let description = [{
    `exprs` has two results. The message names the ONNX node that relies on the equality.
    Checks: require_c1: two expressions.
    ```mlir
    graph.require {exprs = affine_map<()[s0, s1] -> (s0, s1)>, message = "node 'add_1': dims differ"}
    ```
  }];
  let arguments = (ins AffineMapAttr:$exprs, StrAttr:$message);
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

//===---------------------------------------------------------------------------------------------------------------===//
// Elementwise. Operands broadcast as in NumPy, by trailing dims; a symbolic dim broadcasts at run time where its extent is 1.
//===---------------------------------------------------------------------------------------------------------------===//

// Checks of every elementwise operation: elementwise_c1: no operand's rank exceeds the result's; elementwise_c2: operand dims are 1 or the
// result's; elementwise_c3: conditions and the results of comparisons are i1; elementwise_c4: other element types are one (not of casts).
def ElementwiseOp : NativeOpTrait<"ElementwiseOp"> { let cppNamespace = "::onager::graph"; }
class Graph_UnaryOp<string mnemonic, string sum> : Graph_PureOp<mnemonic, [ElementwiseOp]> {
  let summary = sum;
  let arguments = (ins AnyRankedTensor:$x);
  let results = (outs AnyRankedTensor:$result);
}
class Graph_BinaryOp<string mnemonic, string sum> : Graph_PureOp<mnemonic, [ElementwiseOp]> {
  let summary = sum;
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs);
  let results = (outs AnyRankedTensor:$result);
}

def Graph_AbsOp : Graph_UnaryOp<"abs", "|x|">;
def Graph_NegOp : Graph_UnaryOp<"neg", "-x">;
def Graph_ExpOp : Graph_UnaryOp<"exp", "e^x">;
def Graph_LogOp : Graph_UnaryOp<"log", "natural logarithm">;
def Graph_SqrtOp : Graph_UnaryOp<"sqrt", "square root">;
def Graph_ReciprocalOp : Graph_UnaryOp<"reciprocal", "1 / x">;
def Graph_FloorOp : Graph_UnaryOp<"floor", "greatest integer not above x">;
def Graph_CeilOp : Graph_UnaryOp<"ceil", "least integer not below x">;
def Graph_RoundOp : Graph_UnaryOp<"round", "nearest integer, halves to even">;
def Graph_SignOp : Graph_UnaryOp<"sign", "-1, 0 or 1">;
def Graph_SinOp : Graph_UnaryOp<"sin", "sine">;
def Graph_CosOp : Graph_UnaryOp<"cos", "cosine">;
def Graph_TanOp : Graph_UnaryOp<"tan", "tangent">;
def Graph_AsinOp : Graph_UnaryOp<"asin", "inverse sine">;
def Graph_AcosOp : Graph_UnaryOp<"acos", "inverse cosine">;
def Graph_AtanOp : Graph_UnaryOp<"atan", "inverse tangent">;
def Graph_SinhOp : Graph_UnaryOp<"sinh", "hyperbolic sine">;
def Graph_CoshOp : Graph_UnaryOp<"cosh", "hyperbolic cosine">;
def Graph_AsinhOp : Graph_UnaryOp<"asinh", "inverse hyperbolic sine">;
def Graph_AcoshOp : Graph_UnaryOp<"acosh", "inverse hyperbolic cosine">;
def Graph_AtanhOp : Graph_UnaryOp<"atanh", "inverse hyperbolic tangent">;
def Graph_TanhOp : Graph_UnaryOp<"tanh", "hyperbolic tangent">;
def Graph_ErfOp : Graph_UnaryOp<"erf", "error function">;
def Graph_SigmoidOp : Graph_UnaryOp<"sigmoid", "1 / (1 + e^-x)">;
def Graph_Log1pOp : Graph_UnaryOp<"log1p", "log(1 + x)">;
def Graph_Expm1Op : Graph_UnaryOp<"expm1", "e^x - 1">;
def Graph_ReluOp : Graph_UnaryOp<"relu", "max(x, 0), NaN stays">;
def Graph_IsNaNOp : Graph_UnaryOp<"is_nan", "x is not a number (result i1)">;
def Graph_IsInfOp : Graph_UnaryOp<"is_inf", "x is infinite (result i1)"> {
  let arguments = (ins AnyRankedTensor:$x, BoolAttr:$positive, BoolAttr:$negative);
}
def Graph_NotOp : Graph_UnaryOp<"not", "logical not of i1, bitwise not of integers">;
def Graph_CastOp : Graph_UnaryOp<"cast", "conversion to the result's element type"> {
  let description = [{
    Floats to integers truncate towards zero; to i1: x != 0; integers to narrower ones wrap. A conversion to an 8- or 4-bit
    float saturates where `saturate` is set, else gives NaN or infinity where the type has them. Out-of-range float to integer
    conversions give what the widest conversion instruction wraps to (defined, equal at all levels).
    ```mlir
    %1 = graph.cast %0 : (tensor<4xf32>) -> tensor<4xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, DefaultValuedAttr<BoolAttr, "true">:$saturate);
}
def Graph_BitcastOp : Graph_UnaryOp<"bitcast", "the same bits as another element type of the same width"> {
  let description = [{
    Checks: bitcast_c1: both element types have the same number of bits.
  }];
  let hasVerifier = 1;
}

def Graph_GeluOp : Graph_UnaryOp<"gelu", "x / 2 * (1 + erf(x / sqrt 2)); x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) where `tanh` is set"> {
  let arguments = (ins AnyRankedTensor:$x, UnitAttr:$tanh);
}
def Graph_SwishOp : Graph_UnaryOp<"swish", "x / (1 + e^(-alpha x))"> {
  let arguments = (ins AnyRankedTensor:$x, F64Attr:$alpha);
}

def Graph_AddOp : Graph_BinaryOp<"add", "a + b; logical or for i1">;
def Graph_SubOp : Graph_BinaryOp<"sub", "a - b">;
def Graph_MulOp : Graph_BinaryOp<"mul", "a * b; logical and for i1">;
def Graph_DivOp : Graph_BinaryOp<"div", "a / b; integers truncate towards zero, x / 0 is 0">;
def Graph_ModOp : Graph_BinaryOp<"mod", "remainder with the sign of b, or of a where `fmod` is set; x mod 0 is 0 for integers"> {
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs, UnitAttr:$fmod);
}
def Graph_PowOp : Graph_BinaryOp<"pow", "a^b in the type of a">;
def Graph_MinOp : Graph_BinaryOp<"min", "smaller one, NaN if either is">;
def Graph_MaxOp : Graph_BinaryOp<"max", "larger one, NaN if either is">;
def Graph_Atan2Op : Graph_BinaryOp<"atan2", "angle of (b, a)">;
def Graph_AndOp : Graph_BinaryOp<"and", "logical and, bitwise for integers">;
def Graph_OrOp : Graph_BinaryOp<"or", "logical or, bitwise for integers">;
def Graph_XorOp : Graph_BinaryOp<"xor", "logical exclusive or, bitwise for integers">;
def Graph_ShiftLeftOp : Graph_BinaryOp<"shift_left", "a << b; 0 where b is at least the width">;
def Graph_ShiftRightOp : Graph_BinaryOp<"shift_right", "logical a >> b; 0 where b is at least the width">;
def Graph_EqualOp : Graph_BinaryOp<"equal", "a == b (result i1)">;
def Graph_LessOp : Graph_BinaryOp<"less", "a < b (result i1)">;
def Graph_LessEqualOp : Graph_BinaryOp<"less_equal", "a <= b (result i1)">;

def Graph_SelectOp : Graph_PureOp<"select", [ElementwiseOp]> {
  let summary = "a where the condition holds, else b";
  let arguments = (ins AnyRankedTensor:$condition, AnyRankedTensor:$a, AnyRankedTensor:$b);
  let results = (outs AnyRankedTensor:$result);
}

//===---------------------------------------------------------------------------------------------------------------===//
// Data movement
//===---------------------------------------------------------------------------------------------------------------===//

class Graph_MoveOp<string mnemonic, string sum> : Graph_PureOp<mnemonic> {
  let summary = sum;
  let arguments = (ins AnyRankedTensor:$x);
  let results = (outs AnyRankedTensor:$result);
}

def Graph_ReshapeOp : Graph_MoveOp<"reshape", "the same elements in row-major order under the result's shape"> {
  let description = [{
    Checks: reshape_c1: the number of elements stays; reshape_c2: the element type stays.
  }];
  let hasVerifier = 1;
}
def Graph_BroadcastOp : Graph_MoveOp<"broadcast", "x repeated along dims of extent 1 up to the result's shape"> {
  let description = [{
    Checks: broadcast_c1: the rank does not fall; broadcast_c2: dims are 1 or stay; broadcast_c3: the element type stays.
  }];
  let hasVerifier = 1;
}
def Graph_TransposeOp : Graph_MoveOp<"transpose", "dim k of the result is dim perm[k] of x"> {
  let description = [{
    Checks: transpose_c1: perm names dims once; transpose_c2: all of them; transpose_c3: the result's dims are x's,
    permuted; transpose_c4: the element type stays.
  }];
  let arguments = (ins AnyRankedTensor:$x, DenseI64ArrayAttr:$perm);
  let hasVerifier = 1;
}
def Graph_SliceOp : Graph_MoveOp<"slice", "element i of the result is x[starts + i * steps], per dim"> {
  let description = [{
    `starts` has one result per dim, already clamped; `steps` is not zero; the result's shape says how many.
    Checks: slice_c1: one start, step and dim of the result per dim; slice_c2: no step is 0; slice_c3: the element type
    stays.
    ```mlir
    %1 = graph.slice %0 {starts = affine_map<() -> (0, 1)>, steps = array<i64: 1, 2>} : (tensor<2x8xf32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AffineMapAttr:$starts, DenseI64ArrayAttr:$steps);
  let hasVerifier = 1;
}
def Graph_ConcatOp : Graph_PureOp<"concat"> {
  let summary = "operands one behind the other along `axis`";
  let description = [{
    With `nontemporal` nothing reads the result soon: the first operand is copied past the caches.
    Checks: concat_c1: an operand at least; concat_c2: the axis is a dim; concat_c3: operands have the result's rank and
    element type.
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, I64Attr:$axis, UnitAttr:$nontemporal);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_PadOp : Graph_PureOp<"pad"> {
  let summary = "x with `low` elements before it in each dim, and as many behind as the result's shape asks; negative crops";
  let description = [{
    Checks: pad_c1: one expression per dim; pad_c2: a scalar value; pad_c3: one element type.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$value, AffineMapAttr:$low, Graph_PadModeAttr:$mode);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_TileOp : Graph_MoveOp<"tile", "element i of the result is x[i mod extent of x], per dim"> {
  let description = [{
    Checks: tile_c1: the rank stays; tile_c2: the element type stays.
  }];
  let hasVerifier = 1;
}
def Graph_IotaOp : Graph_PureOp<"iota"> {
  let summary = "element i is start + i[axis] * delta, computed in the element type";
  let description = [{
    Checks: iota_c1: the axis is a dim; iota_c2: scalars of the result's element type.
  }];
  let arguments = (ins AnyRankedTensor:$start, AnyRankedTensor:$delta, I64Attr:$axis);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_RandomOp : Graph_PureOp<"random"> {
  let summary = "numbers drawn evenly from (0, 1): a hash of the seed, the stream and the element's row-major position";
  let description = [{
    The same operands give the same numbers, in any order of evaluation. Where the operation runs several times (in a loop), `stream`,
    an i64 scalar, tells the times apart. f32 numbers are odd multiples of 2^-24, f64 numbers of 2^-53.
    Checks: random_c1: elements of f32 or f64; random_c2: a stream of one i64.
    ```mlir
    %0 = graph.random {seed = 7 : i64} : () -> tensor<4xf32>
    ```
  }];
  let arguments = (ins Optional<AnyRankedTensor>:$stream, I64Attr:$seed);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_GatherOp : Graph_PureOp<"gather"> {
  let summary = "x's slices along `axis` at the indices: shape x[:axis] + indices + x[axis+1:]; negative indices count from the end";
  let description = [{
    Checks: gather_c1: the result's rank; gather_c2: the axis is a dim of x; gather_c3: indices of i32 or i64; gather_c4:
    the element type stays.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$indices, I64Attr:$axis);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_GatherElementsOp : Graph_PureOp<"gather_elements"> {
  let summary = "x[i] with i[axis] replaced by indices[i]";
  let description = [{
    Checks: gather_elements_c1: one rank; gather_elements_c2: the axis is a dim; gather_elements_c3: indices of i32 or i64;
    gather_elements_c4: the element type stays.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$indices, I64Attr:$axis);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_GatherNDOp : Graph_PureOp<"gather_nd"> {
  let summary = "x's slices at index tuples in the last dim of the indices";
  let description = [{
    Checks: gather_nd_c1: tuples of known length that fit x behind the batch dims; gather_nd_c2: the result's rank;
    gather_nd_c3: indices of i32 or i64; gather_nd_c4: the element type stays.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$indices, I64Attr:$batch_dims);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_ScatterElementsOp : Graph_PureOp<"scatter_elements"> {
  let summary = "a copy of x with updates[i] at i with i[axis] replaced by indices[i], in row-major order";
  let description = [{
    Checks: scatter_elements_c1: one rank; scatter_elements_c2: the axis is a dim; scatter_elements_c3: indices of i32 or
    i64; scatter_elements_c4: the result is like x, updates have its element type.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$indices, AnyRankedTensor:$updates, I64Attr:$axis, Graph_ScatterKindAttr:$kind);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_ScatterNDOp : Graph_PureOp<"scatter_nd"> {
  let summary = "a copy of x with slices of the updates at index tuples in the last dim of the indices";
  let description = [{
    Checks: scatter_nd_c1: tuples of known length that fit x; scatter_nd_c2: the updates' rank; scatter_nd_c3: indices of
    i32 or i64; scatter_nd_c4: the result is like x, updates have its element type.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$indices, AnyRankedTensor:$updates, Graph_ScatterKindAttr:$kind);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_ReverseSequenceOp : Graph_PureOp<"reverse_sequence"> {
  let summary = "the first lengths[b] elements along the time axis reversed";
  let description = [{
    Checks: reverse_sequence_c1: both axes are dims; reverse_sequence_c2: a vector of integer lengths.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$lengths, I64Attr:$batch_axis, I64Attr:$time_axis);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_ResizeOp : Graph_PureOp<"resize"> {
  let summary = "x sampled at other positions";
  let description = [{
    Per dim d, output position i reads the input at (i + 0.5) / scale - 0.5 or as `coordinates` says (the names of ONNX's
    coordinate_transformation_mode). `scales` holds one f32 per dim (a tensor, as it may be computed), `roi` two per dim (starts,
    then ends) for tf_crop_and_resize. `nearest` rounds as `rounding` says.
    Checks: resize_c1: one scale and dim of the result per dim; resize_c2: two numbers of the region per dim.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$scales, Optional<AnyRankedTensor>:$roi, Graph_ResizeModeAttr:$mode,
                       StrAttr:$coordinates, StrAttr:$rounding, F64Attr:$cubic_coeff, F64Attr:$extrapolation,
                       BoolAttr:$antialias, BoolAttr:$exclude_outside);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}

//===---------------------------------------------------------------------------------------------------------------===//
// Reductions
//===---------------------------------------------------------------------------------------------------------------===//

def Graph_ReduceOp : Graph_PureOp<"reduce"> {
  let summary = "x reduced over `axes`; the result keeps them with extent 1";
  let description = [{
    Over no element: sum 0, prod 1, mean NaN, max and min the lowest and highest value of the type. max and min of i1 are or
    and and.
    Checks: reduce_c1: axes are distinct dims; reduce_c2: the rank stays; reduce_c3: reduced dims have extent 1, others
    stay; reduce_c4: the element type stays.
    ```mlir
    %1 = graph.reduce %0 {kind = #graph.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, Graph_ReduceKindAttr:$kind, DenseI64ArrayAttr:$axes);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_ArgReduceOp : Graph_PureOp<"arg_reduce"> {
  let summary = "index (i64) of the largest or smallest element along `axis`, which is kept with extent 1";
  let description = [{
    Checks: arg_reduce_c1: the axis is a dim; arg_reduce_c2: the rank stays; arg_reduce_c3: the axis has extent 1, others
    stay; arg_reduce_c4: max or min; arg_reduce_c5: a result of i64.
  }];
  let arguments = (ins AnyRankedTensor:$x, Graph_ReduceKindAttr:$kind, I64Attr:$axis, BoolAttr:$last);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_CumulateOp : Graph_PureOp<"cumulate"> {
  let summary = "running sum or product along `axis`";
  let description = [{
    Checks: cumulate_c1: the axis is a dim; cumulate_c2: sum or prod; cumulate_c3: the type stays.
  }];
  let arguments = (ins AnyRankedTensor:$x, Graph_ReduceKindAttr:$kind, I64Attr:$axis, BoolAttr:$exclusive, BoolAttr:$reverse);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_SoftmaxOp : Graph_PureOp<"softmax"> {
  let summary = "e^(x - max) / sum over `axis`; its logarithm where `log` is set";
  let description = [{
    Checks: softmax_c1: the axis is a dim; softmax_c2: the type stays.
  }];
  let arguments = (ins AnyRankedTensor:$x, I64Attr:$axis, UnitAttr:$log);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_NormalizeOp : Graph_PureOp<"normalize"> {
  let summary = "(x - mean) / sqrt(variance + epsilon) over `axes`; without the mean (root mean square) where `rms` is set";
  let description = [{
    Checks: normalize_c1: axes are distinct dims; normalize_c2: the type stays.
  }];
  let arguments = (ins AnyRankedTensor:$x, DenseI64ArrayAttr:$axes, F64Attr:$epsilon, UnitAttr:$rms);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_PoolOp : Graph_PureOp<"pool"> {
  let summary = "windows over the spatial dims (2 and up) of x";
  let description = [{
    Window element w of output position i is at i * strides + w * dilations - pads. `average` divides by the number of elements
    inside x, or, where `count_padding` is set, inside x extended by `pads` and `pads_end`. `lp` is (sum |x|^p)^(1/p).
    Checks: pool_c1: one entry of every window attribute per spatial dim; pool_c2: kernel, strides and dilations are
    positive.
  }];
  let arguments = (ins AnyRankedTensor:$x, Graph_PoolKindAttr:$kind, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       AffineMapAttr:$pads, AffineMapAttr:$pads_end, DenseI64ArrayAttr:$dilations, BoolAttr:$count_padding, I64Attr:$p);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_Col2ImOp : Graph_PureOp<"col2im"> {
  let summary = "blocks added back into the images they were cut from: x [N, C * elements of a block, blocks] -> [N, C, image...]";
  let description = [{
    Element k of block p lies at p * strides + k * dilations - pads, per dim of the image; those outside are left out. `block` holds the extents of a
    block, `positions` the number of blocks, per dim. Sums run over k in row-major order.
    Checks: col2im_c1: x of rank 3 and an image of rank 1 or more; col2im_c2: one entry of every attribute per dim of the image; col2im_c3: the
    element type stays.
  }];
  let arguments = (ins AnyRankedTensor:$x, AffineMapAttr:$block, AffineMapAttr:$positions, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_MaxPoolIndicesOp : Graph_PureOp<"max_pool_indices"> {
  let summary = "flat index (i64) into x of the first largest element of each window; column-major in the spatial dims on request";
  let description = [{
    Checks: max_pool_indices_c1: one entry of every window attribute per spatial dim; max_pool_indices_c2: kernel, strides
    and dilations are positive.
  }];
  let arguments = (ins AnyRankedTensor:$x, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides, AffineMapAttr:$pads,
                       DenseI64ArrayAttr:$dilations, BoolAttr:$column_major);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}

//===---------------------------------------------------------------------------------------------------------------===//
// Contractions and recurrences
//===---------------------------------------------------------------------------------------------------------------===//

def Graph_MatmulOp : Graph_PureOp<"matmul"> {
  let summary = "[..., M, K] x [..., K, N] -> [..., M, N]; leading dims broadcast; both operands have rank 2 or more";
  let description = [{
    Element types are equal, or integers that widen to the result's. Sums run over k in rising order, in the
    accumulation type (f32 for floats up to 32 bits).
    Checks: matmul_c1: ranks; matmul_c2: inner dims are equal.
    ```mlir
    %2 = graph.matmul %0, %1 : (tensor<4x8xf32>, tensor<8x2xf32>) -> tensor<4x2xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_BlockMatmulOp : Graph_Op<"block_matmul", [Pure, AttrSizedOperandSegments]> {
  let summary = "[..., K] x weights of few bits in blocks along K -> [..., N]";
  let description = [{
    `weights` [N, blocks, block * bits / 8] holds unsigned numbers, the first in the lowest bits of a byte. Weight (k, n) is
    (number - zeros [n, k / block]) * scales [n, k / block], or, with a codebook, levels [number] * scales [n, k / block]; numbers behind K are not
    read. Sums are in f32.
    Checks: block_matmul_c1: weights of ui8, the others of f32; block_matmul_c2: bits are 2, 4 or 8, a block is a power of two from 16 on;
    block_matmul_c3: K is a number that the blocks cover, and dims fit; block_matmul_c4: zeros, or 16 levels of four bits.
    ```mlir
    %y = graph.block_matmul %x, %w, %s zeros %z {bits = 4 : i64, block = 32 : i64}
      : (tensor<?x64xf32>, tensor<8x2x16xui8>, tensor<8x2xf32>, tensor<8x2xf32>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$weights, AnyRankedTensor:$scales, Optional<AnyRankedTensor>:$zeros,
                       Optional<AnyRankedTensor>:$levels, I64Attr:$bits, I64Attr:$block);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x `,` $weights `,` $scales (`zeros` $zeros^)? (`levels` $levels^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
def Graph_AttentionOp : Graph_PureOp<"attention", [AttrSizedOperandSegments]> {
  let summary = "softmax(scale * q k^T, masked) v for q [..., S, D], k [..., T, D], v [..., T, V] -> [..., S, V]; leading dims broadcast";
  let description = [{
    Scores [..., S, T] pass `masks` in order: one of f32 is added, one of i1 replaces the scores where it is false by its entry of `fills`
    (entries of the others are ignored). Rows where `zeroed` [..., S, 1] holds have the weights 0 instead of the softmax of their scores, and
    so have, where `zero_nan` is set, rows whose softmax is not a number. Rows over no key are 0. `past_k` and `past_v` hold the first rows of
    k and v once more: reading them there is as good.
    Checks: attention_c1: ranks; attention_c2: extents of q, k, v and the result fit; attention_c3: elements of f32; attention_c4: masks of f32
    or i1 that broadcast to the scores, with one fill each; attention_c5: `zeroed` is of i1 and has one element per row at most; attention_c6: `past_k`
    and `past_v` are both there or not, and have the types of k and v but for one number of rows.
    ```mlir
    %1 = graph.attention %q, %k, %v, %mask {scale = 0.125 : f64, fills = array<f64: 0.0>, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0>}
      : (tensor<2x8x64xf32>, tensor<2x9x64xf32>, tensor<2x9x64xf32>, tensor<8x9xf32>) -> tensor<2x8x64xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$q, AnyRankedTensor:$k, AnyRankedTensor:$v, Variadic<AnyRankedTensor>:$masks,
                       Optional<AnyRankedTensor>:$zeroed, Optional<AnyRankedTensor>:$past_k, Optional<AnyRankedTensor>:$past_v, F64Attr:$scale,
                       DenseF64ArrayAttr:$fills, UnitAttr:$zero_nan);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_ConvOp : Graph_PureOp<"conv"> {
  let summary = "x [N, C, spatial...] with filters [O, C / group, kernel...] -> [N, O, spatial...]";
  let description = [{
    Checks: conv_c1: one entry of every window attribute per spatial dim; conv_c2: strides and dilations are positive;
    conv_c3: one rank; conv_c4: group divides the filters; conv_c5: channels fit.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$filter, DenseI64ArrayAttr:$strides, AffineMapAttr:$pads,
                       DenseI64ArrayAttr:$dilations, I64Attr:$group);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_ConvTransposeOp : Graph_PureOp<"conv_transpose"> {
  let summary = "x [N, C, spatial...] with filters [C, O / group, kernel...]: output position o takes x[i] w[k] where o = i * strides + k * dilations - pads";
  let description = [{
    Checks: conv_transpose_c1: one entry of every window attribute per spatial dim; conv_transpose_c2: strides and dilations
    are positive; conv_transpose_c3: one rank; conv_transpose_c4: group divides the channels; conv_transpose_c5: channels
    fit.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$filter, DenseI64ArrayAttr:$strides, AffineMapAttr:$pads,
                       DenseI64ArrayAttr:$dilations, I64Attr:$group);
  let results = (outs AnyRankedTensor:$result);
  let hasVerifier = 1;
}
def Graph_RecurrentOp : Graph_PureOp<"recurrent", [AttrSizedOperandSegments]> {
  let summary = "one direction of an LSTM, GRU or RNN over a sequence";
  let description = [{
    `gates` is the input projection with all biases that do not depend on the state, [S, B, G * H] with gates in ONNX's order
    (lstm iofc, gru zrh, rnn one). `recurrence` is [H, G * H]; `hidden` and `cell` are the initial states [B, H]; `lengths` i32 [B] or
    absent; `peephole` [3 * H] (iof); `recurrence_bias` [H] is gru's recurrent bias of the h gate where `linear_before_reset` is set.
    Results: all hidden states [S, B, H], the last hidden and the last cell state [B, H]. `activations` names one function
    per use (lstm f, g, h; gru f, g; rnn f) with `alphas` and `betas`. `reverse` runs from the end of each sequence; steps beyond
    a sequence's length give 0 and leave the state.
    Checks: recurrent_c1: ranks; recurrent_c2: one activation with alpha and beta per use; recurrent_c3: an lstm alone has a
    cell state; recurrent_c4: extents of gates, recurrence and state fit.
  }];
  let arguments = (ins AnyRankedTensor:$gates, AnyRankedTensor:$recurrence, AnyRankedTensor:$hidden, Optional<AnyRankedTensor>:$cell,
                       Optional<AnyRankedTensor>:$lengths, Optional<AnyRankedTensor>:$peephole, Optional<AnyRankedTensor>:$recurrence_bias,
                       Graph_CellKindAttr:$kind, StrArrayAttr:$activations, DenseF64ArrayAttr:$alphas, DenseF64ArrayAttr:$betas,
                       F64Attr:$clip, BoolAttr:$reverse, BoolAttr:$linear_before_reset, BoolAttr:$input_forget);
  let results = (outs AnyRankedTensor:$states, AnyRankedTensor:$last_hidden, AnyRankedTensor:$last_cell);
  let hasVerifier = 1;
}

//===---------------------------------------------------------------------------------------------------------------===//
// Library kernels and control flow
//===---------------------------------------------------------------------------------------------------------------===//

def Graph_CallOp : Graph_Op<"call"> {
  let summary = "A kernel of runtime/ops: sorting, selection and the like";
  let description = [{
    `kernel` names the function; `params` are its integers, in the order that the kernel documents. `symbols` are the
    symbols that the kernel binds (counts of a result whose shape depends on values). Such results hold at most what the
    expressions `capacity` say, one per result, before their symbols are bound.
    Checks: call_c1: one capacity per result; call_c2: results that bind symbols have one.
    ```mlir
    %v, %i = graph.call "topk"(%x) {params = array<i64: 1, 1, 1>, symbols = array<i64>} : (tensor<3x4xf32>) -> (tensor<3x2xf32>, tensor<3x2xi64>)
    ```
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, StrAttr:$kernel, DenseI64ArrayAttr:$params,
                       DenseI64ArrayAttr:$symbols, OptionalAttr<AffineMapAttr>:$capacity);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$kernel `(` $inputs `)` attr-dict `:` functional-type($inputs, results)";
  let hasVerifier = 1;
}

def Graph_YieldOp : Graph_Op<"yield", [Pure, ReturnLike, Terminator]> {
  let summary = "What a region gives";
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def Graph_IfOp : Graph_Op<"if", [RecursiveMemoryEffects]> {
  let summary = "One of two regions";
  let description = [{
    The results' dims are symbols bound by the op (`symbols`) where the branches differ: symbol symbols[k] takes the value
    of result k of `then_exprs` or `else_exprs`, which may use symbols bound inside that branch.
    Checks: if_c1: one expression per symbol and branch; if_c2: branches yield one value per result; if_c3: of its rank and
    element type.
  }];
  let arguments = (ins AnyRankedTensor:$condition, DenseI64ArrayAttr:$symbols, AffineMapAttr:$then_exprs, AffineMapAttr:$else_exprs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$then_region, SizedRegion<1>:$else_region);
  let assemblyFormat = "$condition attr-dict `:` functional-type($condition, results) $then_region `else` $else_region";
  let hasRegionVerifier = 1;
}

def Graph_LoopOp : Graph_Op<"loop", [RecursiveMemoryEffects, AttrSizedOperandSegments]> {
  let summary = "Repeats a region at most `trips` times while the condition holds";
  let description = [{
    Region arguments: the iteration number (i64 scalar), the condition (i1 scalar), then the carried values; it yields the next condition, the
    carried values, then one slice per scan output. Results: final carried values, then scan outputs, stacked along a new first
    dim. Dims of carried values that change are symbols: `carried_symbols[k]` takes result k of `init_exprs` before the loop and
    result k of `next_exprs` after each iteration. `result_symbols` take, after the loop, the carried symbols in order, then the number of iterations
    run, then the symbols of `scan_exprs` (dims of the slices, in the last iteration's values).
    Checks: loop_c1: the body's arguments; loop_c2: the body yields the condition and one value per result; loop_c3: one
    expression per carried symbol; loop_c4: the number of result symbols; loop_c5: yielded values have the results' ranks
    and element types.
  }];
  let arguments = (ins Optional<AnyRankedTensor>:$trips, Optional<AnyRankedTensor>:$condition, Variadic<AnyRankedTensor>:$inits,
                       DenseI64ArrayAttr:$carried_symbols, AffineMapAttr:$init_exprs, AffineMapAttr:$next_exprs,
                       DenseI64ArrayAttr:$result_symbols, AffineMapAttr:$scan_exprs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "(`trips` $trips^ `:` type($trips))? (`while` $condition^ `:` type($condition))? `inits` `(` $inits `)` attr-dict `:` functional-type($inits, results) $body";
  let hasRegionVerifier = 1;
}

#endif
