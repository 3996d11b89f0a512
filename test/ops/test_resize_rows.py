"""Resampling by rows against the reference form, over scales on both sides of one permutation, coordinates, ranks and levels of code."""
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.machine import skip_without_level
from support.seeds import get_seed

SIZES = {
    "up": ((2, 3, 5, 7), (15, 40)),
    "up_by_parts": ((1, 2, 33, 45), (47, 64)),
    "half": ((1, 2, 40, 64), (20, 32)),
    "down": ((1, 2, 37, 90), (11, 17)),
    "lines": ((2, 2, 9, 21), (30, 21)),
    "columns": ((2, 2, 9, 21), (9, 50)),
    "one": ((1, 3, 1, 1), (6, 19)),
    "to_one": ((1, 3, 6, 19), (1, 1)),
    "sequence": ((2, 3, 13), (29,)),
    "line": ((11,), (37,)),
    "matrix": ((6, 8), (13, 33)),
    "two_vectors": ((2, 3, 9, 20), (18, 47)),
    "over_two_vectors": ((1, 2, 5, 33), (9, 66)),
    "small_down": ((2, 3, 14, 14), (7, 5)),
}
MODES = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric"]


def make_model(size: str, mode: str, coordinates: str, symbolic: bool = False, by_scales: bool = False, relu: bool = False) -> bytes:
    shape, target = SIZES[size]
    dims = [f"d{k}" if symbolic else extent for k, extent in enumerate(shape)]
    full = [*shape[: len(shape) - len(target)], *target]
    if by_scales:
        constants = [numpy_helper.from_array(np.array([b / a for a, b in zip(shape, full)], np.float32), "scales")]
        resize = helper.make_node("Resize", ["x", "", "scales"], ["r"], mode=mode, coordinate_transformation_mode=coordinates)
    else:
        constants = [numpy_helper.from_array(np.array(target, np.int64), "sizes")]
        axes = list(range(len(shape) - len(target), len(shape)))
        resize = helper.make_node("Resize", ["x", "", "", "sizes"], ["r"], mode=mode, coordinate_transformation_mode=coordinates, axes=axes)
    nodes = [resize, helper.make_node("Relu" if relu else "Identity", ["r"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)], [helper.make_empty_tensor_value_info("y")], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9).SerializeToString()


def check(model: bytes, shapes: list, tmp_path, target: str = "native") -> None:
    import onager

    report = []
    session = onager.InferenceSession(onager.compile(model, tmp_path / "model.so", report=report, target=target), threads=2)
    assert "resize" in {launch["hero"] for launch in json.loads(report[0])["launches"]}
    reference = onager.InferenceSession(model, opt_level=0)
    random = np.random.default_rng(get_seed())
    for shape in shapes:
        x = random.standard_normal(shape).astype(np.float32)
        np.testing.assert_allclose(session.run(None, {"x": x})[0], reference.run(None, {"x": x})[0], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("size", SIZES)
def test_sizes(size, mode, tmp_path):
    check(make_model(size, mode, "half_pixel"), [SIZES[size][0]], tmp_path)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("coordinates", MODES)
def test_coordinates(coordinates, mode, tmp_path):
    for size in ["up", "down"]:
        check(make_model(size, mode, coordinates), [SIZES[size][0]], tmp_path)


@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("size", ["up_by_parts", "down"])
def test_levels(size, level, tmp_path):
    skip_without_level(level)
    check(make_model(size, "linear", "half_pixel"), [SIZES[size][0]], tmp_path, level)


@pytest.mark.parametrize("by_scales", [False, True])
def test_symbolic_extents(by_scales, tmp_path):
    """One artifact for scales that are permuted and scales that are not; without elements there are none."""
    check(make_model("up", "linear", "half_pixel", symbolic=True, by_scales=by_scales), [(2, 3, 5, 7), (1, 1, 30, 200), (3, 2, 1, 40), (0, 3, 5, 7)], tmp_path)


def test_what_follows_is_taken_in(tmp_path):
    check(make_model("up", "cubic", "half_pixel", relu=True), [SIZES["up"][0]], tmp_path)


def test_a_plane_without_elements_is_refused(tmp_path):
    import onager

    session = onager.InferenceSession(make_model("up", "linear", "half_pixel", symbolic=True))
    with pytest.raises(RuntimeError, match="a dim without elements cannot be resized to some"):
        session.run(None, {"x": np.zeros((1, 1, 0, 4), np.float32)})
