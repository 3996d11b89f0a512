"""Depthwise convolutions: against -O0, over the ways that planes are cut into bands, groups of rows and vectors of columns."""
import numpy as np
import pytest
from onnx import numpy_helper, parser

from support.convolutions import check_batches, compile_with_report, run_with_threads

# channels, output channels of each, spatial dims, window, strides, dilations, pads (before, then after)
SIZES = {
    "small": (5, 1, (7, 7), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "one_vector": (3, 1, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "two_vectors": (3, 2, (13, 29), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "full_vectors": (2, 1, (16, 32), (3, 3), (1, 1), (1, 1), (0, 0, 0, 0)),
    "bands": (6, 1, (56, 56), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "odd_bands": (3, 1, (27, 101), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "blocks": (2, 1, (90, 160), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "low_bands": (2, 1, (3, 300), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "halves": (4, 1, (14, 14), (3, 3), (2, 2), (1, 1), (1, 1, 1, 1)),
    "halved_bands": (3, 1, (112, 112), (3, 3), (2, 2), (1, 1), (0, 0, 1, 1)),
    "odd_halves": (3, 1, (75, 83), (5, 5), (2, 2), (1, 1), (2, 2, 2, 2)),
    "only_columns_halved": (3, 1, (31, 60), (2, 4), (1, 2), (1, 1), (1, 1, 0, 2)),
    "halved_half_vector": (2, 1, (25, 48), (5, 5), (2, 2), (1, 1), (1, 0, 2, 3)),
    "larger_halves": (2, 1, (30, 64), (7, 7), (2, 2), (1, 1), (3, 3, 3, 3)),
    "half_vector": (3, 1, (20, 56), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "large_window": (4, 1, (40, 47), (5, 5), (1, 1), (1, 1), (2, 2, 2, 2)),
    "larger_window": (2, 1, (24, 50), (7, 7), (1, 1), (1, 1), (3, 3, 3, 3)),
    "window_above_plane": (3, 1, (2, 3), (5, 5), (1, 1), (1, 1), (2, 2, 2, 2)),
    "dilations": (4, 1, (30, 40), (3, 3), (1, 1), (2, 3), (2, 3, 2, 3)),
    "dilated_halves": (4, 1, (30, 71), (3, 3), (2, 2), (3, 3), (3, 3, 3, 3)),
    "wide_padding": (3, 1, (9, 20), (3, 3), (1, 1), (1, 1), (7, 20, 5, 18)),
    "thirds": (3, 1, (25, 60), (3, 3), (3, 3), (1, 1), (1, 1, 1, 1)),
    "line": (7, 2, (301,), (5,), (1,), (1,), (2, 2)),
    "halved_line": (7, 1, (90,), (4,), (2,), (3,), (4, 5)),
    "column": (3, 1, (70, 1), (3, 1), (1, 1), (1, 1), (1, 0, 1, 0)),
}
EPILOGUES = {
    "none": "y = CONV(x, w)",
    "bias_clip": "c = CONV(x, w, b) y = Clip(c, low, high)",
    "image": "c = CONV(x, w, b) d = Relu(c) y = Add(d, image)",
    "channels": "c = CONV(x, w) d = Max(c, low) e = Sub(channel, d) f = Mul(e, channel) y = Mul(f, e)",
    "other_order": "c = CONV(x, w, b) d = Sigmoid(c) y = Sub(d, channel)",
}


def _outer(size: str) -> list[int]:
    _, _, spatial, window, strides, dilations, pads = SIZES[size]
    rank = len(spatial)
    return [(n + pads[k] + pads[rank + k] - dilations[k] * (window[k] - 1) - 1) // strides[k] + 1 for k, n in enumerate(spatial)]


def _export(size: str, epilogue: str, symbolic: bool = False) -> bytes:
    channels, each, spatial, window, strides, dilations, pads = SIZES[size]
    text = lambda values: "[" + ", ".join(map(str, values)) + "]"
    dims = lambda values: ", ".join(map(str, values))
    conv = f"Conv<group = {channels}, strides = {text(strides)}, dilations = {text(dilations)}, pads = {text(pads)}>"
    body = EPILOGUES[epilogue].replace("CONV", conv)
    inner, outer = (["H", "W"][: len(spatial)], ["P", "Q"][: len(spatial)]) if symbolic else (spatial, _outer(size))
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[N, {dims((channels, *inner))}] x) => (float[N, {dims((channels * each, *outer))}] y) {{ {body} }}')
    random = np.random.default_rng(11)
    tensors = {"w": (channels * each, 1, *window), "b": (channels * each,), "image": (1, channels * each, *_outer(size)), "channel": (channels * each, *[1] * len(spatial))}
    values = {name: random.standard_normal(shape).astype(np.float32) for name, shape in tensors.items()}
    values["w"] /= np.float32(np.prod(window) ** 0.5)
    values |= {"low": np.float32(-1), "high": np.float32(2)}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in values.items() if f"{name})" in body or f"{name}," in body)
    return model.SerializeToString()


def _compile(model: bytes, path, **options) -> str:
    artifact, report = compile_with_report(model, path, **options)
    if options.get("opt_level") != 0:
        assert [launch["hero"] for launch in report["launches"]] == ["depthwise"]
    return artifact


def _input(size: str, batch: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((batch, SIZES[size][0], *SIZES[size][2])).astype(np.float32)


def _hold(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-6 * np.abs(wanted).max()


@pytest.mark.parametrize("epilogue", EPILOGUES)
@pytest.mark.parametrize("size", SIZES)
def test_against_reference(size, epilogue, tmp_path):
    import onager

    model, x = _export(size, epilogue), _input(size, 2)
    wanted = onager.InferenceSession(_compile(model, tmp_path / "reference.so", opt_level=0)).run(None, {"x": x})[0]
    _hold(run_with_threads(_compile(model, tmp_path / "model.so"), x, (1, 2, 5)), wanted)


@pytest.mark.parametrize("size", SIZES)
def test_symbolic_planes(size, tmp_path):
    """One artifact for planes of all sizes, smaller than a group of rows or a vector too."""
    import onager

    model = _export(size, "bias_clip", symbolic=True)
    reference = onager.InferenceSession(_compile(model, tmp_path / "reference.so", opt_level=0))
    artifact = _compile(model, tmp_path / "model.so")
    for cut in (0, 1, 5):
        x = np.ascontiguousarray(_input(size, 2)[(..., *(slice(0, max(n - cut, 1)) for n in SIZES[size][2]))])
        try:
            wanted = reference.run(None, {"x": x})[0]
        except onager.Error:
            continue  # the window is larger than the plane
        _hold(run_with_threads(artifact, x, (1, 2, 5)), wanted)


@pytest.mark.parametrize("size", ["small", "bands", "odd_halves"])
@pytest.mark.parametrize("batch", [0, 1, 11])
def test_batches(size, batch, tmp_path):
    """One artifact for all batches; an image's bits do not depend on its place."""
    check_batches(_compile(_export(size, "image"), tmp_path / "model.so"), _input(size, 11), batch)


@pytest.mark.parametrize("size", SIZES)
def test_reads_inside(size, tmp_path):
    """Vectors at the ends of rows read nothing outside of the plane."""
    import onager

    model, x = _export(size, "bias_clip"), _input(size, 1)
    wanted = onager.InferenceSession(_compile(model, tmp_path / "reference.so", opt_level=0)).run(None, {"x": x})[0]
    guarded = np.zeros(x.size + 8192, np.float32)
    guarded[:] = np.nan
    place = guarded[4096 : 4096 + x.size].reshape(x.shape)
    place[:] = x
    _hold(run_with_threads(_compile(model, tmp_path / "model.so"), place, (1,)), wanted)


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("size", ["small", "odd_bands", "odd_halves"])
def test_narrow_vectors(size, target, tmp_path):
    import onager

    model, x = _export(size, "bias_clip"), _input(size, 2)
    wanted, found = (
        onager.InferenceSession(_compile(model, tmp_path / f"{number}.so", **options)).run(None, {"x": x})[0]
        for number, options in enumerate([{"opt_level": 0}, {"target": target}])
    )
    _hold(found, wanted)
