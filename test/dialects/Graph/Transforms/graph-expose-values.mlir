// Values inside @main are returned under their position and node; what is returned already and constants are left out.
// RUN: %opt %s -graph-expose-values | FileCheck %s
// RUN: %opt %s -graph-expose-values=positions=1 | FileCheck %s --check-prefix=ONE

// CHECK: func.func @main
// CHECK-SAME: {graph.name = "y"}, tensor<4xf32> {graph.name = "0:first"}, tensor<4xf32> {graph.name = "1:exp"})
// CHECK: return %{{.*}}, %[[A:.+]], %[[B:.+]] : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
// ONE: {graph.name = "y"}, tensor<4xf32> {graph.name = "1:exp"})
func.func @main(%x: tensor<4xf32> {graph.name = "x"}) -> (tensor<4xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
  %tanh = graph.tanh %x : (tensor<4xf32>) -> tensor<4xf32> loc("first")
  %exp = graph.exp %tanh : (tensor<4xf32>) -> tensor<4xf32>
  %y = graph.tanh %exp : (tensor<4xf32>) -> tensor<4xf32> loc("last")
  return %y : tensor<4xf32>
}
