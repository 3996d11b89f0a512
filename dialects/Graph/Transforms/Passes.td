// Passes of the `graph` dialect.
#ifndef ONAGER_DIALECTS_GRAPH_TRANSFORMS_PASSES
#define ONAGER_DIALECTS_GRAPH_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

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
