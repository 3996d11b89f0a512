"""Largest values under windows: against -O0, bit for bit, over the ways that planes are cut into bands, groups of rows and vectors of columns."""
import numpy as np
import pytest
from onnx import parser

from support.convolutions import run_with_threads

# plane, window, strides, dilations, pads (before, then after)
SIZES = {
    "halves": ((56, 112), (2, 2), (2, 2), (1, 1), (0, 0, 0, 0)),
    "overlapping": ((57, 75), (3, 3), (2, 2), (1, 1), (1, 1, 1, 1)),
    "small": ((7, 7), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "wide": ((23, 101), (3, 3), (1, 1), (1, 1), (0, 1, 1, 0)),
    "dilations": ((30, 41), (2, 3), (1, 1), (3, 2), (1, 2, 1, 2)),
    "low": ((2, 300), (2, 3), (1, 2), (1, 1), (1, 1, 0, 1)),
    "line": ((301,), (5,), (2,), (1,), (2, 2)),
}


def _export(size: str, symbolic: bool) -> bytes:
    plane, window, strides, dilations, pads = SIZES[size]
    rank = len(plane)
    outer = [(n + pads[k] + pads[rank + k] - dilations[k] * (window[k] - 1) - 1) // strides[k] + 1 for k, n in enumerate(plane)]
    text = lambda values: "[" + ", ".join(map(str, values)) + "]"
    inner, results = (["H", "W"][:rank], ["P", "Q"][:rank]) if symbolic else (plane, outer)
    pool = f"MaxPool<kernel_shape = {text(window)}, strides = {text(strides)}, dilations = {text(dilations)}, pads = {text(pads)}>"
    dims = lambda values: ", ".join(map(str, values))
    return parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[N, 5, {dims(inner)}] x) => (float[N, 5, {dims(results)}] y) {{ m = {pool}(x) y = Neg(m) }}').SerializeToString()


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_against_reference(size, symbolic, tmp_path):
    import onager

    model = _export(size, symbolic)
    x = np.random.default_rng(3).standard_normal((2, 5, *SIZES[size][0])).astype(np.float32)
    x.reshape(-1)[::37] = -np.inf
    x.reshape(-1)[::101] = np.nan
    wanted = onager.InferenceSession(onager.compile(model, tmp_path / "reference.so", opt_level=0)).run(None, {"x": x})[0]
    np.testing.assert_array_equal(run_with_threads(onager.compile(model, tmp_path / "model.so"), x, (1, 2, 5)), wanted)


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("window, strides, dilations, pads", [((2, 2), (2, 2), (1, 1), (0, 0, 0, 0)), ((3, 5), (1, 2), (1, 1), (1, 2, 1, 0)), ((3, 3), (2, 1), (2, 3), (2, 1, 0, 2)), ((5, 1), (1, 1), (1, 1), (4, 0, 4, 0))])
def test_places(window, strides, dilations, pads, order, symbolic):
    """The place of the first largest element of each window."""
    import onager

    x = np.random.default_rng(6).integers(0, 5, (2, 3, 11, 13)).astype(np.float32)
    dims = "N, C, H, W" if symbolic else "2, 3, 11, 13"
    attributes = ", ".join(f"{name} = {list(value)}" for name, value in dict(kernel_shape=window, strides=strides, dilations=dilations, pads=pads).items())
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[{dims}] x) => (float y, int64 at) {{ y, at = MaxPool<{attributes}, storage_order = {order}>(x) }}').SerializeToString()
    y, at = onager.InferenceSession(model, threads=2).run(None, {"x": x})
    for n, c, i, j in np.ndindex(y.shape):
        rows, columns = ([start + k * dilation for k in range(extent)] for start, dilation, extent in zip((i * strides[0] - pads[0], j * strides[1] - pads[1]), dilations, window))
        inside = [(row, column) for row in rows for column in columns if 0 <= row < 11 and 0 <= column < 13]
        best = max(inside, key=lambda place: x[n, c][place])
        flat = best[0] * 13 + best[1] if order == 0 else best[1] * 11 + best[0]
        assert (y[n, c, i, j], at[n, c, i, j]) == (x[n, c][best], (n * 3 + c) * 143 + flat)


@pytest.mark.parametrize("plane, window, strides, dilations, pads", [((9, 1100), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)), ((6, 530), (3, 2), (2, 3), (1, 4), (1, 3, 2, 5)), ((1030,), (6,), (1,), (2,), (7, 7)), ((4, 5, 6), (3, 2, 2), (1, 2, 1), (1, 1, 1), (1,) * 6), ((3, 4), (5, 5), (1, 1), (1, 1), (4, 4, 4, 4))])
@pytest.mark.parametrize("element", ["float", "double", "float16", "int8", "uint8"])
def test_places_of_types(element, plane, window, strides, dilations, pads, tmp_path):
    """Rows of several blocks, and numbers that have no order: against -O0, any number of threads."""
    import onager

    rng = np.random.default_rng(7)
    kind = np.dtype({"float": "f4", "double": "f8", "float16": "f2", "int8": "i1", "uint8": "u1"}[element])
    x = rng.integers(0, 4, (2, 3, *plane)).astype(kind)
    if kind.kind == "f":
        x[rng.random(x.shape) < 0.3] = -np.inf
        x[rng.random(x.shape) < 0.02] = np.nan
        x[0, 0] = -np.inf
    attributes = ", ".join(f"{name} = {list(value)}" for name, value in dict(kernel_shape=window, strides=strides, dilations=dilations, pads=pads).items())
    text = f'<ir_version: 10, opset_import: ["" : 20]> g ({element}[{", ".join(map(str, x.shape))}] x) => ({element} y, int64 at) {{ y, at = MaxPool<{attributes}>(x) }}'
    model = parser.parse_model(text).SerializeToString()
    wanted = onager.InferenceSession(onager.compile(model, tmp_path / "reference.so", opt_level=0)).run(None, {"x": x})
    artifact = onager.compile(model, tmp_path / "model.so")
    for threads in (1, 2):
        for found, expected in zip(onager.InferenceSession(artifact, threads=threads).run(None, {"x": x}), wanted):
            np.testing.assert_array_equal(found, expected)
