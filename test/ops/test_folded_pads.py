"""Pads that become those of the convolution or pool behind them, against the reference form."""
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.seeds import get_seed

CONSUMERS = {
    "conv": dict(op_type="Conv", kernel_shape=[3, 3]),
    "strided": dict(op_type="Conv", kernel_shape=[3, 3], strides=[2, 2]),
    "padded": dict(op_type="Conv", kernel_shape=[3, 3], pads=[1, 0, 0, 1], dilations=[2, 1]),
    "depthwise": dict(op_type="Conv", kernel_shape=[3, 3], strides=[2, 2], group=4),
    "max": dict(op_type="MaxPool", kernel_shape=[3, 3], strides=[2, 2]),
    "max_rounded_up": dict(op_type="MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "average": dict(op_type="AveragePool", kernel_shape=[3, 3], strides=[2, 2]),
    "average_padded": dict(op_type="AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "average_inside": dict(op_type="AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
}
PADS = {"one_side": [0, 0, 0, 0, 0, 0, 1, 1], "both": [0, 0, 2, 1, 0, 0, 1, 2], "wide": [0, 0, 4, 4, 0, 0, 4, 4]}


def make_model(consumer: str, pads: list[int], value: float, relu: bool, dims: list) -> bytes:
    random = np.random.default_rng(get_seed())
    attributes = dict(CONSUMERS[consumer])
    constants = [numpy_helper.from_array(np.array(pads, np.int64), "pads"), numpy_helper.from_array(np.array(value, np.float32), "value")]
    operands = ["p"]
    if attributes["op_type"] == "Conv":
        constants.append(numpy_helper.from_array(random.standard_normal((4, 4 // attributes.get("group", 1), 3, 3)).astype(np.float32), "w"))
        operands.append("w")
    nodes = [helper.make_node("Relu" if relu else "Neg", ["x"], ["n"]), helper.make_node("Pad", ["n", "pads", "value"], ["p"]),
             helper.make_node(inputs=operands, outputs=["y"], **attributes)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)], [helper.make_empty_tensor_value_info("y")], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def run_both(model: bytes, shape: tuple, tmp_path) -> int:
    """Compares the compiled form with the reference one; returns the number of launches."""
    import onager

    report = []
    session = onager.InferenceSession(onager.compile(model, tmp_path / "model.so", report=report))
    x = np.random.default_rng(get_seed()).standard_normal(shape).astype(np.float32)
    expected = onager.InferenceSession(model, opt_level=0).run(None, {"x": x})[0]
    np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, rtol=1e-4, atol=1e-5)
    return len(json.loads(report[0])["launches"])


@pytest.mark.parametrize("symbolic", [False, True], ids=["static", "symbolic"])
@pytest.mark.parametrize("value", [0.0, -np.inf, 0.5])
@pytest.mark.parametrize("pads", PADS)
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_results_stay(consumer, pads, value, symbolic, tmp_path):
    if value == -np.inf and CONSUMERS[consumer]["op_type"] != "MaxPool":
        value = -1.0  # products with infinity are not numbers
    for relu in (False, True) if value == 0 else (False,):
        model = make_model(consumer, PADS[pads], value, relu, ["n", 4, "h", "w"] if symbolic else [2, 4, 9, 14])
        run_both(model, (2, 4, 9, 14), tmp_path)


@pytest.mark.parametrize("consumer", ["conv", "strided", "padded", "depthwise", "average", "average_padded"])
def test_zeros_cost_no_launch(consumer, tmp_path):
    assert run_both(make_model(consumer, PADS["both"], 0.0, True, [2, 4, 9, 14]), (2, 4, 9, 14), tmp_path) == 2
