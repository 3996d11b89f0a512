// Where an operand's last dim may be 1 or as long as the result's, rows are emitted twice: for operands that do not broadcast, whose elements follow one
// another, and for others, whose index is multiplied by a stride. Dims that are equal, or numbers, need but one form; so does -O0.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s
// RUN: %opt %s --kernel-annotate-work=exact=true --kernel-plan-buffers --convert-kernel-to-vector=exact=true --verify-vector | FileCheck %s --check-prefix=EXACT

#a = affine_map<()[s0, s1, s2, s3] -> (s0, s1)>
#b = affine_map<()[s0, s1, s2, s3] -> (s0, s2)>
#c = affine_map<()[s0, s1, s2, s3] -> (s0, s3)>

// CHECK-LABEL: func.func @unsure
// CHECK: arith.andi
// CHECK: scf.if
// CHECK-COUNT-2: scf.for
// CHECK: loop_annotation
// CHECK: else
// CHECK-COUNT-2: scf.for
// CHECK: loop_annotation
// CHECK-LABEL: func.func @sure
// CHECK-NOT: scf.if
// CHECK-COUNT-2: scf.for
// CHECK-NOT: scf.for
// EXACT-LABEL: func.func @unsure
// EXACT-NOT: else
// EXACT-LABEL: func.func @sure
func.func @main(%x: tensor<?x?xf32, #a> {graph.name = "x"}, %y: tensor<?x?xf32, #b> {graph.name = "y"}) -> (tensor<?x?xf32, #c> {graph.name = "z"}, tensor<?x?xf32, #a> {graph.name = "w"})
    attributes {graph.symbols = ["N", "A", "B"]} {
  graph.define {exprs = affine_map<()[s0, s1, s2] -> (s1, s2)>, kind = #graph.define_kind<broadcast>, symbol = 3 : i64}
  %0 = kernel.launch @unsure(%x, %y) : (tensor<?x?xf32, #a>, tensor<?x?xf32, #b>) -> tensor<?x?xf32, #c>
  %1 = kernel.launch @sure(%x, %x) : (tensor<?x?xf32, #a>, tensor<?x?xf32, #a>) -> tensor<?x?xf32, #a>
  return %0, %1 : tensor<?x?xf32, #c>, tensor<?x?xf32, #a>
}
kernel.unit @unsure <map> {
^bb0(%x: tensor<?x?xf32, #a>, %y: tensor<?x?xf32, #b>):
  %0 = graph.add %x, %y : (tensor<?x?xf32, #a>, tensor<?x?xf32, #b>) -> tensor<?x?xf32, #c>
  kernel.yield %0 : tensor<?x?xf32, #c>
}
kernel.unit @sure <map> {
^bb0(%x: tensor<?x?xf32, #a>, %y: tensor<?x?xf32, #a>):
  %0 = graph.add %x, %y : (tensor<?x?xf32, #a>, tensor<?x?xf32, #a>) -> tensor<?x?xf32, #a>
  kernel.yield %0 : tensor<?x?xf32, #a>
}
