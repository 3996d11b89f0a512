// Tensors of the program get buffers; a launch that reads what was written since the last barrier waits; a slot lives up to the barrier behind
// its last reader.
// RUN: %opt %s --kernel-plan-buffers --split-input-file | FileCheck %s

// x is input 0; a is a slot from launch 0 on; b, the result, is output 0.
// CHECK: module attributes {kernel.buffers = [#kernel.buffer<input 0, #[[BYTES:[^,]+]], {{.*}}>, #kernel.buffer<output 0, #[[BYTES]], {{.*}}>, #kernel.buffer<slot 0, #[[BYTES]], 0 to 2, false>]
// CHECK-SAME: kernel.launches = 2 : i64
// CHECK-LABEL: func.func @main
// CHECK: kernel.launch @unit0({{.*}}) {barrier = false, buffers = array<i64: 2>, operand_buffers = array<i64: 0>, ordinal = 0 : i64
// CHECK: kernel.launch @unit0({{.*}}) {barrier = true, buffers = array<i64: 1>, operand_buffers = array<i64: 2>, ordinal = 1 : i64
// CHECK: return {operand_buffers = array<i64: 1>}
func.func @main(%x: tensor<8xf32> {graph.name = "x"}) -> (tensor<8xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
  %a = kernel.launch @unit0(%x) : (tensor<8xf32>) -> tensor<8xf32>
  %b = kernel.launch @unit0(%a) : (tensor<8xf32>) -> tensor<8xf32>
  return %b : tensor<8xf32>
}
kernel.unit @unit0 <map> attributes {items = affine_map<() -> (8)>, operations = affine_map<() -> (8)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<8xf32>):
  %0 = graph.relu %x : (tensor<8xf32>) -> tensor<8xf32>
  kernel.yield %0 : tensor<8xf32>
}

// -----

// A view shares its operand's buffer; what is returned without being computed is copied.
// CHECK-LABEL: func.func @main
// CHECK: %[[V:.+]] = graph.reshape
// CHECK: %[[C:.+]] = kernel.launch @[[COPY:.+]](%[[V]]) {{.*}}operand_buffers = array<i64: 0>
// CHECK: return {{.*}} %[[C]]
// CHECK: kernel.unit @[[COPY]] <map>
func.func @main(%x: tensor<8xf32> {graph.name = "x"}) -> (tensor<2x4xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
  %a = graph.reshape %x : (tensor<8xf32>) -> tensor<2x4xf32>
  return %a : tensor<2x4xf32>
}

// -----

// Constants, and results of constant launches, are weights: they take no launch while the model runs.
// CHECK: module attributes {{{.*}}kernel.launches = 1 : i64
// CHECK-SAME: kernel.weights = [{value = {{.*}}}, {inputs = array<i64: 0>, result = 0 : i64, type = tensor<8xf32>, unit = @unit0}]
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<8xf32> {graph.name = "x"}) -> (tensor<8xf32> {graph.name = "y"}) attributes {graph.symbols = []} {
  %w = graph.constant dense<1.0> : tensor<8xf32> : tensor<8xf32>
  %a = kernel.launch @unit0(%w) {constant} : (tensor<8xf32>) -> tensor<8xf32>
  %b = kernel.launch @unit1(%x, %a) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %b : tensor<8xf32>
}
kernel.unit @unit0 <map> attributes {items = affine_map<() -> (8)>, operations = affine_map<() -> (8)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<8xf32>):
  %0 = graph.relu %x : (tensor<8xf32>) -> tensor<8xf32>
  kernel.yield %0 : tensor<8xf32>
}
kernel.unit @unit1 <map> attributes {items = affine_map<() -> (8)>, operations = affine_map<() -> (8)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<8xf32>, %y: tensor<8xf32>):
  %0 = graph.add %x, %y : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  kernel.yield %0 : tensor<8xf32>
}

// -----

// A size that only the run knows takes a growable block, and all threads meet before it grows.
// CHECK: #kernel.buffer<block 0
// CHECK-LABEL: func.func @main
// CHECK: graph.bind
// CHECK: kernel.launch @unit0({{.*}}) {barrier = true
#k = affine_map<()[s0] -> (s0)>
func.func @main(%x: tensor<f32> {graph.name = "x"}, %n: tensor<1xi64> {graph.name = "n"}) -> (tensor<?xf32, #k> {graph.name = "y"}) attributes {graph.symbols = ["k"]} {
  graph.bind %n {first = 0 : i64} : tensor<1xi64>
  %a = kernel.launch @unit0(%x) : (tensor<f32>) -> tensor<?xf32, #k>
  return %a : tensor<?xf32, #k>
}
kernel.unit @unit0 <map> attributes {items = affine_map<()[s0] -> (s0)>, operations = affine_map<()[s0] -> (s0)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<f32>):
  %0 = graph.broadcast %x : (tensor<f32>) -> tensor<?xf32, #k>
  kernel.yield %0 : tensor<?xf32, #k>
}

// -----

// Scratch memory of such a size is a growable block, too, of which each thread has a part.
// CHECK: #kernel.buffer<block 1, #{{.+}}, 1 to {{.+}}, true>
// CHECK-LABEL: func.func @main
#rows = affine_map<()[s0] -> (s0)>
#bytes = affine_map<()[s0] -> (s0 * 8)>
func.func @main(%x: tensor<f32> {graph.name = "x"}, %n: tensor<1xi64> {graph.name = "n"}) -> (tensor<?xf32, #rows> {graph.name = "y"}) attributes {graph.symbols = ["k"]} {
  graph.bind %n {first = 0 : i64} : tensor<1xi64>
  %a = kernel.launch @unit0(%x) : (tensor<f32>) -> tensor<?xf32, #rows>
  return %a : tensor<?xf32, #rows>
}
kernel.unit @unit0 <map> attributes {items = affine_map<()[s0] -> (s0)>, operations = affine_map<()[s0] -> (s0)>, scratch = #bytes} {
^bb0(%x: tensor<f32>):
  %0 = graph.broadcast %x : (tensor<f32>) -> tensor<?xf32, #rows>
  kernel.yield %0 : tensor<?xf32, #rows>
}

// -----

// A returned view whose size depends on values lies in a block, though its operand has a known size. One of a fixed size, of a tensor that has none, is copied
// once the sizes have been compared; what the input shapes alone decide is compared first of all.
// CHECK: module attributes {kernel.buffers = [{{.*}}#kernel.buffer<block 0, {{.*}}#kernel.buffer<output 1, {{.*}}#kernel.buffer<block 1,
// CHECK-LABEL: func.func @main
// CHECK-NEXT: graph.require {exprs = #{{.+}}, message = "first"
// CHECK-NEXT: %[[A:.+]] = kernel.launch @unit0
// CHECK-NEXT: graph.bind
// CHECK-NEXT: graph.require {exprs = #{{.+}}, message = "later"
// CHECK: %[[P:.+]] = graph.reshape %{{.+}} : (tensor<?xf32, {{.*}}>) -> tensor<2x4xf32>
// CHECK: kernel.launch @copy1(%[[P]])
func.func @main(%x: tensor<?xf32, affine_map<()[s0] -> (s0)>> {graph.name = "x"}, %k: tensor<1xi64> {graph.name = "k"})
    -> (tensor<?x2xf32, affine_map<()[s0, s1] -> (s1, 2)>> {graph.name = "y"}, tensor<2x4xf32> {graph.name = "z"}) attributes {graph.symbols = ["n", ""]} {
  %a = kernel.launch @unit0(%x) : (tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> tensor<?xf32, affine_map<()[s0] -> (s0)>>
  graph.bind %k {first = 1 : i64} : tensor<1xi64>
  graph.require {exprs = affine_map<()[s0, s1] -> (s0, s1 * 2)>, message = "later"}
  graph.require {exprs = affine_map<()[s0] -> (s0, 8)>, message = "first"}
  %y = graph.reshape %a : (tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> tensor<?x2xf32, affine_map<()[s0, s1] -> (s1, 2)>>
  %p, %q = graph.call "topk"(%x) {params = array<i64: 0, 1, 1>, symbols = array<i64>} : (tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> (tensor<?xf32, affine_map<()[s0, s1] -> (s1)>>, tensor<?xi64, affine_map<()[s0, s1] -> (s1)>>)
  %z = graph.reshape %p : (tensor<?xf32, affine_map<()[s0, s1] -> (s1)>>) -> tensor<2x4xf32>
  return %y, %z : tensor<?x2xf32, affine_map<()[s0, s1] -> (s1, 2)>>, tensor<2x4xf32>
}
kernel.unit @unit0 <map> attributes {items = affine_map<()[s0] -> (s0)>, operations = affine_map<()[s0] -> (s0)>, scratch = affine_map<() -> (0)>} {
^bb0(%x: tensor<?xf32, affine_map<()[s0] -> (s0)>>):
  %0 = graph.relu %x : (tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> tensor<?xf32, affine_map<()[s0] -> (s0)>>
  kernel.yield %0 : tensor<?xf32, affine_map<()[s0] -> (s0)>>
}
