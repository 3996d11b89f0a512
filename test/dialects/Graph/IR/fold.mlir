// Constants fold to their value: equal ones become one, unused ones go.
// RUN: %opt %s --canonicalize --cse | FileCheck %s

// CHECK-LABEL: func.func @equal
// CHECK: %[[C:.+]] = graph.constant dense<1.000000e+00>
// CHECK-NOT: graph.constant
// CHECK: graph.add %[[C]], %[[C]]
func.func @equal() -> tensor<2xf32> {
  %a = graph.constant dense<1.0> : tensor<2xf32> : tensor<2xf32>
  %b = graph.constant dense<1.0> : tensor<2xf32> : tensor<2xf32>
  %sum = graph.add %a, %b : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %sum : tensor<2xf32>
}

// CHECK-LABEL: func.func @unused
// CHECK-NEXT: return
func.func @unused() {
  %a = graph.constant dense<1.0> : tensor<2xf32> : tensor<2xf32>
  %b = graph.exp %a : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// What a run may fail at, or binds symbols, stays although nobody reads it.
// CHECK-LABEL: func.func @effects
// CHECK: graph.bind
// CHECK: graph.require
// CHECK: graph.call
func.func @effects(%k: tensor<1xi64>, %x: tensor<3xf32>) attributes {graph.symbols = ["k"]} {
  graph.bind %k {first = 0 : i64} : tensor<1xi64>
  graph.require {exprs = affine_map<()[s0] -> (s0, 4)>, message = "node 'a': dims differ"}
  %v, %i = graph.call "topk"(%x) {params = array<i64: 0, 1, 1>, symbols = array<i64>} : (tensor<3xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  return
}
