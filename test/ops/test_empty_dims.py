"""Dims without elements: products, padding and resizing come to nothing where nothing is asked for, or to an error where elements would have to come from somewhere."""
import numpy as np
import pytest

from support.samples import parse

TYPES = ["float[2,N,4] x", "float[2,0,4] x"]


def _run(text: str, shape, level: int) -> np.ndarray:
    import onager

    return onager.InferenceSession(parse(text).SerializeToString(), opt_level=level).run(None, {"x": np.ones(shape, np.float32)})[0]


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
@pytest.mark.parametrize("type_", TYPES)
def test_pad(type_, mode, level):
    text = f'({type_}) => (float y) {{ p = Constant<value_ints = [%s]>()\n y = Pad<mode = "{mode}">(x, p) }}'
    assert _run(text % "0, 0, 1, 0, 0, 1", (2, 0, 4), level).shape == (2, 0, 6)
    assert _run(text % "0, -1, 0, 0, 1, 0", (2, 0, 4), level).shape == (2, 0, 4)
    if mode == "constant":
        assert _run(text % "0, 1, 0, 0, 2, 0", (2, 0, 4), level).tolist() == np.zeros((2, 3, 4)).tolist()
    else:
        with pytest.raises(RuntimeError, match="node 'y': a dim without elements has none to pad with"):
            _run(text % "0, 1, 0, 0, 2, 0", (2, 0, 4), level)


MODES = ['mode = "nearest"', 'mode = "linear"', 'mode = "cubic"', 'mode = "linear", antialias = 1', 'mode = "cubic", antialias = 1']


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("type_", TYPES)
def test_resize_by_scales(type_, mode, level):
    """Antialiasing padded with the edge of nothing."""
    text = f"({type_}) => (float y) {{ s = Constant<value = float[3] {{1.0, 2.0, 2.0}}>()\n y = Resize<{mode}>(x, , s) }}"
    assert _run(text, (2, 0, 4), level).shape == (2, 0, 8)


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("mode", MODES)
def test_resize_to_sizes(mode, level):
    text = f"(float[2,N,4] x) => (float y) {{ s = Constant<value_ints = [2, %d, 8]>()\n y = Resize<{mode}>(x, , , s) }}"
    assert _run(text % 0, (2, 3, 4), level).shape == _run(text % 0, (2, 0, 4), level).shape == (2, 0, 8)
    with pytest.raises(RuntimeError, match="node 'y': a dim without elements cannot be resized to some"):
        _run(text % 3, (2, 0, 4), level)


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("rows", ["1", "2", "N"])
@pytest.mark.parametrize("transposed", [0, 1])
def test_products_without_columns(transposed, rows, level):
    """Of one row, of two, and of any number, with constant weights that make no output."""
    shape, count = "[0,64]" if transposed else "[64,0]", 1 if rows == "N" else int(rows)
    text = f"(float[{rows},64] x) => (float y) <float{shape} w = {{}}> {{ y = Gemm<transB = {transposed}>(x, w) }}"
    assert _run(text, (count, 64), level).shape == (count, 0)
    if not transposed:
        assert _run(text.replace("Gemm<transB = 0>", "MatMul"), (count, 64), level).shape == (count, 0)
