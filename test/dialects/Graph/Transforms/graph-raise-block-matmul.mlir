// Products with dequantised weights of few bits read them as they are, with their scales and zero points.
// RUN: %opt %s --graph-raise-block-matmul | FileCheck %s

// A scale for each column; numbers with a sign move up by 128, which is their zero point then.
// CHECK-LABEL: func.func @columns
// CHECK: %[[MIDDLE_NUMBER:.+]] = graph.constant dense<1.280000e+02>
// CHECK: %[[UP:.+]] = graph.add
// CHECK: %[[BYTES:.+]] = graph.cast %[[UP]] : (tensor<64x64xi32>) -> tensor<64x64xui8>
// CHECK: %[[TURNED:.+]] = graph.transpose %[[BYTES]]
// CHECK: %[[NUMBERS:.+]] = graph.reshape %[[TURNED]] : (tensor<64x64xui8>) -> tensor<64x1x64xui8>
// CHECK: %[[MIDDLE:.+]] = graph.reshape %[[MIDDLE_NUMBER]]
// CHECK: %[[ZEROS:.+]] = graph.broadcast %[[MIDDLE]] : (tensor<1x1xf32>) -> tensor<64x1xf32>
// CHECK: graph.block_matmul %{{.+}}, %[[NUMBERS]], %{{.+}} zeros %[[ZEROS]] {bits = 8 : i64, block = 64 : i64} : (tensor<3x64xf32>, tensor<64x1x64xui8>, tensor<64x1xf32>, tensor<64x1xf32>)
func.func @columns(%x: tensor<3x64xf32>) -> tensor<3x64xf32> {
  %q = graph.constant dense<3> : tensor<64x64xi8> : tensor<64x64xi8>
  %s = graph.constant dense<0.3> : tensor<1x64xf32> : tensor<1x64xf32>
  %0 = graph.cast %q : (tensor<64x64xi8>) -> tensor<64x64xf32>
  %1 = graph.mul %0, %s : (tensor<64x64xf32>, tensor<1x64xf32>) -> tensor<64x64xf32>
  %2 = graph.matmul %x, %1 : (tensor<3x64xf32>, tensor<64x64xf32>) -> tensor<3x64xf32>
  return %2 : tensor<3x64xf32>
}

// Blocks along K with zero points, behind a transpose; scales that bf16 holds go that way.
// CHECK-LABEL: func.func @blocks
// CHECK: graph.shift_left
// CHECK: %[[NUMBERS:.+]] = graph.reshape %{{.+}} : (tensor<64x2x16x1xui8>) -> tensor<64x2x16xui8>
// CHECK: graph.cast %{{.+}} : (tensor<64x2xbf16>) -> tensor<64x2xf32>
// CHECK: %[[ZEROS:.+]] = graph.cast %{{.+}} : (tensor<64x2xui8>) -> tensor<64x2xf32>
// CHECK: graph.block_matmul %{{.+}}, %[[NUMBERS]], %{{.+}} zeros %[[ZEROS]] {bits = 4 : i64, block = 32 : i64}
func.func @blocks(%x: tensor<3x64xf32>) -> tensor<3x64xf32> {
  %q = graph.constant dense<3> : tensor<64x64xui4> : tensor<64x64xui4>
  %z = graph.constant dense<1> : tensor<64x2x1xui4> : tensor<64x2x1xui4>
  %s = graph.constant dense<0.5> : tensor<64x2x1xf32> : tensor<64x2x1xf32>
  %0 = graph.broadcast %s : (tensor<64x2x1xf32>) -> tensor<64x2x32xf32>
  %1 = graph.reshape %0 : (tensor<64x2x32xf32>) -> tensor<64x64xf32>
  %2 = graph.broadcast %z : (tensor<64x2x1xui4>) -> tensor<64x2x32xui4>
  %3 = graph.reshape %2 : (tensor<64x2x32xui4>) -> tensor<64x64xui4>
  %4 = graph.cast %q : (tensor<64x64xui4>) -> tensor<64x64xi32>
  %5 = graph.cast %3 : (tensor<64x64xui4>) -> tensor<64x64xi32>
  %6 = graph.sub %4, %5 : (tensor<64x64xi32>, tensor<64x64xi32>) -> tensor<64x64xi32>
  %7 = graph.cast %6 : (tensor<64x64xi32>) -> tensor<64x64xf32>
  %8 = graph.mul %7, %1 : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  %9 = graph.transpose %8 {perm = array<i64: 1, 0>} : (tensor<64x64xf32>) -> tensor<64x64xf32>
  %10 = graph.matmul %x, %9 : (tensor<3x64xf32>, tensor<64x64xf32>) -> tensor<3x64xf32>
  return %10 : tensor<3x64xf32>
}

// Few weights, a scale for each row of the sum, and zero points beyond the numbers' type stay.
// CHECK-LABEL: func.func @others
// CHECK-COUNT-3: graph.matmul
// CHECK-NOT: graph.block_matmul
func.func @others(%x: tensor<3x64xf32>, %y: tensor<3x16xf32>) -> (tensor<3x16xf32>, tensor<3x64xf32>, tensor<3x64xf32>) {
  %few = graph.constant dense<3> : tensor<16x16xi8> : tensor<16x16xi8>
  %q = graph.constant dense<3> : tensor<64x64xi8> : tensor<64x64xi8>
  %s = graph.constant dense<0.3> : tensor<f32> : tensor<f32>
  %rows = graph.constant dense<0.3> : tensor<64x1xf32> : tensor<64x1xf32>
  %far = graph.constant dense<300> : tensor<i32> : tensor<i32>
  %0 = graph.cast %few : (tensor<16x16xi8>) -> tensor<16x16xf32>
  %1 = graph.mul %0, %s : (tensor<16x16xf32>, tensor<f32>) -> tensor<16x16xf32>
  %2 = graph.matmul %y, %1 : (tensor<3x16xf32>, tensor<16x16xf32>) -> tensor<3x16xf32>
  %3 = graph.cast %q : (tensor<64x64xi8>) -> tensor<64x64xf32>
  %4 = graph.mul %3, %rows : (tensor<64x64xf32>, tensor<64x1xf32>) -> tensor<64x64xf32>
  %5 = graph.matmul %x, %4 : (tensor<3x64xf32>, tensor<64x64xf32>) -> tensor<3x64xf32>
  %6 = graph.cast %q : (tensor<64x64xi8>) -> tensor<64x64xi32>
  %7 = graph.sub %6, %far : (tensor<64x64xi32>, tensor<i32>) -> tensor<64x64xi32>
  %8 = graph.cast %7 : (tensor<64x64xi32>) -> tensor<64x64xf32>
  %9 = graph.mul %8, %s : (tensor<64x64xf32>, tensor<f32>) -> tensor<64x64xf32>
  %10 = graph.matmul %x, %9 : (tensor<3x64xf32>, tensor<64x64xf32>) -> tensor<3x64xf32>
  return %2, %5, %10 : tensor<3x16xf32>, tensor<3x64xf32>, tensor<3x64xf32>
}
