// Products that are marked get the weights that are not 0 by lists; others stay.
// RUN: %opt %s --convert-contraction-to-sparse | FileCheck %s
// RUN: %opt %s --convert-contraction-to-sparse --convert-graph-to-kernel | FileCheck %s --check-prefix=UNITS

// CHECK-LABEL: func.func @product
// CHECK: %[[T:.+]] = graph.transpose %{{.+}} {perm = array<i64: 1, 0>} : (tensor<300x10xf32>) -> tensor<10x300xf32>
// CHECK: %[[S:.+]], %[[I:.+]], %[[V:.+]] = kernel.sparse_pack %[[T]] : tensor<10x300xf32> -> tensor<3x11xi32>, tensor<70xui16>, tensor<70xf32>
// CHECK: kernel.sparse_gemm %{{.+}}, %[[S]], %[[I]], %[[V]] : (tensor<2x64x300xf32>, tensor<3x11xi32>, tensor<70xui16>, tensor<70xf32>) -> tensor<2x64x10xf32>
// Weights are packed at compile time, transposed on the way; what follows a product joins its unit.
// UNITS-LABEL: func.func @product
// UNITS: %[[P:.+]]:3 = kernel.launch @[[PACK:.+]](%{{.+}}) {constant} : (tensor<300x10xf32>) -> (tensor<3x11xi32>, tensor<70xui16>, tensor<70xf32>)
// UNITS: kernel.launch @[[PRODUCT:.+]](%{{.+}}, %[[P]]#0, %[[P]]#1, %[[P]]#2) :
// UNITS: kernel.unit @[[PACK]] <sparse_pack>
// UNITS: kernel.unit @[[PRODUCT]] <sparse_gemm>
// UNITS: graph.relu
func.func @product(%x: tensor<2x64x300xf32>) -> tensor<2x64x10xf32> {
  %w = graph.constant dense<0.0> : tensor<300x10xf32> : tensor<300x10xf32>
  %y = graph.matmul %x, %w {sparse = {speedup = 3.0 : f64, weights = 3000 : i64, zeros = 2930 : i64}} : (tensor<2x64x300xf32>, tensor<300x10xf32>) -> tensor<2x64x10xf32>
  %r = graph.relu %y : (tensor<2x64x10xf32>) -> tensor<2x64x10xf32>
  return %r : tensor<2x64x10xf32>
}

// CHECK-LABEL: func.func @windows
// CHECK: %[[M:.+]] = graph.reshape %{{.+}} : (tensor<64x20x3x3xf32>) -> tensor<64x180xf32>
// CHECK: kernel.sparse_pack %[[M]] : tensor<64x180xf32> -> tensor<2x65xi32>, tensor<0xui16>, tensor<0xf32>
// CHECK: kernel.sparse_conv %{{.+}} {dilations = array<i64: 2, 1>, kernel = array<i64: 3, 3>, pads = #{{.+}}, strides = array<i64: 1, 2>}
// UNITS: kernel.unit @{{.+}} <sparse_conv>
#batch = affine_map<()[s0] -> (s0, 20, 14, 14)>
#result = affine_map<()[s0] -> (s0, 64, 12, 7)>
func.func @windows(%x: tensor<?x20x14x14xf32, #batch>) -> tensor<?x64x12x7xf32, #result> {
  %w = graph.constant dense<0.0> : tensor<64x20x3x3xf32> : tensor<64x20x3x3xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 2>, dilations = array<i64: 2, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64, sparse = {speedup = 3.0 : f64, weights = 11520 : i64, zeros = 11520 : i64}} : (tensor<?x20x14x14xf32, #batch>, tensor<64x20x3x3xf32>) -> tensor<?x64x12x7xf32, #result>
  return %0 : tensor<?x64x12x7xf32, #result>
}

// CHECK-LABEL: func.func @others
// CHECK-NOT: kernel.sparse
// CHECK: return
func.func @others(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %w = graph.constant dense<0.0> : tensor<8x8xf32> : tensor<8x8xf32>
  %y = graph.matmul %x, %w {sparse = {dense = "of 4 rows", speedup = 0.5 : f64, weights = 64 : i64, zeros = 64 : i64}} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %z = graph.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  return %y, %z : tensor<4x8xf32>, tensor<4x8xf32>
}
