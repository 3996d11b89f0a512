// Values of inputs that a guard tells: branches are taken, bound symbols become numbers, and what follows from that goes.
// RUN: %opt %s --split-input-file --graph-specialize-symbols=guard="sr=16000" --graph-simplify --cse | FileCheck %s
// RUN: %opt %s --split-input-file --graph-specialize-symbols=guard="sr[0]=8000" --graph-simplify --cse | FileCheck %s --check-prefix=ELSE

// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.+]]: tensor<4xf32> {{.*}}, %{{.+}}: tensor<i64> {{.*}}) -> tensor<4xf32>
// CHECK-SAME: graph.guard = array<i64: 0, 1, 16000, 0>
// CHECK-NEXT: %[[Y:.+]] = graph.exp %[[X]] : (tensor<4xf32>) -> tensor<4xf32>
// CHECK-NEXT: return %[[Y]] : tensor<4xf32>
// ELSE-LABEL: func.func @main
// ELSE-SAME: %[[X:.+]]: tensor<4xf32> {{.*}}) -> tensor<2xf32>
// ELSE-NEXT: %[[Y:.+]] = graph.slice %[[X]]
// ELSE-NEXT: return %[[Y]] : tensor<2xf32>
func.func @main(%x: tensor<4xf32> {graph.name = "x"}, %sr: tensor<i64> {graph.name = "sr"}) -> tensor<?xf32, affine_map<()[s0] -> (s0)>>
    attributes {graph.symbols = ["", "sr[0]"], graph.values = array<i64: 1, 1, 0>} {
  %rate = graph.constant dense<16000> : tensor<i64> : tensor<i64>
  %fast = graph.equal %sr, %rate : (tensor<i64>, tensor<i64>) -> tensor<i1>
  %0 = graph.if %fast {symbols = array<i64: 0>, then_exprs = affine_map<() -> (4)>, else_exprs = affine_map<() -> (2)>} : (tensor<i1>) -> tensor<?xf32, affine_map<()[s0] -> (s0)>> {
    %1 = graph.exp %x : (tensor<4xf32>) -> tensor<4xf32>
    graph.yield %1 : tensor<4xf32>
  } else {
    %1 = graph.slice %x {starts = affine_map<() -> (1)>, steps = array<i64: 1>} : (tensor<4xf32>) -> tensor<2xf32>
    graph.yield %1 : tensor<2xf32>
  }
  return %0 : tensor<?xf32, affine_map<()[s0] -> (s0)>>
}

// -----

// As TopK reads k, and Reshape a target of which one element follows from the others. The value that is returned stays the input's.
// CHECK-LABEL: func.func @main
// CHECK-NOT: graph.bind
// CHECK-NOT: graph.define
// CHECK: graph.call "topk"(%{{.+}}) {{.*}} : (tensor<20000xf32>) -> tensor<16000xf32>
// CHECK: return %{{.+}}, %arg1 : tensor<16000xf32>, tensor<i64>
// ELSE-LABEL: func.func @main
// ELSE: graph.call "topk"(%{{.+}}) {{.*}} : (tensor<20000xf32>) -> tensor<8000xf32>
func.func @main(%x: tensor<20000xf32> {graph.name = "x"}, %sr: tensor<i64> {graph.name = "sr"}) -> (tensor<?xf32, affine_map<()[s0, s1] -> (s1)>>, tensor<i64>)
    attributes {graph.symbols = ["", "", "sr[0]"], graph.values = array<i64: 2, 1, 0>} {
  graph.bind %sr {first = 0 : i64} : tensor<i64>
  graph.define {symbol = 1 : i64, kind = #graph.define_kind<min>, exprs = affine_map<()[s0] -> (s0, 20000)>}
  %0 = graph.call "topk"(%x) {params = array<i64: 0, 1, 1>, symbols = array<i64>} : (tensor<20000xf32>) -> tensor<?xf32, affine_map<()[s0, s1] -> (s1)>>
  return %0, %sr : tensor<?xf32, affine_map<()[s0, s1] -> (s1)>>, tensor<i64>
}
