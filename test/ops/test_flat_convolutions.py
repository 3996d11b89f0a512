"""Convolutions that become products or lose dims, with what is computed behind them, against the reference form."""
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.seeds import get_seed

CASES = {  # input, filter, attributes
    "squeeze": ((1, 1), (1, 1), {}),
    "whole_image": ((5, 4), (5, 4), {}),
    "beside_the_window": ((7, 9), (3, 2), dict(strides=[9, 9], dilations=[2, 3])),
    "in_the_padding": ((1, 2), (3, 4), dict(pads=[1, 1, 1, 1])),
    "dilated_padding": ((2, 3), (3, 3), dict(pads=[2, 2, 2, 2], dilations=[2, 3], strides=[3, 3])),
    "line": ((1,), (3,), dict(pads=[1, 1])),
    "over_time": ((6, 5, 3), (3, 1, 1), dict(pads=[1, 0, 0, 1, 0, 0])),
    "strided_time": ((7, 2, 9), (2, 1, 1), dict(strides=[2, 1, 1])),
    "columns": ((6, 4, 5), (3, 3, 1), dict(pads=[1, 0, 0, 0, 2, 0])),
    "pyramid": ((5, 4), (3, 3), dict(pads=[7, 7, 7, 7], dilations=[7, 7])),
    "pyramid_of_groups": ((5, 4), (3, 2), dict(pads=[7, 9, 7, 0], dilations=[7, 9], group=4)),
    "steps_past_the_line": ((6,), (6,), dict(pads=[4, 7], dilations=[2], strides=[6])),
    "grouped_time": ((6, 4, 5), (3, 1, 1), dict(group=4)),
}
BEHIND = ["Relu", "Swish", "Bias", "Gate", "Rows"]


def make_model(case: str, behind: str, dims: list, kind: int = TensorProto.FLOAT) -> bytes:
    random = np.random.default_rng(get_seed())
    inside, window, attributes = CASES[case]
    number = helper.tensor_dtype_to_np_dtype(kind)
    constants = [numpy_helper.from_array((random.standard_normal((20, 8 // attributes.get("group", 1), *window)) / 8).astype(number), "w"),
                 numpy_helper.from_array(random.standard_normal((20, *[1] * len(window))).astype(number), "bias")]
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], **attributes)]
    nodes += {"Relu": [helper.make_node("Relu", ["c"], ["y"])],
              "Swish": [helper.make_node("Sigmoid", ["c"], ["s"]), helper.make_node("Mul", ["s", "c"], ["y"])],
              "Bias": [helper.make_node("Add", ["c", "bias"], ["b"]), helper.make_node("Conv", ["x", "w"], ["d"], **attributes), helper.make_node("Max", ["b", "d"], ["y"])],
              "Gate": [helper.make_node("HardSigmoid", ["c"], ["h"]), helper.make_node("Mul", ["h", "plane"], ["y"])],
              "Rows": [helper.make_node("Abs", ["c"], ["a"]), helper.make_node("Add", ["a", "row"], ["t"]), helper.make_node("Tanh", ["t"], ["y"])]}[behind]
    inputs = [helper.make_tensor_value_info("x", kind, dims)]
    if behind == "Gate":
        inputs.append(helper.make_tensor_value_info("plane", kind, ["n", 20, *[f"p{k}" for k in range(len(window))]]))
    if behind == "Rows":
        inputs.append(helper.make_tensor_value_info("row", kind, [f"r{k}" for k in range(len(window))]))
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_empty_tensor_value_info("y")], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10).SerializeToString()


def run_both(model: bytes, feeds: dict, tmp_path, rtol: float) -> dict:
    """Compares the compiled form with the reference one; returns the compile report."""
    import onager

    report = []
    session = onager.InferenceSession(onager.compile(model, tmp_path / "model.so", report=report))
    expected = onager.InferenceSession(model, opt_level=0).run(None, feeds)[0]
    np.testing.assert_allclose(session.run(None, feeds)[0], expected, rtol=rtol, atol=rtol)
    return json.loads(report[0])


def make_feeds(case: str, behind: str, images: int, number=np.float32) -> dict:
    random = np.random.default_rng(get_seed() + images)
    inside, window, attributes = CASES[case]
    feeds = {"x": random.standard_normal((images, 8, *inside)).astype(number)}
    rank = len(window)
    if behind == "Gate":  # spreads over planes where the result has one position
        stride, dilation, pads = (attributes.get(name, [default] * rank * 2) for name, default in (("strides", 1), ("dilations", 1), ("pads", 0)))
        out = [(inside[k] + pads[k] + pads[k + rank] - (window[k] - 1) * dilation[k] - 1) // stride[k] + 1 for k in range(rank)]
        feeds["plane"] = random.standard_normal((images, 20, *[extent if extent > 1 else 3 for extent in out])).astype(number)
    if behind == "Rows":
        feeds["row"] = random.standard_normal([1] * rank).astype(number)
    return feeds


@pytest.mark.parametrize("form", ["static", "images", "symbolic"])
@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("case", CASES)
def test_results_stay(case, behind, form, tmp_path):
    inside = CASES[case][0]
    for images in (1, 3):
        dims = {"static": [images, 8, *inside], "images": ["n", 8, *inside], "symbolic": ["n", 8, *[f"d{k}" for k in range(len(inside))]]}[form]
        run_both(make_model(case, behind, dims), make_feeds(case, behind, images), tmp_path, 1e-4)


@pytest.mark.parametrize("case", ["squeeze", "in_the_padding", "over_time"])
def test_halves(case, tmp_path):
    run_both(make_model(case, "Swish", [2, 8, *CASES[case][0]], TensorProto.FLOAT16), make_feeds(case, "Swish", 2, np.float16), tmp_path, 4e-3)


@pytest.mark.parametrize("case", ["squeeze", "whole_image", "in_the_padding"])
def test_epilogues_stay_with_their_product(case, tmp_path):
    """A convolution of one position and what is elementwise behind it are one launch, a product."""
    report = run_both(make_model(case, "Swish", [1, 8, *CASES[case][0]]), make_feeds(case, "Swish", 1), tmp_path, 1e-4)
    assert report["launches"] == [{"hero": "gemm", "nodes": "c y"}]
