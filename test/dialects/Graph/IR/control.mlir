// Library calls, branches and loops keep their regions, symbols and results through text and bytecode.
// RUN: %opt %s | onager-opt | FileCheck %s
// RUN: %opt %s --emit-bytecode | onager-opt | FileCheck %s

#n = affine_map<()[s0] -> (s0)>
#rows = affine_map<()[s0, s1] -> (s1, 2)>
#stack = affine_map<()[s0, s1, s2] -> (s2, 2)>

// CHECK-LABEL: func.func @calls
func.func @calls(%x: tensor<3x4xf32>) attributes {graph.symbols = ["", ""]} {
  // CHECK: %{{.+}}:2 = graph.call "topk"(%{{.+}}) {params = array<i64: 1, 1, 1>, symbols = array<i64>} : (tensor<3x4xf32>) -> (tensor<3x2xf32>, tensor<3x2xi64>)
  %v, %i = graph.call "topk"(%x) {params = array<i64: 1, 1, 1>, symbols = array<i64>} : (tensor<3x4xf32>) -> (tensor<3x2xf32>, tensor<3x2xi64>)
  // CHECK: graph.call "unique"(%{{.+}}) {capacity = #{{.+}}, params = array<i64: 0, 1>, symbols = array<i64: 0>}
  %u = graph.call "unique"(%x) {params = array<i64: 0, 1>, symbols = array<i64: 0>, capacity = affine_map<() -> (12)>} : (tensor<3x4xf32>) -> tensor<?xf32, #n>
  return
}

// CHECK-LABEL: func.func @branch
func.func @branch(%c: tensor<i1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK: %[[R:.+]] = graph.if %{{.+}} {else_exprs = #{{.+}}, symbols = array<i64>, then_exprs = #{{.+}}} : (tensor<i1>) -> tensor<2xf32> {
  // CHECK-NEXT: graph.neg
  // CHECK-NEXT: graph.yield %{{.+}} : tensor<2xf32>
  // CHECK-NEXT: } else {
  // CHECK-NEXT: graph.yield %{{.+}} : tensor<2xf32>
  // CHECK: return %[[R]]
  %0 = graph.if %c {symbols = array<i64>, then_exprs = affine_map<() -> ()>, else_exprs = affine_map<() -> ()>} : (tensor<i1>) -> tensor<2xf32> {
    %1 = graph.neg %x : (tensor<2xf32>) -> tensor<2xf32>
    graph.yield %1 : tensor<2xf32>
  } else {
    graph.yield %x : tensor<2xf32>
  }
  return %0 : tensor<2xf32>
}

// CHECK-LABEL: func.func @loop
func.func @loop(%trips: tensor<i64>, %go: tensor<i1>, %x: tensor<2xf32>) -> tensor<?x2xf32, #stack> attributes {graph.symbols = ["", "", ""]} {
  // CHECK: %{{.+}}:2 = graph.loop trips %{{.+}} : tensor<i64> while %{{.+}} : tensor<i1> inits(%{{.+}}) {carried_symbols = array<i64>
  // CHECK-SAME: result_symbols = array<i64: 2>
  // CHECK: ^bb0(%{{.+}}: tensor<i64>, %[[GO:.+]]: tensor<i1>, %{{.+}}: tensor<2xf32>):
  // CHECK: graph.yield %[[GO]], %{{.+}}, %{{.+}} : tensor<i1>, tensor<2xf32>, tensor<2xf32>
  %last, %all = graph.loop trips %trips : tensor<i64> while %go : tensor<i1> inits(%x) {
      carried_symbols = array<i64>, init_exprs = affine_map<() -> ()>, next_exprs = affine_map<() -> ()>, result_symbols = array<i64: 2>,
      scan_exprs = affine_map<() -> ()>} : (tensor<2xf32>) -> (tensor<2xf32>, tensor<?x2xf32, #stack>) {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<2xf32>):
    %next = graph.add %v, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
    graph.yield %c, %next, %v : tensor<i1>, tensor<2xf32>, tensor<2xf32>
  }
  return %all : tensor<?x2xf32, #stack>
}
