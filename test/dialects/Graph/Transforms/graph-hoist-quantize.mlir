// Quantisation behind a movement of dequantised bytes goes before it, and goes away where it does nothing.
// RUN: %opt %s --graph-hoist-quantize --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @transpose
// CHECK-SAME: %[[X:.+]]: tensor<2x3xui8>
// CHECK: %[[Y:.+]] = graph.transpose %[[X]] {perm = array<i64: 1, 0>} : (tensor<2x3xui8>) -> tensor<3x2xui8>
// CHECK: return %[[Y]]
func.func @transpose(%x: tensor<2x3xui8>) -> tensor<3x2xui8> {
  %s = graph.constant dense<0.1> : tensor<f32> : tensor<f32>
  %z = graph.constant dense<7.0> : tensor<f32> : tensor<f32>
  %zi = graph.constant dense<7> : tensor<i32> : tensor<i32>
  %low = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %high = graph.constant dense<255.0> : tensor<f32> : tensor<f32>
  %d0 = graph.cast %x : (tensor<2x3xui8>) -> tensor<2x3xi32>
  %d1 = graph.sub %d0, %zi : (tensor<2x3xi32>, tensor<i32>) -> tensor<2x3xi32>
  %d2 = graph.cast %d1 : (tensor<2x3xi32>) -> tensor<2x3xf32>
  %d = graph.mul %d2, %s : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %t = graph.transpose %d {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %q0 = graph.div %t, %s : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %q1 = graph.round %q0 : (tensor<3x2xf32>) -> tensor<3x2xf32>
  %q2 = graph.add %q1, %z : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %q3 = graph.max %q2, %low : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %q4 = graph.min %q3, %high : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %q = graph.cast %q4 : (tensor<3x2xf32>) -> tensor<3x2xui8>
  return %q : tensor<3x2xui8>
}

// -----

// One operand has another scale: it is quantised before it is copied.
// CHECK-LABEL: func.func @concat
// CHECK-SAME: %[[X:.+]]: tensor<2x3xui8>, %{{.+}}: tensor<2x3xui8>
// CHECK: %[[Q:.+]] = graph.cast %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xui8>
// CHECK: graph.concat %[[X]], %[[Q]] {axis = 0 : i64} : (tensor<2x3xui8>, tensor<2x3xui8>) -> tensor<4x3xui8>
func.func @concat(%x: tensor<2x3xui8>, %y: tensor<2x3xui8>) -> tensor<4x3xui8> {
  %s = graph.constant dense<0.1> : tensor<f32> : tensor<f32>
  %z = graph.constant dense<7.0> : tensor<f32> : tensor<f32>
  %zi = graph.constant dense<7> : tensor<i32> : tensor<i32>
  %low = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %high = graph.constant dense<255.0> : tensor<f32> : tensor<f32>
  %other = graph.constant dense<0.2> : tensor<f32> : tensor<f32>
  %d0 = graph.cast %x : (tensor<2x3xui8>) -> tensor<2x3xi32>
  %d1 = graph.sub %d0, %zi : (tensor<2x3xi32>, tensor<i32>) -> tensor<2x3xi32>
  %d2 = graph.cast %d1 : (tensor<2x3xi32>) -> tensor<2x3xf32>
  %d = graph.mul %d2, %s : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %e0 = graph.cast %y : (tensor<2x3xui8>) -> tensor<2x3xi32>
  %e1 = graph.sub %e0, %zi : (tensor<2x3xi32>, tensor<i32>) -> tensor<2x3xi32>
  %e2 = graph.cast %e1 : (tensor<2x3xi32>) -> tensor<2x3xf32>
  %e = graph.mul %e2, %other : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %t = graph.concat %d, %e {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<4x3xf32>
  %q0 = graph.div %t, %s : (tensor<4x3xf32>, tensor<f32>) -> tensor<4x3xf32>
  %q1 = graph.round %q0 : (tensor<4x3xf32>) -> tensor<4x3xf32>
  %q2 = graph.add %q1, %z : (tensor<4x3xf32>, tensor<f32>) -> tensor<4x3xf32>
  %q3 = graph.max %q2, %low : (tensor<4x3xf32>, tensor<f32>) -> tensor<4x3xf32>
  %q4 = graph.min %q3, %high : (tensor<4x3xf32>, tensor<f32>) -> tensor<4x3xf32>
  %q = graph.cast %q4 : (tensor<4x3xf32>) -> tensor<4x3xui8>
  return %q : tensor<4x3xui8>
}

// -----

// Something else reads the numbers; an operation that computes.
// CHECK-LABEL: func.func @others
// CHECK: graph.transpose %{{.+}} : (tensor<2x3xf32>) -> tensor<3x2xf32>
// CHECK: graph.relu
func.func @others(%x: tensor<2x3xui8>) -> (tensor<3x2xui8>, tensor<3x2xf32>, tensor<2x3xui8>) {
  %s = graph.constant dense<0.1> : tensor<f32> : tensor<f32>
  %z = graph.constant dense<7.0> : tensor<f32> : tensor<f32>
  %zi = graph.constant dense<7> : tensor<i32> : tensor<i32>
  %low = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %high = graph.constant dense<255.0> : tensor<f32> : tensor<f32>
  %d0 = graph.cast %x : (tensor<2x3xui8>) -> tensor<2x3xi32>
  %d1 = graph.sub %d0, %zi : (tensor<2x3xi32>, tensor<i32>) -> tensor<2x3xi32>
  %d2 = graph.cast %d1 : (tensor<2x3xi32>) -> tensor<2x3xf32>
  %d = graph.mul %d2, %s : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %t = graph.transpose %d {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %q0 = graph.div %t, %s : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %q1 = graph.round %q0 : (tensor<3x2xf32>) -> tensor<3x2xf32>
  %q2 = graph.add %q1, %z : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %q3 = graph.max %q2, %low : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %q4 = graph.min %q3, %high : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %q = graph.cast %q4 : (tensor<3x2xf32>) -> tensor<3x2xui8>
  %r = graph.relu %d : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %p0 = graph.div %r, %s : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %p1 = graph.round %p0 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %p2 = graph.add %p1, %z : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %p3 = graph.max %p2, %low : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %p4 = graph.min %p3, %high : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %p = graph.cast %p4 : (tensor<2x3xf32>) -> tensor<2x3xui8>
  return %q, %t, %p : tensor<3x2xui8>, tensor<3x2xf32>, tensor<2x3xui8>
}
