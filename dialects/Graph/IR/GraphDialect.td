// The `graph` dialect: a model as value-semantics operations on tensors, free of ONNX's opsets.
#ifndef ONAGER_GRAPH_DIALECT
#define ONAGER_GRAPH_DIALECT

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Graph_Dialect : Dialect {
  let name = "graph";
  let cppNamespace = "::onager::graph";
  let summary = "A model: tensors with known rank whose dims are numbers or expressions of symbols";
  let description = [{
    Tensors are builtin ranked tensors. A dim that is not a number is an expression of the model's symbols; a tensor type
    with such dims carries all of its dims as an affine map in its encoding:

    ```mlir
    tensor<?x?x768xf32, affine_map<()[s0, s1] -> (s0, s1 + 4, 768)>>
    ```

    Symbols are numbered over the whole function; `graph.symbols` on the function holds their names. A symbol is bound by the
    dims of the function's inputs, by `graph.define`, by `graph.bind`, by an operation whose result shape depends on values
    (attribute `symbols`), or by a loop. Inputs and outputs of a program carry their names,
    `graph.name`. Signed and boolean elements are signless (`i1`, `i8`, ...), unsigned ones `ui8`...

    Checks: program_c1: names of inputs and outputs are strings. program_c2: a function that has them has `graph.symbols`, strings, too.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
}

def Graph_StringType : TypeDef<Graph_Dialect, "String"> {
  let mnemonic = "string";
  let summary = "A text as an element of a tensor";
  let description = [{
    Constants are `dense<["a", "b"]> : tensor<2x!graph.string>`. The pass graph-number-strings replaces it by `i64`: the text's number in a table.
  }];
}

class Graph_Enum<string name, string summary, list<string> cases> : I32EnumAttr<name, summary,
    !foldl([]<I32EnumAttrCase>, cases, acc, c, acc # [I32EnumAttrCase<c, !size(acc)>])> {
  let cppNamespace = "::onager::graph";
  let genSpecializedAttr = 0;
}
class Graph_EnumAttr<EnumInfo info, string mnemonic> : EnumAttr<Graph_Dialect, info, mnemonic> {
  let assemblyFormat = "`<` $value `>`";
}

def Graph_ReduceKind : Graph_Enum<"ReduceKind", "what a reduction computes",
    ["sum", "prod", "max", "min", "mean", "sum_square", "sum_abs"]>;
def Graph_ReduceKindAttr : Graph_EnumAttr<Graph_ReduceKind, "reduce_kind">;
def Graph_DefineKind : Graph_Enum<"DefineKind", "how a symbol follows from expressions",
    ["max", "min", "broadcast", "trunc_div", "select_equal"]>;
def Graph_DefineKindAttr : Graph_EnumAttr<Graph_DefineKind, "define_kind">;
def Graph_PadMode : Graph_Enum<"PadMode", "what stands outside the padded tensor", ["constant", "reflect", "edge", "wrap"]>;
def Graph_PadModeAttr : Graph_EnumAttr<Graph_PadMode, "pad_mode">;
def Graph_PoolKind : Graph_Enum<"PoolKind", "what a pooling window computes", ["max", "average", "lp"]>;
def Graph_PoolKindAttr : Graph_EnumAttr<Graph_PoolKind, "pool_kind">;
def Graph_ScatterKind : Graph_Enum<"ScatterKind", "how an update meets what is there", ["none", "add", "mul", "max", "min"]>;
def Graph_ScatterKindAttr : Graph_EnumAttr<Graph_ScatterKind, "scatter_kind">;
def Graph_ResizeMode : Graph_Enum<"ResizeMode", "interpolation", ["nearest", "linear", "cubic"]>;
def Graph_ResizeModeAttr : Graph_EnumAttr<Graph_ResizeMode, "resize_mode">;
def Graph_CellKind : Graph_Enum<"CellKind", "a recurrent cell", ["lstm", "gru", "rnn"]>;
def Graph_CellKindAttr : Graph_EnumAttr<Graph_CellKind, "cell_kind">;

#endif
