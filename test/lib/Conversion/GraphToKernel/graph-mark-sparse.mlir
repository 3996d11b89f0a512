// Products whose weights hold many zeros are marked: with their number, what leaving them out is expected to gain, and why they stay dense.
// RUN: %opt %s --graph-mark-sparse | FileCheck %s
// RUN: %opt %s --graph-mark-sparse="winograd=false" | FileCheck %s --check-prefix=DIRECT
// RUN: %opt %s --graph-mark-sparse="bf16x3=true" | FileCheck %s --check-prefix=PARTS

// CHECK-LABEL: func.func @product
// CHECK: graph.matmul {{.+}} {sparse = {speedup = 5.12{{.*}} : f64, weights = 4096 : i64, zeros = 4096 : i64}}
// Parts of bf16 are faster than vectors, where there are enough rows.
// PARTS-LABEL: func.func @product
// PARTS: speedup = 3.41
// PARTS-LABEL: func.func @unknown
// PARTS: expected to be 0.01 times as fast
func.func @product(%x: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %w = graph.constant dense<0.0> : tensor<64x64xf32> : tensor<64x64xf32>
  %y = graph.matmul %x, %w : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  return %y : tensor<64x64xf32>
}

// Weights that are moved and scaled by constants; a convolution's rows are its pixels.
// CHECK-LABEL: func.func @computed
// CHECK: graph.matmul {{.+}} {sparse = {speedup = {{.+}}, weights = 4096 : i64, zeros = 4096 : i64}}
// CHECK: graph.conv {{.+}} sparse = {speedup = {{.+}}, weights = 4096 : i64, zeros = 4096 : i64}
func.func @computed(%x: tensor<64x64xf32>, %image: tensor<1x64x8x8xf32>) -> (tensor<64x64xf32>, tensor<1x64x8x8xf32>) {
  %w = graph.constant dense<-0.0> : tensor<64x64xf32> : tensor<64x64xf32>
  %t = graph.transpose %w {perm = array<i64: 1, 0>} : (tensor<64x64xf32>) -> tensor<64x64xf32>
  %y = graph.matmul %x, %t : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  %s = graph.constant dense<2.0> : tensor<64x1x1x1xf32> : tensor<64x1x1x1xf32>
  %f = graph.reshape %w : (tensor<64x64xf32>) -> tensor<64x64x1x1xf32>
  %scaled = graph.mul %f, %s : (tensor<64x64x1x1xf32>, tensor<64x1x1x1xf32>) -> tensor<64x64x1x1xf32>
  %z = graph.conv %image, %scaled {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x64x8x8xf32>, tensor<64x64x1x1xf32>) -> tensor<1x64x8x8xf32>
  return %y, %z : tensor<64x64xf32>, tensor<1x64x8x8xf32>
}

// Symbols count as 1, or as the least that the function's guard says (a range: kind 1, symbol, from, to).
// CHECK-LABEL: func.func @unknown
// CHECK: graph.matmul {{.+}} {sparse = {dense = "of at least 1 row, the sparse form is expected to be {{.+}} times as fast", speedup = {{.+}}, weights = 32 : i64, zeros = 16 : i64}}
// CHECK-LABEL: func.func @limited
// CHECK: graph.matmul {{.+}} {sparse = {speedup = {{.+}} : f64, weights = 4096 : i64, zeros = 4096 : i64}}
#rows = affine_map<()[s0] -> (s0, 4)>
#out = affine_map<()[s0] -> (s0, 8)>
#wide = affine_map<()[s0] -> (s0, 64)>
func.func @unknown(%x: tensor<?x4xf32, #rows>) -> tensor<?x8xf32, #out> {
  %w = graph.constant dense<[[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]]> : tensor<4x8xf32> : tensor<4x8xf32>
  %y = graph.matmul %x, %w : (tensor<?x4xf32, #rows>, tensor<4x8xf32>) -> tensor<?x8xf32, #out>
  return %y : tensor<?x8xf32, #out>
}
func.func @limited(%x: tensor<?x64xf32, #wide>) -> tensor<?x64xf32, #wide> attributes {graph.guard = array<i64: 1, 0, 64, 4096>} {
  %w = graph.constant dense<0.0> : tensor<64x64xf32> : tensor<64x64xf32>
  %y = graph.matmul %x, %w : (tensor<?x64xf32, #wide>, tensor<64x64xf32>) -> tensor<?x64xf32, #wide>
  return %y : tensor<?x64xf32, #wide>
}

// Winograd's form takes fewer products: what is gained over it is less.
// CHECK-LABEL: func.func @windows
// CHECK: graph.conv {{.+}} sparse = {speedup = 1.5{{.+}} : f64
// DIRECT-LABEL: func.func @windows
// DIRECT: graph.conv {{.+}} sparse = {speedup = 4.28{{.+}} : f64
// CHECK: graph.conv {{.+}} sparse = {dense = "convolutions of several groups have no sparse form"
func.func @windows(%x: tensor<1x64x56x56xf32>) -> (tensor<1x64x56x56xf32>, tensor<1x64x56x56xf32>) {
  %w = graph.constant dense<0.0> : tensor<64x64x3x3xf32> : tensor<64x64x3x3xf32>
  %half = graph.constant dense<0.0> : tensor<64x32x3x3xf32> : tensor<64x32x3x3xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x64x56x56xf32>, tensor<64x64x3x3xf32>) -> tensor<1x64x56x56xf32>
  %1 = graph.conv %x, %half {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 2 : i64} : (tensor<1x64x56x56xf32>, tensor<64x32x3x3xf32>) -> tensor<1x64x56x56xf32>
  return %0, %1 : tensor<1x64x56x56xf32>, tensor<1x64x56x56xf32>
}

// Several matrices; weights without zeros, of a run, of other types.
// CHECK-LABEL: func.func @others
// CHECK: graph.matmul {{.+}} {sparse = {dense = "there is a matrix of weights for each of several products"
// CHECK-NOT: sparse
// CHECK: return
func.func @others(%x: tensor<2x64x64xf32>, %a: tensor<64x64xf32>, %d: tensor<64x64xf64>) -> (tensor<2x64x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x64xf64>) {
  %batch = graph.constant dense<0.0> : tensor<2x64x64xf32> : tensor<2x64x64xf32>
  %full = graph.constant dense<1.0> : tensor<64x64xf32> : tensor<64x64xf32>
  %wide = graph.constant dense<0.0> : tensor<64x64xf64> : tensor<64x64xf64>
  %0 = graph.matmul %x, %batch : (tensor<2x64x64xf32>, tensor<2x64x64xf32>) -> tensor<2x64x64xf32>
  %1 = graph.matmul %a, %full : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  %2 = graph.matmul %full, %a : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  %3 = graph.matmul %d, %wide : (tensor<64x64xf64>, tensor<64x64xf64>) -> tensor<64x64xf64>
  return %0, %1, %2, %3 : tensor<2x64x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x64xf64>
}

// What is moved into a known shape from an unknown one is no weight.
// CHECK-LABEL: func.func @moved
// CHECK: graph.matmul
// CHECK-NOT: sparse =
func.func @moved(%x: tensor<64x64xf32>, %v: tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> tensor<64x64xf32> {
  %r = graph.reshape %v : (tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> tensor<64x64xf32>
  %t = graph.transpose %r {perm = array<i64: 1, 0>} : (tensor<64x64xf32>) -> tensor<64x64xf32>
  %y = graph.matmul %x, %t : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  return %y : tensor<64x64xf32>
}
