// Each broken promise of the plan stage is reported with the pass that should have kept it.
// RUN: onager-opt %s --verify-plan --split-input-file --verify-diagnostics

func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @below {{[verify_plan_c1] 'ordinal' is missing}}
  // expected-note @below {{pass 'kernel-plan-buffers' assigns buffers and lifetimes}}
  %0 = kernel.launch @unit0(%x) : (tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
kernel.unit @unit0 <map> attributes {items = affine_map<() -> (8)>, operations = affine_map<() -> (8)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<8xf32>):
  kernel.yield %x : tensor<8xf32>
}

// -----

module attributes {kernel.buffers = [#kernel.buffer<input 0, affine_map<() -> (32)>, 0 to 1, false>]} {
func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @below {{[verify_plan_c1] 'operand_buffers' is missing or has not one entry per tensor}}
  // expected-note @below {{pass 'kernel-plan-buffers'}}
  %0 = kernel.launch @unit0(%x) {ordinal = 0 : i64, buffers = array<i64: 0>} : (tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
kernel.unit @unit0 <map> attributes {items = affine_map<() -> (8)>, operations = affine_map<() -> (8)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<8xf32>):
  kernel.yield %x : tensor<8xf32>
}
}

// -----

module attributes {kernel.buffers = [#kernel.buffer<input 0, affine_map<() -> (32)>, 0 to 1, false>]} {
func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @below {{[verify_plan_c2] buffer 7 is not one of 1}}
  // expected-note @below {{pass 'kernel-plan-buffers'}}
  %0 = kernel.launch @unit0(%x) {ordinal = 0 : i64, operand_buffers = array<i64: 7>, buffers = array<i64: 0>} : (tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
kernel.unit @unit0 <map> attributes {items = affine_map<() -> (8)>, operations = affine_map<() -> (8)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<8xf32>):
  kernel.yield %x : tensor<8xf32>
}
}

// -----

module attributes {kernel.buffers = [#kernel.buffer<input 0, affine_map<() -> (32)>, 0 to 1, false>, #kernel.buffer<slot 0, affine_map<() -> (32)>, 2 to 3, false>]} {
func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @below {{[verify_plan_c3] buffer 1 is live from 2 to 3, and used at 0}}
  // expected-note @below {{pass 'kernel-plan-buffers'}}
  %0 = kernel.launch @unit0(%x) {ordinal = 0 : i64, operand_buffers = array<i64: 0>, buffers = array<i64: 1>} : (tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
kernel.unit @unit0 <map> attributes {items = affine_map<() -> (8)>, operations = affine_map<() -> (8)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<8xf32>):
  kernel.yield %x : tensor<8xf32>
}
}

// -----

module attributes {kernel.buffers = [#kernel.buffer<input 0, affine_map<() -> (32)>, 0 to 1, false>]} {
func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @below {{[verify_plan_c4] a result lies in buffer 0, which is input}}
  // expected-note @below {{pass 'kernel-plan-buffers'}}
  %0 = kernel.launch @unit0(%x) {ordinal = 0 : i64, operand_buffers = array<i64: 0>, buffers = array<i64: 0>} : (tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
kernel.unit @unit0 <map> attributes {items = affine_map<() -> (8)>, operations = affine_map<() -> (8)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<8xf32>):
  kernel.yield %x : tensor<8xf32>
}
}
