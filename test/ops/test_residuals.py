"""Maps whose result both a product, window or scan reads whole and what follows it element by element: the map's result must be in memory by then."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onager

random = np.random.default_rng(11)
PLANE, ROW = ["n", 4, 9, 9], ["n", 32]
FILTER = (random.standard_normal((4, 4, 3, 3)) / 4).astype(np.float32)
WEIGHTS = (random.standard_normal((32, 32)) / 5).astype(np.float32)
BYTES = random.integers(0, 256, (32, 1, 16), np.uint8)
SCALES = (random.random((32, 1)) / 40).astype(np.float32)

CASES = {
    "MatMul": (ROW, helper.make_node("MatMul", ["h", "w"], ["m"]), {"w": WEIGHTS}),
    "Gemm": (ROW, helper.make_node("Gemm", ["h", "w"], ["m"], transB=1), {"w": WEIGHTS}),
    "MatMulNBits": (ROW, helper.make_node("MatMulNBits", ["h", "b", "s"], ["m"], domain="com.microsoft", K=32, N=32, bits=4, block_size=32), {"b": BYTES, "s": SCALES}),
    "Softmax": (ROW, helper.make_node("Softmax", ["h"], ["m"]), {}),
    "LayerNormalization": (ROW, helper.make_node("LayerNormalization", ["h", "g"], ["m"]), {"g": np.ones(32, np.float32)}),
    "CumSum": (ROW, helper.make_node("CumSum", ["h", "axis"], ["m"]), {"axis": np.array(1, np.int64)}),
    "Conv": (PLANE, helper.make_node("Conv", ["h", "c"], ["m"], pads=[1] * 4), {"c": FILTER}),
    "ConvTranspose": (PLANE, helper.make_node("ConvTranspose", ["h", "c"], ["m"], pads=[1] * 4), {"c": FILTER}),
    "MaxPool": (PLANE, helper.make_node("MaxPool", ["h"], ["m"], kernel_shape=[3, 3], pads=[1] * 4), {}),
    "AveragePool": (PLANE, helper.make_node("AveragePool", ["h"], ["m"], kernel_shape=[3, 3], pads=[1] * 4), {}),
    "LRN": (PLANE, helper.make_node("LRN", ["h"], ["m"], size=3), {}),
    "Transpose": (PLANE, helper.make_node("Transpose", ["h"], ["m"], perm=[0, 1, 3, 2]), {}),
}


@pytest.mark.parametrize("rows", [1, 3, 20])
@pytest.mark.parametrize("name", CASES)
def test_residual_around(name, rows, tmp_path):
    shape, node, constants = CASES[name]
    nodes = [helper.make_node("Sin", ["x"], ["a"]), helper.make_node("Mul", ["a", "x"], ["h"]), node, helper.make_node("Tanh", ["m"], ["t"]), helper.make_node("Add", ["h", "t"], ["y"])]
    graph = helper.make_graph(nodes, "residual", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
                              [numpy_helper.from_array(value, key) for key, value in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8), tmp_path / "m.onnx")
    x = np.random.default_rng(rows).standard_normal([rows, *shape[1:]]).astype(np.float32)
    found, expected = (onager.InferenceSession(tmp_path / "m.onnx", opt_level=level).run(None, {"x": x})[0] for level in (3, 0))
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-5)
