// A function of graph operations whose dims are numbers or expressions of named symbols passes unchanged.
// RUN: %opt %s --verify-graph | FileCheck %s

#n = affine_map<()[s0, s1] -> (s0, s1 * 2, 8)>
// CHECK-LABEL: func.func @main
// CHECK: graph.relu
// CHECK: graph.if
// CHECK: graph.require
func.func @main(%c: tensor<i1>, %x: tensor<?x?x8xf32, #n>) -> tensor<?x?x8xf32, #n> attributes {graph.symbols = ["n", "m"]} {
  %0 = graph.relu %x : (tensor<?x?x8xf32, #n>) -> tensor<?x?x8xf32, #n>
  %1 = graph.if %c {symbols = array<i64>, then_exprs = affine_map<() -> ()>, else_exprs = affine_map<() -> ()>} : (tensor<i1>) -> tensor<?x?x8xf32, #n> {
    graph.yield %x : tensor<?x?x8xf32, #n>
  } else {
    graph.yield %0 : tensor<?x?x8xf32, #n>
  }
  graph.require {exprs = affine_map<()[s0, s1] -> (s0, s1)>, message = "node 'a': dims differ"}
  return %1 : tensor<?x?x8xf32, #n>
}
