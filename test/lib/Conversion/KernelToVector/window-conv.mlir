// Convolutions of stride 1 read the lines of an image, which lie with their padding between them, under each tap; others gather panels first.
// RUN: %opt %s --split-input-file --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector | FileCheck %s

// A tile of six output channels; channels, lines and taps are loops. The last pixels are a tile of fewer panels where they fit into it.
// CHECK-LABEL: func.func @window_f32_6x32_3_1
// CHECK-COUNT-2: scf.for
// CHECK: llvm.intr.prefetch
// CHECK: scf.for
// CHECK: vector.fma
// CHECK: return
// CHECK-LABEL: func.func @window_f32_6x16_3_1
// CHECK-COUNT-3: scf.for
// CHECK: vector.fma
// CHECK: return
// CHECK: func.func {{.*}}@slides(
// CHECK: %[[FEW:.+]] = arith.cmpi sle, %{{.+}}, %c16_i64
// CHECK: scf.if %[[FEW]]
// CHECK-NEXT: call @window_f32_6x16_3_1
// CHECK: call @window_f32_6x32_3_1
module {
  kernel.unit @slides <conv> {
  ^bb0(%x: tensor<1x3x20x40xf32>, %w: tensor<6x3x3x3xf32>):
    %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x3x20x40xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x20x40xf32>
    kernel.yield %0 : tensor<1x6x20x40xf32>
  }
  func.func @main(%x: tensor<1x3x20x40xf32> {graph.name = "x"}, %w: tensor<6x3x3x3xf32> {graph.name = "w"}) -> (tensor<1x6x20x40xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
    %0 = kernel.launch @slides(%x, %w) : (tensor<1x3x20x40xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x20x40xf32>
    return %0 : tensor<1x6x20x40xf32>
  }
}

// -----

// Two pixels at a time.
// CHECK-NOT: @window_f32_
// CHECK: call @gemm_f32_
module {
  kernel.unit @steps <conv> {
  ^bb0(%x: tensor<1x3x20x40xf32>, %w: tensor<6x3x3x3xf32>):
    %0 = graph.conv %x, %w {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x3x20x40xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x10x20xf32>
    kernel.yield %0 : tensor<1x6x10x20xf32>
  }
  func.func @main(%x: tensor<1x3x20x40xf32> {graph.name = "x"}, %w: tensor<6x3x3x3xf32> {graph.name = "w"}) -> (tensor<1x6x10x20xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
    %0 = kernel.launch @steps(%x, %w) : (tensor<1x3x20x40xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x10x20xf32>
    return %0 : tensor<1x6x10x20xf32>
  }
}

// -----

// Rows so short that padding would be most of them.
// CHECK-NOT: @window_f32_
// CHECK: call @gemm_f32_
module {
  kernel.unit @short <conv> {
  ^bb0(%x: tensor<1x3x20x4xf32>, %w: tensor<6x3x3x3xf32>):
    %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64} : (tensor<1x3x20x4xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x20x4xf32>
    kernel.yield %0 : tensor<1x6x20x4xf32>
  }
  func.func @main(%x: tensor<1x3x20x4xf32> {graph.name = "x"}, %w: tensor<6x3x3x3xf32> {graph.name = "w"}) -> (tensor<1x6x20x4xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
    %0 = kernel.launch @short(%x, %w) : (tensor<1x3x20x4xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x20x4xf32>
    return %0 : tensor<1x6x20x4xf32>
  }
}
