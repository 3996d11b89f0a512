// Weights of few bits are packed in panels, with scales and zero points; these stay bytes, and bf16, where they were.
// RUN: %opt %s --convert-block-matmul | FileCheck %s
// RUN: %opt %s --convert-block-matmul=dot-product | FileCheck %s --check-prefix=DOT

// CHECK-LABEL: func.func @floats
// CHECK-SAME: (%[[X:.+]]: tensor<{{.+}}>, %[[W:.+]]: tensor<20x2x16xui8>, %[[S:.+]]: tensor<20x2xf32>, %[[Z:.+]]: tensor<20x2xf32>)
// CHECK: %[[P:.+]] = kernel.block_pack %[[W]] {bits = 4 : i64} : tensor<20x2x16xui8> -> tensor<2x8x16x4xui8>
// CHECK: %[[T:.+]] = graph.transpose %[[S]]
// CHECK: %[[PS:.+]] = kernel.pack %[[T]] : tensor<2x20xf32> -> tensor<2x2x16xf32>
// CHECK: %[[TZ:.+]] = graph.transpose %[[Z]]
// CHECK: %[[PZ:.+]] = kernel.pack %[[TZ]] : tensor<2x20xf32> -> tensor<2x2x16xf32>
// CHECK: kernel.block_gemm %[[X]], %[[P]], %[[PS]] zeros %[[PZ]] {bits = 4 : i64, block = 32 : i64}
// DOT-LABEL: func.func @floats
// DOT: kernel.block_gemm {{.+}} {bits = 4 : i64, block = 32 : i64, digits}
func.func @floats(%x: tensor<?x50xf32, affine_map<()[s0] -> (s0, 50)>>, %w: tensor<20x2x16xui8>, %s: tensor<20x2xf32>, %z: tensor<20x2xf32>) -> tensor<?x20xf32, affine_map<()[s0] -> (s0, 20)>> {
  %0 = graph.block_matmul %x, %w, %s zeros %z {bits = 4 : i64, block = 32 : i64}
    : (tensor<?x50xf32, affine_map<()[s0] -> (s0, 50)>>, tensor<20x2x16xui8>, tensor<20x2xf32>, tensor<20x2xf32>) -> tensor<?x20xf32, affine_map<()[s0] -> (s0, 20)>>
  return %0 : tensor<?x20xf32, affine_map<()[s0] -> (s0, 20)>>
}

// Of 8 bits a step is four numbers; of zero points that were bytes the cast is left out.
// CHECK-LABEL: func.func @bytes
// CHECK-SAME: %[[Z:[^ ]+]]: tensor<3x2xui8>)
// CHECK: kernel.block_pack %{{.+}} {bits = 8 : i64} : tensor<3x2x16xui8> -> tensor<1x8x16x4xui8>
// CHECK: %[[T:.+]] = graph.transpose %[[Z]]
// CHECK: %[[P:.+]] = kernel.pack %[[T]] : tensor<2x3xui8> -> tensor<1x2x16xui8>
// CHECK: kernel.block_gemm {{.+}} zeros %[[P]] {bits = 8 : i64, block = 16 : i64}
func.func @bytes(%x: tensor<4x31xf32>, %w: tensor<3x2x16xui8>, %s: tensor<3x2xf32>, %z: tensor<3x2xui8>) -> tensor<4x3xf32> {
  %0 = graph.cast %z : (tensor<3x2xui8>) -> tensor<3x2xf32>
  %1 = graph.block_matmul %x, %w, %s zeros %0 {bits = 8 : i64, block = 16 : i64} : (tensor<4x31xf32>, tensor<3x2x16xui8>, tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<4x3xf32>
  return %1 : tensor<4x3xf32>
}

// One zero point for all, which a byte holds.
// CHECK-LABEL: func.func @middle
// CHECK: graph.cast %{{.+}} : (tensor<3x2xf32>) -> tensor<3x2xui8>
// CHECK: kernel.block_gemm {{.+}} tensor<1x2x16xui8>) -> tensor<4x3xf32>
func.func @middle(%x: tensor<4x32xf32>, %w: tensor<3x2x16xui8>, %s: tensor<3x2xf32>) -> tensor<4x3xf32> {
  %0 = graph.constant dense<128.0> : tensor<f32> : tensor<f32>
  %1 = graph.broadcast %0 : (tensor<f32>) -> tensor<3x2xf32>
  %2 = graph.block_matmul %x, %w, %s zeros %1 {bits = 8 : i64, block = 16 : i64} : (tensor<4x32xf32>, tensor<3x2x16xui8>, tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<4x3xf32>
  return %2 : tensor<4x3xf32>
}

// And one that it does not.
// CHECK-LABEL: func.func @between
// CHECK-NOT: graph.cast
// CHECK: kernel.block_gemm {{.+}} tensor<1x2x16xf32>) -> tensor<4x3xf32>
func.func @between(%x: tensor<4x32xf32>, %w: tensor<3x2x16xui8>, %s: tensor<3x2xf32>) -> tensor<4x3xf32> {
  %0 = graph.constant dense<7.5> : tensor<f32> : tensor<f32>
  %1 = graph.broadcast %0 : (tensor<f32>) -> tensor<3x2xf32>
  %2 = graph.block_matmul %x, %w, %s zeros %1 {bits = 8 : i64, block = 16 : i64} : (tensor<4x32xf32>, tensor<3x2x16xui8>, tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<4x3xf32>
  return %2 : tensor<4x3xf32>
}

// Scales of bf16.
// CHECK-LABEL: func.func @scales
// CHECK: kernel.pack {{.+}} tensor<2x3xbf16> -> tensor<1x2x16xbf16>
// CHECK: kernel.block_gemm {{.+}} tensor<1x2x16xbf16>, tensor<1x2x16xf32>) -> tensor<4x3xf32>
func.func @scales(%x: tensor<4x32xf32>, %w: tensor<3x2x16xui8>, %s: tensor<3x2xbf16>, %z: tensor<3x2xf32>) -> tensor<4x3xf32> {
  %0 = graph.cast %s : (tensor<3x2xbf16>) -> tensor<3x2xf32>
  %1 = graph.block_matmul %x, %w, %0 zeros %z {bits = 8 : i64, block = 16 : i64} : (tensor<4x32xf32>, tensor<3x2x16xui8>, tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<4x3xf32>
  return %1 : tensor<4x3xf32>
}

// Levels of a codebook take the place of zero points, and products stay those of f32.
// DOT-LABEL: func.func @codebook
// DOT: kernel.block_gemm %{{.+}}, %{{.+}}, %{{.+}} levels %arg3 {bits = 4 : i64, block = 32 : i64} :
func.func @codebook(%x: tensor<4x32xf32>, %w: tensor<3x1x16xui8>, %s: tensor<3x1xf32>, %l: tensor<16xf32>) -> tensor<4x3xf32> {
  %0 = graph.block_matmul %x, %w, %s levels %l {bits = 4 : i64, block = 32 : i64} : (tensor<4x32xf32>, tensor<3x1x16xui8>, tensor<3x1xf32>, tensor<16xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}
