// The `kernel` dialect: launch units around graph operations, and the program that launches them.
#ifndef ONAGER_KERNEL_DIALECT
#define ONAGER_KERNEL_DIALECT

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::onager::kernel";
  let summary = "What will run: launch units, their hero, and the buffers they work on";
  let description = [{
    A `kernel.unit` is a function on tensors that becomes one machine function; its body is a small graph with at most one
    hero (contraction, reduction, concatenation), the rest being its prologue and epilogue. `func.func @main` keeps the
    program: launches, control flow, views (`graph.reshape`) and symbol definitions. The plan stage gives every tensor of
    the program a buffer.
  }];
  let dependentDialects = ["::onager::graph::GraphDialect"];
  let useDefaultAttributePrinterParser = 1;
}

def Kernel_Hero : I32EnumAttr<"Hero", "which emitter a unit takes", [
    I32EnumAttrCase<"map", 0>, I32EnumAttrCase<"reduce", 1>, I32EnumAttrCase<"softmax", 2>, I32EnumAttrCase<"normalize", 3>,
    I32EnumAttrCase<"gemm", 4>, I32EnumAttrCase<"conv", 5>, I32EnumAttrCase<"depthwise", 6>, I32EnumAttrCase<"concat", 7>,
    I32EnumAttrCase<"scatter", 8>, I32EnumAttrCase<"recurrent", 9>, I32EnumAttrCase<"scan", 10>, I32EnumAttrCase<"transpose", 11>,
    I32EnumAttrCase<"pool", 12>, I32EnumAttrCase<"attention", 13>, I32EnumAttrCase<"winograd", 14>,
    I32EnumAttrCase<"int8_conv", 15>, I32EnumAttrCase<"int8_depthwise", 16>, I32EnumAttrCase<"int8_gemm", 17>,
    I32EnumAttrCase<"block_gemm", 18>, I32EnumAttrCase<"matmul", 19>,
    I32EnumAttrCase<"arg_reduce", 20>, I32EnumAttrCase<"col2im", 21>, I32EnumAttrCase<"packed_conv", 22>, I32EnumAttrCase<"amx_gemm", 23>,
    I32EnumAttrCase<"pointwise_depthwise", 24>, I32EnumAttrCase<"bf16_gemm", 25>, I32EnumAttrCase<"amx_bf16_gemm", 26>,
    I32EnumAttrCase<"resize", 27>, I32EnumAttrCase<"sparse_pack", 28>, I32EnumAttrCase<"sparse_gemm", 29>, I32EnumAttrCase<"sparse_conv", 30>,
    I32EnumAttrCase<"dot_rows", 31>, I32EnumAttrCase<"pool_indices", 32>, I32EnumAttrCase<"bf16x3_conv", 33>]> {
  let cppNamespace = "::onager::kernel";
  let genSpecializedAttr = 0;
}
def Kernel_HeroAttr : EnumAttr<Kernel_Dialect, Kernel_Hero, "hero"> { let assemblyFormat = "`<` $value `>`"; }

def Kernel_Int8Form : I32EnumAttr<"Int8Form", "which emitter packed 8-bit weights are for", [
    I32EnumAttrCase<"conv", 0>, I32EnumAttrCase<"depthwise", 1>, I32EnumAttrCase<"gemm", 2>, I32EnumAttrCase<"amx", 3>]> {
  let cppNamespace = "::onager::kernel";
  let genSpecializedAttr = 0;
}
def Kernel_Int8FormAttr : EnumAttr<Kernel_Dialect, Kernel_Int8Form, "int8_form"> { let assemblyFormat = "`<` $value `>`"; }

def Kernel_BufferKind : I32EnumAttr<"BufferKind", "where a tensor of the program lives", [
    I32EnumAttrCase<"input", 0>, I32EnumAttrCase<"output", 1>, I32EnumAttrCase<"weight", 2>, I32EnumAttrCase<"slot", 3>,
    I32EnumAttrCase<"block", 4>]> {
  let cppNamespace = "::onager::kernel";
  let genSpecializedAttr = 0;
}
def Kernel_BufferKindAttr : EnumAttr<Kernel_Dialect, Kernel_BufferKind, "buffer_kind"> { let assemblyFormat = "`<` $value `>`"; }

class Kernel_Attr<string name, string attrMnemonic> : AttrDef<Kernel_Dialect, name> { let mnemonic = attrMnemonic; }

def Kernel_BufferAttr : Kernel_Attr<"Buffer", "buffer"> {
  let summary = "A buffer: kind, number within the kind, and the expression of its size in bytes";
  let description = [{
    `input` and `output` count the program's arguments and results, `weight` the entries of `kernel.weights`, `slot` the
    arena's slots, `block` the growable blocks. `first` and `last` bound the launches between which a slot is live.
  }];
  let parameters = (ins "BufferKind":$kind, "int64_t":$index, "::mlir::AffineMapAttr":$bytes, "int64_t":$first, "int64_t":$last,
                        "bool":$per_thread);
  let assemblyFormat = "`<` $kind $index `,` $bytes `,` $first `to` $last `,` $per_thread `>`";
}

#endif
