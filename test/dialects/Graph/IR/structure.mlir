// Constants, symbols and what binds them keep their meaning through text and bytecode.
// RUN: %opt %s | onager-opt | FileCheck %s
// RUN: %opt %s --emit-bytecode | onager-opt | FileCheck %s

// CHECK: #[[DIMS:.+]] = affine_map<()[s0] -> (s0, s0 * 2 + 1, 8)>
#dims = affine_map<()[s0] -> (s0, s0 * 2 + 1, 8)>

// CHECK-LABEL: func.func @symbols
// CHECK-SAME: %[[X:.+]]: tensor<?x?x8xf32, #[[DIMS]]>, %[[K:.+]]: tensor<1xi64>
// CHECK-SAME: graph.symbols = ["n", "k", "m"]
func.func @symbols(%x: tensor<?x?x8xf32, #dims>, %k: tensor<1xi64>) -> tensor<2xi64> attributes {graph.symbols = ["n", "k", "m"]} {
  // CHECK: graph.bind %[[K]] {first = 1 : i64} : tensor<1xi64>
  graph.bind %k {first = 1 : i64} : tensor<1xi64>
  // CHECK: graph.define {exprs = #{{.+}}, kind = #graph.define_kind<min>, symbol = 2 : i64}
  graph.define {symbol = 2 : i64, kind = #graph.define_kind<min>, exprs = affine_map<()[s0, s1] -> (s0, s1)>}
  // CHECK: graph.require {exprs = #{{.+}}, message = "node 'a': dims differ"}
  graph.require {exprs = affine_map<()[s0, s1] -> (s0, s1)>, message = "node 'a': dims differ"}
  // CHECK: graph.index_tensor {{.*}}exprs = #{{.+}}{{.*}} : () -> tensor<2xi64>
  %shape = graph.index_tensor {exprs = affine_map<()[s0] -> (s0, 768)>} : () -> tensor<2xi64>
  return %shape : tensor<2xi64>
}

// CHECK-LABEL: func.func @constants
func.func @constants() -> (tensor<2xi64>, tensor<2x2xf32>, tensor<i1>, tensor<2xui8>) {
  // CHECK: graph.constant dense<[1, 2]> : tensor<2xi64> : tensor<2xi64>
  %0 = graph.constant dense<[1, 2]> : tensor<2xi64> : tensor<2xi64>
  // CHECK: graph.constant dense<1.500000e+00> : tensor<2x2xf32> : tensor<2x2xf32>
  %1 = graph.constant dense<1.5> : tensor<2x2xf32> : tensor<2x2xf32>
  // CHECK: graph.constant dense<true> : tensor<i1> : tensor<i1>
  %2 = graph.constant dense<true> : tensor<i1> : tensor<i1>
  // CHECK: graph.constant dense<[0, 255]> : tensor<2xui8> : tensor<2xui8>
  %3 = graph.constant dense<[0, 255]> : tensor<2xui8> : tensor<2xui8>
  return %0, %1, %2, %3 : tensor<2xi64>, tensor<2x2xf32>, tensor<i1>, tensor<2xui8>
}

// CHECK-LABEL: func.func @resource
func.func @resource() -> tensor<2xi32> {
  // CHECK: graph.constant dense_resource<weights> : tensor<2xi32> : tensor<2xi32>
  %0 = graph.constant dense_resource<weights> : tensor<2xi32> : tensor<2xi32>
  return %0 : tensor<2xi32>
}

// CHECK: weights: "0x040000000100000002000000"
{-#
  dialect_resources: {
    builtin: {
      weights: "0x040000000100000002000000"
    }
  }
#-}
