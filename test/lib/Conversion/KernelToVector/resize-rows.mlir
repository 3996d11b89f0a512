// Rows of a plane that fit two vectors stay in registers, where one permutation reads 16 columns; longer ones are mixed into a line of memory first.
// RUN: %opt %s --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// CHECK-LABEL: func.func @narrow
// CHECK: llvm.intr.masked.load {{.*}} vector<16xf32>
// CHECK: vpermi2var
// CHECK-NOT: llvm.intr.masked.load
// CHECK-LABEL: func.func @wide
// CHECK-NOT: llvm.intr.masked.load
// CHECK: scf.if
// CHECK: vpermi2var
// CHECK: else
func.func @main(%x: tensor<1x3x9x14xf32> {graph.name = "x"}, %y: tensor<1x3x9x33xf32> {graph.name = "y"}) -> (tensor<1x3x18x28xf32> {graph.name = "a"}, tensor<1x3x18x66xf32> {graph.name = "b"}) attributes {graph.symbols = []} {
  %s = graph.constant dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32> : tensor<4xf32>
  %0 = kernel.launch @narrow(%x, %s) : (tensor<1x3x9x14xf32>, tensor<4xf32>) -> tensor<1x3x18x28xf32>
  %1 = kernel.launch @wide(%y, %s) : (tensor<1x3x9x33xf32>, tensor<4xf32>) -> tensor<1x3x18x66xf32>
  return %0, %1 : tensor<1x3x18x28xf32>, tensor<1x3x18x66xf32>
}
kernel.unit @narrow <resize> {
^bb0(%x: tensor<1x3x9x14xf32>, %s: tensor<4xf32>):
  %0 = graph.resize %x, %s {antialias = false, coordinates = "half_pixel", cubic_coeff = -7.5e-01 : f64, exclude_outside = false, extrapolation = 0.0 : f64, mode = #graph.resize_mode<linear>, rounding = "round_prefer_floor"} : (tensor<1x3x9x14xf32>, tensor<4xf32>) -> tensor<1x3x18x28xf32>
  kernel.yield %0 : tensor<1x3x18x28xf32>
}
kernel.unit @wide <resize> {
^bb0(%x: tensor<1x3x9x33xf32>, %s: tensor<4xf32>):
  %0 = graph.resize %x, %s {antialias = false, coordinates = "half_pixel", cubic_coeff = -7.5e-01 : f64, exclude_outside = false, extrapolation = 0.0 : f64, mode = #graph.resize_mode<linear>, rounding = "round_prefer_floor"} : (tensor<1x3x9x33xf32>, tensor<4xf32>) -> tensor<1x3x18x66xf32>
  kernel.yield %0 : tensor<1x3x18x66xf32>
}
