// Each broken promise of the graph stage is reported with the step that should have kept it.
// RUN: onager-opt %s --verify-graph --split-input-file --verify-diagnostics

func.func @verify_graph_c1(%x: tensor<8xf32>) {
  // expected-error @below {{[verify_graph_c1] an operation of another dialect is left}}
  // expected-note @below {{the importer builds operations of the graph dialect alone}}
  %0 = arith.addf %x, %x : tensor<8xf32>
  return
}

// -----

// expected-error @below {{[verify_graph_c2] a dim of 'tensor<?xf32>' is neither a number nor an expression of symbols}}
// expected-note @below {{the importer's shape inference gives every dim}}
func.func @verify_graph_c2(%x: tensor<?xf32>) {
  return
}

// -----

// The expressions must be as many as the dims, and agree with the numbers.
func.func @verify_graph_c2_rank(%x: tensor<8xf32>) attributes {graph.symbols = ["n"]} {
  // expected-error @below {{[verify_graph_c2]}}
  // expected-note @below {{shape inference}}
  %0 = graph.relu %x : (tensor<8xf32>) -> tensor<?xf32, affine_map<()[s0] -> (8, s0)>>
  return
}

// -----

#n = affine_map<()[s0, s1] -> (s1)>
// expected-error @below {{[verify_graph_c3] a dim of 'tensor<?xf32, affine_map<()[s0, s1] -> (s1)>>' uses a symbol beyond the 1 that the function names}}
// expected-note @below {{the importer lists every symbol in graph.symbols}}
func.func @verify_graph_c3(%x: tensor<?xf32, #n>) attributes {graph.symbols = ["n"]} {
  return
}
