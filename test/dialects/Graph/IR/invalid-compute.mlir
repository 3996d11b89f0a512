// Each check of reductions, contractions and control flow reports its id, what it found and what it expected.
// RUN: onager-opt %s --split-input-file --verify-diagnostics

func.func @reduce_c1(%x: tensor<2x3xf32>) {
  // expected-error @below {{[reduce_c1] axis 2 is repeated or outside rank 2}}
  %0 = graph.reduce %x {axes = array<i64: 2>, kind = #graph.reduce_kind<sum>} : (tensor<2x3xf32>) -> tensor<2x1xf32>
  return
}

// -----

func.func @reduce_c2(%x: tensor<2x3xf32>) {
  // expected-error @below {{[reduce_c2] expected rank 2, found 'tensor<2xf32>'}}
  %0 = graph.reduce %x {axes = array<i64: 1>, kind = #graph.reduce_kind<sum>} : (tensor<2x3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @reduce_c3(%x: tensor<2x3xf32>) {
  // expected-error @below {{[reduce_c3] a dim is 3, expected 1}}
  %0 = graph.reduce %x {axes = array<i64: 1>, kind = #graph.reduce_kind<sum>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @reduce_c4(%x: tensor<2x3xf32>) {
  // expected-error @below {{[reduce_c4] element type 'i64', expected 'f32'}}
  %0 = graph.reduce %x {axes = array<i64: 1>, kind = #graph.reduce_kind<sum>} : (tensor<2x3xf32>) -> tensor<2x1xi64>
  return
}

// -----

func.func @arg_reduce_c1(%x: tensor<2x3xf32>) {
  // expected-error @below {{[arg_reduce_c1] axis 2 is outside rank 2}}
  %0 = graph.arg_reduce %x {axis = 2 : i64, kind = #graph.reduce_kind<max>, last = false} : (tensor<2x3xf32>) -> tensor<2x1xi64>
  return
}

// -----

func.func @arg_reduce_c2(%x: tensor<2x3xf32>) {
  // expected-error @below {{[arg_reduce_c2] expected rank 2, found 'tensor<2xi64>'}}
  %0 = graph.arg_reduce %x {axis = 1 : i64, kind = #graph.reduce_kind<max>, last = false} : (tensor<2x3xf32>) -> tensor<2xi64>
  return
}

// -----

func.func @arg_reduce_c3(%x: tensor<2x3xf32>) {
  // expected-error @below {{[arg_reduce_c3] a dim is 3, expected 1}}
  %0 = graph.arg_reduce %x {axis = 1 : i64, kind = #graph.reduce_kind<max>, last = false} : (tensor<2x3xf32>) -> tensor<2x3xi64>
  return
}

// -----

func.func @arg_reduce_c4(%x: tensor<2x3xf32>) {
  // expected-error @below {{[arg_reduce_c4] expected max or min, found sum}}
  %0 = graph.arg_reduce %x {axis = 1 : i64, kind = #graph.reduce_kind<sum>, last = false} : (tensor<2x3xf32>) -> tensor<2x1xi64>
  return
}

// -----

func.func @arg_reduce_c5(%x: tensor<2x3xf32>) {
  // expected-error @below {{[arg_reduce_c5] expected indices of i64, found 'tensor<2x1xf32>'}}
  %0 = graph.arg_reduce %x {axis = 1 : i64, kind = #graph.reduce_kind<max>, last = false} : (tensor<2x3xf32>) -> tensor<2x1xf32>
  return
}

// -----

func.func @cumulate_c1(%x: tensor<2x3xf32>) {
  // expected-error @below {{[cumulate_c1] axis 2 is outside rank 2}}
  %0 = graph.cumulate %x {axis = 2 : i64, kind = #graph.reduce_kind<sum>, exclusive = false, reverse = false} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @cumulate_c2(%x: tensor<2x3xf32>) {
  // expected-error @below {{[cumulate_c2] expected sum or prod, found mean}}
  %0 = graph.cumulate %x {axis = 1 : i64, kind = #graph.reduce_kind<mean>, exclusive = false, reverse = false} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @cumulate_c3(%x: tensor<2x3xf32>) {
  // expected-error @below {{[cumulate_c3] expected a result of 'tensor<2x3xf32>', found 'tensor<2x1xf32>'}}
  %0 = graph.cumulate %x {axis = 1 : i64, kind = #graph.reduce_kind<sum>, exclusive = false, reverse = false} : (tensor<2x3xf32>) -> tensor<2x1xf32>
  return
}

// -----

func.func @softmax_c1(%x: tensor<2x3xf32>) {
  // expected-error @below {{[softmax_c1] axis 2 is outside rank 2}}
  %0 = graph.softmax %x {axis = 2 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @softmax_c2(%x: tensor<2x3xf32>) {
  // expected-error @below {{[softmax_c2] expected a result of 'tensor<2x3xf32>', found 'tensor<2x1xf32>'}}
  %0 = graph.softmax %x {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x1xf32>
  return
}

// -----

func.func @normalize_c1(%x: tensor<2x3xf32>) {
  // expected-error @below {{[normalize_c1] axis 1 is repeated or outside rank 2}}
  %0 = graph.normalize %x {axes = array<i64: 1, 1>, epsilon = 0.0 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @normalize_c2(%x: tensor<2x3xf32>) {
  // expected-error @below {{[normalize_c2] expected a result of 'tensor<2x3xf32>', found 'tensor<2x3xf16>'}}
  %0 = graph.normalize %x {axes = array<i64: 1>, epsilon = 0.0 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf16>
  return
}

// -----

func.func @col2im_c1(%x: tensor<12x9xf32>) {
  // expected-error @below {{[col2im_c1] expected blocks of rank 3 and an image, found 'tensor<12x9xf32>' and 'tensor<1x3x4x4xf32>'}}
  %0 = graph.col2im %x {block = affine_map<() -> (2, 2)>, positions = affine_map<() -> (3, 3)>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0>} : (tensor<12x9xf32>) -> tensor<1x3x4x4xf32>
  return
}

// -----

func.func @col2im_c2(%x: tensor<1x12x9xf32>) {
  // expected-error @below {{[col2im_c2] an attribute has 1 entries for an image of rank 2}}
  %0 = graph.col2im %x {block = affine_map<() -> (2, 2)>, positions = affine_map<() -> (3, 3)>, strides = array<i64: 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0>} : (tensor<1x12x9xf32>) -> tensor<1x3x4x4xf32>
  return
}

// -----

func.func @col2im_c3(%x: tensor<1x12x9xf32>) {
  // expected-error @below {{[col2im_c3]}}
  %0 = graph.col2im %x {block = affine_map<() -> (2, 2)>, positions = affine_map<() -> (3, 3)>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0>} : (tensor<1x12x9xf32>) -> tensor<1x3x4x4xf16>
  return
}

// -----

func.func @pool_c1(%x: tensor<1x2x6xf32>) {
  // expected-error @below {{[pool_c1] a window attribute has 2 entries for 1 spatial dims}}
  %0 = graph.pool %x {count_padding = false, dilations = array<i64: 1>, kernel = array<i64: 2>, kind = #graph.pool_kind<max>, p = 2 : i64, pads = affine_map<() -> (0, 0)>, pads_end = affine_map<() -> (0)>, strides = array<i64: 1>} : (tensor<1x2x6xf32>) -> tensor<1x2x5xf32>
  return
}

// -----

func.func @pool_c2(%x: tensor<1x2x6xf32>) {
  // expected-error @below {{[pool_c2] a kernel extent, stride or dilation is 0}}
  %0 = graph.pool %x {count_padding = false, dilations = array<i64: 1>, kernel = array<i64: 0>, kind = #graph.pool_kind<max>, p = 2 : i64, pads = affine_map<() -> (0)>, pads_end = affine_map<() -> (0)>, strides = array<i64: 1>} : (tensor<1x2x6xf32>) -> tensor<1x2x5xf32>
  return
}

// -----

func.func @max_pool_indices_c1(%x: tensor<1x2x6xf32>) {
  // expected-error @below {{[max_pool_indices_c1] a window attribute has 2 entries for 1 spatial dims}}
  %0 = graph.max_pool_indices %x {column_major = false, dilations = array<i64: 1>, kernel = array<i64: 2, 2>, pads = affine_map<() -> (0)>, strides = array<i64: 2>} : (tensor<1x2x6xf32>) -> tensor<1x2x3xi64>
  return
}

// -----

func.func @max_pool_indices_c2(%x: tensor<1x2x6xf32>) {
  // expected-error @below {{[max_pool_indices_c2] a kernel extent, stride or dilation is -1}}
  %0 = graph.max_pool_indices %x {column_major = false, dilations = array<i64: -1>, kernel = array<i64: 2>, pads = affine_map<() -> (0)>, strides = array<i64: 2>} : (tensor<1x2x6xf32>) -> tensor<1x2x3xi64>
  return
}

// -----

func.func @conv_c1(%x: tensor<1x4x8xf32>, %w: tensor<6x4x3xf32>) {
  // expected-error @below {{[conv_c1] a window attribute has 2 entries for 1 spatial dims}}
  %0 = graph.conv %x, %w {dilations = array<i64: 1>, group = 1 : i64, pads = affine_map<() -> (0)>, strides = array<i64: 1, 1>} : (tensor<1x4x8xf32>, tensor<6x4x3xf32>) -> tensor<1x6x6xf32>
  return
}

// -----

func.func @conv_c2(%x: tensor<1x4x8xf32>, %w: tensor<6x4x3xf32>) {
  // expected-error @below {{[conv_c2] a kernel extent, stride or dilation is 0}}
  %0 = graph.conv %x, %w {dilations = array<i64: 1>, group = 1 : i64, pads = affine_map<() -> (0)>, strides = array<i64: 0>} : (tensor<1x4x8xf32>, tensor<6x4x3xf32>) -> tensor<1x6x6xf32>
  return
}

// -----

func.func @conv_c3(%x: tensor<1x4x8xf32>, %w: tensor<6x4xf32>) {
  // expected-error @below {{[conv_c3] expected data, filter and result of one rank, found 'tensor<1x4x8xf32>' and 'tensor<6x4xf32>'}}
  %0 = graph.conv %x, %w {dilations = array<i64: 1>, group = 1 : i64, pads = affine_map<() -> (0)>, strides = array<i64: 1>} : (tensor<1x4x8xf32>, tensor<6x4xf32>) -> tensor<1x6x6xf32>
  return
}

// -----

func.func @conv_c4(%x: tensor<1x4x8xf32>, %w: tensor<6x1x3xf32>) {
  // expected-error @below {{[conv_c4] group 4 does not divide the first dim of 'tensor<6x1x3xf32>'}}
  %0 = graph.conv %x, %w {dilations = array<i64: 1>, group = 4 : i64, pads = affine_map<() -> (0)>, strides = array<i64: 1>} : (tensor<1x4x8xf32>, tensor<6x1x3xf32>) -> tensor<1x6x6xf32>
  return
}

// -----

func.func @conv_c5(%x: tensor<1x4x8xf32>, %w: tensor<6x3x3xf32>) {
  // expected-error @below {{[conv_c5] a dim is 4, expected 6}}
  %0 = graph.conv %x, %w {dilations = array<i64: 1>, group = 2 : i64, pads = affine_map<() -> (0)>, strides = array<i64: 1>} : (tensor<1x4x8xf32>, tensor<6x3x3xf32>) -> tensor<1x6x6xf32>
  return
}

// -----

func.func @conv_transpose_c1(%x: tensor<1x4x8xf32>, %w: tensor<4x6x3xf32>) {
  // expected-error @below {{[conv_transpose_c1] a window attribute has 2 entries for 1 spatial dims}}
  %0 = graph.conv_transpose %x, %w {dilations = array<i64: 1, 1>, group = 1 : i64, pads = affine_map<() -> (0)>, strides = array<i64: 1>} : (tensor<1x4x8xf32>, tensor<4x6x3xf32>) -> tensor<1x6x10xf32>
  return
}

// -----

func.func @conv_transpose_c2(%x: tensor<1x4x8xf32>, %w: tensor<4x6x3xf32>) {
  // expected-error @below {{[conv_transpose_c2] a kernel extent, stride or dilation is -2}}
  %0 = graph.conv_transpose %x, %w {dilations = array<i64: -2>, group = 1 : i64, pads = affine_map<() -> (0)>, strides = array<i64: 1>} : (tensor<1x4x8xf32>, tensor<4x6x3xf32>) -> tensor<1x6x10xf32>
  return
}

// -----

func.func @conv_transpose_c3(%x: tensor<1x4x8xf32>, %w: tensor<4x6xf32>) {
  // expected-error @below {{[conv_transpose_c3] expected data, filter and result of one rank, found 'tensor<1x4x8xf32>' and 'tensor<4x6xf32>'}}
  %0 = graph.conv_transpose %x, %w {dilations = array<i64: 1>, group = 1 : i64, pads = affine_map<() -> (0)>, strides = array<i64: 1>} : (tensor<1x4x8xf32>, tensor<4x6xf32>) -> tensor<1x6x10xf32>
  return
}

// -----

func.func @conv_transpose_c4(%x: tensor<1x4x8xf32>, %w: tensor<4x6x3xf32>) {
  // expected-error @below {{[conv_transpose_c4] group 3 does not divide the first dim of 'tensor<4x6x3xf32>'}}
  %0 = graph.conv_transpose %x, %w {dilations = array<i64: 1>, group = 3 : i64, pads = affine_map<() -> (0)>, strides = array<i64: 1>} : (tensor<1x4x8xf32>, tensor<4x6x3xf32>) -> tensor<1x18x10xf32>
  return
}

// -----

func.func @conv_transpose_c5(%x: tensor<1x4x8xf32>, %w: tensor<5x6x3xf32>) {
  // expected-error @below {{[conv_transpose_c5] a dim is 4, expected 5}}
  %0 = graph.conv_transpose %x, %w {dilations = array<i64: 1>, group = 1 : i64, pads = affine_map<() -> (0)>, strides = array<i64: 1>} : (tensor<1x4x8xf32>, tensor<5x6x3xf32>) -> tensor<1x6x10xf32>
  return
}

// -----

func.func @matmul_c1(%a: tensor<3xf32>, %b: tensor<3x2xf32>) {
  // expected-error @below {{[matmul_c1] ranks 1 and 2 do not give rank 2}}
  %0 = graph.matmul %a, %b : (tensor<3xf32>, tensor<3x2xf32>) -> tensor<1x2xf32>
  return
}

// -----

func.func @matmul_c2(%a: tensor<2x3xf32>, %b: tensor<4x2xf32>) {
  // expected-error @below {{[matmul_c2] inner dims 3 and 4 differ}}
  %0 = graph.matmul %a, %b : (tensor<2x3xf32>, tensor<4x2xf32>) -> tensor<2x2xf32>
  return
}

// -----

func.func @recurrent_c1(%g: tensor<5x4xf32>, %r: tensor<4x4xf32>, %h: tensor<2x4xf32>) {
  // expected-error @below {{[recurrent_c1] an operand has the wrong rank}}
  %0:3 = graph.recurrent %g, %r, %h {kind = #graph.cell_kind<rnn>, activations = ["Tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>, clip = 0.0 : f64, reverse = false, linear_before_reset = false, input_forget = false, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>} : (tensor<5x4xf32>, tensor<4x4xf32>, tensor<2x4xf32>) -> (tensor<5x2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>)
  return
}

// -----

func.func @recurrent_c2(%g: tensor<5x2x4xf32>, %r: tensor<4x4xf32>, %h: tensor<2x4xf32>) {
  // expected-error @below {{[recurrent_c2] expected 1 activations with alpha and beta, found 2}}
  %0:3 = graph.recurrent %g, %r, %h {kind = #graph.cell_kind<rnn>, activations = ["Tanh", "Relu"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>, clip = 0.0 : f64, reverse = false, linear_before_reset = false, input_forget = false, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>} : (tensor<5x2x4xf32>, tensor<4x4xf32>, tensor<2x4xf32>) -> (tensor<5x2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>)
  return
}

// -----

func.func @recurrent_c3(%g: tensor<5x2x4xf32>, %r: tensor<4x4xf32>, %h: tensor<2x4xf32>) {
  // expected-error @below {{[recurrent_c3] a cell state belongs to an lstm alone}}
  %0:3 = graph.recurrent %g, %r, %h, %h {kind = #graph.cell_kind<rnn>, activations = ["Tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>, clip = 0.0 : f64, reverse = false, linear_before_reset = false, input_forget = false, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0>} : (tensor<5x2x4xf32>, tensor<4x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>) -> (tensor<5x2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>)
  return
}

// -----

func.func @recurrent_c4(%g: tensor<5x2x4xf32>, %r: tensor<3x4xf32>, %h: tensor<2x4xf32>) {
  // expected-error @below {{[recurrent_c4] a dim is 3, expected 4}}
  %0:3 = graph.recurrent %g, %r, %h {kind = #graph.cell_kind<rnn>, activations = ["Tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>, clip = 0.0 : f64, reverse = false, linear_before_reset = false, input_forget = false, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>} : (tensor<5x2x4xf32>, tensor<3x4xf32>, tensor<2x4xf32>) -> (tensor<5x2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>)
  return
}

// -----

func.func @call_c1(%x: tensor<3xf32>) {
  // expected-error @below {{[call_c1] 1 capacities for 2 results}}
  %0:2 = graph.call "topk"(%x) {params = array<i64>, symbols = array<i64>, capacity = affine_map<() -> (3)>} : (tensor<3xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  return
}

// -----

func.func @call_c2(%x: tensor<3xi1>) {
  // expected-error @below {{[call_c2] results whose shape depends on values need a capacity}}
  %0 = graph.call "nonzero"(%x) {params = array<i64>, symbols = array<i64: 0>} : (tensor<3xi1>) -> tensor<1x?xi64, affine_map<()[s0] -> (1, s0)>>
  return
}

// -----

func.func @if_c1(%c: tensor<i1>) {
  // expected-error @below {{[if_c1] 1 and 0 expressions for 0 symbols}}
  %0 = graph.if %c {symbols = array<i64>, then_exprs = affine_map<() -> (1)>, else_exprs = affine_map<() -> ()>} : (tensor<i1>) -> tensor<i1> {
    graph.yield %c : tensor<i1>
  } else {
    graph.yield %c : tensor<i1>
  }
  return
}

// -----

func.func @if_c2(%c: tensor<i1>) {
  // expected-error @below {{[if_c2] a branch yields another number of values than the operation has results}}
  %0 = graph.if %c {symbols = array<i64>, then_exprs = affine_map<() -> ()>, else_exprs = affine_map<() -> ()>} : (tensor<i1>) -> tensor<i1> {
    graph.yield %c, %c : tensor<i1>, tensor<i1>
  } else {
    graph.yield %c : tensor<i1>
  }
  return
}

// -----

func.func @if_c3(%c: tensor<i1>) {
  // expected-error @below {{[if_c3] a region yields 'tensor<i1>' for 'tensor<2xi1>'}}
  %0 = graph.if %c {symbols = array<i64>, then_exprs = affine_map<() -> ()>, else_exprs = affine_map<() -> ()>} : (tensor<i1>) -> tensor<2xi1> {
    graph.yield %c : tensor<i1>
  } else {
    graph.yield %c : tensor<i1>
  }
  return
}

// -----

func.func @loop_c1(%t: tensor<i64>, %x: tensor<2xf32>) {
  // expected-error @below {{[loop_c1] a body with 2 arguments for 1 carried values}}
  %0 = graph.loop trips %t : tensor<i64> inits(%x) {carried_symbols = array<i64>, init_exprs = affine_map<() -> ()>, next_exprs = affine_map<() -> ()>, result_symbols = array<i64: 0>,
      scan_exprs = affine_map<() -> ()>} : (tensor<2xf32>) -> tensor<2xf32> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>):
    graph.yield %c, %x : tensor<i1>, tensor<2xf32>
  }
  return
}

// -----

func.func @loop_c2(%t: tensor<i64>, %x: tensor<2xf32>) {
  // expected-error @below {{[loop_c2] the body must yield the condition and one value per result}}
  %0 = graph.loop trips %t : tensor<i64> inits(%x) {carried_symbols = array<i64>, init_exprs = affine_map<() -> ()>, next_exprs = affine_map<() -> ()>, result_symbols = array<i64: 0>,
      scan_exprs = affine_map<() -> ()>} : (tensor<2xf32>) -> tensor<2xf32> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<2xf32>):
    graph.yield %c : tensor<i1>
  }
  return
}

// -----

func.func @loop_c3(%t: tensor<i64>, %x: tensor<2xf32>) {
  // expected-error @below {{[loop_c3] 1 and 0 expressions for 0 carried symbols}}
  %0 = graph.loop trips %t : tensor<i64> inits(%x) {carried_symbols = array<i64>, init_exprs = affine_map<() -> (1)>, next_exprs = affine_map<() -> ()>, result_symbols = array<i64: 0>,
      scan_exprs = affine_map<() -> ()>} : (tensor<2xf32>) -> tensor<2xf32> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<2xf32>):
    graph.yield %c, %v : tensor<i1>, tensor<2xf32>
  }
  return
}

// -----

func.func @loop_c4(%t: tensor<i64>, %x: tensor<2xf32>) {
  // expected-error @below {{[loop_c4] 2 result symbols, expected 1}}
  %0 = graph.loop trips %t : tensor<i64> inits(%x) {carried_symbols = array<i64>, init_exprs = affine_map<() -> ()>, next_exprs = affine_map<() -> ()>, result_symbols = array<i64: 0, 1>,
      scan_exprs = affine_map<() -> ()>} : (tensor<2xf32>) -> tensor<2xf32> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<2xf32>):
    graph.yield %c, %v : tensor<i1>, tensor<2xf32>
  }
  return
}

// -----

func.func @loop_c5(%t: tensor<i64>, %x: tensor<2xf32>) {
  // expected-error @below {{[loop_c5] a region yields 'tensor<i64>' for 'tensor<2xf32>'}}
  %0 = graph.loop trips %t : tensor<i64> inits(%x) {carried_symbols = array<i64>, init_exprs = affine_map<() -> ()>, next_exprs = affine_map<() -> ()>, result_symbols = array<i64: 0>,
      scan_exprs = affine_map<() -> ()>} : (tensor<2xf32>) -> tensor<2xf32> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<2xf32>):
    graph.yield %c, %i : tensor<i1>, tensor<i64>
  }
  return
}

// -----

func.func @block_matmul_c1(%x: tensor<2x32xf32>, %w: tensor<8x1x16xi8>, %s: tensor<8x1xf32>) {
  // expected-error @below {{[block_matmul_c1] weights of 'i8', expected ui8}}
  %0 = graph.block_matmul %x, %w, %s zeros %s {bits = 4 : i64, block = 32 : i64} : (tensor<2x32xf32>, tensor<8x1x16xi8>, tensor<8x1xf32>, tensor<8x1xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @block_matmul_c2(%x: tensor<2x32xf32>, %w: tensor<8x1x16xui8>, %s: tensor<8x1xf32>) {
  // expected-error @below {{[block_matmul_c2] 3 bits in blocks of 32}}
  %0 = graph.block_matmul %x, %w, %s zeros %s {bits = 3 : i64, block = 32 : i64} : (tensor<2x32xf32>, tensor<8x1x16xui8>, tensor<8x1xf32>, tensor<8x1xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @block_matmul_c3(%x: tensor<2x40xf32>, %w: tensor<8x1x16xui8>, %s: tensor<8x1xf32>) {
  // expected-error @below {{[block_matmul_c3] weights of 'tensor<8x1x16xui8>' with 'tensor<8x1xf32>' for 'tensor<2x40xf32>'}}
  %0 = graph.block_matmul %x, %w, %s zeros %s {bits = 4 : i64, block = 32 : i64} : (tensor<2x40xf32>, tensor<8x1x16xui8>, tensor<8x1xf32>, tensor<8x1xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @block_matmul_c4(%x: tensor<2x32xf32>, %w: tensor<8x1x16xui8>, %s: tensor<8x1xf32>) {
  // expected-error @below {{[block_matmul_c4] expected either zeros or levels}}
  %0 = graph.block_matmul %x, %w, %s {bits = 4 : i64, block = 32 : i64} : (tensor<2x32xf32>, tensor<8x1x16xui8>, tensor<8x1xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @block_matmul_c4(%x: tensor<2x32xf32>, %w: tensor<8x1x16xui8>, %s: tensor<8x1xf32>, %l: tensor<8xf32>) {
  // expected-error @below {{[block_matmul_c4] levels of 'tensor<8xf32>' for 4 bits, expected 16 for 4 bits}}
  %0 = graph.block_matmul %x, %w, %s levels %l {bits = 4 : i64, block = 32 : i64} : (tensor<2x32xf32>, tensor<8x1x16xui8>, tensor<8x1xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  return
}
