"""Convolutions of f32 as parts of bf16 in tile registers, over windows, sizes around tiles of 32 channels, 32 pixels and 32 terms, and numbers that have no parts."""
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.machine import has_amx_bf16

pytestmark = pytest.mark.skipif(not has_amx_bf16(), reason="this processor has no AMX-BF16")

# channels, output channels, kernel, size of the plane, attributes
CASES = {
    "plain": (64, 64, (1, 1), (16, 16), {}),
    "ragged_pixels": (70, 100, (1, 1), (9, 7), {}),
    "one_panel_left": (64, 64, (1, 1), (5, 9), {}),
    "long": (300, 48, (1, 1), (8, 8), {}),
    "wide": (60, 1000, (1, 1), (7, 7), {}),
    "many_pixels": (48, 48, (1, 1), (41, 43), {}),
    "strided_points": (64, 96, (1, 1), (14, 15), {"strides": [2, 2]}),
    "strided_windows": (40, 70, (3, 3), (19, 21), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "wide_windows": (24, 64, (5, 5), (13, 12), {"pads": [2, 2, 2, 2]}),
    "dilated": (32, 64, (3, 3), (17, 15), {"dilations": [2, 2], "pads": [2, 1, 2, 3]}),
    "line": (64, 64, (3,), (100,), {"strides": [2], "pads": [0, 1]}),
    "volume": (32, 64, (2, 2, 2), (6, 5, 7), {}),
}


def _draw(*shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def _model(x: list, w: np.ndarray, attributes: dict, *, bias: np.ndarray | None = None, relu: bool = False) -> bytes:
    nodes = [helper.make_node("Conv", ["x", "w"] + (["b"] if bias is not None else []), ["c" if relu else "y"], kernel_shape=list(w.shape[2:]), **attributes)]
    nodes += [helper.make_node("Relu", ["c"], ["y"])] if relu else []
    graph = helper.make_graph(nodes, "conv", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(value, name) for name, value in (("w", w), ("b", bias)) if value is not None])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()


def _open(model: bytes, path, threads: int = 1, hero: str | None = "bf16x3_conv", **options):
    import onager

    report = []
    artifact = onager.compile(model, path, report=report, **options)
    assert hero is None or hero in {launch["hero"] for launch in json.loads(report[0])["launches"]}
    return onager.InferenceSession(artifact, threads=threads, recompile="off")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("form", ["static", "dynamic"])
@pytest.mark.parametrize("case", CASES)
def test_convolutions_are_as_exact_as_those_of_f32(case, form, threads, tmp_path):
    channels, out, kernel, size, attributes = CASES[case]
    w, bias = _draw(out, channels, *kernel, seed=1), _draw(out)
    dims = ["N", channels, *(f"D{k}" for k in range(len(size)))] if form == "dynamic" else [3, channels, *size]
    model = _model(dims, w, attributes, bias=bias, relu=True)
    found = _open(model, tmp_path / "found.so", threads, None if form == "dynamic" and case == "wide_windows" else "bf16x3_conv")
    exact = _open(model, tmp_path / "exact.so", threads, None, opt_level=0)
    scale = np.sqrt(channels * np.prod(kernel))
    for images in [3] if form == "static" else [1, 2, 5]:
        x = _draw(images, channels, *size)
        np.testing.assert_allclose(found.run(None, {"x": x})[0], exact.run(None, {"x": x})[0], rtol=1e-5, atol=2e-6 * scale)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 8), (3, 11), (8, 33)])
def test_any_number_of_pixels_of_a_dynamic_plane(size, tmp_path):
    w = _draw(64, 48, 1, 1)
    model = _model([1, 48, "H", "W"], w, {})
    x = _draw(1, 48, *size)
    wanted = np.einsum("oc,nchw->nohw", w[:, :, 0, 0].astype(np.float64), x)
    np.testing.assert_allclose(_open(model, tmp_path / "model.so").run(None, {"x": x})[0], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [(64, 47, 8), (47, 64, 8), (64, 64, 5)], ids=["channels", "terms", "pixels"])
def test_small_convolutions_have_no_parts(case, tmp_path):
    import onager

    channels, out, edge = case
    report = []
    onager.compile(_model([1, channels, edge, edge], _draw(out, channels, 1, 1), {}), tmp_path / "model.so", report=report)
    assert "three of bf16" not in json.loads(report[0])["numerics"]


SPECIAL = {"infinity": np.inf, "minus_infinity": -np.inf, "nan": np.nan}


@pytest.mark.parametrize("name", SPECIAL)
@pytest.mark.parametrize("operand", ["x", "w"])
@pytest.mark.parametrize("size", [(8, 8), (9, 5)], ids=["whole", "ragged"])
def test_what_is_not_finite_is_multiplied_as_f32(size, operand, name, tmp_path):
    """1 has no middle and low part, which times infinity would be NaN."""
    x, w = np.ones((1, 150, *size), np.float32), np.ones((70, 150, 1, 1), np.float32)
    if operand == "x":
        x[0, 37, -1, -1] = SPECIAL[name]
    else:
        w[40, 133] = SPECIAL[name]
    found = _open(_model(list(x.shape), w, {}), tmp_path / "model.so").run(None, {"x": x})[0]
    with np.errstate(invalid="ignore"):
        wanted = (w[:, :, 0, 0] @ x[0].reshape(150, -1)).reshape(1, 70, *size)
    np.testing.assert_array_equal(found, wanted)
