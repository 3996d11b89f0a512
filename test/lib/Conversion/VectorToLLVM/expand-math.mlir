// Functions of f32 become arithmetic, exp also on vectors, and exp and tanh of f64; its others are left to the conversion behind. Circular functions bring their table.
// RUN: %opt %s --expand-math | FileCheck %s

// Pairs of doubles; the first is 1 and 0.
// CHECK: llvm.mlir.global internal constant @onager_circle_table(dense<"0x000000000000F03F0000000000000000{{.*}}!llvm.array<210 x f64>
// CHECK-LABEL: func.func @scalars
// CHECK-NOT: math.exp
// CHECK-NOT: math.log
// CHECK-NOT: math.tanh
// CHECK-NOT: math.erf
// CHECK: return
func.func @scalars(%x: f32) -> (f32, f32, f32, f32) {
  %0 = math.exp %x : f32
  %1 = math.log %x : f32
  %2 = math.tanh %x : f32
  %3 = math.erf %x : f32
  return %0, %1, %2, %3 : f32, f32, f32, f32
}

// CHECK-LABEL: func.func @wide
// CHECK-DAG: llvm.mlir.addressof @onager_circle_table
// CHECK-DAG: arith.extf %{{.+}} : f32 to f64
// CHECK-NOT: math.{{sin|powf|atan|acosh}}
// CHECK: return
func.func @wide(%x: f32, %y: f32) -> (f32, f32, f32, f32) {
  %0 = math.powf %x, %y : f32
  %1 = math.sin %x : f32
  %2 = math.atan %x : f32
  %3 = math.acosh %x : f32
  return %0, %1, %2, %3 : f32, f32, f32, f32
}

// CHECK-LABEL: func.func @vectors
// CHECK-NOT: math.exp
// CHECK: return
func.func @vectors(%x: vector<8xf32>) -> vector<8xf32> {
  %0 = math.exp %x : vector<8xf32>
  return %0 : vector<8xf32>
}

// CHECK-LABEL: func.func @double
// CHECK-NOT: math.{{exp|tanh}}
// CHECK: math.log %{{.+}} : f64
func.func @double(%x: f64) -> (f64, f64, f64) {
  %0 = math.exp %x : f64
  %1 = math.tanh %x : f64
  %2 = math.log %x : f64
  return %0, %1, %2 : f64, f64, f64
}
