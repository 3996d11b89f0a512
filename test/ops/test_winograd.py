"""Convolutions of 3 x 3 in Winograd's form: against -O0, over the ways that an image is cut into blocks of tiles."""
import numpy as np
import pytest
from onnx import numpy_helper, parser

from support.convolutions import check_batches, compile_with_report, run_with_threads

# channels, output channels, height, width, pads (top, left, bottom, right)
SIZES = {
    "square": (32, 64, 28, 28, (1, 1, 1, 1)),
    "without_pads": (32, 36, 30, 34, (0, 0, 0, 0)),
    "one_sided": (24, 48, 21, 19, (2, 0, 0, 2)),
    "wide_pads": (16, 40, 17, 18, (5, 3, 4, 6)),
    "odd_channels": (19, 29, 33, 47, (1, 1, 1, 1)),
    "few_outputs": (64, 7, 56, 56, (1, 1, 1, 1)),
    "column_blocks": (256, 24, 9, 203, (1, 1, 1, 1)),
    "row_blocks": (128, 32, 73, 41, (1, 1, 1, 1)),
    "small": (128, 128, 13, 14, (1, 1, 1, 1)),
}
EPILOGUES = {
    "none": "y = Conv<pads = [PADS]>(x, w)",
    "bias_relu": "c = Conv<pads = [PADS]>(x, w, b) y = Relu(c)",
    "row": "c = Conv<pads = [PADS]>(x, w, b) y = Mul(c, row)",
    "image": "c = Conv<pads = [PADS]>(x, w, b) d = Add(c, image) y = Clip(d, low, high)",
}


def _export(size, epilogue: str, seed: int = 7, batch: str = "N") -> bytes:
    channels, outputs, height, width, pads = SIZES[size]
    top, left, bottom, right = pads
    out = (height + top + bottom - 2, width + left + right - 2)
    body = EPILOGUES[epilogue].replace("PADS", ", ".join(map(str, pads)))
    shape = f"{channels}, {height}, {width}"
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[{batch}, {shape}] x) => (float[{batch}, {outputs}, {out[0]}, {out[1]}] y) {{ {body} }}')
    random = np.random.default_rng(seed)
    tensors = {"w": (outputs, channels, 3, 3), "b": (outputs,), "row": (1, 1, 1, out[1]), "image": (1, outputs, *out)}
    values = {name: random.standard_normal(shape).astype(np.float32) for name, shape in tensors.items()}
    values["w"] /= np.float32((9 * channels) ** 0.5)
    values |= {"low": np.float32(-1), "high": np.float32(2)}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in values.items() if f"{name})" in body or f"{name}," in body)
    return model.SerializeToString()


def _input(size: str, batch: int) -> np.ndarray:
    channels, _, height, width, _ = SIZES[size]
    return np.random.default_rng(3).standard_normal((batch, channels, height, width)).astype(np.float32)


def _hold(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 2e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("epilogue", EPILOGUES)
@pytest.mark.parametrize("size", SIZES)
def test_against_reference(size, epilogue, tmp_path):
    import onager

    model, x = _export(size, epilogue), _input(size, 2)
    wanted = onager.InferenceSession(compile_with_report(model, tmp_path / "reference.so", opt_level=0)[0]).run(None, {"x": x})[0]
    artifact, report = compile_with_report(model, tmp_path / "model.so")
    assert "winograd" in [launch["hero"] for launch in report["launches"]] and "Winograd" in report["numerics"]
    _hold(run_with_threads(artifact, x, (1, 2, 3)), wanted)


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_batches(batch, tmp_path):
    """One artifact for all batches; an image's bits do not depend on its place."""
    check_batches(compile_with_report(_export("square", "image"), tmp_path / "model.so")[0], _input("square", 5), batch)


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("size", ["odd_channels", "few_outputs"])
def test_narrow_vectors(size, target, tmp_path):
    import onager

    model, x = _export(size, "bias_relu"), _input(size, 1)
    wanted, found = (
        onager.InferenceSession(compile_with_report(model, tmp_path / f"{number}.so", **options)[0]).run(None, {"x": x})[0]
        for number, options in enumerate([{"opt_level": 0}, {"target": target}])
    )
    _hold(found, wanted)


# Channels, output channels, what is known of height and width, pads, and images that are run.
UNKNOWN = {
    "both": (32, 24, "H, W", 1, [(1, 28, 28), (2, 1, 3), (1, 67, 131), (1, 5, 64), (3, 4, 4)]),
    "height": (48, 19, "H, 30", 1, [(1, 9, 30), (2, 73, 30)]),
    "width": (24, 40, "21, W", 0, [(1, 21, 3), (1, 21, 150)]),
    "many_channels": (256, 12, "H, W", 1, [(1, 16, 16), (1, 9, 70)]),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_unknown_planes(case, tmp_path):
    """One artifact for planes of all sizes, blocks cut short at each side."""
    import onager

    channels, outputs, plane, pad, images = UNKNOWN[case]
    model = parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 20]> g (float[N, {channels}, {plane}] x) => (float[N, {outputs}, A, B] y) {{ c = Conv<pads = [{pad}, {pad}, {pad}, {pad}]>(x, w, b) y = Relu(c) }}'
    )
    random = np.random.default_rng(5)
    filters = random.standard_normal((outputs, channels, 3, 3)).astype(np.float32) / np.float32((9 * channels) ** 0.5)
    model.graph.initializer.extend([numpy_helper.from_array(filters, "w"), numpy_helper.from_array(random.standard_normal(outputs).astype(np.float32), "b")])
    reference = onager.InferenceSession(compile_with_report(model.SerializeToString(), tmp_path / "reference.so", opt_level=0)[0])
    artifact, report = compile_with_report(model.SerializeToString(), tmp_path / "model.so")
    assert "winograd" in [launch["hero"] for launch in report["launches"]]
    for batch, height, width in images:
        x = random.standard_normal((batch, channels, height, width)).astype(np.float32)
        _hold(run_with_threads(artifact, x, (1, 2, 3)), reference.run(None, {"x": x})[0])


def test_unknown_channels(tmp_path):
    """The filters say how many there are."""
    import onager

    random = np.random.default_rng(3)
    filters, x = (random.standard_normal(shape).astype(np.float32) for shape in ((24, 32, 3, 3), (2, 32, 28, 28)))
    for plane in ("28, 28", "H, W"):
        model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[N, C, {plane}] x) => (float[N, 24, A, B] y) {{ y = Conv(x, w) }}')
        model.graph.initializer.append(numpy_helper.from_array(filters, "w"))
        artifact, report = compile_with_report(model.SerializeToString(), tmp_path / "model.so")
        reference = onager.InferenceSession(compile_with_report(model.SerializeToString(), tmp_path / "reference.so", opt_level=0)[0])
        assert "winograd" in [launch["hero"] for launch in report["launches"]]
        _hold(run_with_threads(artifact, x, (1, 2)), reference.run(None, {"x": x})[0])
        with pytest.raises(RuntimeError, match="node .y.*channels"):
            onager.InferenceSession(artifact).run(None, {"x": x[:, :31]})


# Taps along the depth, dilation along it, pads (before, behind), and the extents of x.
VOLUMES = {
    "cube": (3, 1, (1, 1, 1, 1, 1, 1), "N, 16, 5, 20, 23", (2, 16, 5, 20, 23)),
    "dilated": (3, 2, (2, 1, 1, 2, 1, 1), "N, 16, D, H, W", (1, 16, 7, 19, 34)),
    "one_sided": (2, 1, (1, 0, 2, 0, 1, 0), "N, 24, D, 21, 22", (2, 24, 4, 21, 22)),
    "flat": (1, 1, (0, 1, 1, 0, 1, 1), "N, 32, D, H, W", (2, 32, 3, 17, 18)),
    "shrinking": (3, 1, (0, 0, 0, 0, 0, 0), "N, 16, D, 30, 30", (1, 16, 3, 30, 30)),
}


@pytest.mark.parametrize("case", VOLUMES)
def test_volumes(case, tmp_path):
    """Slices of volumes are images."""
    import onager

    taps, dilation, pads, dims, shape = VOLUMES[case]
    attributes = f"pads = [{', '.join(map(str, pads))}], dilations = [{dilation}, 1, 1]"
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[{dims}] x) => (float[N, 40, A, B, C] y) {{ c = Conv<{attributes}>(x, w, b) y = Relu(c) }}')
    random = np.random.default_rng(11)
    filters = random.standard_normal((40, shape[1], taps, 3, 3)).astype(np.float32) / np.float32((9 * taps * shape[1]) ** 0.5)
    model.graph.initializer.extend([numpy_helper.from_array(filters, "w"), numpy_helper.from_array(random.standard_normal(40).astype(np.float32), "b")])
    x = random.standard_normal(shape).astype(np.float32)
    wanted = onager.InferenceSession(compile_with_report(model.SerializeToString(), tmp_path / "reference.so", opt_level=0)[0]).run(None, {"x": x})[0]
    artifact, report = compile_with_report(model.SerializeToString(), tmp_path / "model.so")
    assert "winograd" in [launch["hero"] for launch in report["launches"]]
    _hold(run_with_threads(artifact, x, (1, 2, 3)), wanted)


def test_option(tmp_path):
    """Without the form its line leaves the report."""
    report = compile_with_report(_export("square", "none"), tmp_path / "model.so", winograd=False)[1]
    assert "winograd" not in [launch["hero"] for launch in report["launches"]] and "Winograd" not in report["numerics"]
