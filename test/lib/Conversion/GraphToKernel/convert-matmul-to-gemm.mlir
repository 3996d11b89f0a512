// Products of floats up to 32 bits pack their right operand and compute in f32; others stay.
// RUN: %opt %s --convert-matmul-to-gemm --allow-unregistered-dialect | FileCheck %s
// RUN: %opt %s --convert-matmul-to-gemm=bf16x3 --allow-unregistered-dialect | FileCheck %s --check-prefix=PARTS

// CHECK-LABEL: func.func @f32
// CHECK: %[[P:.+]] = kernel.pack %{{.+}} : tensor<8x32xf32> -> tensor<2x8x16xf32>
// CHECK: %[[C:.+]] = kernel.gemm %{{.+}}, %[[P]] : (tensor<12x8xf32>, tensor<2x8x16xf32>) -> tensor<12x32xf32>
// CHECK-NEXT: return %[[C]]
func.func @f32(%a: tensor<12x8xf32>, %b: tensor<8x32xf32>) -> tensor<12x32xf32> {
  %0 = graph.matmul %a, %b : (tensor<12x8xf32>, tensor<8x32xf32>) -> tensor<12x32xf32>
  return %0 : tensor<12x32xf32>
}

// The last panel is padded: 20 columns take two of 16.
// CHECK-LABEL: func.func @batched
// CHECK: kernel.pack %{{.+}} : tensor<3x8x20xf32> -> tensor<3x2x8x16xf32>
func.func @batched(%a: tensor<3x12x8xf32>, %b: tensor<3x8x20xf32>) -> tensor<3x12x20xf32> {
  %0 = graph.matmul %a, %b : (tensor<3x12x8xf32>, tensor<3x8x20xf32>) -> tensor<3x12x20xf32>
  return %0 : tensor<3x12x20xf32>
}

// CHECK-LABEL: func.func @half
// CHECK-DAG: graph.cast %{{.+}} : (tensor<12x8xbf16>) -> tensor<12x8xf32>
// CHECK-DAG: graph.cast %{{.+}} : (tensor<8x32xbf16>) -> tensor<8x32xf32>
// CHECK: %[[C:.+]] = kernel.gemm {{.*}} -> tensor<12x32xf32>
// CHECK: graph.cast %[[C]] : (tensor<12x32xf32>) -> tensor<12x32xbf16>
func.func @half(%a: tensor<12x8xbf16>, %b: tensor<8x32xbf16>) -> tensor<12x32xbf16> {
  %0 = graph.matmul %a, %b : (tensor<12x8xbf16>, tensor<8x32xbf16>) -> tensor<12x32xbf16>
  return %0 : tensor<12x32xbf16>
}

// Integers, f64, few columns and short sums are left to the generic form.
// CHECK-LABEL: func.func @others
// CHECK-NOT: kernel.gemm
// CHECK-COUNT-4: graph.matmul
// CHECK-NOT: kernel.gemm
func.func @others(%i: tensor<16x16xi32>, %d: tensor<16x16xf64>, %a: tensor<16x16xf32>, %narrow: tensor<16x4xf32>, %thin: tensor<16x2xf32>, %flat: tensor<2x16xf32>) {
  %0 = graph.matmul %i, %i : (tensor<16x16xi32>, tensor<16x16xi32>) -> tensor<16x16xi32>
  %1 = graph.matmul %d, %d : (tensor<16x16xf64>, tensor<16x16xf64>) -> tensor<16x16xf64>
  %2 = graph.matmul %a, %narrow : (tensor<16x16xf32>, tensor<16x4xf32>) -> tensor<16x4xf32>
  %3 = graph.matmul %thin, %flat : (tensor<16x2xf32>, tensor<2x16xf32>) -> tensor<16x16xf32>
  "test.keep"(%0, %1, %2, %3) : (tensor<16x16xi32>, tensor<16x16xf64>, tensor<16x4xf32>, tensor<16x16xf32>) -> ()
  return
}

// CHECK-LABEL: func.func @convolution
// CHECK: %[[Y:.+]] = graph.conv {{.*}} : (tensor<1x3x6x6xf32>, tensor<8x3x3x3xf32>) -> tensor<1x8x4x4xf32>
// CHECK: graph.cast %[[Y]] : (tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf16>
func.func @convolution(%x: tensor<1x3x6x6xf16>, %w: tensor<8x3x3x3xf16>) -> tensor<1x8x4x4xf16> {
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x3x6x6xf16>, tensor<8x3x3x3xf16>) -> tensor<1x8x4x4xf16>
  return %0 : tensor<1x8x4x4xf16>
}

// A few rows times a matrix that each run computes stay; times one that is known they do not.
// CHECK-LABEL: func.func @few_rows
// CHECK: graph.matmul
// CHECK: kernel.gemm
func.func @few_rows(%a: tensor<8x16xf32>, %b: tensor<16x32xf32>) -> (tensor<8x32xf32>, tensor<8x32xf32>) {
  %w = graph.constant dense<1.0> : tensor<16x32xf32> : tensor<16x32xf32>
  %0 = graph.matmul %a, %b : (tensor<8x16xf32>, tensor<16x32xf32>) -> tensor<8x32xf32>
  %1 = graph.matmul %a, %w : (tensor<8x16xf32>, tensor<16x32xf32>) -> tensor<8x32xf32>
  return %0, %1 : tensor<8x32xf32>, tensor<8x32xf32>
}

// Tiles of bf16 are for many rows, of known or unknown number, and one matrix of enough terms and columns.
// PARTS-LABEL: func.func @f32
// PARTS-NOT: bf16x3
// PARTS-LABEL: func.func @parts
// PARTS: kernel.gemm %{{.+}}, %{{.+}} {bf16x3} : (tensor<2x24x64xf32>, tensor<2x64x16xf32>) -> tensor<2x24x32xf32>
// PARTS: kernel.gemm %{{.+}}, %{{.+}} {bf16x3} : (tensor<?x64xf32{{.+}}>, tensor<2x64x16xf32>)
// PARTS-NOT: bf16x3
// PARTS: return
func.func @parts(%a: tensor<2x24x64xf32>, %n: tensor<?x64xf32, affine_map<()[s0] -> (s0, 64)>>, %few: tensor<47x64xf32>, %short: tensor<64x63xf32>, %many: tensor<2x64x64xf32>, %w: tensor<64x32xf32>,
                 %v: tensor<63x32xf32>, %narrow: tensor<64x31xf32>, %two: tensor<2x64x32xf32>) {
  %0 = graph.matmul %a, %w : (tensor<2x24x64xf32>, tensor<64x32xf32>) -> tensor<2x24x32xf32>
  %1 = graph.matmul %n, %w : (tensor<?x64xf32, affine_map<()[s0] -> (s0, 64)>>, tensor<64x32xf32>) -> tensor<?x32xf32, affine_map<()[s0] -> (s0, 32)>>
  %2 = graph.matmul %few, %w : (tensor<47x64xf32>, tensor<64x32xf32>) -> tensor<47x32xf32>
  %3 = graph.matmul %short, %v : (tensor<64x63xf32>, tensor<63x32xf32>) -> tensor<64x32xf32>
  %4 = graph.matmul %many, %narrow : (tensor<2x64x64xf32>, tensor<64x31xf32>) -> tensor<2x64x31xf32>
  %5 = graph.matmul %many, %two : (tensor<2x64x64xf32>, tensor<2x64x32xf32>) -> tensor<2x64x32xf32>
  "test.use"(%0, %1, %2, %3, %4, %5) : (tensor<2x24x32xf32>, tensor<?x32xf32, affine_map<()[s0] -> (s0, 32)>>, tensor<47x32xf32>, tensor<64x32xf32>, tensor<2x64x31xf32>, tensor<2x64x32xf32>) -> ()
  return
}
