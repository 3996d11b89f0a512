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

def GraphSimplify : Pass<"graph-simplify", "::mlir::func::FuncOp"> {
  let summary = "Removes identities and merges data movements";
  let description = [{
    Casts to the same type, transposes by the identity, reshapes and broadcasts that change nothing, and full slices go; two
    transposes or reshapes in a row become one; a transpose that moves only dims of extent 1 becomes a reshape. Dead operations go.
    Results are equal bit for bit. Does nothing to an operation that computes.

    ```mlir
    %1 = graph.transpose %0 {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
    %2 = graph.transpose %1 {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
    // becomes %0
    ```
  }];
  let statistics = [Statistic<"numRemoved", "removed", "operations removed">];
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

#endif
