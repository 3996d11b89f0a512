// Each unit becomes a function of loops over memory, the program the driver; no graph or kernel operation is left.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s --implicit-check-not=graph. --implicit-check-not=kernel.launch
// RUN: %opt %s --kernel-annotate-work=exact=true --kernel-plan-buffers --convert-kernel-to-vector=exact=true --verify-vector | FileCheck %s --check-prefix=EXACT

// CHECK: kernel.errors = [], {{.*}}kernel.weight_offsets = array<i64: 0>
// CHECK-DAG: func.func @sum(%{{.+}}: !llvm.ptr, %{{.+}}: !llvm.ptr, %[[BEGIN:.+]]: i64, %[[END:.+]]: i64) -> i32
// CHECK-DAG: func.func @onager_main(%{{.+}}: !llvm.ptr, %{{.+}}: i32) -> i32
// CHECK-NOT: func.func @main
// At -O0 sums of floats run in f64.
// EXACT: arith.extf %{{.+}} : f32 to f64
// EXACT: arith.addf %{{.+}}, %{{.+}} : f64
// EXACT: arith.truncf %{{.+}} : f64 to f32
func.func @main(%x: tensor<4x8xf32> {graph.name = "x"}) -> (tensor<4x1xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
  %w = graph.constant dense<[[1.0], [2.0], [3.0], [4.0]]> : tensor<4x1xf32> : tensor<4x1xf32>
  %0 = kernel.launch @sum(%x) : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %1 = kernel.launch @add(%0, %w) : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
  return %1 : tensor<4x1xf32>
}
kernel.unit @sum <reduce> {
^bb0(%x: tensor<4x8xf32>):
  %0 = graph.reduce %x {kind = #graph.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  kernel.yield %0 : tensor<4x1xf32>
}
kernel.unit @add <map> {
^bb0(%x: tensor<4x1xf32>, %y: tensor<4x1xf32>):
  %0 = graph.add %x, %y : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
  kernel.yield %0 : tensor<4x1xf32>
}
