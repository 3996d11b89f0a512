// Products whose operands bf16 holds take packed weights of bf16; a bias is where sums start.
// RUN: %opt %s --convert-contraction-to-bf16=amx --split-input-file | FileCheck %s
// RUN: %opt %s --convert-contraction-to-bf16=dot-product --split-input-file | FileCheck %s --check-prefix=DOT
// RUN: %opt %s --convert-contraction-to-bf16=vector-bytes=32 --split-input-file | FileCheck %s --check-prefix=WIDE
// RUN: %opt %s --convert-contraction-to-bf16=vector-bytes=16 --split-input-file | FileCheck %s --check-prefix=NONE
// RUN: %opt %s --convert-contraction-to-bf16=amx --convert-graph-to-kernel --split-input-file | FileCheck %s --check-prefix=UNITS

// NONE-NOT: kernel.bf16_gemm
// CHECK-LABEL: func.func @bias
// CHECK: %[[P:.+]] = kernel.bf16_pack %{{.+}} {amx} : tensor<70x20xbf16> -> tensor<2x3x2x16x32xbf16>
// CHECK: %[[S:.+]] = graph.pad {{.+}} -> tensor<64xf32>
// CHECK: %[[Y:.+]] = kernel.bf16_gemm %arg0, %[[P]], %[[S]] {amx} : (tensor<8x70xbf16>, tensor<2x3x2x16x32xbf16>, tensor<64xf32>) -> tensor<8x20xf32>
// CHECK-NOT: graph.add
// CHECK: return %[[Y]]
// DOT-LABEL: func.func @bias
// DOT: kernel.bf16_pack %{{.+}} : tensor<70x20xbf16> -> tensor<1x35x4x16x2xbf16>
// DOT: kernel.bf16_gemm %{{.+}} {dot} : (tensor<8x70xbf16>, tensor<1x35x4x16x2xbf16>, tensor<64xf32>) -> tensor<8x20xf32>
// Eight rows are many for a processor that would have to widen them.
// WIDE-LABEL: func.func @bias
// WIDE: graph.matmul
// Packed weights and the filled bias are computed at compile time.
// UNITS-LABEL: func.func @bias
// UNITS-DAG: kernel.launch {{.+}} {constant} : {{.+}} -> tensor<2x3x2x16x32xbf16>
// UNITS-DAG: kernel.launch {{.+}} {constant} : {{.+}} -> tensor<64xf32>
// UNITS: kernel.unit @{{.+}} <amx_bf16_gemm>
func.func @bias(%x: tensor<8x70xbf16>) -> tensor<8x20xf32> {
  %w = graph.constant dense<0.5> : tensor<70x20xbf16> : tensor<70x20xbf16>
  %b = graph.constant dense<2.0> : tensor<20xf32> : tensor<20xf32>
  %0 = graph.cast %x : (tensor<8x70xbf16>) -> tensor<8x70xf32>
  %1 = graph.cast %w : (tensor<70x20xbf16>) -> tensor<70x20xf32>
  %2 = graph.matmul %0, %1 : (tensor<8x70xf32>, tensor<70x20xf32>) -> tensor<8x20xf32>
  %3 = graph.add %2, %b : (tensor<8x20xf32>, tensor<20xf32>) -> tensor<8x20xf32>
  return %3 : tensor<8x20xf32>
}

// -----

// Constants of f32 that bf16 holds, transposed; an unknown number of rows.
// CHECK-LABEL: func.func @exact
// CHECK: %[[N:.+]] = graph.cast %{{.+}} : (tensor<32x64xf32>) -> tensor<32x64xbf16>
// CHECK: %[[T:.+]] = graph.transpose %[[N]] {perm = array<i64: 1, 0>} : (tensor<32x64xbf16>) -> tensor<64x32xbf16>
// CHECK: kernel.bf16_pack %[[T]] {amx}
// CHECK: kernel.bf16_gemm
// WIDE-LABEL: func.func @exact
// WIDE: graph.matmul
func.func @exact(%x: tensor<?x64xbf16, affine_map<()[s0] -> (s0, 64)>>) -> tensor<?x32xf32, affine_map<()[s0] -> (s0, 32)>> {
  %w = graph.constant dense<1.5> : tensor<32x64xf32> : tensor<32x64xf32>
  %0 = graph.cast %x : (tensor<?x64xbf16, affine_map<()[s0] -> (s0, 64)>>) -> tensor<?x64xf32, affine_map<()[s0] -> (s0, 64)>>
  %1 = graph.transpose %w {perm = array<i64: 1, 0>} : (tensor<32x64xf32>) -> tensor<64x32xf32>
  %2 = graph.matmul %0, %1 : (tensor<?x64xf32, affine_map<()[s0] -> (s0, 64)>>, tensor<64x32xf32>) -> tensor<?x32xf32, affine_map<()[s0] -> (s0, 32)>>
  return %2 : tensor<?x32xf32, affine_map<()[s0] -> (s0, 32)>>
}

// -----

// Weights of few rows are read once: half the bytes take half the time.
// CHECK-LABEL: func.func @few
// WIDE-LABEL: func.func @few
// WIDE: kernel.bf16_pack %{{.+}} : tensor<64x32xbf16> -> tensor<1x32x4x8x2xbf16>
// WIDE: kernel.bf16_gemm %{{.+}} : (tensor<2x64xbf16>, tensor<1x32x4x8x2xbf16>, tensor<32xf32>) -> tensor<2x32xf32>
func.func @few(%x: tensor<2x64xbf16>) -> tensor<2x32xf32> {
  %w = graph.constant dense<1.5> : tensor<64x32xf32> : tensor<64x32xf32>
  %0 = graph.cast %x : (tensor<2x64xbf16>) -> tensor<2x64xf32>
  %1 = graph.matmul %0, %w : (tensor<2x64xf32>, tensor<64x32xf32>) -> tensor<2x32xf32>
  return %1 : tensor<2x32xf32>
}

// -----

// What computes the left operand leaves it in bf16: the cast moves in front of the view.
// CHECK-LABEL: func.func @view
// CHECK: %[[N:.+]] = graph.cast %{{.+}} : (tensor<8x4x16xf32>) -> tensor<8x4x16xbf16>
// CHECK: %[[V:.+]] = graph.reshape %[[N]] : (tensor<8x4x16xbf16>) -> tensor<8x64xbf16>
// CHECK: kernel.bf16_gemm %[[V]]
func.func @view(%x: tensor<8x4x16xf32>) -> tensor<8x32xf32> {
  %w = graph.constant dense<1.5> : tensor<64x32xf32> : tensor<64x32xf32>
  %0 = graph.exp %x : (tensor<8x4x16xf32>) -> tensor<8x4x16xf32>
  %1 = graph.reshape %0 : (tensor<8x4x16xf32>) -> tensor<8x64xf32>
  %2 = graph.cast %1 : (tensor<8x64xf32>) -> tensor<8x64xbf16>
  %3 = graph.cast %2 : (tensor<8x64xbf16>) -> tensor<8x64xf32>
  %4 = graph.matmul %3, %w : (tensor<8x64xf32>, tensor<64x32xf32>) -> tensor<8x32xf32>
  return %4 : tensor<8x32xf32>
}

// -----

// A number that bf16 cannot hold.
// CHECK-LABEL: func.func @inexact
// CHECK: graph.matmul
func.func @inexact(%x: tensor<8x64xbf16>) -> tensor<8x32xf32> {
  %w = graph.constant dense<0.1> : tensor<64x32xf32> : tensor<64x32xf32>
  %0 = graph.cast %x : (tensor<8x64xbf16>) -> tensor<8x64xf32>
  %1 = graph.matmul %0, %w : (tensor<8x64xf32>, tensor<64x32xf32>) -> tensor<8x32xf32>
  return %1 : tensor<8x32xf32>
}

// -----

// A left operand of f32, and a right one that each run computes.
// CHECK-LABEL: func.func @operands
// CHECK-COUNT-2: graph.matmul
func.func @operands(%x: tensor<8x64xf32>, %y: tensor<64x32xbf16>) -> (tensor<8x32xf32>, tensor<8x32xf32>) {
  %w = graph.constant dense<1.5> : tensor<64x32xf32> : tensor<64x32xf32>
  %0 = graph.matmul %x, %w : (tensor<8x64xf32>, tensor<64x32xf32>) -> tensor<8x32xf32>
  %1 = graph.cast %x : (tensor<8x64xf32>) -> tensor<8x64xbf16>
  %2 = graph.cast %1 : (tensor<8x64xbf16>) -> tensor<8x64xf32>
  %3 = graph.cast %y : (tensor<64x32xbf16>) -> tensor<64x32xf32>
  %4 = graph.matmul %2, %3 : (tensor<8x64xf32>, tensor<64x32xf32>) -> tensor<8x32xf32>
  return %0, %4 : tensor<8x32xf32>, tensor<8x32xf32>
}

// -----

// What something else reads as well is no bias alone: the sum starts at 0.
// CHECK-LABEL: func.func @shared
// CHECK: %[[Z:.+]] = graph.constant dense<0.000000e+00> : tensor<64xf32>
// CHECK: kernel.bf16_gemm %{{.+}}, %{{.+}}, %[[Z]] {amx}
// CHECK: graph.add
func.func @shared(%x: tensor<8x64xbf16>) -> (tensor<8x32xf32>, tensor<8x32xf32>) {
  %w = graph.constant dense<1.5> : tensor<64x32xf32> : tensor<64x32xf32>
  %b = graph.constant dense<2.0> : tensor<32xf32> : tensor<32xf32>
  %0 = graph.cast %x : (tensor<8x64xbf16>) -> tensor<8x64xf32>
  %1 = graph.matmul %0, %w : (tensor<8x64xf32>, tensor<64x32xf32>) -> tensor<8x32xf32>
  %2 = graph.add %1, %b : (tensor<8x32xf32>, tensor<32xf32>) -> tensor<8x32xf32>
  return %1, %2 : tensor<8x32xf32>, tensor<8x32xf32>
}
