// What a guard may not say of values.
// RUN: not %opt %s --graph-specialize-symbols=guard="k[0]=-5,k[1]=1" 2>&1 | FileCheck %s --check-prefix=NEGATIVE
// RUN: not %opt %s --graph-specialize-symbols=guard="k[0]=5,k[1]=1" 2>&1 | FileCheck %s --check-prefix=REFUSED
// RUN: not %opt %s --graph-specialize-symbols=guard="k=5" 2>&1 | FileCheck %s --check-prefix=SEVERAL
// RUN: not %opt %s --graph-specialize-symbols=guard="k[2]=5" 2>&1 | FileCheck %s --check-prefix=BEYOND
// RUN: not %opt %s --graph-specialize-symbols=guard="y=5" 2>&1 | FileCheck %s --check-prefix=PLAIN

// NEGATIVE: error: guard 'k[0]=-5,k[1]=1': a dim would be negative
// REFUSED: error: guard 'k[0]=5,k[1]=1': every run would be refused: node 'r': as many elements: 5 and 4 differ
// SEVERAL: error: guard 'k=5': input 'k' has several elements: expected k[0], k[1] and so on
// BEYOND: error: guard 'k[2]=5': input 'k' has 2 elements
// PLAIN: error: guard 'y=5': input 'y' decides no shape and no branch
func.func @main(%x: tensor<4xf32> {graph.name = "x"}, %k: tensor<2xi64> {graph.name = "k"}, %y: tensor<i64> {graph.name = "y"}) -> tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>
    attributes {graph.symbols = ["", "", "k[0]", "k[1]"], graph.values = array<i64: 2, 1, 0, 3, 1, 1>} {
  graph.bind %k {first = 0 : i64} : tensor<2xi64>
  graph.require {exprs = affine_map<()[s0, s1] -> (s0 * s1, 4)>, message = "node 'r': as many elements"}
  %0 = graph.reshape %x : (tensor<4xf32>) -> tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>
  return %0 : tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>
}
