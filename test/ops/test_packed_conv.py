"""Convolutions with output channels in the lanes: against -O0, over the ways that pixels, sums and channels are cut."""
import numpy as np
import pytest
from onnx import numpy_helper, parser

from support.convolutions import check_batches, compile_with_report, run_with_threads

# channels, output channels, spatial dims, window, strides, dilations, pads (before, then after)
SIZES = {
    "one_tap": (64, 96, (7, 7), (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    "odd_channels": (131, 37, (5, 9), (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    "one_panel_more": (257, 80, (14, 14), (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    "two_pixels": (128, 33, (1, 2), (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    "strides": (200, 100, (14, 13), (1, 1), (2, 2), (1, 1), (0, 0, 0, 0)),
    "wide_strides": (70, 128, (20, 17), (1, 1), (3, 4), (1, 1), (0, 0, 0, 0)),
    "window": (64, 128, (7, 7), (3, 3), (2, 2), (1, 1), (1, 1, 1, 1)),
    "long_sum": (320, 224, (7, 7), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "large_window": (300, 288, (9, 8), (5, 5), (2, 1), (1, 1), (2, 2, 2, 2)),
    "dilations": (40, 97, (11, 12), (3, 2), (1, 1), (2, 3), (0, 2, 3, 1)),
    "line": (30, 112, (61,), (5,), (1,), (1,), (2, 2)),
    "volume": (17, 96, (4, 5, 6), (2, 2, 3), (1, 1, 1), (1, 1, 1), (0, 0, 1, 1, 0, 1)),
    "padded_tap": (64, 96, (6, 6), (1, 1), (1, 1), (1, 1), (1, 0, 0, 2)),
}
EPILOGUES = {
    "none": "y = CONV(x, w)",
    "bias_relu": "c = CONV(x, w, b) y = Relu(c)",
    "image": "c = CONV(x, w, b) d = Add(c, image) y = Clip(d, low, high)",
    "row": "c = CONV(x, w, b) y = Mul(c, row)",
}


def _export(size: str, epilogue: str, batch: str = "N") -> bytes:
    channels, outputs, spatial, window, strides, dilations, pads = SIZES[size]
    rank = len(spatial)
    out = [(n + pads[k] + pads[rank + k] - dilations[k] * (window[k] - 1) - 1) // strides[k] + 1 for k, n in enumerate(spatial)]
    text = lambda values: "[" + ", ".join(map(str, values)) + "]"
    conv = f"Conv<strides = {text(strides)}, dilations = {text(dilations)}, pads = {text(pads)}>"
    body = EPILOGUES[epilogue].replace("CONV", conv)
    dims = lambda values: ", ".join(map(str, values))
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[{batch}, {dims((channels, *spatial))}] x) => (float[{batch}, {dims((outputs, *out))}] y) {{ {body} }}')
    random = np.random.default_rng(11)
    tensors = {"w": (outputs, channels, *window), "b": (outputs,), "row": (out[-1],), "image": (1, outputs, *out)}
    values = {name: random.standard_normal(shape).astype(np.float32) for name, shape in tensors.items()}
    values["w"] /= np.float32((channels * np.prod(window)) ** 0.5)
    values |= {"low": np.float32(-1), "high": np.float32(2)}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in values.items() if f"{name})" in body or f"{name}," in body)
    return model.SerializeToString()


def _compile(model: bytes, path, **options) -> tuple:
    artifact, report = compile_with_report(model, path, **{"bf16x3": False, **options})
    return artifact, [launch["hero"] for launch in report["launches"]]


def _input(size: str, batch: int) -> np.ndarray:
    channels, _, spatial, *_ = SIZES[size]
    return np.random.default_rng(3).standard_normal((batch, channels, *spatial)).astype(np.float32)


def _hold(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    # Chains of up to 7,500 products of f32.
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("epilogue", EPILOGUES)
@pytest.mark.parametrize("size", SIZES)
def test_against_reference(size, epilogue, tmp_path):
    import onager

    model, x = _export(size, epilogue), _input(size, 3)
    wanted = onager.InferenceSession(_compile(model, tmp_path / "reference.so", opt_level=0)[0]).run(None, {"x": x})[0]
    artifact, heroes = _compile(model, tmp_path / "model.so", winograd=False)
    assert "packed_conv" in heroes
    _hold(run_with_threads(artifact, x, (1, 2, 5)), wanted)
    # The same convolutions in parts of bf16, where the processor has tiles for those.
    _hold(run_with_threads(_compile(model, tmp_path / "parts.so", winograd=False, bf16x3=True)[0], x, (1, 2, 5)), wanted)


@pytest.mark.parametrize("size", ["one_tap", "strides", "long_sum"])
@pytest.mark.parametrize("batch", [0, 1, 11])
def test_batches(size, batch, tmp_path):
    """One artifact for all batches; an image's bits do not depend on its place."""
    check_batches(_compile(_export(size, "image"), tmp_path / "model.so", winograd=False)[0], _input(size, 11), batch)


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("size", ["odd_channels", "window", "volume"])
def test_narrow_vectors(size, target, tmp_path):
    import onager

    model, x = _export(size, "bias_relu"), _input(size, 2)
    wanted, found = (
        onager.InferenceSession(_compile(model, tmp_path / f"{number}.so", **options)[0]).run(None, {"x": x})[0]
        for number, options in enumerate([{"opt_level": 0}, {"target": target}])
    )
    _hold(found, wanted)


LINES = {
    "window": (64, 128, 3, 1, 1, 1),
    "halves": (129, 66, 3, 2, 1, 1),
    "frames": (1, 258, 256, 128, 1, 0),
    "far_strides": (40, 64, 5, 7, 3, 6),
    "one_tap": (200, 80, 1, 1, 1, 0),
    "long_sum": (300, 97, 9, 1, 2, 8),
}
"""Channels, output channels, window, stride, dilation, pads on both sides."""


@pytest.mark.parametrize("target", ["native", "x86-64-v3"])
@pytest.mark.parametrize("name", LINES)
def test_lines_of_any_length(name, target, tmp_path):
    """The length is a symbol, so that one artifact takes few pixels and many; an addend has the result's length."""
    import onager

    channels, outputs, window, stride, dilation, pad = LINES[name]
    conv = f"Conv<strides = [{stride}], dilations = [{dilation}], pads = [{pad}, {pad}]>"
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[N, {channels}, L] x, float[1, 1, M] row) => (float[N, {outputs}, K] y) {{ c = {conv}(x, w, b) d = Relu(c) y = Add(d, row) }}')
    random = np.random.default_rng(11)
    values = {"w": random.standard_normal((outputs, channels, window)) / (channels * window) ** 0.5, "b": random.standard_normal(outputs)}
    model.graph.initializer.extend(numpy_helper.from_array(value.astype(np.float32), key) for key, value in values.items())
    artifact, heroes = _compile(model.SerializeToString(), tmp_path / "model.so", target=target)
    assert "packed_conv" in heroes
    exact = onager.InferenceSession(_compile(model.SerializeToString(), tmp_path / "exact.so", opt_level=0)[0])
    sessions = [onager.InferenceSession(artifact, threads=threads, recompile="off") for threads in (1, 3)]
    reach = dilation * (window - 1) + 1 - 2 * pad
    for pixels in (1, 2, 5, 16, 17, 95, 96, 97, 301):
        for batch in (0, 1, 3):
            length = reach + (pixels - 1) * stride + (pixels % 2 and stride - 1)
            feeds = {"x": random.standard_normal((batch, channels, length)).astype(np.float32), "row": random.standard_normal((1, 1, pixels)).astype(np.float32)}
            wanted = exact.run(None, feeds)[0]
            for session in sessions:
                found = session.run(None, feeds)[0]
                assert found.shape == wanted.shape == (batch, outputs, pixels)
                if batch:
                    _hold(found, wanted)


def test_variants_of_lines_take_the_filters_of_the_artifact(tmp_path, monkeypatch):
    """Made with the model at hand, and made while it runs, where no other form of the filters is there."""
    import onager

    monkeypatch.setenv("ONAGER_CACHE_DIR", str(tmp_path / "cache"))
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 20]> g (float[1, 64, L] x) => (float[1, 128, K] y) { y = Conv<pads = [1, 1]>(x, w) }')
    model.graph.initializer.append(numpy_helper.from_array(np.random.default_rng(1).standard_normal((128, 64, 3)).astype(np.float32) / 14, "w"))
    artifact, report = compile_with_report(model.SerializeToString(), tmp_path / "model.so", variant=["L=4"])
    assert [variant["weight_bytes"] for variant in report["variants"]] == [0]
    session, generic = (onager.InferenceSession(artifact, recompile=mode) for mode in ("lazy", "off"))
    for length in (0, 1, 4, 700):
        x = np.random.default_rng(2).standard_normal((1, 64, length)).astype(np.float32)
        session.warm_up({"x": x})
        found, wanted = session.run(None, {"x": x})[0], generic.run(None, {"x": x})[0]
        assert found.shape == wanted.shape == (1, 128, length)
        if length:
            _hold(found, wanted)
    stats = session.stats()
    assert stats["variants"] == 4 and stats["misses"] == 0 and stats["failed"] == 0, stats


def test_variants_of_one_frame(tmp_path, monkeypatch):
    """One pixel under a long window would be a row of a product, for which the filters are not there."""
    import onager

    monkeypatch.setenv("ONAGER_CACHE_DIR", str(tmp_path / "cache"))
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 20]> g (float[1, 1, L] x) => (float[1, 66, K] y) { f = Conv<strides = [128]>(x, v) y = Conv<pads = [1, 1]>(f, w) }')
    random = np.random.default_rng(1)
    model.graph.initializer.extend(numpy_helper.from_array(random.standard_normal(shape).astype(np.float32) / 16, name) for name, shape in [("v", (130, 1, 256)), ("w", (66, 130, 3))])
    artifact = onager.compile(model.SerializeToString(), tmp_path / "model.so")
    session, generic = (onager.InferenceSession(artifact, recompile=mode) for mode in ("lazy", "off"))
    for length in (256, 384, 1000):
        x = random.standard_normal((1, 1, length)).astype(np.float32)
        session.warm_up({"x": x})
        _hold(session.run(None, {"x": x})[0], generic.run(None, {"x": x})[0])
    stats = session.stats()
    assert stats["variants"] == 3 and stats["failed"] == 0, stats
