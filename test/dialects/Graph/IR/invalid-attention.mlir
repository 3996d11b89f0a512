// Each check of attention reports its id, what it found and what it expected.
// RUN: onager-opt %s --split-input-file --verify-diagnostics

func.func @attention_c1(%q: tensor<5x8xf32>, %k: tensor<9x8xf32>, %v: tensor<9xf32>) {
  // expected-error @below {{[attention_c1] rank 1 and a result of rank 2, expected at least 2 and 2}}
  %y = graph.attention %q, %k, %v {scale = 1.0 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>} : (tensor<5x8xf32>, tensor<9x8xf32>, tensor<9xf32>) -> tensor<5x16xf32>
  return
}

// -----

func.func @attention_c2(%q: tensor<2x5x8xf32>, %k: tensor<2x9x7xf32>, %v: tensor<2x9x16xf32>) {
  // expected-error @below {{[attention_c2] a dim is 7, expected 8}}
  %y = graph.attention %q, %k, %v {scale = 1.0 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>} : (tensor<2x5x8xf32>, tensor<2x9x7xf32>, tensor<2x9x16xf32>) -> tensor<2x5x16xf32>
  return
}

// -----

func.func @attention_c3(%q: tensor<2x5x8xf32>, %k: tensor<2x9x8xf16>, %v: tensor<2x9x16xf32>) {
  // expected-error @below {{[attention_c3] element type 'f16', expected 'f32'}}
  %y = graph.attention %q, %k, %v {scale = 1.0 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>} : (tensor<2x5x8xf32>, tensor<2x9x8xf16>, tensor<2x9x16xf32>) -> tensor<2x5x16xf32>
  return
}

// -----

func.func @attention_c4(%q: tensor<2x5x8xf32>, %k: tensor<2x9x8xf32>, %v: tensor<2x9x16xf32>) {
  // expected-error @below {{[attention_c4] 1 fills for 0 masks}}
  %y = graph.attention %q, %k, %v {scale = 1.0 : f64, fills = array<f64: 0.0>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>} : (tensor<2x5x8xf32>, tensor<2x9x8xf32>, tensor<2x9x16xf32>) -> tensor<2x5x16xf32>
  return
}

// -----

func.func @attention_c4_mask(%q: tensor<2x5x8xf32>, %k: tensor<2x9x8xf32>, %v: tensor<2x9x16xf32>, %m: tensor<5x8xf32>) {
  // expected-error @below {{[attention_c4] a mask of type 'tensor<5x8xf32>', expected f32 or i1 that broadcasts to the scores}}
  %y = graph.attention %q, %k, %v, %m {scale = 1.0 : f64, fills = array<f64: 0.0>, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0>} : (tensor<2x5x8xf32>, tensor<2x9x8xf32>, tensor<2x9x16xf32>, tensor<5x8xf32>) -> tensor<2x5x16xf32>
  return
}

// -----

func.func @attention_c5(%q: tensor<2x5x8xf32>, %k: tensor<2x9x8xf32>, %v: tensor<2x9x16xf32>, %z: tensor<5x9xi1>) {
  // expected-error @below {{[attention_c5] zeroed rows of type 'tensor<5x9xi1>', expected i1 with one element per row at most}}
  %y = graph.attention %q, %k, %v, %z {scale = 1.0 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 0, 0>} : (tensor<2x5x8xf32>, tensor<2x9x8xf32>, tensor<2x9x16xf32>, tensor<5x9xi1>) -> tensor<2x5x16xf32>
  return
}

// -----

func.func @attention_c6(%q: tensor<2x5x8xf32>, %k: tensor<2x9x8xf32>, %v: tensor<2x9x16xf32>, %p: tensor<2x7x8xf32>) {
  // expected-error @below {{[attention_c6] a past of keys or values alone, expected both}}
  %y = graph.attention %q, %k, %v, %p {scale = 1.0 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1, 0>} : (tensor<2x5x8xf32>, tensor<2x9x8xf32>, tensor<2x9x16xf32>, tensor<2x7x8xf32>) -> tensor<2x5x16xf32>
  return
}

// -----

func.func @attention_c6_rows(%q: tensor<2x5x8xf32>, %k: tensor<2x9x8xf32>, %v: tensor<2x9x16xf32>, %p: tensor<2x7x8xf32>, %r: tensor<2x6x16xf32>) {
  // expected-error @below {{[attention_c6] a past of type 'tensor<2x6x16xf32>' for 'tensor<2x9x16xf32>', expected the same but for the rows}}
  %y = graph.attention %q, %k, %v, %p, %r {scale = 1.0 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1, 1>} : (tensor<2x5x8xf32>, tensor<2x9x8xf32>, tensor<2x9x16xf32>, tensor<2x7x8xf32>, tensor<2x6x16xf32>) -> tensor<2x5x16xf32>
  return
}
