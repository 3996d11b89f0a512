// Each check of data movement reports its id, what it found and what it expected.
// RUN: onager-opt %s --split-input-file --verify-diagnostics

func.func @reshape_c1(%x: tensor<2x3xf32>) {
  // expected-error @below {{[reshape_c1] 6 elements become 8}}
  %0 = graph.reshape %x : (tensor<2x3xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @reshape_c2(%x: tensor<2x3xf32>) {
  // expected-error @below {{[reshape_c2] element type 'i32', expected 'f32'}}
  %0 = graph.reshape %x : (tensor<2x3xf32>) -> tensor<6xi32>
  return
}

// -----

func.func @broadcast_c1(%x: tensor<1x3xf32>) {
  // expected-error @below {{[broadcast_c1] operand 0 has rank 2, above the result's 1}}
  %0 = graph.broadcast %x : (tensor<1x3xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @broadcast_c2(%x: tensor<2xf32>) {
  // expected-error @below {{[broadcast_c2] dim 0 of operand 0 is 2, expected 1 or 4}}
  %0 = graph.broadcast %x : (tensor<2xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @broadcast_c3(%x: tensor<1xf32>) {
  // expected-error @below {{[broadcast_c3] element type 'i32', expected 'f32'}}
  %0 = graph.broadcast %x : (tensor<1xf32>) -> tensor<4xi32>
  return
}

// -----

func.func @transpose_c1(%x: tensor<2x3xf32>) {
  // expected-error @below {{[transpose_c1] perm is not a permutation of the dims of 'tensor<2x3xf32>'}}
  %0 = graph.transpose %x {perm = array<i64: 0, 0>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @transpose_c2(%x: tensor<2x3xf32>) {
  // expected-error @below {{[transpose_c2] perm has 1 entries for ranks 2 and 2}}
  %0 = graph.transpose %x {perm = array<i64: 1>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @transpose_c3(%x: tensor<2x3xf32>) {
  // expected-error @below {{[transpose_c3] a dim is 2, expected 3}}
  %0 = graph.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @transpose_c4(%x: tensor<2x3xf32>) {
  // expected-error @below {{[transpose_c4] element type 'f16', expected 'f32'}}
  %0 = graph.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf16>
  return
}

// -----

func.func @slice_c1(%x: tensor<2x3xf32>) {
  // expected-error @below {{[slice_c1] expected one start, step and dim of the result per dim of 'tensor<2x3xf32>'}}
  %0 = graph.slice %x {starts = affine_map<() -> (0)>, steps = array<i64: 1, 1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @slice_c2(%x: tensor<2xf32>) {
  // expected-error @below {{[slice_c2] a step is 0}}
  %0 = graph.slice %x {starts = affine_map<() -> (0)>, steps = array<i64: 0>} : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @slice_c3(%x: tensor<2xf32>) {
  // expected-error @below {{[slice_c3] element type 'i32', expected 'f32'}}
  %0 = graph.slice %x {starts = affine_map<() -> (0)>, steps = array<i64: 1>} : (tensor<2xf32>) -> tensor<1xi32>
  return
}

// -----

func.func @concat_c1() {
  // expected-error @below {{[concat_c1] expected at least one operand}}
  %0 = graph.concat {axis = 0 : i64} : () -> tensor<2xf32>
  return
}

// -----

func.func @concat_c2(%x: tensor<2xf32>) {
  // expected-error @below {{[concat_c2] axis 1 is outside rank 1}}
  %0 = graph.concat %x {axis = 1 : i64} : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @concat_c3(%x: tensor<2xi32>) {
  // expected-error @below {{[concat_c3] operand of type 'tensor<2xi32>' for a result of type 'tensor<2xf32>'}}
  %0 = graph.concat %x {axis = 0 : i64} : (tensor<2xi32>) -> tensor<2xf32>
  return
}

// -----

func.func @pad_c1(%x: tensor<2x3xf32>, %v: tensor<f32>) {
  // expected-error @below {{[pad_c1] expected one expression per dim of 'tensor<2x3xf32>'}}
  %0 = graph.pad %x, %v {low = affine_map<() -> (1)>, mode = #graph.pad_mode<edge>} : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @pad_c2(%x: tensor<3xf32>, %v: tensor<1xf32>) {
  // expected-error @below {{[pad_c2] expected a scalar value, found 'tensor<1xf32>'}}
  %0 = graph.pad %x, %v {low = affine_map<() -> (1)>, mode = #graph.pad_mode<constant>} : (tensor<3xf32>, tensor<1xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @pad_c3(%x: tensor<3xf32>, %v: tensor<i32>) {
  // expected-error @below {{[pad_c3] element type 'i32', expected 'f32'}}
  %0 = graph.pad %x, %v {low = affine_map<() -> (1)>, mode = #graph.pad_mode<constant>} : (tensor<3xf32>, tensor<i32>) -> tensor<4xf32>
  return
}

// -----

func.func @tile_c1(%x: tensor<3xf32>) {
  // expected-error @below {{[tile_c1] ranks 1 and 2 differ}}
  %0 = graph.tile %x : (tensor<3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @tile_c2(%x: tensor<3xf32>) {
  // expected-error @below {{[tile_c2] element type 'i32', expected 'f32'}}
  %0 = graph.tile %x : (tensor<3xf32>) -> tensor<6xi32>
  return
}

// -----

func.func @iota_c1(%s: tensor<i64>) {
  // expected-error @below {{[iota_c1] axis 1 is outside rank 1}}
  %0 = graph.iota %s, %s {axis = 1 : i64} : (tensor<i64>, tensor<i64>) -> tensor<4xi64>
  return
}

// -----

func.func @iota_c2(%s: tensor<1xi64>) {
  // expected-error @below {{[iota_c2] expected scalars of the result's element type, found 'tensor<1xi64>'}}
  %0 = graph.iota %s, %s {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  return
}

// -----

func.func @gather_c1(%x: tensor<3x4xf32>, %i: tensor<2xi64>) {
  // expected-error @below {{[gather_c1] expected rank 2, found 'tensor<3xf32>'}}
  %0 = graph.gather %x, %i {axis = 0 : i64} : (tensor<3x4xf32>, tensor<2xi64>) -> tensor<3xf32>
  return
}

// -----

func.func @gather_c2(%x: tensor<3x4xf32>, %i: tensor<2xi64>) {
  // expected-error @below {{[gather_c2] axis 2 is outside rank 2}}
  %0 = graph.gather %x, %i {axis = 2 : i64} : (tensor<3x4xf32>, tensor<2xi64>) -> tensor<3x2xf32>
  return
}

// -----

func.func @gather_c3(%x: tensor<3x4xf32>, %i: tensor<2xf32>) {
  // expected-error @below {{[gather_c3] expected indices of i32 or i64, found 'tensor<2xf32>'}}
  %0 = graph.gather %x, %i {axis = 1 : i64} : (tensor<3x4xf32>, tensor<2xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @gather_c4(%x: tensor<3x4xf32>, %i: tensor<2xi64>) {
  // expected-error @below {{[gather_c4] element type 'i32', expected 'f32'}}
  %0 = graph.gather %x, %i {axis = 1 : i64} : (tensor<3x4xf32>, tensor<2xi64>) -> tensor<3x2xi32>
  return
}

// -----

func.func @gather_elements_c1(%x: tensor<3x4xf32>, %i: tensor<2xi64>) {
  // expected-error @below {{[gather_elements_c1] expected data, indices and result of one rank, found 'tensor<3x4xf32>' and 'tensor<2xi64>'}}
  %0 = graph.gather_elements %x, %i {axis = 0 : i64} : (tensor<3x4xf32>, tensor<2xi64>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_elements_c2(%x: tensor<3xf32>, %i: tensor<2xi64>) {
  // expected-error @below {{[gather_elements_c2] axis -1 is outside rank 1}}
  %0 = graph.gather_elements %x, %i {axis = -1 : i64} : (tensor<3xf32>, tensor<2xi64>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_elements_c3(%x: tensor<3xf32>, %i: tensor<2xi8>) {
  // expected-error @below {{[gather_elements_c3] expected indices of i32 or i64, found 'tensor<2xi8>'}}
  %0 = graph.gather_elements %x, %i {axis = 0 : i64} : (tensor<3xf32>, tensor<2xi8>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_elements_c4(%x: tensor<3xf32>, %i: tensor<2xi64>) {
  // expected-error @below {{[gather_elements_c4] element type 'i32', expected 'f32'}}
  %0 = graph.gather_elements %x, %i {axis = 0 : i64} : (tensor<3xf32>, tensor<2xi64>) -> tensor<2xi32>
  return
}

// -----

func.func @gather_nd_c1(%x: tensor<3x4xf32>, %i: tensor<2x3xi64>) {
  // expected-error @below {{[gather_nd_c1] no index tuple of 'tensor<2x3xi64>' fits 'tensor<3x4xf32>'}}
  %0 = graph.gather_nd %x, %i {batch_dims = 0 : i64} : (tensor<3x4xf32>, tensor<2x3xi64>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_nd_c2(%x: tensor<3x4xf32>, %i: tensor<2x1xi64>) {
  // expected-error @below {{[gather_nd_c2] expected rank 2, found 'tensor<2xf32>'}}
  %0 = graph.gather_nd %x, %i {batch_dims = 0 : i64} : (tensor<3x4xf32>, tensor<2x1xi64>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_nd_c3(%x: tensor<3x4xf32>, %i: tensor<2x2xf32>) {
  // expected-error @below {{[gather_nd_c3] expected indices of i32 or i64, found 'tensor<2x2xf32>'}}
  %0 = graph.gather_nd %x, %i {batch_dims = 0 : i64} : (tensor<3x4xf32>, tensor<2x2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_nd_c4(%x: tensor<3x4xf32>, %i: tensor<2x2xi64>) {
  // expected-error @below {{[gather_nd_c4] element type 'i32', expected 'f32'}}
  %0 = graph.gather_nd %x, %i {batch_dims = 0 : i64} : (tensor<3x4xf32>, tensor<2x2xi64>) -> tensor<2xi32>
  return
}

// -----

func.func @scatter_elements_c1(%x: tensor<3x4xf32>, %i: tensor<2xi64>, %u: tensor<2xf32>) {
  // expected-error @below {{[scatter_elements_c1] expected data, indices and updates of one rank, found 'tensor<3x4xf32>', 'tensor<2xi64>' and 'tensor<2xf32>'}}
  %0 = graph.scatter_elements %x, %i, %u {axis = 0 : i64, kind = #graph.scatter_kind<none>} : (tensor<3x4xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @scatter_elements_c2(%x: tensor<3xf32>, %i: tensor<2xi64>, %u: tensor<2xf32>) {
  // expected-error @below {{[scatter_elements_c2] axis 1 is outside rank 1}}
  %0 = graph.scatter_elements %x, %i, %u {axis = 1 : i64, kind = #graph.scatter_kind<none>} : (tensor<3xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @scatter_elements_c3(%x: tensor<3xf32>, %i: tensor<2xf32>, %u: tensor<2xf32>) {
  // expected-error @below {{[scatter_elements_c3] expected indices of i32 or i64, found 'tensor<2xf32>'}}
  %0 = graph.scatter_elements %x, %i, %u {axis = 0 : i64, kind = #graph.scatter_kind<none>} : (tensor<3xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @scatter_elements_c4(%x: tensor<3xf32>, %i: tensor<2xi64>, %u: tensor<2xi32>) {
  // expected-error @below {{[scatter_elements_c4] data of 'tensor<3xf32>' with updates of 'tensor<2xi32>' for a result of 'tensor<3xf32>'}}
  %0 = graph.scatter_elements %x, %i, %u {axis = 0 : i64, kind = #graph.scatter_kind<none>} : (tensor<3xf32>, tensor<2xi64>, tensor<2xi32>) -> tensor<3xf32>
  return
}

// -----

func.func @scatter_nd_c1(%x: tensor<3xf32>, %i: tensor<2x2xi64>, %u: tensor<2xf32>) {
  // expected-error @below {{[scatter_nd_c1] no index tuple of 'tensor<2x2xi64>' fits 'tensor<3xf32>'}}
  %0 = graph.scatter_nd %x, %i, %u {kind = #graph.scatter_kind<none>} : (tensor<3xf32>, tensor<2x2xi64>, tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @scatter_nd_c2(%x: tensor<3xf32>, %i: tensor<2x1xi64>, %u: tensor<2x1xf32>) {
  // expected-error @below {{[scatter_nd_c2] expected updates of rank 1, found 'tensor<2x1xf32>'}}
  %0 = graph.scatter_nd %x, %i, %u {kind = #graph.scatter_kind<none>} : (tensor<3xf32>, tensor<2x1xi64>, tensor<2x1xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @scatter_nd_c3(%x: tensor<3xf32>, %i: tensor<2x1xf32>, %u: tensor<2xf32>) {
  // expected-error @below {{[scatter_nd_c3] expected indices of i32 or i64, found 'tensor<2x1xf32>'}}
  %0 = graph.scatter_nd %x, %i, %u {kind = #graph.scatter_kind<none>} : (tensor<3xf32>, tensor<2x1xf32>, tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @scatter_nd_c4(%x: tensor<3xf32>, %i: tensor<2x1xi64>, %u: tensor<2xf32>) {
  // expected-error @below {{[scatter_nd_c4] data of 'tensor<3xf32>' with updates of 'tensor<2xf32>' for a result of 'tensor<4xf32>'}}
  %0 = graph.scatter_nd %x, %i, %u {kind = #graph.scatter_kind<none>} : (tensor<3xf32>, tensor<2x1xi64>, tensor<2xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @reverse_sequence_c1(%x: tensor<3x4xf32>, %l: tensor<3xi64>) {
  // expected-error @below {{[reverse_sequence_c1] axis 2 is outside rank 2}}
  %0 = graph.reverse_sequence %x, %l {batch_axis = 0 : i64, time_axis = 2 : i64} : (tensor<3x4xf32>, tensor<3xi64>) -> tensor<3x4xf32>
  return
}

// -----

func.func @reverse_sequence_c2(%x: tensor<3x4xf32>, %l: tensor<i64>) {
  // expected-error @below {{[reverse_sequence_c2] expected a vector of integer lengths, found 'tensor<i64>'}}
  %0 = graph.reverse_sequence %x, %l {batch_axis = 0 : i64, time_axis = 1 : i64} : (tensor<3x4xf32>, tensor<i64>) -> tensor<3x4xf32>
  return
}

// -----

func.func @resize_c1(%x: tensor<3x4xf32>, %s: tensor<1xf32>) {
  // expected-error @below {{[resize_c1] expected one scale and dim of the result per dim of 'tensor<3x4xf32>', found 'tensor<1xf32>'}}
  %0 = graph.resize %x, %s {antialias = false, coordinates = "half_pixel", cubic_coeff = -7.5e-01 : f64, exclude_outside = false, extrapolation = 0.0 : f64, mode = #graph.resize_mode<linear>, rounding = "floor", operandSegmentSizes = array<i32: 1, 1>} : (tensor<3x4xf32>, tensor<1xf32>) -> tensor<3x8xf32>
  return
}

// -----

func.func @resize_c2(%x: tensor<3x4xf32>, %s: tensor<2xf32>) {
  // expected-error @below {{[resize_c2] expected two numbers per dim of 'tensor<3x4xf32>', found 'tensor<2xf32>'}}
  %0 = graph.resize %x, %s, %s {antialias = false, coordinates = "half_pixel", cubic_coeff = -7.5e-01 : f64, exclude_outside = false, extrapolation = 0.0 : f64, mode = #graph.resize_mode<linear>, rounding = "floor", operandSegmentSizes = array<i32: 1, 1>} : (tensor<3x4xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<3x8xf32>
  return
}

// -----

func.func @random_c1() {
  // expected-error @below {{[random_c1] expected f32 or f64 elements, found 'tensor<4xi64>'}}
  %0 = graph.random {seed = 7 : i64} : () -> tensor<4xi64>
  return
}

// -----

func.func @random_c2(%s: tensor<1xi64>) {
  // expected-error @below {{[random_c2] expected an i64 scalar as the stream, found 'tensor<1xi64>'}}
  %0 = graph.random %s {seed = 7 : i64} : (tensor<1xi64>) -> tensor<4xf32>
  return
}
