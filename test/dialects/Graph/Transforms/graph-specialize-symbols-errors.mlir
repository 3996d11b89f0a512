// What a guard may not say.
// RUN: not %opt %s --graph-specialize-symbols=guard="width=1" 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not %opt %s --graph-specialize-symbols=guard="seq=1:2:3:4" 2>&1 | FileCheck %s --check-prefix=MALFORMED
// RUN: not %opt %s --graph-specialize-symbols=guard="seq=3,seq=4" 2>&1 | FileCheck %s --check-prefix=CONTRADICTION
// RUN: not %opt %s --graph-specialize-symbols=guard="inner=4" 2>&1 | FileCheck %s --check-prefix=INNER

// UNKNOWN: error: guard 'width=1': unknown symbol 'width'
// MALFORMED: error: guard 'seq=1:2:3:4': expected MIN:MAX or MIN:MAX:DIVISOR, found '1:2:3:4'
// CONTRADICTION: error: guard 'seq=3,seq=4': no value of 'seq' fulfils the conditions on it
// INNER: error: guard 'inner=4': no input has symbol 'inner'
func.func @main(%x: tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> tensor<?xf32, affine_map<()[s0] -> (s0)>> attributes {graph.symbols = ["seq", "inner"]} {
  return %x : tensor<?xf32, affine_map<()[s0] -> (s0)>>
}
