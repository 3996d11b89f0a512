// A concatenation past the caches stores whole lines where the result begins with one, then waits for them; what is new is stored as ever. Attention of few
// rows reads the past, then what lies behind it.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// CHECK-LABEL: func.func @append
// CHECK: llvm.ptrtoint
// CHECK: scf.if
// CHECK: %[[LINE:.+]] = llvm.load {{.*}} -> vector<64xi8>
// CHECK: llvm.store %[[LINE]], {{.*}} {alignment = 64 : i64, nontemporal}
// CHECK: llvm.fence seq_cst
// CHECK: else
// CHECK-NOT: nontemporal
// CHECK: return

// CHECK-LABEL: func.func @narrow
// CHECK-NOT: nontemporal
// CHECK: return

// CHECK-LABEL: func.func @attend
// CHECK-COUNT-2: scf.for {{.*}} step %c256_i64
// CHECK-NOT: step %c256_i64
// CHECK: return
func.func @main(%past: tensor<2x8x16xf32> {graph.name = "past"}, %q: tensor<2x1x16xf32> {graph.name = "q"}, %n: tensor<2x8x3xf32> {graph.name = "n"}, %m: tensor<2x1x3xf32> {graph.name = "m"})
    -> (tensor<2x9x16xf32> {graph.name = "k"}, tensor<2x9x3xf32> {graph.name = "short"}, tensor<2x1x16xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
  %0 = kernel.launch @append(%past, %q) : (tensor<2x8x16xf32>, tensor<2x1x16xf32>) -> tensor<2x9x16xf32>
  %1 = kernel.launch @narrow(%n, %m) : (tensor<2x8x3xf32>, tensor<2x1x3xf32>) -> tensor<2x9x3xf32>
  %2 = kernel.launch @attend(%q, %0, %past) : (tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x8x16xf32>) -> tensor<2x1x16xf32>
  return %0, %1, %2 : tensor<2x9x16xf32>, tensor<2x9x3xf32>, tensor<2x1x16xf32>
}
kernel.unit @append <concat> {
^bb0(%past: tensor<2x8x16xf32>, %now: tensor<2x1x16xf32>):
  %0 = graph.concat %past, %now {axis = 1 : i64, nontemporal} : (tensor<2x8x16xf32>, tensor<2x1x16xf32>) -> tensor<2x9x16xf32>
  kernel.yield %0 : tensor<2x9x16xf32>
}
kernel.unit @narrow <concat> {
^bb0(%past: tensor<2x8x3xf32>, %now: tensor<2x1x3xf32>):
  %0 = graph.concat %past, %now {axis = 1 : i64, nontemporal} : (tensor<2x8x3xf32>, tensor<2x1x3xf32>) -> tensor<2x9x3xf32>
  kernel.yield %0 : tensor<2x9x3xf32>
}
kernel.unit @attend <attention> {
^bb0(%q: tensor<2x1x16xf32>, %k: tensor<2x9x16xf32>, %past: tensor<2x8x16xf32>):
  %0 = graph.attention %q, %k, %k, %past, %past {scale = 0.25 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1, 1>}
    : (tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>, tensor<2x8x16xf32>, tensor<2x8x16xf32>) -> tensor<2x1x16xf32>
  kernel.yield %0 : tensor<2x1x16xf32>
}
