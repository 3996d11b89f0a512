"""Arrays of outputs: memory that was dropped is used again, memory that is held never is."""
import gc

import numpy as np
import pytest
from onnx import parser


@pytest.fixture
def session(tmp_path):
    import onager

    body = "zero = Constant<value = float {0.0}>() y = Neg(x) p = Greater(x, zero) z = Compress<axis = 0>(x, p)"
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[N] x) => (float[N] y, float[K] z) {{ {body} }}')
    return onager.InferenceSession(onager.compile(model.SerializeToString(), tmp_path / "m.so"), threads=1)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_dropped_memory_is_used_again(session):
    x = np.arange(1, 100_001, dtype=np.float32)
    session.run(None, {"x": x})
    first = {_address(array) for array in session.run(["y"], {"x": x})}
    gc.collect()
    assert {_address(session.run(["y"], {"x": x})[0]) for _ in range(3)} & first


@pytest.mark.parametrize("count", [10, 40_000, 3_000_000])
def test_held_memory_stays(session, count):
    held = []
    for k in range(1, 6):
        x = np.full(count + k, k, np.float32)
        y, z = session.run(None, {"x": x})
        held += [(y, -k, count + k), (z, k, count + k)]
        if k % 2:
            del y, z
    for array, value, length in held:
        assert array.shape == (length,) and (array == value).all() and array.flags.writeable and array.flags.c_contiguous
    assert len({_address(array) for array, *_ in held}) == len(held)


def test_arrays_outlive_the_session(session, request):
    x = np.arange(100_000, dtype=np.float32)
    arrays = [session.run(["y"], {"x": x})[0] for _ in range(3)]
    del session
    request.node.funcargs.pop("session", None)
    gc.collect()
    for array in arrays:
        np.testing.assert_array_equal(array, -x)
        array[:] = 1


def test_shrinking_outputs_give_memory_back(session):
    """After runs of small outputs no memory of large ones is kept for long: sizes go up and down without growing."""
    for count in (2_000_000, 50_000, 1_000_000, 40, 2_000_000, 40):
        x = np.linspace(-1, 1, count, dtype=np.float32)
        y, z = session.run(None, {"x": x})
        np.testing.assert_array_equal(y, -x)
        np.testing.assert_array_equal(z, x[x > 0])
