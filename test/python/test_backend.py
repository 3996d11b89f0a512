"""onager.backend implements onnx.backend.base."""
import numpy as np
import onnx
import pytest
from onnx.backend.base import Backend, BackendRep, Device, DeviceType

import onager.backend
from python.models import SUM, UNKNOWN

MODEL = onnx.parser.parse_model(SUM.decode())
LEFT, RIGHT = np.ones((2, 3), np.float32), np.full((2, 3), 3, np.float32)


def test_prepare_and_run():
    prepared = onager.backend.prepare(MODEL, threads=1)
    assert isinstance(prepared, BackendRep) and issubclass(onager.backend.OnagerBackend, Backend)
    result = prepared.run([LEFT, RIGHT])
    assert result._fields == ("total", "gap")
    assert np.array_equal(result.total, LEFT + RIGHT) and np.array_equal(result[1], LEFT - RIGHT)
    assert np.array_equal(prepared.run({"right": RIGHT, "left": LEFT}).gap, LEFT - RIGHT)


def test_run_model():
    assert np.array_equal(onager.backend.run(MODEL, [LEFT, RIGHT]).total, LEFT + RIGHT)


@pytest.mark.parametrize(("node", "inputs", "expected"), [
    (onnx.helper.make_node("Add", ["a", "b"], ["c"]), [LEFT, RIGHT], LEFT + RIGHT),
    (onnx.helper.make_node("Clip", ["x", "", "top"], ["y"]), [RIGHT, np.float32(2)], np.full((2, 3), 2, np.float32)),
    (onnx.helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0), [LEFT], np.zeros(2, np.int64)),
])
def test_run_node(node, inputs, expected):
    result, = onager.backend.run_node(node, [np.asarray(value) for value in inputs])
    assert result.dtype == expected.dtype and np.array_equal(result, expected)


def test_devices():
    assert onager.backend.supports_device("CPU") and onager.backend.supports_device("CPU:0")
    assert not onager.backend.supports_device("CUDA")
    assert Device("CPU").type == DeviceType.CPU
    with pytest.raises(ValueError, match="device 'CUDA': expected CPU"):
        onager.backend.prepare(MODEL, "CUDA")


def test_compatibility():
    assert onager.backend.is_compatible(MODEL)
    assert not onager.backend.is_compatible(onnx.parser.parse_model(UNKNOWN.decode()))


def test_wrong_number_of_inputs():
    with pytest.raises(ValueError):
        onager.backend.prepare(MODEL).run([LEFT])
