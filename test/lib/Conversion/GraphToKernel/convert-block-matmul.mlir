// Weights of few bits are packed in panels, with scales and zero points times scales; an odd number of terms stays.
// RUN: %opt %s --convert-block-matmul | FileCheck %s

// CHECK-LABEL: func.func @even
// CHECK-SAME: (%[[X:.+]]: tensor<{{.+}}>, %[[W:.+]]: tensor<20x2x16xui8>, %[[S:.+]]: tensor<20x2xf32>, %[[Z:.+]]: tensor<20x2xf32>)
// CHECK: %[[P:.+]] = kernel.block_pack %[[W]] {bits = 4 : i64} : tensor<20x2x16xui8> -> tensor<2x32x16xui8>
// CHECK: %[[ZS:.+]] = graph.mul %[[Z]], %[[S]]
// CHECK: %[[T:.+]] = graph.transpose %[[S]]
// CHECK: %[[PS:.+]] = kernel.pack %[[T]] : tensor<2x20xf32> -> tensor<2x2x16xf32>
// CHECK: %[[TO:.+]] = graph.transpose %[[ZS]]
// CHECK: %[[PO:.+]] = kernel.pack %[[TO]]
// CHECK: kernel.block_gemm %[[X]], %[[P]], %[[PS]], %[[PO]] {bits = 4 : i64, block = 32 : i64}
func.func @even(%x: tensor<?x50xf32, affine_map<()[s0] -> (s0, 50)>>, %w: tensor<20x2x16xui8>, %s: tensor<20x2xf32>, %z: tensor<20x2xf32>) -> tensor<?x20xf32, affine_map<()[s0] -> (s0, 20)>> {
  %0 = graph.block_matmul %x, %w, %s, %z {bits = 4 : i64, block = 32 : i64}
    : (tensor<?x50xf32, affine_map<()[s0] -> (s0, 50)>>, tensor<20x2x16xui8>, tensor<20x2xf32>, tensor<20x2xf32>) -> tensor<?x20xf32, affine_map<()[s0] -> (s0, 20)>>
  return %0 : tensor<?x20xf32, affine_map<()[s0] -> (s0, 20)>>
}

// Of 8 bits a step is one number.
// CHECK-LABEL: func.func @bytes
// CHECK: kernel.block_pack %{{.+}} {bits = 8 : i64} : tensor<3x2x16xui8> -> tensor<1x32x16xui8>
func.func @bytes(%x: tensor<4x32xf32>, %w: tensor<3x2x16xui8>, %s: tensor<3x2xf32>) -> tensor<4x3xf32> {
  %0 = graph.block_matmul %x, %w, %s, %s {bits = 8 : i64, block = 16 : i64} : (tensor<4x32xf32>, tensor<3x2x16xui8>, tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}

// CHECK-LABEL: func.func @odd
// CHECK: graph.block_matmul
func.func @odd(%x: tensor<4x31xf32>, %w: tensor<3x2x16xui8>, %s: tensor<3x2xf32>) -> tensor<4x3xf32> {
  %0 = graph.block_matmul %x, %w, %s, %s {bits = 8 : i64, block = 16 : i64} : (tensor<4x31xf32>, tensor<3x2x16xui8>, tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}
