// Texts become numbers in order of appearance, behind that of the empty text; arguments, results and regions change their types.
// RUN: %opt %s -graph-number-strings | FileCheck %s

// CHECK: func.func @main(%[[X:.+]]: tensor<3xi64> {graph.name = "x", graph.string}, %{{.+}}: tensor<i1> {graph.name = "c"})
// CHECK-SAME: -> (tensor<3xi64> {graph.name = "y", graph.string}, tensor<3xi1> {graph.name = "same"})
// CHECK-SAME: graph.strings = ["", "b", "a"]
// CHECK: %[[C:.+]] = graph.constant dense<[1, 2, 1]> : tensor<3xi64>
// CHECK: %[[E:.+]] = graph.constant dense<0> : tensor<3xi64>
// CHECK: graph.equal %[[X]], %[[C]] : (tensor<3xi64>, tensor<3xi64>) -> tensor<3xi1>
// CHECK: graph.if {{.+}} -> tensor<3xi64>
func.func @main(%x: tensor<3x!graph.string> {graph.name = "x"}, %c: tensor<i1> {graph.name = "c"})
    -> (tensor<3x!graph.string> {graph.name = "y"}, tensor<3xi1> {graph.name = "same"}) attributes {graph.symbols = []} {
  %words = graph.constant dense<["b", "a", "b"]> : tensor<3x!graph.string> : tensor<3x!graph.string>
  %empty = graph.constant dense<""> : tensor<3x!graph.string> : tensor<3x!graph.string>
  %same = graph.equal %x, %words : (tensor<3x!graph.string>, tensor<3x!graph.string>) -> tensor<3xi1>
  %y = graph.if %c {symbols = array<i64>, then_exprs = affine_map<() -> ()>, else_exprs = affine_map<() -> ()>} : (tensor<i1>) -> tensor<3x!graph.string> {
    graph.yield %words : tensor<3x!graph.string>
  } else {
    graph.yield %empty : tensor<3x!graph.string>
  }
  return %y, %same : tensor<3x!graph.string>, tensor<3xi1>
}

// A function without strings keeps its attributes.
// CHECK: func.func @other(%{{.+}}: tensor<2xf32>) -> tensor<2xf32> {
func.func @other(%x: tensor<2xf32>) -> tensor<2xf32> {
  return %x : tensor<2xf32>
}
