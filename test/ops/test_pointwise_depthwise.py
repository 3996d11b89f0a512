"""A pointwise and a depthwise convolution in one unit: against -O0, over the ways that planes are cut into bands, blocks of channels and tiles of pixels."""
import numpy as np
import pytest
from onnx import numpy_helper, parser

from support.convolutions import check_batches, compile_with_report, run_with_threads
from support.machine import skip_without_level

# input channels, channels, plane, window, strides, dilations, pads (before, then after); the planes in between have more than 1 MB, of many inputs 4
SIZES = {
    "few_channels": (16, 16, (136, 125), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "odd_channels": (13, 23, (121, 101), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "few_inputs": (3, 41, (90, 77), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "blocks": (24, 50, (85, 66), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "many_inputs": (32, 30, (191, 187), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "halves": (16, 96, (56, 112), (3, 3), (2, 2), (1, 1), (1, 1, 1, 1)),
    "odd_halves": (11, 37, (95, 87), (5, 5), (2, 2), (1, 1), (2, 2, 2, 2)),
    "only_rows_halved": (20, 33, (91, 100), (2, 4), (2, 1), (1, 1), (0, 2, 1, 1)),
    "thirds_of_rows": (20, 33, (91, 100), (3, 3), (3, 1), (1, 1), (1, 1, 1, 1)),
    "dilations": (24, 40, (80, 90), (3, 3), (1, 1), (5, 3), (5, 3, 5, 3)),
    "wide_padding": (9, 25, (100, 110), (3, 3), (1, 1), (1, 1), (9, 20, 30, 3)),
    "no_padding": (32, 32, (100, 100), (5, 5), (1, 1), (1, 1), (0, 0, 0, 0)),
    "low": (16, 30, (2, 5001), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "narrow": (16, 30, (5001, 2), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
}
BETWEEN = {"none": "d = CONV(x, w)", "clip": "c = CONV(x, w, b) d = Clip(c, low, high)", "swish": "c = CONV(x, w, b) s = Sigmoid(c) d = Mul(c, s)"}
BEHIND = {"none": "y = CONV(d, v)", "image": "e = CONV(d, v, b) f = Relu(e) y = Add(f, image)"}


def _outer(size: str) -> list[int]:
    _, _, plane, window, strides, dilations, pads = SIZES[size]
    return [(n + pads[k] + pads[2 + k] - dilations[k] * (window[k] - 1) - 1) // strides[k] + 1 for k, n in enumerate(plane)]


def _export(size: str, between: str, behind: str, symbolic: bool = False) -> bytes:
    inputs, channels, plane, window, strides, dilations, pads = SIZES[size]
    text = lambda values: "[" + ", ".join(map(str, values)) + "]"
    windows = f"Conv<group = {channels}, strides = {text(strides)}, dilations = {text(dilations)}, pads = {text(pads)}>"
    body = BETWEEN[between].replace("CONV", "Conv") + " " + BEHIND[behind].replace("CONV", windows)
    inner, outer = ("H, W", "P, Q") if symbolic else ("{}, {}".format(*plane), "{}, {}".format(*_outer(size)))
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[N, {inputs}, {inner}] x) => (float[N, {channels}, {outer}] y) {{ {body} }}')
    random = np.random.default_rng(11)
    tensors = {"w": (channels, inputs, 1, 1), "v": (channels, 1, *window), "b": (channels,), "image": (1, channels, *_outer(size))}
    values = {name: random.standard_normal(shape).astype(np.float32) for name, shape in tensors.items()}
    values["w"] /= np.float32(inputs**0.5)
    values["v"] /= np.float32(np.prod(window) ** 0.5)
    values |= {"low": np.float32(-1), "high": np.float32(2)}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in values.items() if f"{name})" in body or f"{name}," in body)
    return model.SerializeToString()


def _compile(model: bytes, path) -> str:
    skip_without_level("x86-64-v4")
    artifact, report = compile_with_report(model, path, target="x86-64-v4")
    assert [launch["hero"] for launch in report["launches"]] == ["pointwise_depthwise"]
    return artifact


def _refer(model: bytes, path):
    import onager

    return onager.InferenceSession(onager.compile(model, path, opt_level=0))


def _input(size: str, batch: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((batch, SIZES[size][0], *SIZES[size][2])).astype(np.float32)


def _hold(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    # Chains of up to 128 and 25 products of f32; swish within 5 units in the last place.
    assert np.abs(found - wanted).max() <= 4e-6 * np.abs(wanted).max()


@pytest.mark.parametrize("between, behind", [("none", "none"), ("clip", "image"), ("swish", "image")])
@pytest.mark.parametrize("size", SIZES)
def test_against_reference(size, between, behind, tmp_path):
    model, x = _export(size, between, behind), _input(size, 2)
    wanted = _refer(model, tmp_path / "reference.so").run(None, {"x": x})[0]
    _hold(run_with_threads(_compile(model, tmp_path / "model.so"), x, (1, 2, 5)), wanted)


@pytest.mark.parametrize("size", SIZES)
def test_symbolic_planes(size, tmp_path):
    """One artifact for planes of all sizes, smaller than a tile of pixels or a group of rows too."""
    model = _export(size, "clip", "none", symbolic=True)
    reference, artifact = _refer(model, tmp_path / "reference.so"), _compile(model, tmp_path / "model.so")
    height, width = SIZES[size][2]
    _, _, _, window, _, dilations, _ = SIZES[size]
    least = [min(dilations[k] * (window[k] - 1) + 1, n) for k, n in enumerate((height, width))]
    for rows, columns in {(height, width), (max(height // 3, least[0]), max(width // 5, least[1])), (least[0], least[1]), (min(height, 40), min(width, 45))}:
        x = np.ascontiguousarray(_input(size, 2)[:, :, :rows, :columns])
        _hold(run_with_threads(artifact, x, (1, 2, 5)), reference.run(None, {"x": x})[0])


@pytest.mark.parametrize("size", ["few_channels", "blocks", "odd_halves"])
@pytest.mark.parametrize("batch", [0, 1, 4])
def test_batches(size, batch, tmp_path):
    """One artifact for all batches; an image's bits do not depend on its place."""
    check_batches(_compile(_export(size, "clip", "image"), tmp_path / "model.so"), _input(size, 4), batch)
