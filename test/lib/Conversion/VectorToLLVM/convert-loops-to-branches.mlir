// Structured control flow becomes branches, in the order in which it was; what is behind it keeps its place.
// RUN: %opt %s --convert-loops-to-branches | FileCheck %s

func.func private @f(index)

// CHECK-LABEL: func.func @nested
// CHECK-SAME: (%[[C:.+]]: i1, %[[N:.+]]: index)
// CHECK: cf.br ^[[HEAD:bb[0-9]+]](%c0
// CHECK: ^[[HEAD]](%[[I:.+]]: index):
// CHECK: cf.cond_br %{{.+}}, ^[[BODY:bb[0-9]+]], ^[[END:bb[0-9]+]]
// CHECK: ^[[BODY]]:
// CHECK: cf.cond_br %[[C]], ^[[THEN:bb[0-9]+]], ^[[NEXT:bb[0-9]+]]
// CHECK: ^[[THEN]]:
// CHECK: call @f(%[[I]])
// CHECK: ^[[NEXT]]:
// CHECK: cf.br ^[[HEAD]]
// CHECK: ^[[END]]:
// CHECK: call @f(%[[N]])
// CHECK: cf.cond_br %[[C]]
// CHECK-NOT: scf.
// CHECK: return
func.func @nested(%c: i1, %n: index) -> index {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  scf.for %i = %zero to %n step %one {
    scf.if %c {
      func.call @f(%i) : (index) -> ()
    }
  }
  func.call @f(%n) : (index) -> ()
  %r = scf.if %c -> index {
    scf.yield %n : index
  } else {
    scf.yield %zero : index
  }
  return %r : index
}

// CHECK-LABEL: func.func @flat
// CHECK-NEXT: return
func.func @flat() { return }

// CHECK-LABEL: func.func @waits
// CHECK-NOT: scf.
// CHECK: return
func.func @waits(%c: i1, %n: index) -> index {
  %r = scf.while (%i = %n) : (index) -> index {
    %next = scf.if %c -> index {
      scf.yield %n : index
    } else {
      scf.yield %i : index
    }
    scf.condition(%c) %next : index
  } do {
  ^bb0(%i: index):
    %next = scf.if %c -> index {
      scf.yield %n : index
    } else {
      scf.yield %i : index
    }
    scf.yield %next : index
  }
  return %r : index
}
