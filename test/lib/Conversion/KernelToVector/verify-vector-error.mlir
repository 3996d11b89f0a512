// Each broken promise of the vector stage is reported with the pass that should have kept it.
// RUN: onager-opt %s --verify-vector --split-input-file --verify-diagnostics

func.func private @verify_vector_c1(%x: tensor<8xf32>) {
  // expected-error @below {{[verify_vector_c1] an operation of a dialect above loops is left}}
  // expected-note @below {{pass 'convert-kernel-to-vector' emits loops over memory in its place}}
  %0 = graph.relu %x : (tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @verify_vector_c2(%x: tensor<8xf32>) {
  // expected-error @below {{[verify_vector_c2] a tensor is left}}
  // expected-note @below {{pass 'convert-kernel-to-vector' emits loops over memory in its place}}
  %0 = arith.negf %x : tensor<8xf32>
  return
}
