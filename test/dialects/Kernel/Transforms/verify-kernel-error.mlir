// Each broken promise of the kernel stage is reported with the pass that should have kept it.
// RUN: onager-opt %s --verify-kernel --split-input-file --verify-diagnostics

func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @below {{[verify_kernel_c1] an operation that computes lies outside of every launch unit}}
  // expected-note @below {{pass 'convert-graph-to-kernel' puts it into one}}
  %0 = graph.relu %x : (tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// expected-error @below {{[verify_kernel_c2] 'scratch' is missing}}
// expected-note @below {{pass 'kernel-annotate-work' states it}}
kernel.unit @verify_kernel_c2 <map> attributes {items = affine_map<() -> (8)>, operations = affine_map<() -> (8)>} {
^bb0(%x: tensor<8xf32>):
  kernel.yield %x : tensor<8xf32>
}

// -----

kernel.unit @verify_kernel_c3 <map> attributes {items = affine_map<() -> (8)>, operations = affine_map<() -> (8)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<8xf32>):
  // expected-error @below {{[verify_kernel_c3] an operation that no emitter takes lies in a unit}}
  // expected-note @below {{pass 'convert-graph-to-kernel' puts graph operations into units}}
  %0 = arith.negf %x : tensor<8xf32>
  kernel.yield %0 : tensor<8xf32>
}
