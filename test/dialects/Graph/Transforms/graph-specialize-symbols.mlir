// Symbols that a guard names become numbers, multiples or other symbols; what follows from that goes.
// RUN: %opt %s --split-input-file --graph-specialize-symbols=guard="batch=1,seq=16:512:16" | FileCheck %s
// RUN: %opt %s --split-input-file --graph-specialize-symbols=guard="batch=4,seq=128" | FileCheck %s --check-prefix=FIXED

// CHECK: #[[MAP:.+]] = affine_map<()[s0, s1, s2] -> (1, s2 * 16)>
// CHECK-LABEL: func.func @main
// CHECK-SAME: %{{.+}}: tensor<1x?xf32, #[[MAP]]>
// CHECK-SAME: graph.guard = array<i64: 0, 0, 1, 0, 1, 1, 16, 512, 2, 1, 16, 0>
// CHECK-SAME: graph.multiples = array<i64: 2, 1, 16>
// CHECK-SAME: graph.symbols = ["batch", "seq", ""]
// CHECK: graph.exp %{{.+}} -> tensor<1x?xf32, #[[MAP]]>
// FIXED-LABEL: func.func @main
// FIXED-SAME: %{{.+}}: tensor<4x128xf32>
// FIXED-SAME: graph.symbols = ["batch", "seq"]
// FIXED: graph.exp %{{.+}} : (tensor<4x128xf32>) -> tensor<4x128xf32>
func.func @main(%x: tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>) -> tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>
    attributes {graph.symbols = ["batch", "seq"]} {
  %0 = graph.exp %x : (tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>) -> tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>
  return %0 : tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>
}

// -----

// Definitions are evaluated, by numbers or by ranges: seq is at least 16, so that it is the greater of the two, and no broadcast happens.
// CHECK: #[[MAP:.+]] = affine_map<()[s0, s1, s2, s3, s4, s5] -> (1, s5 * 16)>
// CHECK-LABEL: func.func @main
// CHECK-NOT: graph.define
// CHECK-NOT: graph.require
// CHECK: graph.broadcast %{{.+}} -> tensor<1x?xf32, #[[MAP]]>
// FIXED-LABEL: func.func @main
// FIXED-NOT: graph.define
// FIXED: graph.broadcast %{{.+}} -> tensor<4x128xf32>
func.func @main(%x: tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>) -> tensor<?x?xf32, affine_map<()[s0, s1, s2, s3] -> (s0, s3)>>
    attributes {graph.symbols = ["batch", "seq", "", "", ""]} {
  graph.define {symbol = 2 : i64, kind = #graph.define_kind<max>, exprs = affine_map<()[s0, s1] -> (s1, 8)>}
  graph.define {symbol = 3 : i64, kind = #graph.define_kind<broadcast>, exprs = affine_map<()[s0, s1, s2] -> (s2, 77)>}
  graph.require {exprs = affine_map<()[s0, s1, s2] -> (s1, s2)>, message = "node 'add': dims differ"}
  %0 = graph.broadcast %x : (tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>) -> tensor<?x?xf32, affine_map<()[s0, s1, s2, s3] -> (s0, s3)>>
  return %0 : tensor<?x?xf32, affine_map<()[s0, s1, s2, s3] -> (s0, s3)>>
}
