// Rows that are whole pages apart are copied to scratch memory, 16 floats further apart, before tiles of more rows than a cache has ways read them: all of them
// where they stay in the cache, else a block of 96. Few rows, other distances and few columns are read where they are.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s
// RUN: %opt %s --kernel-annotate-work | FileCheck %s --check-prefix=WORK

// 64 + 40 * (1024 + 16) * 4, 64 + 96 * (1024 + 16) * 4
// WORK-DAG: #[[ALL:.*]] = affine_map<() -> (166464)>
// WORK-DAG: #[[BLOCK:.*]] = affine_map<() -> (399424)>
// WORK-DAG: #[[NONE:.*]] = affine_map<() -> (0)>
// WORK: kernel.unit @all {{.*}} marks_scratch, {{.*}} scratch = #[[ALL]]}
// WORK: kernel.unit @unknown {{.*}} marks_scratch, {{.*}} scratch = #[[BLOCK]]}
// WORK-NOT: marks_scratch
// WORK: kernel.unit @few {{.*}} scratch = #[[NONE]]}
// WORK: kernel.unit @other {{.*}} scratch = #[[NONE]]}

// What is copied stays for all items of a launch that a thread takes, in one call or several: a mark tells which block it is.
// CHECK: func.func @all(
// CHECK: %[[MARK:.+]] = llvm.load %[[SCRATCH:.+]] {alignment = 8 : i64} : !llvm.ptr -> i64
// CHECK: arith.cmpi ne, %[[MARK]], %[[BLOCK:.+]] : i64
// CHECK: llvm.store %[[BLOCK]], %{{.+}} : i64
// CHECK: arith.muli %{{.*}}, %c1040_i64
// CHECK: call @gemm_f32_12x32
// CHECK: func.func @unknown(
// CHECK: arith.muli %{{.*}}, %c1040_i64
// CHECK: call @gemm_f32_12x32
// CHECK: func.func @few(
// CHECK-NOT: c1040_i64
// CHECK: func.func @other(
// CHECK-NOT: c1024_i64
// CHECK: func.func @onager_main
// CHECK: arith.cmpi ne, %{{.+}}, %{{.+}}
// CHECK-NEXT: scf.if
// CHECK: llvm.store %c-1_i64
// CHECK: call @all(
// CHECK: llvm.store %c-1_i64
// CHECK: call @unknown(
// CHECK-NOT: c-1_i64
// CHECK: return
func.func @main(%x: tensor<40x1024xf32> {graph.name = "x"}, %y: tensor<?x1024xf32, affine_map<()[s0] -> (s0, 1024)>> {graph.name = "y"}, %z: tensor<8x1024xf32> {graph.name = "z"},
    %t: tensor<40x1008xf32> {graph.name = "t"}) -> (tensor<40x128xf32> {graph.name = "a"}, tensor<?x128xf32, affine_map<()[s0] -> (s0, 128)>> {graph.name = "b"},
    tensor<8x128xf32> {graph.name = "c"}, tensor<40x128xf32> {graph.name = "d"}) attributes {graph.symbols = ["N"]} {
  %w = graph.constant dense<1.0> : tensor<8x1024x16xf32> : tensor<8x1024x16xf32>
  %v = graph.constant dense<1.0> : tensor<8x1008x16xf32> : tensor<8x1008x16xf32>
  %0 = kernel.launch @all(%x, %w) : (tensor<40x1024xf32>, tensor<8x1024x16xf32>) -> tensor<40x128xf32>
  %1 = kernel.launch @unknown(%y, %w) : (tensor<?x1024xf32, affine_map<()[s0] -> (s0, 1024)>>, tensor<8x1024x16xf32>) -> tensor<?x128xf32, affine_map<()[s0] -> (s0, 128)>>
  %2 = kernel.launch @few(%z, %w) : (tensor<8x1024xf32>, tensor<8x1024x16xf32>) -> tensor<8x128xf32>
  %3 = kernel.launch @other(%t, %v) : (tensor<40x1008xf32>, tensor<8x1008x16xf32>) -> tensor<40x128xf32>
  return %0, %1, %2, %3 : tensor<40x128xf32>, tensor<?x128xf32, affine_map<()[s0] -> (s0, 128)>>, tensor<8x128xf32>, tensor<40x128xf32>
}
kernel.unit @all <gemm> {
^bb0(%x: tensor<40x1024xf32>, %w: tensor<8x1024x16xf32>):
  %0 = kernel.gemm %x, %w : (tensor<40x1024xf32>, tensor<8x1024x16xf32>) -> tensor<40x128xf32>
  kernel.yield %0 : tensor<40x128xf32>
}
kernel.unit @unknown <gemm> {
^bb0(%x: tensor<?x1024xf32, affine_map<()[s0] -> (s0, 1024)>>, %w: tensor<8x1024x16xf32>):
  %0 = kernel.gemm %x, %w : (tensor<?x1024xf32, affine_map<()[s0] -> (s0, 1024)>>, tensor<8x1024x16xf32>) -> tensor<?x128xf32, affine_map<()[s0] -> (s0, 128)>>
  kernel.yield %0 : tensor<?x128xf32, affine_map<()[s0] -> (s0, 128)>>
}
kernel.unit @few <gemm> {
^bb0(%x: tensor<8x1024xf32>, %w: tensor<8x1024x16xf32>):
  %0 = kernel.gemm %x, %w : (tensor<8x1024xf32>, tensor<8x1024x16xf32>) -> tensor<8x128xf32>
  kernel.yield %0 : tensor<8x128xf32>
}
kernel.unit @other <gemm> {
^bb0(%x: tensor<40x1008xf32>, %w: tensor<8x1008x16xf32>):
  %0 = kernel.gemm %x, %w : (tensor<40x1008xf32>, tensor<8x1008x16xf32>) -> tensor<40x128xf32>
  kernel.yield %0 : tensor<40x128xf32>
}
