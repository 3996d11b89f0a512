"""Small models, as bytes, that together touch every part of the importer and most emitters."""
import functools

import numpy as np
import onnx
import onnx.parser
from onnx import helper, numpy_helper

_TEXTS = {
    "shapes": """<ir_version: 10, opset_import: ["" : 21]>
        shapes (float[N,T,8] x) => (float[N,2,T,4] y) {
          shape = Shape(x)
          zero = Constant<value_ints = [0]>()
          one = Constant<value_ints = [1]>()
          n = Gather(shape, zero)
          t = Gather(shape, one)
          split = Constant<value_ints = [2, 4]>()
          target = Concat<axis = 0>(n, t, split)
          r = Reshape(x, target)
          y = Transpose<perm = [0, 2, 1, 3]>(r)
        }""",
    "control": """<ir_version: 10, opset_import: ["" : 21]>
        control (bool choice, float[2] x, int64 trips) => (float[2] picked, float[2] total, stacked) {
          picked = If<then_branch = g1 () => (float[2] a) { a = Neg(x) }, else_branch = g2 () => (float[2] b) { b = Exp(x) }>(choice)
          total, stacked = Loop<body = body (int64 i, bool go, float[2] carried) => (bool more, float[2] next, float[2] slice) {
            more = Identity(go)
            next = Add(carried, x)
            slice = Mul(carried, x)
          }>(trips, , x)
        }""",
    "indices": """<ir_version: 10, opset_import: ["" : 21]>
        indices (float[3,4] x, int64[2] i, int64[3,2] e, float[3,2] u) => (a, b, c, d, k) {
          a = Gather<axis = 1>(x, i)
          b = GatherElements<axis = 1>(x, e)
          c = ScatterElements<axis = 1, reduction = "add">(x, e, u)
          d = NonZero(x)
          two = Constant<value_ints = [2]>()
          k, places = TopK(x, two)
        }""",
    "quantised": """<ir_version: 10, opset_import: ["" : 21]>
        quantised (float[2,4] x, float scale, uint8 zero) => (y, w) {
          q = QuantizeLinear(x, scale, zero)
          y = DequantizeLinear(q, scale, zero)
          w, s, z = DynamicQuantizeLinear(x)
        }""",
    "functions": """<ir_version: 10, opset_import: ["" : 21, "local" : 1]>
        functions (float[2,N] x) => (y) {
          a = local.scale<factor = 2.0>(x)
          b = Softmax(a)
          y = LayerNormalization(b, g)
        }
        <domain: "local", opset_import: ["" : 21]>
        scale <factor>(a) => (b) {
          f = Constant<value_float : float = @factor>()
          b = Mul(a, f)
        }""".replace("LayerNormalization(b, g)", "Mish(b)"),
}


def _make_network() -> onnx.ModelProto:
    """A convolution and a product with weights in every form: raw, typed, packed and sparse."""
    random = np.random.default_rng(1)
    tensor = lambda name, *shape: numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)
    sparse = helper.make_sparse_tensor(helper.make_tensor("s", onnx.TensorProto.FLOAT, [2], [1.0, 2.0]),
                                       helper.make_tensor("s_places", onnx.TensorProto.INT64, [2], [1, 6]), [8])
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], name="conv"), helper.make_node("Relu", ["c"], ["r"]),
             helper.make_node("GlobalAveragePool", ["r"], ["p"]), helper.make_node("Flatten", ["p"], ["f"]),
             helper.make_node("Gemm", ["f", "m", "t"], ["g"], name="gemm"), helper.make_node("Add", ["g", "s"], ["y"])]
    graph = helper.make_graph(nodes, "network", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, 6, 6])],
                              [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 8])],
                              [tensor("w", 4, 3, 3, 3), tensor("b", 4), tensor("m", 4, 8), helper.make_tensor("t", onnx.TensorProto.FLOAT, [8], range(8))],
                              sparse_initializer=[sparse])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _make_recurrent() -> onnx.ModelProto:
    random = np.random.default_rng(2)
    weights = [numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)
               for name, shape in (("w", (1, 16, 3)), ("r", (1, 16, 4)), ("b", (1, 32)))]
    graph = helper.make_graph([helper.make_node("LSTM", ["x", "w", "r", "b"], ["y", "h"], hidden_size=4)], "recurrent",
                              [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["s", 2, 3])],
                              [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None), helper.make_tensor_value_info("h", onnx.TensorProto.FLOAT, None)],
                              weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@functools.cache
def make_samples() -> dict[str, bytes]:
    """Returns {name: serialized model}."""
    models = {name: onnx.parser.parse_model(text) for name, text in _TEXTS.items()}
    models |= {"network": _make_network(), "recurrent": _make_recurrent()}
    return {name: model.SerializeToString() for name, model in models.items()}


def parse(text: str) -> onnx.ModelProto:
    """Parses nodes and a signature in ONNX text, e.g. parse("(float[2] x) => (y) { y = Relu(x) }")."""
    return onnx.parser.parse_model('<ir_version: 10, opset_import: ["" : 21]> g ' + text)


def make_feeds(session, extent: int = 2, seed: int = 0, most: int = 1 << 22) -> dict | None:
    """Returns random inputs for a session with `extent` for each dim that is not fixed; None where they would exceed `most` elements."""
    random, feeds = np.random.default_rng(seed), {}
    kinds = {"float": np.float32, "double": np.float64, "float16": np.float16, "bool": np.bool_}
    for value in session.get_inputs():
        name = value.type[len("tensor("):-1]
        shape = [dim if isinstance(dim, int) else extent for dim in value.shape]
        if np.prod(shape, dtype=float) > most:
            return None
        kind = np.dtype(kinds.get(name) or getattr(np, name, np.float32))
        numbers = random.standard_normal(shape) if kind.kind == "f" else random.integers(0, 2, shape)
        feeds[value.name] = np.asarray(numbers).astype(kind)
    return feeds
