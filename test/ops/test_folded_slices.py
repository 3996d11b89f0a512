"""Slices that leave positions of a convolution out, against the reference form."""
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.seeds import get_seed

CONVOLUTIONS = {
    "causal": dict(pads=[4, 4], dilations=[2]),
    "strided": dict(pads=[3, 2], strides=[2]),
    "depthwise": dict(pads=[4, 4], group=8),
    "plane": dict(pads=[2, 1, 2, 3]),
}
SLICES = {"end": (0, -4, 1), "start": (1, 2**40, 1), "both": (1, -1, 1), "stepped": (0, 2**40, 2), "behind": (5, 2**40, 1), "backwards": (-1, -2**40, -1), "none": (6, 3, 1)}
BETWEEN = {"nothing": [], "activation": ["Relu"], "bias": ["Relu", "Add"], "positions": ["Mul"]}


def make_model(convolution: str, cut: str, between: str, is_symbolic: bool) -> bytes:
    random = np.random.default_rng(get_seed())
    attributes = CONVOLUTIONS[convolution]
    rank = len(attributes["pads"]) // 2
    first, last, step = SLICES[cut]
    constants = [numpy_helper.from_array(random.standard_normal((8, 8 // attributes.get("group", 1), *[3] * rank)).astype(np.float32), "w"),
                 numpy_helper.from_array(random.standard_normal((8, *[1] * rank)).astype(np.float32), "Add"),
                 *(numpy_helper.from_array(np.array([number], np.int64), name) for name, number in (("first", first), ("last", last), ("step", step), ("axis", -1)))]
    nodes, value = [helper.make_node("Conv", ["x", "w"], ["c"], **attributes)], "c"
    for op in BETWEEN[between]:
        operands = {"Relu": [value], "Add": [value, "Add"], "Mul": [value, value]}[op]
        nodes.append(helper.make_node(op, operands, [value := f"{op}_"]))
    nodes.append(helper.make_node("Slice", [value, "first", "last", "axis", "step"], ["y"]))
    dims = ["n", 8, *"hw"[-rank:]] if is_symbolic else [2, 8, *[9, 21][-rank:]]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)], [helper.make_empty_tensor_value_info("y")], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def run_both(model: bytes, rank: int, tmp_path) -> dict:
    """Compares the compiled form with the reference one; returns the compile report."""
    import onager

    report = []
    session = onager.InferenceSession(onager.compile(model, tmp_path / "model.so", report=report))
    x = np.random.default_rng(get_seed()).standard_normal((2, 8, *[9, 21][-rank:])).astype(np.float32)
    expected = onager.InferenceSession(model, opt_level=0).run(None, {"x": x})[0]
    np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, rtol=1e-4, atol=1e-5)
    return json.loads(report[0])


@pytest.mark.parametrize("is_symbolic", [False, True], ids=["static", "symbolic"])
@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("cut", SLICES)
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_results_stay(convolution, cut, between, is_symbolic, tmp_path):
    run_both(make_model(convolution, cut, between, is_symbolic), len(CONVOLUTIONS[convolution]["pads"]) // 2, tmp_path)


@pytest.mark.parametrize("cut, is_folded", [("end", True), ("stepped", True), ("behind", False)])
def test_positions_are_not_computed(cut, is_folded, tmp_path):
    """What is left of a causal convolution, its bias and activation is one launch; a slice from behind the pads on is another."""
    report = run_both(make_model("causal", cut, "bias", False), 1, tmp_path)
    assert (len(report["launches"]) == 1) == is_folded
