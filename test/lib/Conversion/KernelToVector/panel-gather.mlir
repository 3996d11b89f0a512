// Panels of pixels under windows of known extents: a row is one load where pixels read runs, picked from a few vectors of a small plane, or read from planes cut apart.
// RUN: %opt %s --split-input-file --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// Rows of the same length: behind the end of a row the next one begins.
// CHECK-LABEL: func.func {{.*}}@kept(
// CHECK: %[[X:.+]] = llvm.intr.masked.load
// CHECK: llvm.store %[[X]]
// CHECK-NOT: llvm.intr.masked.load
// CHECK: call @gemm_f32_
module {
  kernel.unit @kept <conv> {
  ^bb0(%x: tensor<1x3x12x12xf32>, %w: tensor<6x3x3x3xf32>):
    %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x3x12x12xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x12x12xf32>
    kernel.yield %0 : tensor<1x6x12x12xf32>
  }
  func.func @main(%x: tensor<1x3x12x12xf32> {graph.name = "x"}, %w: tensor<6x3x3x3xf32> {graph.name = "w"}) -> (tensor<1x6x12x12xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
    %0 = kernel.launch @kept(%x, %w) : (tensor<1x3x12x12xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x12x12xf32>
    return %0 : tensor<1x6x12x12xf32>
  }
}

// -----

// All 16 pixels lie within 64 floats.
// CHECK-LABEL: func.func {{.*}}@picked(
// CHECK-COUNT-4: llvm.intr.masked.load
// CHECK: vector.shuffle %{{.+}}, %{{.+}} [0, 2, 4, 6, 16, 18, 20, 22, 0, 0, 0, 0, 0, 0, 0, 0]
// CHECK: vector.shuffle %{{.+}}, %{{.+}} [0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 6, 16, 18, 20, 22]
// CHECK: vector.shuffle %{{.+}}, %{{.+}} [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31]
// CHECK-NOT: llvm.intr.masked.load
// CHECK: call @gemm_f32_
module {
  kernel.unit @picked <conv> {
  ^bb0(%x: tensor<1x3x8x8xf32>, %w: tensor<6x3x3x3xf32>):
    %0 = graph.conv %x, %w {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x3x8x8xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x4x4xf32>
    kernel.yield %0 : tensor<1x6x4x4xf32>
  }
  func.func @main(%x: tensor<1x3x8x8xf32> {graph.name = "x"}, %w: tensor<6x3x3x3xf32> {graph.name = "w"}) -> (tensor<1x6x4x4xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
    %0 = kernel.launch @picked(%x, %w) : (tensor<1x3x8x8xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x4x4xf32>
    return %0 : tensor<1x6x4x4xf32>
  }
}

// -----

// Even and odd columns are stored apart, then each tap is one load.
// CHECK-LABEL: func.func {{.*}}@cut(
// CHECK: vector.shuffle %{{.+}}, %{{.+}} [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30]
// CHECK: vector.shuffle %{{.+}}, %{{.+}} [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31]
// CHECK: %[[CUT:.+]] = llvm.intr.masked.load
// CHECK: llvm.store %[[CUT]]
// CHECK-NOT: vector.shuffle
// CHECK: call @gemm_f32_
module {
  kernel.unit @cut <conv> {
  ^bb0(%x: tensor<1x3x20x16xf32>, %w: tensor<6x3x3x3xf32>):
    %0 = graph.conv %x, %w {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x3x20x16xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x10x8xf32>
    kernel.yield %0 : tensor<1x6x10x8xf32>
  }
  func.func @main(%x: tensor<1x3x20x16xf32> {graph.name = "x"}, %w: tensor<6x3x3x3xf32> {graph.name = "w"}) -> (tensor<1x6x10x8xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
    %0 = kernel.launch @cut(%x, %w) : (tensor<1x3x20x16xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x10x8xf32>
    return %0 : tensor<1x6x10x8xf32>
  }
}

// -----

// The fourth of five columns has no place beside two: two vectors for each row of pixels that a panel spans.
// CHECK-LABEL: func.func {{.*}}@uncut(
// CHECK-NOT: vector.shuffle {{.*}} [1, 3, 5
// CHECK: call @gemm_f32_
module {
  kernel.unit @uncut <conv> {
  ^bb0(%x: tensor<1x3x20x11xf32>, %w: tensor<6x3x5x5xf32>):
    %0 = graph.conv %x, %w {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (3, 1)>, group = 1 : i64} : (tensor<1x3x20x11xf32>, tensor<6x3x5x5xf32>) -> tensor<1x6x10x5xf32>
    kernel.yield %0 : tensor<1x6x10x5xf32>
  }
  func.func @main(%x: tensor<1x3x20x11xf32> {graph.name = "x"}, %w: tensor<6x3x5x5xf32> {graph.name = "w"}) -> (tensor<1x6x10x5xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
    %0 = kernel.launch @uncut(%x, %w) : (tensor<1x3x20x11xf32>, tensor<6x3x5x5xf32>) -> tensor<1x6x10x5xf32>
    return %0 : tensor<1x6x10x5xf32>
  }
}
