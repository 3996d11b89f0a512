// Each check of structure and elementwise operations reports its id, what it found and what it expected.
// RUN: onager-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{[program_c1] expected a string as graph.name, found 3}}
func.func @program_c1(%x: tensor<2xf32> {graph.name = 3 : i64}) attributes {graph.symbols = []} {
  return
}

// -----

// expected-error @below {{[program_c2] inputs or outputs have names, but there is no graph.symbols, an array of the symbols' names}}
func.func @program_c2(%x: tensor<2xf32> {graph.name = "x"}) {
  return
}

// -----

func.func @constant_c1() {
  // expected-error @below {{[constant_c1] value of type 'tensor<2xi64>', expected 'tensor<3xi64>'}}
  %0 = "graph.constant"() {value = dense<[1, 2]> : tensor<2xi64>} : () -> tensor<3xi64>
  return
}

// -----

func.func @index_tensor_c1() {
  // expected-error @below {{[index_tensor_c1] 2 expressions for 'tensor<3xi64>'}}
  %0 = graph.index_tensor {exprs = affine_map<() -> (1, 2)>} : () -> tensor<3xi64>
  return
}

// -----

func.func @index_tensor_c2() {
  // expected-error @below {{[index_tensor_c2] expected an integer element type, found 'f32'}}
  %0 = graph.index_tensor {exprs = affine_map<() -> (1, 2)>} : () -> tensor<2xf32>
  return
}

// -----

func.func @bind_c1(%x: tensor<1xf32>) {
  // expected-error @below {{[bind_c1] expected an integer tensor of static shape, found 'tensor<1xf32>'}}
  graph.bind %x {first = 0 : i64} : tensor<1xf32>
  return
}

// -----

func.func @define_c1() {
  // expected-error @below {{[define_c1] wrong number of expressions: 3}}
  graph.define {symbol = 0 : i64, kind = #graph.define_kind<trunc_div>, exprs = affine_map<() -> (1, 2, 3)>}
  return
}

// -----

func.func @require_c1() {
  // expected-error @below {{[require_c1] expected 2 expressions, found 1}}
  graph.require {exprs = affine_map<() -> (1)>, message = "node 'a': dims differ"}
  return
}

// -----

func.func @elementwise_c1(%x: tensor<2x3xf32>, %y: tensor<3xf32>) {
  // expected-error @below {{[elementwise_c1] operand 0 has rank 2, above the result's 1}}
  %0 = graph.add %x, %y : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @elementwise_c2(%x: tensor<3xf32>, %y: tensor<4xf32>) {
  // expected-error @below {{[elementwise_c2] dim 0 of operand 1 is 4, expected 1 or 3}}
  %0 = graph.add %x, %y : (tensor<3xf32>, tensor<4xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @elementwise_c3(%x: tensor<3xf32>) {
  // expected-error @below {{[elementwise_c3] a result of element type 'f32', expected i1}}
  %0 = graph.equal %x, %x : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @elementwise_c3_condition(%x: tensor<3xf32>) {
  // expected-error @below {{[elementwise_c3] a condition of element type 'f32', expected i1}}
  %0 = graph.select %x, %x, %x : (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @elementwise_c4(%x: tensor<3xf32>, %y: tensor<3xi32>) {
  // expected-error @below {{[elementwise_c4] element type 'i32', expected 'f32'}}
  %0 = graph.mul %x, %y : (tensor<3xf32>, tensor<3xi32>) -> tensor<3xf32>
  return
}

// -----

func.func @bitcast_c1(%x: tensor<3xf32>) {
  // expected-error @below {{[bitcast_c1] elements of 32 and 16 bits}}
  %0 = graph.bitcast %x : (tensor<3xf32>) -> tensor<3xi16>
  return
}
