// Products of few rows or few columns read both operands along their rows.
// RUN: %opt %s --convert-matmul-to-dot-rows --allow-unregistered-dialect | FileCheck %s

// CHECK-LABEL: func.func @few_rows
// CHECK-NOT: graph.transpose
// CHECK: kernel.dot_rows %{{.+}}, %{{.+}} : (tensor<3x2x64xf32>, tensor<3x100x64xf32>) -> tensor<3x2x100xf32>
func.func @few_rows(%a: tensor<3x2x64xf32>, %b: tensor<3x100x64xf32>) -> tensor<3x2x100xf32> {
  %t = graph.transpose %b {perm = array<i64: 0, 2, 1>} : (tensor<3x100x64xf32>) -> tensor<3x64x100xf32>
  %0 = graph.matmul %a, %t : (tensor<3x2x64xf32>, tensor<3x64x100xf32>) -> tensor<3x2x100xf32>
  return %0 : tensor<3x2x100xf32>
}

// Rows of the result's batch are brought together, without touching what lies inside of them.
// CHECK-LABEL: func.func @heads
// CHECK: %[[ROWS:.+]] = graph.transpose %{{.+}} {perm = array<i64: 1, 0, 2>} : (tensor<100x3x64xf32>) -> tensor<3x100x64xf32>
// CHECK: kernel.dot_rows %{{.+}}, %[[ROWS]]
func.func @heads(%a: tensor<3x1x64xf32>, %b: tensor<100x3x64xf32>) -> tensor<3x1x100xf32> {
  %t = graph.transpose %b {perm = array<i64: 1, 2, 0>} : (tensor<100x3x64xf32>) -> tensor<3x64x100xf32>
  %0 = graph.matmul %a, %t : (tensor<3x1x64xf32>, tensor<3x64x100xf32>) -> tensor<3x1x100xf32>
  return %0 : tensor<3x1x100xf32>
}

// CHECK-LABEL: func.func @few_columns
// CHECK: %[[ROWS:.+]] = graph.transpose %{{.+}} {perm = array<i64: 1, 0>} : (tensor<64x3xf32>) -> tensor<3x64xf32>
// CHECK: %[[DOTS:.+]] = kernel.dot_rows %[[ROWS]], %{{.+}} : (tensor<3x64xf32>, tensor<?x64xf32, {{.+}}>) -> tensor<3x?xf32
// CHECK: graph.transpose %[[DOTS]]
func.func @few_columns(%a: tensor<?x64xf32, affine_map<()[s0] -> (s0, 64)>>, %b: tensor<64x3xf32>) -> tensor<?x3xf32, affine_map<()[s0] -> (s0, 3)>> {
  %0 = graph.matmul %a, %b : (tensor<?x64xf32, affine_map<()[s0] -> (s0, 64)>>, tensor<64x3xf32>) -> tensor<?x3xf32, affine_map<()[s0] -> (s0, 3)>>
  return %0 : tensor<?x3xf32, affine_map<()[s0] -> (s0, 3)>>
}

// CHECK-LABEL: func.func @one_column
// CHECK: %[[DOTS:.+]] = kernel.dot_rows {{.+}} -> tensor<1x10xf32>
// CHECK: graph.reshape %[[DOTS]] : (tensor<1x10xf32>) -> tensor<10x1xf32>
func.func @one_column(%a: tensor<10x64xf32>, %b: tensor<64x1xf32>) -> tensor<10x1xf32> {
  %0 = graph.matmul %a, %b : (tensor<10x64xf32>, tensor<64x1xf32>) -> tensor<10x1xf32>
  return %0 : tensor<10x1xf32>
}

// More rows, known operands, operands that lie by columns, short sums and other types stay.
// CHECK-LABEL: func.func @others
// CHECK-NOT: kernel.dot_rows
func.func @others(%a: tensor<9x64xf32>, %b: tensor<100x64xf32>, %c: tensor<2x64xf32>, %d: tensor<64x100xf32>, %e: tensor<10x16xf32>, %f: tensor<16x1xf32>, %g: tensor<10x64xf64>, %h: tensor<64x1xf64>) {
  %t = graph.transpose %b {perm = array<i64: 1, 0>} : (tensor<100x64xf32>) -> tensor<64x100xf32>
  %w = graph.constant dense<1.0> : tensor<100x64xf32> : tensor<100x64xf32>
  %u = graph.transpose %w {perm = array<i64: 1, 0>} : (tensor<100x64xf32>) -> tensor<64x100xf32>
  %0 = graph.matmul %a, %t : (tensor<9x64xf32>, tensor<64x100xf32>) -> tensor<9x100xf32>
  %1 = graph.matmul %c, %u : (tensor<2x64xf32>, tensor<64x100xf32>) -> tensor<2x100xf32>
  %2 = graph.matmul %c, %d : (tensor<2x64xf32>, tensor<64x100xf32>) -> tensor<2x100xf32>
  %3 = graph.matmul %e, %f : (tensor<10x16xf32>, tensor<16x1xf32>) -> tensor<10x1xf32>
  %4 = graph.matmul %g, %h : (tensor<10x64xf64>, tensor<64x1xf64>) -> tensor<10x1xf64>
  "test.keep"(%0, %1, %2, %3, %4) : (tensor<9x100xf32>, tensor<2x100xf32>, tensor<2x100xf32>, tensor<10x1xf32>, tensor<10x1xf64>) -> ()
  return
}
