// Elementwise operations, with and without broadcasting, keep their meaning through text and bytecode.
// RUN: %opt %s | onager-opt | FileCheck %s
// RUN: %opt %s --emit-bytecode | onager-opt | FileCheck %s

// CHECK-LABEL: func.func @unary
func.func @unary(%x: tensor<2x3xf32>) {
  // CHECK: graph.abs %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %abs = graph.abs %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.neg %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %neg = graph.neg %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.exp %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %exp = graph.exp %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.log %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %log = graph.log %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.sqrt %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %sqrt = graph.sqrt %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.reciprocal %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %reciprocal = graph.reciprocal %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.floor %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %floor = graph.floor %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.ceil %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %ceil = graph.ceil %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.round %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %round = graph.round %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.gelu %{{.+}} {tanh} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %gelu = graph.gelu %x {tanh} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.swish %{{.+}} {alpha = 1.702000e+00 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %swish = graph.swish %x {alpha = 1.702 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.sign %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %sign = graph.sign %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.sin %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %sin = graph.sin %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.cos %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %cos = graph.cos %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.tan %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %tan = graph.tan %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.asin %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %asin = graph.asin %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.acos %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %acos = graph.acos %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.atan %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %atan = graph.atan %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.sinh %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %sinh = graph.sinh %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.cosh %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %cosh = graph.cosh %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.asinh %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %asinh = graph.asinh %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.acosh %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %acosh = graph.acosh %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.atanh %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %atanh = graph.atanh %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.tanh %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %tanh = graph.tanh %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.erf %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %erf = graph.erf %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.sigmoid %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %sigmoid = graph.sigmoid %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.log1p %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %log1p = graph.log1p %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.expm1 %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %expm1 = graph.expm1 %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.relu %{{.+}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %relu = graph.relu %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// CHECK-LABEL: func.func @binary
func.func @binary(%x: tensor<2x3xf32>, %row: tensor<3xf32>, %column: tensor<2x1xf32>) {
  // CHECK: graph.add %{{.+}}, %{{.+}} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %add = graph.add %x, %row : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.sub %{{.+}}, %{{.+}} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %sub = graph.sub %x, %row : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.mul %{{.+}}, %{{.+}} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %mul = graph.mul %x, %row : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.div %{{.+}}, %{{.+}} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %div = graph.div %x, %row : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.mod %{{.+}}, %{{.+}} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %mod = graph.mod %x, %row : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.pow %{{.+}}, %{{.+}} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %pow = graph.pow %x, %row : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.min %{{.+}}, %{{.+}} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %min = graph.min %x, %row : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.max %{{.+}}, %{{.+}} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %max = graph.max %x, %row : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.atan2 %{{.+}}, %{{.+}} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %atan2 = graph.atan2 %x, %row : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.mod %{{.+}}, %{{.+}} {fmod} : (tensor<3xf32>, tensor<2x1xf32>) -> tensor<2x3xf32>
  %fmod = graph.mod %row, %column {fmod} : (tensor<3xf32>, tensor<2x1xf32>) -> tensor<2x3xf32>
  return
}

// CHECK-LABEL: func.func @integers
func.func @integers(%x: tensor<4xui8>, %b: tensor<4xi1>) {
  // CHECK: graph.and %{{.+}}, %{{.+}} : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  %and = graph.and %x, %x : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  // CHECK: graph.or %{{.+}}, %{{.+}} : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  %or = graph.or %x, %x : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  // CHECK: graph.xor %{{.+}}, %{{.+}} : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  %xor = graph.xor %x, %x : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  // CHECK: graph.shift_left %{{.+}}, %{{.+}} : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  %shift_left = graph.shift_left %x, %x : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  // CHECK: graph.shift_right %{{.+}}, %{{.+}} : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  %shift_right = graph.shift_right %x, %x : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  // CHECK: graph.not %{{.+}} : (tensor<4xi1>) -> tensor<4xi1>
  %not = graph.not %b : (tensor<4xi1>) -> tensor<4xi1>
  return
}

// CHECK-LABEL: func.func @tests
func.func @tests(%x: tensor<4xf32>, %s: tensor<f32>) {
  // CHECK: graph.equal %{{.+}}, %{{.+}} : (tensor<4xf32>, tensor<f32>) -> tensor<4xi1>
  %equal = graph.equal %x, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xi1>
  // CHECK: graph.less %{{.+}}, %{{.+}} : (tensor<4xf32>, tensor<f32>) -> tensor<4xi1>
  %less = graph.less %x, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xi1>
  // CHECK: graph.less_equal %{{.+}}, %{{.+}} : (tensor<4xf32>, tensor<f32>) -> tensor<4xi1>
  %less_equal = graph.less_equal %x, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xi1>
  // CHECK: graph.is_nan %{{.+}} : (tensor<4xf32>) -> tensor<4xi1>
  %nan = graph.is_nan %x : (tensor<4xf32>) -> tensor<4xi1>
  // CHECK: graph.is_inf %{{.+}} {negative = false, positive = true} : (tensor<4xf32>) -> tensor<4xi1>
  %inf = graph.is_inf %x {positive = true, negative = false} : (tensor<4xf32>) -> tensor<4xi1>
  // CHECK: graph.select %{{.+}}, %{{.+}}, %{{.+}} : (tensor<4xi1>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %select = graph.select %nan, %x, %s : (tensor<4xi1>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return
}

// CHECK-LABEL: func.func @casts
func.func @casts(%x: tensor<4xf32>) {
  // CHECK: graph.cast %{{.+}} : (tensor<4xf32>) -> tensor<4xi8>
  %0 = graph.cast %x : (tensor<4xf32>) -> tensor<4xi8>
  // CHECK: graph.cast %{{.+}} {saturate = false} : (tensor<4xf32>) -> tensor<4xf8E5M2>
  %1 = graph.cast %x {saturate = false} : (tensor<4xf32>) -> tensor<4xf8E5M2>
  // CHECK: graph.bitcast %{{.+}} : (tensor<4xf32>) -> tensor<4xui32>
  %2 = graph.bitcast %x : (tensor<4xf32>) -> tensor<4xui32>
  return
}

#row = affine_map<()[s0] -> (s0)>
#pair = affine_map<()[s0, s1] -> (s1, s0)>
// CHECK-LABEL: func.func @symbolic
func.func @symbolic(%x: tensor<?x?xf32, #pair>, %row: tensor<?xf32, #row>) attributes {graph.symbols = ["n", "m"]} {
  // CHECK: graph.add %{{.+}}, %{{.+}} : (tensor<?x?xf32, #{{.+}}>, tensor<?xf32, #{{.+}}>) -> tensor<?x?xf32, #{{.+}}>
  %0 = graph.add %x, %row : (tensor<?x?xf32, #pair>, tensor<?xf32, #row>) -> tensor<?x?xf32, #pair>
  return
}
