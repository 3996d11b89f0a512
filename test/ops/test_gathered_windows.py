"""Convolutions whose windows are gathered: against NumPy's sums in double, over rows of every length, known and symbolic."""
import itertools

import numpy as np
import pytest
from onnx import numpy_helper, parser

from support.machine import skip_without_level

# window, strides, dilations, pads (before, then after) by rank of the planes
WINDOWS = {
    "strided": ((3, 3), (2, 2), (1, 1), (1, 1, 1, 1)),
    "dilated": ((3, 3), (1, 1), (2, 2), (2, 2, 2, 2)),
    "strided_dilated": ((2, 3), (1, 2), (1, 3), (0, 4, 2, 1)),
    "large_pads": ((5, 4), (2, 2), (1, 1), (4, 3, 4, 3)),
    "far_apart": ((3, 3), (3, 3), (1, 1), (1, 2, 0, 1)),
    "kept": ((3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "beside": ((5, 5), (2, 2), (1, 1), (3, 1, 4, 2)),
    "single": ((1, 1), (3, 2), (1, 1), (0, 0, 0, 0)),
    "line": ((5,), (2,), (2,), (4, 4)),
    "volume": ((2, 2, 3), (1, 2, 2), (1, 1, 1), (1, 0, 1, 0, 1, 1)),
}
COLUMNS = [*range(1, 20), 31, 32, 33, 47, 64, 95]


def _get_spatial(window: str, columns: int) -> tuple[int, ...]:
    """A plane of rows that hold `columns` elements and at least as many as a window needs."""
    kernel, _, dilations, pads = WINDOWS[window]
    rank = len(kernel)
    least = [dilations[d] * (kernel[d] - 1) + 1 - pads[d] - pads[rank + d] for d in range(rank)]
    return (*(max(n, m) for n, m in zip((3, 7)[3 - rank:], least)), max(columns, least[-1], 1))


def _make_model(window: str, spatial, filters: np.ndarray) -> bytes:
    kernel, strides, dilations, pads = WINDOWS[window]
    text = lambda values: "[" + ", ".join(map(str, values)) + "]"
    dims = ", ".join(map(str, spatial))
    out = ", ".join("?" for _ in kernel)
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[2, {filters.shape[1]}, {dims}] x) => (float[2, {filters.shape[0]}, {out}] y) '
                               f"{{ y = Conv<strides = {text(strides)}, dilations = {text(dilations)}, pads = {text(pads)}>(x, w) }}")
    model.graph.initializer.append(numpy_helper.from_array(filters, "w"))
    return model.SerializeToString()


def _convolve(window: str, x: np.ndarray, filters: np.ndarray) -> np.ndarray:
    kernel, strides, dilations, pads = WINDOWS[window]
    rank = len(kernel)
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *((pads[d], pads[rank + d]) for d in range(rank))])
    out = [(padded.shape[2 + d] - dilations[d] * (kernel[d] - 1) - 1) // strides[d] + 1 for d in range(rank)]
    result = np.zeros((x.shape[0], filters.shape[0], *out))
    for tap in itertools.product(*map(range, kernel)):
        where = tuple(slice(tap[d] * dilations[d], tap[d] * dilations[d] + (out[d] - 1) * strides[d] + 1, strides[d]) for d in range(rank))
        result += np.einsum("oc,nc...->no...", filters[(..., *tap)].astype(np.float64), padded[(slice(None), slice(None), *where)])
    return result


def _make_filters(window: str, outputs: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((outputs, 5, *WINDOWS[window][0])).astype(np.float32)


def _hold(session, window: str, spatial, filters: np.ndarray) -> None:
    x = np.random.default_rng(7).standard_normal((2, filters.shape[1], *spatial)).astype(np.float32)
    wanted = _convolve(window, x, filters)
    found = session.run(None, {"x": x})[0]
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-5 * max(np.abs(wanted).max(), 1), spatial


@pytest.mark.parametrize("target", ["x86-64-v3", "x86-64-v4"])
@pytest.mark.parametrize("window", WINDOWS)
def test_symbolic_rows(window, target, tmp_path):
    import onager

    skip_without_level(target)
    filters, rank = _make_filters(window, 7), len(WINDOWS[window][0])
    path = tmp_path / "model.so"
    onager.compile(_make_model(window, [f"s{d}" for d in range(rank)], filters), path, target=target)
    session = onager.InferenceSession(path)
    for columns in COLUMNS:
        _hold(session, window, _get_spatial(window, columns), filters)


@pytest.mark.parametrize("outputs", [7, 64])
@pytest.mark.parametrize("window", WINDOWS)
def test_known_rows(window, outputs, tmp_path):
    import onager

    filters = _make_filters(window, outputs)
    for columns in (3, 4, 7, 8, 11, 14, 15, 28, 32, 64):
        spatial = _get_spatial(window, columns)
        path = tmp_path / f"model{columns}.so"
        onager.compile(_make_model(window, spatial, filters), path)
        _hold(onager.InferenceSession(path), window, spatial, filters)
