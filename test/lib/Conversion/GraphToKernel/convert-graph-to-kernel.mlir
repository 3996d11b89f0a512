// Every operation that computes lies in one launch unit; elementwise neighbours share one, and with fuse=false none do.
// RUN: %opt %s --convert-graph-to-kernel --verify-each --split-input-file | FileCheck %s
// RUN: %opt %s --convert-graph-to-kernel=fuse=false --split-input-file | FileCheck %s --check-prefix=APART

// CHECK-LABEL: func.func @main
// CHECK-NEXT: %[[Y:.+]] = kernel.launch @[[UNIT:.+]](%{{.+}}, %{{.+}}) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
// CHECK-NEXT: return %[[Y]]
// CHECK: kernel.unit @[[UNIT]] <map> {
// CHECK: graph.add
// CHECK-NEXT: graph.relu
// CHECK-NEXT: kernel.yield
// APART-LABEL: func.func @main
// APART-COUNT-2: kernel.launch
// APART-NOT: kernel.launch
// APART-COUNT-2: kernel.unit
func.func @main(%x: tensor<8xf32>, %y: tensor<8xf32>) -> tensor<8xf32> {
  %0 = graph.add %x, %y : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %1 = graph.relu %0 : (tensor<8xf32>) -> tensor<8xf32>
  return %1 : tensor<8xf32>
}

// -----

// A product takes the bias and activation behind it.
// CHECK-LABEL: func.func @main
// CHECK-COUNT-1: kernel.launch
// CHECK-NOT: kernel.launch
// CHECK: kernel.unit @{{.+}} <gemm> {
// CHECK: kernel.gemm
// CHECK: graph.add
// CHECK: graph.relu
func.func @main(%a: tensor<4x8xf32>, %p: tensor<2x8x16xf32>, %bias: tensor<32xf32>) -> tensor<4x32xf32> {
  %0 = kernel.gemm %a, %p : (tensor<4x8xf32>, tensor<2x8x16xf32>) -> tensor<4x32xf32>
  %1 = graph.add %0, %bias : (tensor<4x32xf32>, tensor<32xf32>) -> tensor<4x32xf32>
  %2 = graph.relu %1 : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %2 : tensor<4x32xf32>
}

// -----

// What reads constants alone stays apart, marked for the compiler to compute.
// CHECK-LABEL: func.func @main
// CHECK: kernel.launch @{{.+}}(%{{.+}}) {constant}
// CHECK: kernel.launch
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %w = graph.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]> : tensor<8x4xf32> : tensor<8x4xf32>
  %t = graph.transpose %w {perm = array<i64: 1, 0>} : (tensor<8x4xf32>) -> tensor<4x8xf32>
  %0 = graph.add %x, %t : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// A merge that would close a cycle is not made: the sum waits for the reduction, which waits for the exponential.
// CHECK-LABEL: func.func @main
// CHECK: %[[SUM:.+]] = kernel.launch {{.*}} -> tensor<4x1xf32>
// CHECK: %[[Y:.+]] = kernel.launch @{{.+}}({{.*}}%[[SUM]]{{.*}}) : {{.*}} -> tensor<4x8xf32>
// CHECK: return %[[Y]]
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = graph.exp %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = graph.reduce %0 {kind = #graph.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %2 = graph.add %0, %1 : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// -----

// The bodies of branches are converted, too; control flow and views stay in the program.
// CHECK-LABEL: func.func @main
// CHECK: graph.reshape
// CHECK: graph.if
// CHECK: kernel.launch
// CHECK: graph.yield
// CHECK: else
// CHECK: kernel.launch
// CHECK: graph.yield
func.func @main(%c: tensor<1xi1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  %s = graph.reshape %c : (tensor<1xi1>) -> tensor<i1>
  %0 = graph.if %s {symbols = array<i64>, then_exprs = affine_map<() -> ()>, else_exprs = affine_map<() -> ()>} : (tensor<i1>) -> tensor<2xf32> {
    %1 = graph.neg %x : (tensor<2xf32>) -> tensor<2xf32>
    graph.yield %1 : tensor<2xf32>
  } else {
    %1 = graph.exp %x : (tensor<2xf32>) -> tensor<2xf32>
    graph.yield %1 : tensor<2xf32>
  }
  return %0 : tensor<2xf32>
}

// -----

// Attention reads q, k and v through casts from 16 bits and transposes of rows, and nothing else.
// CHECK-LABEL: func.func @main
// CHECK: %[[SUM:.+]] = kernel.launch @{{.+}}(%{{.+}}) : (tensor<9x16xf32>) -> tensor<9x16xf32>
// CHECK: kernel.launch @[[UNIT:.+]](%{{.+}}, %{{.+}}, %[[SUM]]) : (tensor<5x2x8xf16>, tensor<2x9x8xbf16>, tensor<9x16xf32>) -> tensor<2x5x16xf32>
// CHECK: kernel.unit @[[UNIT]] <attention> {
// CHECK: graph.cast
// CHECK-NEXT: graph.transpose
// CHECK-NEXT: graph.cast
// CHECK-NEXT: graph.attention
// APART-LABEL: func.func @main
func.func @main(%q: tensor<5x2x8xf16>, %k: tensor<2x9x8xbf16>, %v: tensor<9x16xf32>) -> tensor<2x5x16xf32> {
  %0 = graph.cast %q : (tensor<5x2x8xf16>) -> tensor<5x2x8xf32>
  %1 = graph.transpose %0 {perm = array<i64: 1, 0, 2>} : (tensor<5x2x8xf32>) -> tensor<2x5x8xf32>
  %2 = graph.cast %k : (tensor<2x9x8xbf16>) -> tensor<2x9x8xf32>
  %3 = graph.add %v, %v : (tensor<9x16xf32>, tensor<9x16xf32>) -> tensor<9x16xf32>
  %4 = graph.attention %1, %2, %3 {scale = 1.0 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>}
    : (tensor<2x5x8xf32>, tensor<2x9x8xf32>, tensor<9x16xf32>) -> tensor<2x5x16xf32>
  return %4 : tensor<2x5x16xf32>
}

// -----

// Bytes that others read as well are stored alone: who computes with them widens them.
// CHECK-LABEL: func.func @main
// CHECK: %[[BYTES:.+]] = kernel.launch @{{.+}}(%{{.+}}) : (tensor<8x4xf32>) -> tensor<8x4xui8>
// CHECK: kernel.launch @{{.+}}(%[[BYTES]]) : (tensor<8x4xui8>) -> tensor<4x8xui8>
// CHECK: kernel.launch @{{.+}}(%[[BYTES]], %{{.+}}) : (tensor<8x4xui8>, tensor<8x4xf32>) -> tensor<8x4xf32>
// APART-LABEL: func.func @main
func.func @main(%x: tensor<8x4xf32>, %y: tensor<8x4xf32>) -> (tensor<4x8xui8>, tensor<8x4xf32>) {
  %0 = graph.round %x : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %1 = graph.cast %0 : (tensor<8x4xf32>) -> tensor<8x4xui8>
  %2 = graph.transpose %1 {perm = array<i64: 1, 0>} : (tensor<8x4xui8>) -> tensor<4x8xui8>
  %3 = graph.cast %1 : (tensor<8x4xui8>) -> tensor<8x4xf32>
  %4 = graph.add %3, %y : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %2, %4 : tensor<4x8xui8>, tensor<8x4xf32>
}

// -----

// Attention of one query writes the caches that it reads; those that something else reads are made before.
// CHECK-LABEL: func.func @main
// CHECK: kernel.launch @{{.+}}(%{{.+}}, %{{.+}}, %{{.+}}) : (tensor<2x1x16xf32>, tensor<2x8x16xf32>, tensor<2x8x16xf32>) -> (tensor<2x9x16xf32>, tensor<2x9x16xf32>, tensor<2x1x16xf32>)
// CHECK-NOT: kernel.launch
// CHECK: return
// CHECK: kernel.unit {{.+}} <attention>
// CHECK: %[[K:.+]] = graph.concat
// CHECK: %[[V:.+]] = graph.concat
// CHECK: graph.attention %{{.+}}, %[[K]], %[[V]]
// APART-LABEL: func.func @main
func.func @main(%pk: tensor<2x8x16xf32>, %pv: tensor<2x8x16xf32>, %q: tensor<2x1x16xf32>) -> (tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>) {
  %0 = graph.mul %q, %q : (tensor<2x1x16xf32>, tensor<2x1x16xf32>) -> tensor<2x1x16xf32>
  %k = graph.concat %pk, %q {axis = 1 : i64} : (tensor<2x8x16xf32>, tensor<2x1x16xf32>) -> tensor<2x9x16xf32>
  %v = graph.concat %pv, %0 {axis = 1 : i64} : (tensor<2x8x16xf32>, tensor<2x1x16xf32>) -> tensor<2x9x16xf32>
  %y = graph.attention %q, %k, %v, %pk, %pv {scale = 0.25 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1, 1>}
    : (tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>, tensor<2x8x16xf32>, tensor<2x8x16xf32>) -> tensor<2x1x16xf32>
  return %y, %k, %v : tensor<2x1x16xf32>, tensor<2x9x16xf32>, tensor<2x9x16xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK-COUNT-3: kernel.launch
// CHECK: return
// APART-LABEL: func.func @main
func.func @main(%pk: tensor<2x8x16xf32>, %pv: tensor<2x8x16xf32>, %q: tensor<2x3x16xf32>) -> (tensor<2x3x16xf32>, tensor<2x11x16xf32>, tensor<2x11x16xf32>) {
  %k = graph.concat %pk, %q {axis = 1 : i64} : (tensor<2x8x16xf32>, tensor<2x3x16xf32>) -> tensor<2x11x16xf32>
  %v = graph.concat %pv, %q {axis = 1 : i64} : (tensor<2x8x16xf32>, tensor<2x3x16xf32>) -> tensor<2x11x16xf32>
  %y = graph.attention %q, %k, %v, %pk, %pv {scale = 0.25 : f64, fills = array<f64>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1, 1>}
    : (tensor<2x3x16xf32>, tensor<2x11x16xf32>, tensor<2x11x16xf32>, tensor<2x8x16xf32>, tensor<2x8x16xf32>) -> tensor<2x3x16xf32>
  return %y, %k, %v : tensor<2x3x16xf32>, tensor<2x11x16xf32>, tensor<2x11x16xf32>
}
