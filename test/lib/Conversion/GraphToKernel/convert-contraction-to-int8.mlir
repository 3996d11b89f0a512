// Integer convolutions and products of bytes take packed weights; what makes bytes of a sum is taken in.
// RUN: %opt %s --convert-contraction-to-int8=dot-product --split-input-file | FileCheck %s
// RUN: %opt %s --convert-contraction-to-int8=vector-bytes=32 --split-input-file | FileCheck %s --check-prefix=PAIRS
// RUN: %opt %s --convert-contraction-to-int8="dot-product amx" --split-input-file | FileCheck %s --check-prefix=AMX
// RUN: %opt %s --convert-contraction-to-int8 --convert-graph-to-kernel --split-input-file | FileCheck %s --check-prefix=UNITS

// The limits of relu and of bytes, the scales and the bias are numbers of the operation.
// CHECK-LABEL: func.func @requantized
// CHECK: %[[P:.+]] = kernel.int8_pack %{{.+}} {form = #kernel.int8_form<conv>} : tensor<9x4x1x1xi8> -> tensor<1x2x1x6x4xi8>
// CHECK: kernel.int8_conv %{{.+}}, %[[P]], %{{.+}}, %{{.+}}, %{{.+}} {{{.+}}high = 255 : i64, {{.+}}low = 3 : i64, {{.+}}padding = 7 : i64, {{.+}}zero_point = 3 : i64}
// CHECK-SAME: -> tensor<1x9x8x8xui8>
// CHECK-NOT: graph.round
// PAIRS-LABEL: func.func @requantized
// PAIRS: kernel.int8_pack %{{.+}} : tensor<9x4x1x1xi8> -> tensor<1x3x2x3x2xi16>
// Weights and numbers of channels are computed at compile time.
// UNITS-LABEL: func.func @requantized
// UNITS-DAG: %[[P:.+]] = kernel.launch {{.+}} {constant} : {{.+}} -> tensor<1x2x2x6x2xi16>
// UNITS: kernel.launch @{{.+}}(%{{.+}}, %[[P]], %{{.+}}, %{{.+}}, %{{.+}}) : (
// UNITS: kernel.unit @{{.+}} <int8_conv>
func.func @requantized(%x: tensor<1x4x8x8xui8>) -> tensor<1x9x8x8xui8> {
  %zero = graph.constant dense<7> : tensor<i32> : tensor<i32>
  %w = graph.constant dense<5> : tensor<9x4x1x1xi8> : tensor<9x4x1x1xi8>
  %s = graph.constant dense<0.25> : tensor<9x1x1xf32> : tensor<9x1x1xf32>
  %b = graph.constant dense<0.5> : tensor<9x1x1xf32> : tensor<9x1x1xf32>
  %t = graph.constant dense<0.125> : tensor<f32> : tensor<f32>
  %z = graph.constant dense<3.0> : tensor<f32> : tensor<f32>
  %low = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %high = graph.constant dense<255.0> : tensor<f32> : tensor<f32>
  %0 = graph.cast %x : (tensor<1x4x8x8xui8>) -> tensor<1x4x8x8xi32>
  %1 = graph.sub %0, %zero : (tensor<1x4x8x8xi32>, tensor<i32>) -> tensor<1x4x8x8xi32>
  %2 = graph.cast %w : (tensor<9x4x1x1xi8>) -> tensor<9x4x1x1xi32>
  %3 = graph.conv %1, %2 {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x4x8x8xi32>, tensor<9x4x1x1xi32>) -> tensor<1x9x8x8xi32>
  %4 = graph.cast %3 : (tensor<1x9x8x8xi32>) -> tensor<1x9x8x8xf32>
  %5 = graph.mul %4, %s : (tensor<1x9x8x8xf32>, tensor<9x1x1xf32>) -> tensor<1x9x8x8xf32>
  %6 = graph.add %5, %b : (tensor<1x9x8x8xf32>, tensor<9x1x1xf32>) -> tensor<1x9x8x8xf32>
  %7 = graph.relu %6 : (tensor<1x9x8x8xf32>) -> tensor<1x9x8x8xf32>
  %8 = graph.div %7, %t : (tensor<1x9x8x8xf32>, tensor<f32>) -> tensor<1x9x8x8xf32>
  %9 = graph.round %8 : (tensor<1x9x8x8xf32>) -> tensor<1x9x8x8xf32>
  %10 = graph.add %9, %z : (tensor<1x9x8x8xf32>, tensor<f32>) -> tensor<1x9x8x8xf32>
  %11 = graph.max %10, %low : (tensor<1x9x8x8xf32>, tensor<f32>) -> tensor<1x9x8x8xf32>
  %12 = graph.min %11, %high : (tensor<1x9x8x8xf32>, tensor<f32>) -> tensor<1x9x8x8xf32>
  %13 = graph.cast %12 : (tensor<1x9x8x8xf32>) -> tensor<1x9x8x8xui8>
  return %13 : tensor<1x9x8x8xui8>
}

// -----

// Something else reads a value of the chain: the sum stays i32.
// CHECK-LABEL: func.func @shared
// CHECK: kernel.int8_conv %{{.+}}, %{{.+}}, %{{.+}} {{{.+}}operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>{{.+}}} : ({{.+}}) -> tensor<1x6x8x8xi32>
// CHECK: graph.round
// A row of the window is one quad.
// CHECK: kernel.int8_pack %{{.+}} {dilations = array<i64: 1, 1>, form = #kernel.int8_form<depthwise>, strides = array<i64: 2, 2>} : tensor<6x1x3x3xi8> -> tensor<6x3x4xi8>
// UNITS-LABEL: func.func @shared
// UNITS: kernel.unit @{{.+}} <int8_depthwise>
func.func @shared(%x: tensor<1x6x8x8xui8>) -> (tensor<1x6x8x8xi8>, tensor<1x6x8x8xf32>, tensor<1x6x4x4xi32>) {
  %w = graph.constant dense<5> : tensor<6x6x1x1xi8> : tensor<6x6x1x1xi8>
  %0 = graph.cast %x : (tensor<1x6x8x8xui8>) -> tensor<1x6x8x8xi32>
  %1 = graph.cast %w : (tensor<6x6x1x1xi8>) -> tensor<6x6x1x1xi32>
  %2 = graph.conv %0, %1 {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<1x6x8x8xi32>, tensor<6x6x1x1xi32>) -> tensor<1x6x8x8xi32>
  %3 = graph.cast %2 : (tensor<1x6x8x8xi32>) -> tensor<1x6x8x8xf32>
  %4 = graph.round %3 : (tensor<1x6x8x8xf32>) -> tensor<1x6x8x8xf32>
  %5 = graph.cast %4 : (tensor<1x6x8x8xf32>) -> tensor<1x6x8x8xi8>
  %d = graph.constant dense<5> : tensor<6x1x3x3xi8> : tensor<6x1x3x3xi8>
  %6 = graph.cast %d : (tensor<6x1x3x3xi8>) -> tensor<6x1x3x3xi32>
  %7 = graph.conv %0, %6 {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 6 : i64} : (tensor<1x6x8x8xi32>, tensor<6x1x3x3xi32>) -> tensor<1x6x4x4xi32>
  return %5, %3, %7 : tensor<1x6x8x8xi8>, tensor<1x6x8x8xf32>, tensor<1x6x4x4xi32>
}

// -----

// Numbers of columns are filled up to the tile.
// CHECK-LABEL: func.func @product
// CHECK: %[[P:.+]] = kernel.int8_pack %{{.+}} {form = #kernel.int8_form<gemm>} : tensor<6x10xi8> -> tensor<1x2x4x16x4xi8>
// CHECK: %[[START:.+]] = graph.pad %{{.+}} : (tensor<10xi32>, tensor<i32>) -> tensor<64xi32>
// CHECK: kernel.int8_gemm %{{.+}}, %[[P]], %[[START]]
// PAIRS-LABEL: func.func @product
// PAIRS: kernel.int8_pack %{{.+}} : tensor<6x10xi8> -> tensor<1x4x4x8x2xi16>
// Few rows, or a short sum, are not worth tiles.
// AMX-LABEL: func.func @product
// AMX-NOT: amx
func.func @product(%x: tensor<4x6xi8>) -> tensor<4x10xi32> {
  %w = graph.constant dense<5> : tensor<6x10xi8> : tensor<6x10xi8>
  %0 = graph.cast %x : (tensor<4x6xi8>) -> tensor<4x6xi32>
  %1 = graph.cast %w : (tensor<6x10xi8>) -> tensor<6x10xi32>
  %2 = graph.matmul %0, %1 : (tensor<4x6xi32>, tensor<6x10xi32>) -> tensor<4x10xi32>
  return %2 : tensor<4x10xi32>
}

// -----

// Images of one pixel are rows of a matrix.
// CHECK-LABEL: func.func @pixel
// CHECK-DAG: %[[W:.+]] = graph.transpose %{{.+}} : (tensor<10x6xi8>) -> tensor<6x10xi8>
// CHECK-DAG: %[[X:.+]] = graph.reshape %{{.+}} : (tensor<4x6x1x1xui8>) -> tensor<4x6xui8>
// CHECK: %[[Y:.+]] = kernel.int8_gemm %[[X]]
// CHECK: graph.reshape %[[Y]] : (tensor<4x10xi32>) -> tensor<4x10x1x1xi32>
func.func @pixel(%x: tensor<4x6x1x1xui8>) -> tensor<4x10x1x1xi32> {
  %w = graph.constant dense<5> : tensor<10x6x1x1xi8> : tensor<10x6x1x1xi8>
  %0 = graph.cast %x : (tensor<4x6x1x1xui8>) -> tensor<4x6x1x1xi32>
  %1 = graph.cast %w : (tensor<10x6x1x1xi8>) -> tensor<10x6x1x1xi32>
  %2 = graph.conv %0, %1 {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64} : (tensor<4x6x1x1xi32>, tensor<10x6x1x1xi32>) -> tensor<4x10x1x1xi32>
  return %2 : tensor<4x10x1x1xi32>
}

// -----

// A zero point that changes is taken off behind the product.
// CHECK-LABEL: func.func @dynamic
// CHECK-SAME: %{{.+}}: tensor<4x6xui8>, %[[Z:.+]]: tensor<i32>
// CHECK-DAG: %[[SUM:.+]] = kernel.int8_gemm
// CHECK-DAG: %[[OFFSET:.+]] = graph.mul %{{.+}}, %[[Z]] : (tensor<10xi32>, tensor<i32>) -> tensor<10xi32>
// CHECK: graph.sub %[[SUM]], %[[OFFSET]]
func.func @dynamic(%x: tensor<4x6xui8>, %z: tensor<i32>) -> tensor<4x10xi32> {
  %w = graph.constant dense<5> : tensor<6x10xi8> : tensor<6x10xi8>
  %0 = graph.cast %x : (tensor<4x6xui8>) -> tensor<4x6xi32>
  %1 = graph.sub %0, %z : (tensor<4x6xi32>, tensor<i32>) -> tensor<4x6xi32>
  %2 = graph.cast %w : (tensor<6x10xi8>) -> tensor<6x10xi32>
  %3 = graph.matmul %1, %2 : (tensor<4x6xi32>, tensor<6x10xi32>) -> tensor<4x10xi32>
  return %3 : tensor<4x10xi32>
}

// -----

// Integers that are no bytes, weights that change.
// CHECK-LABEL: func.func @others
// CHECK-NOT: int8
// CHECK: return
func.func @others(%x: tensor<4x6xi32>, %y: tensor<4x6xi8>, %w: tensor<6x10xi8>) -> (tensor<4x10xi32>, tensor<4x10xi32>) {
  %c = graph.constant dense<5> : tensor<6x10xi32> : tensor<6x10xi32>
  %0 = graph.matmul %x, %c : (tensor<4x6xi32>, tensor<6x10xi32>) -> tensor<4x10xi32>
  %1 = graph.cast %y : (tensor<4x6xi8>) -> tensor<4x6xi32>
  %2 = graph.cast %w : (tensor<6x10xi8>) -> tensor<6x10xi32>
  %3 = graph.matmul %1, %2 : (tensor<4x6xi32>, tensor<6x10xi32>) -> tensor<4x10xi32>
  return %0, %3 : tensor<4x10xi32>, tensor<4x10xi32>
}

// -----

// Beside a product of bytes, numbers become bytes by a factor; numbers that stay are divided.
// CHECK-LABEL: func.func @reciprocal
// CHECK: %[[FACTOR:.+]] = graph.constant dense<4.000000e+00> : tensor<f32>
// CHECK: graph.mul %{{.+}}, %[[FACTOR]]
// CHECK: graph.div
func.func @reciprocal(%x: tensor<4x6xi8>, %y: tensor<8xf32>) -> (tensor<4x10xi32>, tensor<8xui8>, tensor<8xf32>) {
  %w = graph.constant dense<5> : tensor<6x10xi8> : tensor<6x10xi8>
  %s = graph.constant dense<0.25> : tensor<f32> : tensor<f32>
  %low = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %0 = graph.cast %x : (tensor<4x6xi8>) -> tensor<4x6xi32>
  %1 = graph.cast %w : (tensor<6x10xi8>) -> tensor<6x10xi32>
  %2 = graph.matmul %0, %1 : (tensor<4x6xi32>, tensor<6x10xi32>) -> tensor<4x10xi32>
  %3 = graph.div %y, %s : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %4 = graph.round %3 : (tensor<8xf32>) -> tensor<8xf32>
  %5 = graph.max %4, %low : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %6 = graph.cast %5 : (tensor<8xf32>) -> tensor<8xui8>
  %7 = graph.div %y, %s : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %8 = graph.round %7 : (tensor<8xf32>) -> tensor<8xf32>
  return %2, %6, %8 : tensor<4x10xi32>, tensor<8xui8>, tensor<8xf32>
}

// -----

// Weights without a sign lose 128, which comes back times the sums of x: another output channel, or sums of rows.
// CHECK-LABEL: func.func @excess
// CHECK-DAG: %[[ONES:.+]] = kernel.int8_conv {{.*}} -> tensor<1x1x8x8xi32>
// CHECK-DAG: kernel.int8_conv {{.*}} -> tensor<1x3x8x8xi32>
// CHECK-DAG: kernel.int8_gemm
// CHECK-DAG: graph.reduce {{.*}} -> tensor<4x1xi32>
func.func @excess(%x: tensor<1x2x8x8xui8>, %a: tensor<4x2xui8>) -> (tensor<1x3x8x8xi32>, tensor<4x3xi32>) {
  %w = graph.constant dense<[[[[200]], [[1]]], [[[255]], [[0]]], [[[7]], [[9]]]]> : tensor<3x2x1x1xui8> : tensor<3x2x1x1xui8>
  %v = graph.constant dense<[[200, 1, 3], [255, 0, 5]]> : tensor<2x3xui8> : tensor<2x3xui8>
  %0 = graph.cast %x : (tensor<1x2x8x8xui8>) -> tensor<1x2x8x8xi32>
  %1 = graph.cast %w : (tensor<3x2x1x1xui8>) -> tensor<3x2x1x1xi32>
  %2 = graph.conv %0, %1 {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64}
    : (tensor<1x2x8x8xi32>, tensor<3x2x1x1xi32>) -> tensor<1x3x8x8xi32>
  %3 = graph.cast %a : (tensor<4x2xui8>) -> tensor<4x2xi32>
  %4 = graph.cast %v : (tensor<2x3xui8>) -> tensor<2x3xi32>
  %5 = graph.matmul %3, %4 : (tensor<4x2xi32>, tensor<2x3xi32>) -> tensor<4x3xi32>
  return %2, %5 : tensor<1x3x8x8xi32>, tensor<4x3xi32>
}

// -----

// Tiles take weights of their own order, and bytes of i8 as they are: the sums of weights get the zero point alone.
// AMX-LABEL: func.func @tiles
// AMX: %[[FACTOR:.+]] = graph.constant dense<-7> : tensor<i32>
// AMX: graph.mul %{{.+}}, %[[FACTOR]] : (tensor<70xi32>, tensor<i32>) -> tensor<70xi32>
// AMX: %[[P:.+]] = kernel.int8_pack %{{.+}} {form = #kernel.int8_form<amx>} : tensor<65x70xi8> -> tensor<4x2x2x16x64xi8>
// AMX: kernel.int8_gemm %{{.+}}, %[[P]], %{{.+}} {amx, {{.+}}} : (tensor<?x65xi8, #{{.+}}>, tensor<4x2x2x16x64xi8>, tensor<128xi32>)
// UNITS-LABEL: func.func @tiles
// UNITS: kernel.unit @{{.+}} <int8_gemm>
func.func @tiles(%x: tensor<?x65xi8, affine_map<()[s0] -> (s0, 65)>>) -> tensor<?x70xi32, affine_map<()[s0] -> (s0, 70)>> {
  %zero = graph.constant dense<7> : tensor<i32> : tensor<i32>
  %w = graph.constant dense<5> : tensor<65x70xi8> : tensor<65x70xi8>
  %0 = graph.cast %x : (tensor<?x65xi8, affine_map<()[s0] -> (s0, 65)>>) -> tensor<?x65xi32, affine_map<()[s0] -> (s0, 65)>>
  %1 = graph.sub %0, %zero : (tensor<?x65xi32, affine_map<()[s0] -> (s0, 65)>>, tensor<i32>) -> tensor<?x65xi32, affine_map<()[s0] -> (s0, 65)>>
  %2 = graph.cast %w : (tensor<65x70xi8>) -> tensor<65x70xi32>
  %3 = graph.matmul %1, %2 : (tensor<?x65xi32, affine_map<()[s0] -> (s0, 65)>>, tensor<65x70xi32>) -> tensor<?x70xi32, affine_map<()[s0] -> (s0, 70)>>
  return %3 : tensor<?x70xi32, affine_map<()[s0] -> (s0, 70)>>
}

// -----

// A zero point that only a run knows pads the image, and its share is taken off each channel.
// CHECK-LABEL: func.func @changing_zero
// CHECK-SAME: %[[X:.+]]: tensor<1x2x8x8xui8>, %[[Z:.+]]: tensor<ui8>
// CHECK-DAG: %[[P:.+]] = graph.pad %[[X]], {{.+}} -> tensor<1x2x10x10xui8>
// CHECK-DAG: %[[SUM:.+]] = kernel.int8_conv %[[P]], {{.*}} -> tensor<1x3x8x8xi32>
// CHECK: graph.sub %[[SUM]], %{{.+}} : (tensor<1x3x8x8xi32>, tensor<3x1x1xi32>) -> tensor<1x3x8x8xi32>
func.func @changing_zero(%x: tensor<1x2x8x8xui8>, %z: tensor<ui8>) -> tensor<1x3x8x8xi32> {
  %w = graph.constant dense<5> : tensor<3x2x3x3xi8> : tensor<3x2x3x3xi8>
  %0 = graph.cast %x : (tensor<1x2x8x8xui8>) -> tensor<1x2x8x8xi32>
  %1 = graph.cast %z : (tensor<ui8>) -> tensor<i32>
  %2 = graph.sub %0, %1 : (tensor<1x2x8x8xi32>, tensor<i32>) -> tensor<1x2x8x8xi32>
  %3 = graph.cast %w : (tensor<3x2x3x3xi8>) -> tensor<3x2x3x3xi32>
  %4 = graph.conv %2, %3 {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (1, 1)>, group = 1 : i64}
    : (tensor<1x2x8x8xi32>, tensor<3x2x3x3xi32>) -> tensor<1x3x8x8xi32>
  return %4 : tensor<1x3x8x8xi32>
}

// -----

// Windows that lie side by side, with a stride that has no form in bytes, are rows of a matrix.
// CHECK-LABEL: func.func @patches
// CHECK: %[[ROWS:.+]] = graph.transpose %{{.+}} {perm = array<i64: 0, 2, 4, 1, 3, 5>} : (tensor<1x3x2x8x3x8xui8>) -> tensor<1x2x3x3x8x8xui8>
// CHECK: kernel.int8_gemm {{.*}} -> tensor<1x6x5xi32>
// CHECK-NOT: graph.conv
func.func @patches(%x: tensor<1x3x16x24xui8>) -> tensor<1x5x2x3xi32> {
  %w = graph.constant dense<5> : tensor<5x3x8x8xi8> : tensor<5x3x8x8xi8>
  %0 = graph.cast %x : (tensor<1x3x16x24xui8>) -> tensor<1x3x16x24xi32>
  %1 = graph.cast %w : (tensor<5x3x8x8xi8>) -> tensor<5x3x8x8xi32>
  %2 = graph.conv %0, %1 {strides = array<i64: 8, 8>, dilations = array<i64: 1, 1>, pads = affine_map<() -> (0, 0)>, group = 1 : i64}
    : (tensor<1x3x16x24xi32>, tensor<5x3x8x8xi32>) -> tensor<1x5x2x3xi32>
  return %2 : tensor<1x5x2x3xi32>
}

// -----

// Other windows without a form in bytes are sums of f32, unless a sum may leave the integers that it holds.
// CHECK-LABEL: func.func @volumes
// CHECK-DAG: graph.conv {{.*}} (tensor<1x1x4x4x4xf32>, tensor<1x1x3x3x3xf32>) -> tensor<1x1x2x2x2xf32>
// CHECK-DAG: graph.conv {{.*}} (tensor<1x80x4x4x4xi32>, tensor<1x80x3x3x3xi32>) -> tensor<1x1x2x2x2xi32>
func.func @volumes(%x: tensor<1x1x4x4x4xui8>, %y: tensor<1x80x4x4x4xui8>) -> (tensor<1x1x2x2x2xi32>, tensor<1x1x2x2x2xi32>) {
  %w = graph.constant dense<100> : tensor<1x1x3x3x3xi8> : tensor<1x1x3x3x3xi8>
  %v = graph.constant dense<100> : tensor<1x80x3x3x3xi8> : tensor<1x80x3x3x3xi8>
  %0 = graph.cast %x : (tensor<1x1x4x4x4xui8>) -> tensor<1x1x4x4x4xi32>
  %1 = graph.cast %w : (tensor<1x1x3x3x3xi8>) -> tensor<1x1x3x3x3xi32>
  %2 = graph.conv %0, %1 {strides = array<i64: 1, 1, 1>, dilations = array<i64: 1, 1, 1>, pads = affine_map<() -> (0, 0, 0)>, group = 1 : i64}
    : (tensor<1x1x4x4x4xi32>, tensor<1x1x3x3x3xi32>) -> tensor<1x1x2x2x2xi32>
  %3 = graph.cast %y : (tensor<1x80x4x4x4xui8>) -> tensor<1x80x4x4x4xi32>
  %4 = graph.cast %v : (tensor<1x80x3x3x3xi8>) -> tensor<1x80x3x3x3xi32>
  %5 = graph.conv %3, %4 {strides = array<i64: 1, 1, 1>, dilations = array<i64: 1, 1, 1>, pads = affine_map<() -> (0, 0, 0)>, group = 1 : i64}
    : (tensor<1x80x4x4x4xi32>, tensor<1x80x3x3x3xi32>) -> tensor<1x1x2x2x2xi32>
  return %2, %5 : tensor<1x1x2x2x2xi32>, tensor<1x1x2x2x2xi32>
}
