// Inputs whose values bind symbols or choose branches get symbols for their elements; others, and what is too large, do not.
// RUN: %opt %s --split-input-file --graph-find-deciding-inputs | FileCheck %s

// Through arithmetic, too; `x` is computed with and decides nothing.
// CHECK-LABEL: func.func @main
// CHECK-SAME: graph.symbols = ["n", "", "", "k[0]", "flag[0]", "sizes[0]", "sizes[1]"]
// CHECK-SAME: graph.values = array<i64: 3, 1, 0, 4, 2, 0, 5, 3, 0, 6, 3, 1>
func.func @main(%x: tensor<?xi64, affine_map<()[s0] -> (s0)>> {graph.name = "x"}, %k: tensor<1xi64> {graph.name = "k"}, %flag: tensor<i1> {graph.name = "flag"},
                %sizes: tensor<2xi32> {graph.name = "sizes"}, %y: tensor<2xi64> {graph.name = "y"}) -> tensor<2xi64>
    attributes {graph.symbols = ["n", "", ""]} {
  graph.bind %k {first = 1 : i64} : tensor<1xi64>
  %wide = graph.cast %sizes : (tensor<2xi32>) -> tensor<2xi64>
  %last = graph.slice %wide {starts = affine_map<() -> (1)>, steps = array<i64: 1>} : (tensor<2xi64>) -> tensor<1xi64>
  graph.bind %last {first = 2 : i64} : tensor<1xi64>
  %both = graph.not %flag : (tensor<i1>) -> tensor<i1>
  %0 = graph.if %both {symbols = array<i64>, then_exprs = affine_map<() -> ()>, else_exprs = affine_map<() -> ()>} : (tensor<i1>) -> tensor<2xi64> {
    graph.yield %y : tensor<2xi64>
  } else {
    %1 = graph.neg %y : (tensor<2xi64>) -> tensor<2xi64>
    graph.yield %1 : tensor<2xi64>
  }
  return %0 : tensor<2xi64>
}

// -----

// Nine elements are too many, the values of floats are not read, and what a kernel finds is known while running alone.
// CHECK-LABEL: func.func @main
// CHECK-NOT: graph.values
func.func @main(%many: tensor<9xi64> {graph.name = "many"}, %real: tensor<f32> {graph.name = "real"}, %k: tensor<1xi64> {graph.name = "k"}) -> tensor<i64>
    attributes {graph.symbols = ["", "", "", "", "", "", "", "", "", "", ""]} {
  graph.bind %many {first = 0 : i64} : tensor<9xi64>
  %whole = graph.cast %real : (tensor<f32>) -> tensor<i64>
  graph.bind %whole {first = 9 : i64} : tensor<i64>
  %sum = graph.reshape %k : (tensor<1xi64>) -> tensor<i64>
  %both = graph.add %sum, %whole : (tensor<i64>, tensor<i64>) -> tensor<i64>
  graph.bind %both {first = 10 : i64} : tensor<i64>
  return %sum : tensor<i64>
}
