// Places of extremes along the last dim are searched in two sweeps, the extreme's and its place's; along others lines side by side keep their best in
// stack memory. Running sums walk such lines alike.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// CHECK-LABEL: func.func @rows
// CHECK: llvm.intr.maximum
// CHECK: arith.cmpf uno
// CHECK: arith.cmpf oeq
// CHECK: arith.minsi {{.+}} : i32
// CHECK-LABEL: func.func @columns
// CHECK-DAG: llvm.alloca %{{.+}} x f32
// CHECK-DAG: llvm.alloca %{{.+}} x i32
// CHECK: arith.cmpf olt
// CHECK-LABEL: func.func @sums
// CHECK: llvm.alloca %{{.+}} x f32
// CHECK: arith.addf
func.func @main(%x: tensor<5x300xf32> {graph.name = "x"}) -> (tensor<5x1xi64> {graph.name = "y"}, tensor<1x300xi64> {graph.name = "w"}, tensor<5x300xf32> {graph.name = "v"}) attributes {graph.symbols = []} {
  %0 = kernel.launch @rows(%x) : (tensor<5x300xf32>) -> tensor<5x1xi64>
  %1 = kernel.launch @columns(%x) : (tensor<5x300xf32>) -> tensor<1x300xi64>
  %2 = kernel.launch @sums(%x) : (tensor<5x300xf32>) -> tensor<5x300xf32>
  return %0, %1, %2 : tensor<5x1xi64>, tensor<1x300xi64>, tensor<5x300xf32>
}
kernel.unit @rows <arg_reduce> {
^bb0(%x: tensor<5x300xf32>):
  %0 = graph.arg_reduce %x {kind = #graph.reduce_kind<max>, axis = 1 : i64, last = false} : (tensor<5x300xf32>) -> tensor<5x1xi64>
  kernel.yield %0 : tensor<5x1xi64>
}
kernel.unit @columns <arg_reduce> {
^bb0(%x: tensor<5x300xf32>):
  %0 = graph.arg_reduce %x {kind = #graph.reduce_kind<min>, axis = 0 : i64, last = false} : (tensor<5x300xf32>) -> tensor<1x300xi64>
  kernel.yield %0 : tensor<1x300xi64>
}
kernel.unit @sums <scan> {
^bb0(%x: tensor<5x300xf32>):
  %0 = graph.cumulate %x {kind = #graph.reduce_kind<sum>, axis = 0 : i64, exclusive = false, reverse = false} : (tensor<5x300xf32>) -> tensor<5x300xf32>
  kernel.yield %0 : tensor<5x300xf32>
}
