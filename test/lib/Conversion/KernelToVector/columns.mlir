// Reductions, softmax and normalisations that leave a last dim of 8 or more elements sweep blocks of 128 columns; long sums go through parts of 256 steps.
// Where rows read the same lines of memory, four are reduced at once.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s
// RUN: %opt %s --kernel-annotate-work | FileCheck %s --check-prefix=WORK

// WORK: #[[SUM:map]] = affine_map<() -> (15)>
// WORK: #[[NARROW:map7]] = affine_map<() -> (5)>
// WORK: #[[SHARED:map[0-9]+]] = affine_map<() -> (9)>
// WORK: kernel.unit @sum <reduce> attributes {items = #[[SUM]],
// CHECK-LABEL: func.func @sum
// CHECK: arith.constant 128 : i64
// CHECK: arith.addf
// CHECK: llvm.store
// CHECK-LABEL: func.func @softmax
// CHECK: llvm.maximumnum
// CHECK: arith.shli
// CHECK-LABEL: func.func @long_sum
// CHECK: arith.constant 256 : i64
// WORK: kernel.unit @narrow <reduce> attributes {items = #[[NARROW]],
// CHECK-LABEL: func.func @shared
// CHECK-COUNT-4: arith.mulf
// CHECK: loop_annotation
// WORK: kernel.unit @shared <reduce> attributes {items = #[[SHARED]],
func.func @main(%x: tensor<5x7x300xf32> {graph.name = "x"}, %z: tensor<5000x16xf32> {graph.name = "z"}, %v: tensor<5x7x3xf32> {graph.name = "v"},
                %a: tensor<9x7x1xf32> {graph.name = "a"}, %b: tensor<1x7x300xf32> {graph.name = "b"})
    -> (tensor<5x1x300xf32> {graph.name = "y"}, tensor<5x7x300xf32> {graph.name = "w"}, tensor<1x16xf32> {graph.name = "s"}, tensor<5x1x3xf32> {graph.name = "n"},
        tensor<9x1x300xf32> {graph.name = "d"}) attributes {graph.symbols = []} {
  %0 = kernel.launch @sum(%x) : (tensor<5x7x300xf32>) -> tensor<5x1x300xf32>
  %1 = kernel.launch @softmax(%x) : (tensor<5x7x300xf32>) -> tensor<5x7x300xf32>
  %2 = kernel.launch @long_sum(%z) : (tensor<5000x16xf32>) -> tensor<1x16xf32>
  %3 = kernel.launch @narrow(%v) : (tensor<5x7x3xf32>) -> tensor<5x1x3xf32>
  %4 = kernel.launch @shared(%a, %b) : (tensor<9x7x1xf32>, tensor<1x7x300xf32>) -> tensor<9x1x300xf32>
  return %0, %1, %2, %3, %4 : tensor<5x1x300xf32>, tensor<5x7x300xf32>, tensor<1x16xf32>, tensor<5x1x3xf32>, tensor<9x1x300xf32>
}
kernel.unit @sum <reduce> {
^bb0(%x: tensor<5x7x300xf32>):
  %0 = graph.reduce %x {kind = #graph.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<5x7x300xf32>) -> tensor<5x1x300xf32>
  kernel.yield %0 : tensor<5x1x300xf32>
}
kernel.unit @softmax <softmax> {
^bb0(%x: tensor<5x7x300xf32>):
  %0 = graph.softmax %x {axis = 1 : i64} : (tensor<5x7x300xf32>) -> tensor<5x7x300xf32>
  kernel.yield %0 : tensor<5x7x300xf32>
}
kernel.unit @long_sum <reduce> {
^bb0(%x: tensor<5000x16xf32>):
  %0 = graph.reduce %x {kind = #graph.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<5000x16xf32>) -> tensor<1x16xf32>
  kernel.yield %0 : tensor<1x16xf32>
}
kernel.unit @narrow <reduce> {
^bb0(%x: tensor<5x7x3xf32>):
  %0 = graph.reduce %x {kind = #graph.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<5x7x3xf32>) -> tensor<5x1x3xf32>
  kernel.yield %0 : tensor<5x1x3xf32>
}
kernel.unit @shared <reduce> {
^bb0(%a: tensor<9x7x1xf32>, %b: tensor<1x7x300xf32>):
  %0 = graph.sub %a, %b : (tensor<9x7x1xf32>, tensor<1x7x300xf32>) -> tensor<9x7x300xf32>
  %1 = graph.reduce %0 {kind = #graph.reduce_kind<sum_square>, axes = array<i64: 1>} : (tensor<9x7x300xf32>) -> tensor<9x1x300xf32>
  kernel.yield %1 : tensor<9x1x300xf32>
}
