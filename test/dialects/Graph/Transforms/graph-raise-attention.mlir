// The product of a softmax over scaled and masked scores becomes attention, in each order that exporters write; what reads scores otherwise stays.
// RUN: %opt %s --graph-raise-attention --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @plain
// CHECK-SAME: %[[Q:.+]]: tensor<2x5x8xf32>, %[[KT:.+]]: tensor<2x8x9xf32>, %[[V:.+]]: tensor<2x9x16xf32>
// CHECK: %[[K:.+]] = graph.transpose %[[KT]] {perm = array<i64: 0, 2, 1>}
// CHECK: %[[Y:.+]] = graph.attention %[[Q]], %[[K]], %[[V]] {fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>, scale = 1.000000e+00 : f64}
// CHECK: return %[[Y]]
func.func @plain(%q: tensor<2x5x8xf32>, %kt: tensor<2x8x9xf32>, %v: tensor<2x9x16xf32>) -> tensor<2x5x16xf32> {
  %s = graph.matmul %q, %kt : (tensor<2x5x8xf32>, tensor<2x8x9xf32>) -> tensor<2x5x9xf32>
  %w = graph.softmax %s {axis = 2 : i64} : (tensor<2x5x9xf32>) -> tensor<2x5x9xf32>
  %y = graph.matmul %w, %v : (tensor<2x5x9xf32>, tensor<2x9x16xf32>) -> tensor<2x5x16xf32>
  return %y : tensor<2x5x16xf32>
}

// -----

// Scales of q, of the scores (a quotient) and of k are one; the transpose before the product joins that of the heads.
// CHECK-LABEL: func.func @scales
// CHECK-SAME: %[[Q:.+]]: tensor<2x3x5x8xf32>, %[[K:.+]]: tensor<2x9x3x8xf32>, %[[V:.+]]: tensor<2x3x9x8xf32>, %[[MASK:.+]]: tensor<2x1x1x9xf32>
// CHECK: %[[HEADS:.+]] = graph.transpose %[[K]] {perm = array<i64: 0, 2, 1, 3>} : (tensor<2x9x3x8xf32>) -> tensor<2x3x9x8xf32>
// CHECK: graph.attention %[[Q]], %[[HEADS]], %[[V]], %[[MASK]] {fills = array<f64: 0.000000e+00>, {{.*}}, scale = 2.500000e-01 : f64}
func.func @scales(%q: tensor<2x3x5x8xf32>, %k: tensor<2x9x3x8xf32>, %v: tensor<2x3x9x8xf32>, %mask: tensor<2x1x1x9xf32>) -> tensor<2x3x5x8xf32> {
  %half = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %four = graph.constant dense<4.0> : tensor<1xf32> : tensor<1xf32>
  %two = graph.constant dense<2.0> : tensor<f32> : tensor<f32>
  %kt = graph.transpose %k {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x9x3x8xf32>) -> tensor<2x3x8x9xf32>
  %kts = graph.mul %kt, %two : (tensor<2x3x8x9xf32>, tensor<f32>) -> tensor<2x3x8x9xf32>
  %qs = graph.mul %half, %q : (tensor<f32>, tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  %p = graph.matmul %qs, %kts : (tensor<2x3x5x8xf32>, tensor<2x3x8x9xf32>) -> tensor<2x3x5x9xf32>
  %d = graph.div %p, %four : (tensor<2x3x5x9xf32>, tensor<1xf32>) -> tensor<2x3x5x9xf32>
  %s = graph.add %mask, %d : (tensor<2x1x1x9xf32>, tensor<2x3x5x9xf32>) -> tensor<2x3x5x9xf32>
  %w = graph.softmax %s {axis = 3 : i64} : (tensor<2x3x5x9xf32>) -> tensor<2x3x5x9xf32>
  %y = graph.matmul %w, %v : (tensor<2x3x5x9xf32>, tensor<2x3x9x8xf32>) -> tensor<2x3x5x8xf32>
  return %y : tensor<2x3x5x8xf32>
}

// -----

// Masks keep their order; one that hides is inverted; casts that round to 16 bits go; an expanded mask is read unexpanded.
// CHECK-LABEL: func.func @masks
// CHECK-SAME: %[[HIDDEN:[a-z0-9]+]]: tensor<5x9xi1>, %[[BIAS:[a-z0-9]+]]: tensor<1x9xf32>
// CHECK: %[[SEEN:.+]] = graph.not %[[HIDDEN]]
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}}, %[[SEEN]], %[[BIAS]] {fills = array<f64: -1.000000e+04, 0.000000e+00>
func.func @masks(%q: tensor<2x5x8xf32>, %k: tensor<2x9x8xf32>, %v: tensor<2x9x16xf32>, %hidden: tensor<5x9xi1>, %bias: tensor<1x9xf32>) -> tensor<2x5x16xf32> {
  %low = graph.constant dense<-10000.0> : tensor<f32> : tensor<f32>
  %kt = graph.transpose %k {perm = array<i64: 0, 2, 1>} : (tensor<2x9x8xf32>) -> tensor<2x8x9xf32>
  %p = graph.matmul %q, %kt : (tensor<2x5x8xf32>, tensor<2x8x9xf32>) -> tensor<2x5x9xf32>
  %n = graph.cast %p : (tensor<2x5x9xf32>) -> tensor<2x5x9xf16>
  %f = graph.cast %n : (tensor<2x5x9xf16>) -> tensor<2x5x9xf32>
  %h = graph.select %hidden, %low, %f : (tensor<5x9xi1>, tensor<f32>, tensor<2x5x9xf32>) -> tensor<2x5x9xf32>
  %wide = graph.broadcast %bias : (tensor<1x9xf32>) -> tensor<5x9xf32>
  %s = graph.add %h, %wide : (tensor<2x5x9xf32>, tensor<5x9xf32>) -> tensor<2x5x9xf32>
  %w = graph.softmax %s {axis = 2 : i64} : (tensor<2x5x9xf32>) -> tensor<2x5x9xf32>
  %y = graph.matmul %w, %v : (tensor<2x5x9xf32>, tensor<2x9x16xf32>) -> tensor<2x5x16xf32>
  return %y : tensor<2x5x16xf32>
}

// -----

// Keys and values repeated for groups of heads are read unrepeated; rows without weights are an operand.
// CHECK-LABEL: func.func @grouped
// CHECK-SAME: %[[Q:.+]]: tensor<2x6x5x8xf32>, %[[K:.+]]: tensor<2x3x1x9x8xf32>, %[[V:.+]]: tensor<2x3x1x9x8xf32>, %[[NONE:.+]]: tensor<5x1xi1>
// CHECK: %[[GROUPS:.+]] = graph.reshape %[[Q]] : (tensor<2x6x5x8xf32>) -> tensor<2x3x2x5x8xf32>
// CHECK: %[[A:.+]] = graph.attention %[[GROUPS]], %[[K]], %[[V]], %[[NONE]] {{{.*}} operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 0, 0>{{.*}} -> tensor<2x3x2x5x8xf32>
// CHECK: graph.reshape %[[A]] : (tensor<2x3x2x5x8xf32>) -> tensor<2x6x5x8xf32>
func.func @grouped(%q: tensor<2x6x5x8xf32>, %k: tensor<2x3x1x9x8xf32>, %v: tensor<2x3x1x9x8xf32>, %none: tensor<5x1xi1>) -> tensor<2x6x5x8xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %k5 = graph.broadcast %k : (tensor<2x3x1x9x8xf32>) -> tensor<2x3x2x9x8xf32>
  %k4 = graph.reshape %k5 : (tensor<2x3x2x9x8xf32>) -> tensor<2x6x9x8xf32>
  %v5 = graph.broadcast %v : (tensor<2x3x1x9x8xf32>) -> tensor<2x3x2x9x8xf32>
  %v4 = graph.reshape %v5 : (tensor<2x3x2x9x8xf32>) -> tensor<2x6x9x8xf32>
  %kt = graph.transpose %k4 {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x6x9x8xf32>) -> tensor<2x6x8x9xf32>
  %s = graph.matmul %q, %kt : (tensor<2x6x5x8xf32>, tensor<2x6x8x9xf32>) -> tensor<2x6x5x9xf32>
  %soft = graph.softmax %s {axis = 3 : i64} : (tensor<2x6x5x9xf32>) -> tensor<2x6x5x9xf32>
  %w = graph.select %none, %zero, %soft : (tensor<5x1xi1>, tensor<f32>, tensor<2x6x5x9xf32>) -> tensor<2x6x5x9xf32>
  %y = graph.matmul %w, %v4 : (tensor<2x6x5x9xf32>, tensor<2x6x9x8xf32>) -> tensor<2x6x5x8xf32>
  return %y : tensor<2x6x5x8xf32>
}

// -----

// Weights that are not numbers are 0.
// CHECK-LABEL: func.func @numbers
// CHECK: graph.attention {{.*}} zero_nan}
func.func @numbers(%q: tensor<5x8xf32>, %kt: tensor<8x9xf32>, %v: tensor<9x8xf32>) -> tensor<5x8xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %s = graph.matmul %q, %kt : (tensor<5x8xf32>, tensor<8x9xf32>) -> tensor<5x9xf32>
  %soft = graph.softmax %s {axis = 1 : i64} : (tensor<5x9xf32>) -> tensor<5x9xf32>
  %nan = graph.is_nan %soft : (tensor<5x9xf32>) -> tensor<5x9xi1>
  %w = graph.select %nan, %zero, %soft : (tensor<5x9xi1>, tensor<f32>, tensor<5x9xf32>) -> tensor<5x9xf32>
  %y = graph.matmul %w, %v : (tensor<5x9xf32>, tensor<9x8xf32>) -> tensor<5x8xf32>
  return %y : tensor<5x8xf32>
}

// -----

// Weights that something else reads, a scale behind a mask, a softmax of another axis, short rows and few scores stay as they are.
// CHECK-LABEL: func.func @read_twice
// CHECK-NOT: graph.attention
func.func @read_twice(%q: tensor<5x8xf32>, %kt: tensor<8x9xf32>, %v: tensor<9x8xf32>) -> (tensor<5x8xf32>, tensor<5x9xf32>) {
  %s = graph.matmul %q, %kt : (tensor<5x8xf32>, tensor<8x9xf32>) -> tensor<5x9xf32>
  %w = graph.softmax %s {axis = 1 : i64} : (tensor<5x9xf32>) -> tensor<5x9xf32>
  %y = graph.matmul %w, %v : (tensor<5x9xf32>, tensor<9x8xf32>) -> tensor<5x8xf32>
  return %y, %w : tensor<5x8xf32>, tensor<5x9xf32>
}
// CHECK-LABEL: func.func @scaled_mask
// CHECK-NOT: graph.attention
func.func @scaled_mask(%q: tensor<5x8xf32>, %kt: tensor<8x9xf32>, %v: tensor<9x8xf32>, %mask: tensor<9xf32>) -> tensor<5x8xf32> {
  %half = graph.constant dense<0.5> : tensor<f32> : tensor<f32>
  %p = graph.matmul %q, %kt : (tensor<5x8xf32>, tensor<8x9xf32>) -> tensor<5x9xf32>
  %m = graph.add %p, %mask : (tensor<5x9xf32>, tensor<9xf32>) -> tensor<5x9xf32>
  %s = graph.mul %m, %half : (tensor<5x9xf32>, tensor<f32>) -> tensor<5x9xf32>
  %w = graph.softmax %s {axis = 1 : i64} : (tensor<5x9xf32>) -> tensor<5x9xf32>
  %y = graph.matmul %w, %v : (tensor<5x9xf32>, tensor<9x8xf32>) -> tensor<5x8xf32>
  return %y : tensor<5x8xf32>
}
// CHECK-LABEL: func.func @other_axis
// CHECK-NOT: graph.attention
func.func @other_axis(%q: tensor<5x8xf32>, %kt: tensor<8x9xf32>, %v: tensor<9x8xf32>) -> tensor<5x8xf32> {
  %s = graph.matmul %q, %kt : (tensor<5x8xf32>, tensor<8x9xf32>) -> tensor<5x9xf32>
  %w = graph.softmax %s {axis = 0 : i64} : (tensor<5x9xf32>) -> tensor<5x9xf32>
  %y = graph.matmul %w, %v : (tensor<5x9xf32>, tensor<9x8xf32>) -> tensor<5x8xf32>
  return %y : tensor<5x8xf32>
}
// CHECK-LABEL: func.func @short_rows
// CHECK-NOT: graph.attention
func.func @short_rows(%q: tensor<5x8xf32>, %kt: tensor<8x9xf32>, %v: tensor<9x4xf32>) -> tensor<5x4xf32> {
  %s = graph.matmul %q, %kt : (tensor<5x8xf32>, tensor<8x9xf32>) -> tensor<5x9xf32>
  %w = graph.softmax %s {axis = 1 : i64} : (tensor<5x9xf32>) -> tensor<5x9xf32>
  %y = graph.matmul %w, %v : (tensor<5x9xf32>, tensor<9x4xf32>) -> tensor<5x4xf32>
  return %y : tensor<5x4xf32>
}
// CHECK-LABEL: func.func @few_scores
// CHECK-NOT: graph.attention
func.func @few_scores(%q: tensor<5x8xf32>, %kt: tensor<8x6xf32>, %v: tensor<6x8xf32>) -> tensor<5x8xf32> {
  %s = graph.matmul %q, %kt : (tensor<5x8xf32>, tensor<8x6xf32>) -> tensor<5x6xf32>
  %w = graph.softmax %s {axis = 1 : i64} : (tensor<5x6xf32>) -> tensor<5x6xf32>
  %y = graph.matmul %w, %v : (tensor<5x6xf32>, tensor<6x8xf32>) -> tensor<5x8xf32>
  return %y : tensor<5x8xf32>
}
