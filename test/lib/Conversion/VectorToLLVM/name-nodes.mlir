// Functions get the names of the nodes they are called for; shared ones say so, equal names get numbers, other functions keep theirs.
// RUN: %opt %s -name-nodes=model=net.onnx -mlir-print-debuginfo | FileCheck %s

// CHECK: llvm.func internal @onnx_conv_1_and_1_more
llvm.func internal @unit0() {
  llvm.call @tile() : () -> () loc("conv 1")
  llvm.return
} loc("conv 1")

// CHECK: llvm.func internal @onnx_add__relu
llvm.func internal @unit1() {
  llvm.return
}

// CHECK: llvm.func internal @tile
llvm.func internal @tile() {
  llvm.return
}

// CHECK: llvm.func @onager_main
llvm.func @onager_main() {
  // CHECK: llvm.call @onnx_conv_1_and_1_more()
  llvm.call @unit0() : () -> () loc("conv 1")
  // CHECK: llvm.call @onnx_conv_1_and_1_more()
  llvm.call @unit0() : () -> () loc("conv 2")
  // CHECK: llvm.call @onnx_add__relu() : () -> () loc(#[[THIRD:.+]])
  llvm.call @unit1() : () -> () loc(fused["add", "relu"])
  // CHECK: llvm.mlir.addressof @onnx_add__relu
  %0 = llvm.mlir.addressof @unit1 : !llvm.ptr
  llvm.return
}

// CHECK-DAG: #[[THIRD]] = loc("net.onnx":3:0)
// CHECK-DAG: #llvm.di_subprogram<{{.*}}name = "conv 1", linkageName = "onnx_conv_1_and_1_more", {{.*}}, line = 1
// CHECK-DAG: #llvm.di_subprogram<{{.*}}name = "add relu", linkageName = "onnx_add__relu", {{.*}}, line = 3
// CHECK-DAG: #llvm.di_subprogram<{{.*}}name = "tile", linkageName = "tile"
