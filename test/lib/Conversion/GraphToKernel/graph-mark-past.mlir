// Attention over caches with new rows behind them knows the caches; in large models their copies go past the processor's.
// RUN: %opt %s --graph-mark-past -verify-each | FileCheck %s
// RUN: %opt %s --graph-mark-past="l3-bytes=4096" -verify-each | FileCheck %s --check-prefix=LARGE

// A step of a decoder: both caches are read where they come from. Weights of 4 KiB do not fit a cache of that size, so that copies go past it.
// CHECK-LABEL: func.func @step
// CHECK-SAME: %[[PK:[a-z0-9]+]]: tensor<2x8x16xf32>, %[[PV:[a-z0-9]+]]: tensor<2x8x16xf32>
// CHECK: %[[K:.+]] = graph.concat %[[PK]], %{{.+}} {axis = 1 : i64} :
// CHECK: %[[V:.+]] = graph.concat %[[PV]], %{{.+}} {axis = 1 : i64} :
// CHECK: graph.attention %{{.+}}, %[[K]], %[[V]], %[[PK]], %[[PV]] {{{.*}}operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1, 1>
// LARGE-LABEL: func.func @step
// LARGE-COUNT-2: graph.concat %{{.+}}, %{{.+}} {axis = 1 : i64, nontemporal}
func.func @step(%pk: tensor<2x8x16xf32>, %pv: tensor<2x8x16xf32>, %x: tensor<2x1x16xf32>) -> (tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>) {
  %w = graph.constant dense<1.0> : tensor<64x16xf32> : tensor<64x16xf32>
  %h = graph.slice %w {starts = affine_map<() -> (0, 0)>, steps = array<i64: 1, 1>} : (tensor<64x16xf32>) -> tensor<1x16xf32>
  %q = graph.add %x, %h : (tensor<2x1x16xf32>, tensor<1x16xf32>) -> tensor<2x1x16xf32>
  %k = graph.concat %pk, %x {axis = 1 : i64} : (tensor<2x8x16xf32>, tensor<2x1x16xf32>) -> tensor<2x9x16xf32>
  %v = graph.concat %pv, %q {axis = 1 : i64} : (tensor<2x8x16xf32>, tensor<2x1x16xf32>) -> tensor<2x9x16xf32>
  %y = graph.attention %q, %k, %v {scale = 0.25 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>}
    : (tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>) -> tensor<2x1x16xf32>
  return %y, %k, %v : tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>
}

// Keys that something else reads soon stay in the caches; values that are no result, too.
// LARGE-LABEL: func.func @read_soon
// LARGE-NOT: nontemporal
// LARGE: graph.attention {{.*}}operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1, 1>
// LARGE: return
func.func @read_soon(%pk: tensor<2x8x16xf32>, %pv: tensor<2x8x16xf32>, %q: tensor<2x1x16xf32>) -> (tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>) {
  %w = graph.constant dense<1.0> : tensor<64x16xf32> : tensor<64x16xf32>
  %k = graph.concat %pk, %q {axis = 1 : i64} : (tensor<2x8x16xf32>, tensor<2x1x16xf32>) -> tensor<2x9x16xf32>
  %v = graph.concat %pv, %q {axis = 1 : i64} : (tensor<2x8x16xf32>, tensor<2x1x16xf32>) -> tensor<2x9x16xf32>
  %y = graph.attention %q, %k, %v {scale = 0.25 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>}
    : (tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>) -> tensor<2x1x16xf32>
  %e = graph.exp %k : (tensor<2x9x16xf32>) -> tensor<2x9x16xf32>
  return %y, %k, %e : tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>
}

// What else makes keys, or has them in another order, is left alone; so are pasts of different lengths.
// CHECK-LABEL: func.func @left_alone
// CHECK-COUNT-3: operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>
// CHECK: return
func.func @left_alone(%pk: tensor<2x8x16xf32>, %short: tensor<2x7x16xf32>, %two: tensor<2x2x16xf32>, %q: tensor<2x1x16xf32>) -> (tensor<2x1x16xf32>, tensor<2x1x16xf32>, tensor<2x1x16xf32>) {
  %e = graph.exp %pk : (tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
  %k = graph.concat %pk, %q {axis = 1 : i64} : (tensor<2x8x16xf32>, tensor<2x1x16xf32>) -> tensor<2x9x16xf32>
  %computed = graph.concat %e, %q {axis = 1 : i64} : (tensor<2x8x16xf32>, tensor<2x1x16xf32>) -> tensor<2x9x16xf32>
  %before = graph.concat %q, %pk {axis = 1 : i64} : (tensor<2x1x16xf32>, tensor<2x8x16xf32>) -> tensor<2x9x16xf32>
  %other = graph.concat %short, %two {axis = 1 : i64} : (tensor<2x7x16xf32>, tensor<2x2x16xf32>) -> tensor<2x9x16xf32>
  %0 = graph.attention %q, %k, %computed {scale = 0.25 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>}
    : (tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>) -> tensor<2x1x16xf32>
  %1 = graph.attention %q, %before, %k {scale = 0.25 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>}
    : (tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>) -> tensor<2x1x16xf32>
  %2 = graph.attention %q, %k, %other {scale = 0.25 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>}
    : (tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>) -> tensor<2x1x16xf32>
  return %0, %1, %2 : tensor<2x1x16xf32>, tensor<2x1x16xf32>, tensor<2x1x16xf32>
}

// Heads that share keys: the past is seen in the same dims.
// LARGE-LABEL: func.func @grouped
// LARGE-SAME: %[[PAST:[a-z0-9]+]]: tensor<2x8x16xf32>
// LARGE: nontemporal
// LARGE-DAG: %[[A:.+]] = graph.reshape %[[PAST]] : (tensor<2x8x16xf32>) -> tensor<2x1x8x16xf32>
// LARGE-DAG: %[[B:.+]] = graph.reshape %[[PAST]] : (tensor<2x8x16xf32>) -> tensor<2x1x8x16xf32>
// LARGE: graph.attention %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} {{{.*}}operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1, 1>
func.func @grouped(%past: tensor<2x8x16xf32>, %x: tensor<2x1x16xf32>, %q: tensor<2x3x1x16xf32>) -> (tensor<2x3x1x16xf32>, tensor<2x9x16xf32>) {
  %w = graph.constant dense<1.0> : tensor<64x16xf32> : tensor<64x16xf32>
  %k = graph.concat %past, %x {axis = 1 : i64} : (tensor<2x8x16xf32>, tensor<2x1x16xf32>) -> tensor<2x9x16xf32>
  %r = graph.reshape %k : (tensor<2x9x16xf32>) -> tensor<2x1x9x16xf32>
  %y = graph.attention %q, %r, %r {scale = 0.25 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>}
    : (tensor<2x3x1x16xf32>, tensor<2x1x9x16xf32>, tensor<2x1x9x16xf32>) -> tensor<2x3x1x16xf32>
  return %y, %k : tensor<2x3x1x16xf32>, tensor<2x9x16xf32>
}
