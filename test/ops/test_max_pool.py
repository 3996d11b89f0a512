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
