// A program whose sizes are all known needs no list of symbols.
// RUN: %opt %s --graph-find-deciding-inputs --convert-graph-to-kernel --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// CHECK: func.func @unit0(
// CHECK: func.func @onager_main(
// CHECK: call @unit0(
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = graph.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
