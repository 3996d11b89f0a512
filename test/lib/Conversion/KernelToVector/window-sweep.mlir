// Windows are read where the plane lies: vectors inside of it in a loop, those at its edges apart, under masks that are known.
// RUN: %opt %s --split-input-file --kernel-annotate-work --kernel-plan-buffers --convert-kernel-to-vector --verify-vector | FileCheck %s

// 56 columns: the first vector, two inside, half a vector.
// CHECK-LABEL: func.func {{.*}}@wide(
// CHECK: vector.fma {{.*}} : vector<16xf32>
// CHECK: scf.for %{{.+}} = %c16_i64 to %c48_i64 step %c16_i64
// CHECK-NOT: llvm.intr.masked
// CHECK: vector.fma {{.*}} : vector<16xf32>
// CHECK-NOT: llvm.intr.masked
// CHECK: vector.fma {{.*}} : vector<8xf32>
module {
  kernel.unit @wide <depthwise> {
  ^bb0(%x: tensor<1x3x56x56xf32>, %w: tensor<3x1x3x3xf32>):
    %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 3 : i64} : (tensor<1x3x56x56xf32>, tensor<3x1x3x3xf32>) -> tensor<1x3x56x56xf32>
    kernel.yield %0 : tensor<1x3x56x56xf32>
  }
  func.func @main(%x: tensor<1x3x56x56xf32> {graph.name = "x"}, %w: tensor<3x1x3x3xf32> {graph.name = "w"}) -> (tensor<1x3x56x56xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
    %0 = kernel.launch @wide(%x, %w) : (tensor<1x3x56x56xf32>, tensor<3x1x3x3xf32>) -> tensor<1x3x56x56xf32>
    return %0 : tensor<1x3x56x56xf32>
  }
}

// -----

// Seven columns: half vectors alone, and nothing is added for the lines above and below.
// CHECK-LABEL: func.func {{.*}}@small(
// CHECK-NOT: vector.fma {{.*}} : vector<16xf32>
// CHECK-COUNT-57: vector.fma {{.*}} : vector<8xf32>
// CHECK-NOT: vector.fma
// CHECK: return
module {
  kernel.unit @small <depthwise> {
  ^bb0(%x: tensor<1x3x7x7xf32>, %w: tensor<3x1x3x3xf32>):
    %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 3 : i64} : (tensor<1x3x7x7xf32>, tensor<3x1x3x3xf32>) -> tensor<1x3x7x7xf32>
    kernel.yield %0 : tensor<1x3x7x7xf32>
  }
  func.func @main(%x: tensor<1x3x7x7xf32> {graph.name = "x"}, %w: tensor<3x1x3x3xf32> {graph.name = "w"}) -> (tensor<1x3x7x7xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
    %0 = kernel.launch @small(%x, %w) : (tensor<1x3x7x7xf32>, tensor<3x1x3x3xf32>) -> tensor<1x3x7x7xf32>
    return %0 : tensor<1x3x7x7xf32>
  }
}

// -----

// Every second column: floats of two vectors in turns, by masks that LLVM does not know; one float of another column for the taps before; columns in order at last.
// CHECK-LABEL: func.func {{.*}}@halved(
// CHECK: %[[HIDDEN:.+]] = llvm.inline_asm "", "=r,0"
// CHECK: %[[MASK:.+]] = llvm.bitcast %[[HIDDEN]] : i16 to vector<16xi1>
// CHECK: scf.for %{{.+}} = %c16_i64 to %c48_i64 step %c16_i64
// CHECK: vector.shuffle %{{.+}}, %{{.+}} [1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15, 15]
// CHECK-NEXT: arith.select %[[MASK]]
// CHECK: vector.broadcast %{{.+}} : f32 to vector<16xf32>
// CHECK: vector.fma
// CHECK: vector.shuffle %{{.+}}, %{{.+}} [15, 0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13]
// CHECK: vector.shuffle %{{.+}}, %{{.+}} [0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15]
// CHECK: arith.addf
module {
  kernel.unit @halved <depthwise> {
  ^bb0(%x: tensor<1x3x112x112xf32>, %w: tensor<3x1x3x3xf32>):
    %0 = graph.conv %x, %w {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 3 : i64} : (tensor<1x3x112x112xf32>, tensor<3x1x3x3xf32>) -> tensor<1x3x56x56xf32>
    kernel.yield %0 : tensor<1x3x56x56xf32>
  }
  func.func @main(%x: tensor<1x3x112x112xf32> {graph.name = "x"}, %w: tensor<3x1x3x3xf32> {graph.name = "w"}) -> (tensor<1x3x56x56xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
    %0 = kernel.launch @halved(%x, %w) : (tensor<1x3x112x112xf32>, tensor<3x1x3x3xf32>) -> tensor<1x3x56x56xf32>
    return %0 : tensor<1x3x56x56xf32>
  }
}
