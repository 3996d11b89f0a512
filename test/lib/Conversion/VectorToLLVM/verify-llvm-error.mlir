// Each broken promise of the llvm stage is reported with the step that should have kept it.
// RUN: onager-opt %s --verify-llvm --split-input-file --verify-diagnostics

llvm.func @verify_llvm_c1(%a: f32) {
  // expected-error @below {{[verify_llvm_c1] an operation of another dialect is left}}
  // expected-note @below {{the conversions of pipeline 'llvm-stage' take it}}
  %0 = arith.addf %a, %a : f32
  llvm.return
}

// -----

llvm.func @verify_llvm_c2(%a: i64) {
  // expected-error @below {{[verify_llvm_c2] an unrealised cast is left}}
  // expected-note @below {{pass 'reconcile-unrealized-casts' cancels pairs of casts}}
  %0 = builtin.unrealized_conversion_cast %a : i64 to index
  llvm.return
}

// -----

// expected-error @below {{[verify_llvm_c3] a function of CUDA's library is called from code for the CPU}}
// expected-note @below {{pass 'expand-math' replaces math functions}}
llvm.func @__nv_expf(f32) -> f32
