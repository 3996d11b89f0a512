"""Convolutions and recurrences of bytes whose zero point only a run knows, and windows that have no form in bytes: exact, and never element by element."""
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.seeds import get_seed

# channels, outputs, extents, kernel, strides, pads, dilations, group
CONVS = {
    "pointwise": (16, 24, (7, 9), (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    "square": (5, 7, (9, 11), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    "strided": (3, 32, (14, 13), (3, 3), (2, 2), (0, 0, 1, 1), (1, 1), 1),
    "dilated": (4, 6, (15, 16), (3, 3), (1, 2), (2, 0, 2, 0), (2, 2), 1),
    "cropped": (4, 6, (8, 8), (1, 1), (3, 3), (0, 0, 0, 0), (1, 1), 1),
    "grouped": (6, 12, (8, 9), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 3),
    "depthwise": (24, 24, (12, 10), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 24),
    "sequence": (8, 10, (33,), (5,), (2,), (2, 2), (1,), 1),
    "patches": (3, 40, (32, 48), (16, 16), (16, 16), (0, 0, 0, 0), (1, 1), 1),
    "patches_left_over": (3, 10, (20, 37), (8, 8), (8, 8), (0, 0, 0, 0), (1, 1), 1),
    "large_stride": (3, 16, (41, 40), (11, 11), (6, 6), (2, 2, 2, 2), (1, 1), 1),
    "many_taps": (2, 4, (24, 25), (17, 17), (1, 1), (8, 8, 8, 8), (1, 1), 1),
    "volume": (4, 8, (5, 6, 7), (3, 3, 3), (1, 2, 1), (1, 1, 1, 1, 1, 1), (1, 1, 1), 1),
}


def make_conv(size: str, x_type, w_type, w_zero: int, fixed_zero, symbolic: bool) -> bytes:
    """ConvInteger; without `fixed_zero` the zero point of x is an input."""
    channels, outputs, extents, kernel, strides, pads, dilations, group = CONVS[size]
    limits = np.iinfo(w_type)
    weights = np.random.default_rng(get_seed()).integers(limits.min, limits.max + 1, (outputs, channels // group, *kernel)).astype(w_type)
    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(w_type(w_zero), "zw")]
    element = helper.np_dtype_to_tensor_dtype(np.dtype(x_type))
    dims = ["N", channels, *([f"d{k}" for k in range(len(extents))] if symbolic else extents)]
    inputs = [helper.make_tensor_value_info("x", element, dims)]
    if fixed_zero is None:
        inputs.append(helper.make_tensor_value_info("zx", element, []))
    else:
        constants.append(numpy_helper.from_array(x_type(fixed_zero), "zx"))
    node = helper.make_node("ConvInteger", ["x", "w", "zx", "zw"], ["y"], strides=strides, pads=pads, dilations=dilations, group=group)
    graph = helper.make_graph([node], "g", inputs, [helper.make_empty_tensor_value_info("y")], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def check_conv(size: str, x_type, w_type, w_zero: int, tmp_path, fixed_zero=None, symbolic=False, target="native") -> None:
    import onager

    model, report = make_conv(size, x_type, w_type, w_zero, fixed_zero, symbolic), []
    session = onager.InferenceSession(onager.compile(model, tmp_path / "model.so", report=report, target=target))
    reference = onager.InferenceSession(model, opt_level=0)
    random, limits = np.random.default_rng(get_seed()), np.iinfo(x_type)
    for batch, zero in [(1, limits.max), (2, 7)]:
        feeds = {"x": random.integers(limits.min, limits.max + 1, (batch, CONVS[size][0], *CONVS[size][2])).astype(x_type)}
        if fixed_zero is None:
            feeds["zx"] = np.array(zero, x_type)
        np.testing.assert_array_equal(session.run(None, feeds)[0], reference.run(None, feeds)[0])
    operations = {launch["hero"] for launch in json.loads(report[0])["launches"]}
    assert operations & {"int8_conv", "int8_depthwise", "int8_gemm", "amx_gemm", "conv", "packed_conv"}, operations


@pytest.mark.parametrize("types", [(np.uint8, np.int8, 0), (np.int8, np.int8, 0), (np.uint8, np.uint8, 128)], ids=["u8s8", "s8s8", "u8u8"])
@pytest.mark.parametrize("size", CONVS)
def test_convolutions(size, types, tmp_path):
    check_conv(size, *types, tmp_path)


@pytest.mark.parametrize("size", ["square", "strided", "patches", "volume"])
def test_symbolic_extents(size, tmp_path):
    check_conv(size, np.uint8, np.int8, 0, tmp_path, symbolic=True)


@pytest.mark.parametrize("size", ["square", "depthwise", "patches", "large_stride"])
def test_other_processors(size, tmp_path):
    check_conv(size, np.uint8, np.int8, 0, tmp_path, target="x86-64-v2")


@pytest.mark.parametrize("size", ["pointwise", "square"])
def test_weights_beyond_signed_bytes(size, tmp_path):
    """Weights of 8 bits around a zero point in no middle: both sums change with the zero point of x."""
    check_conv(size, np.uint8, np.uint8, 40, tmp_path)


@pytest.mark.parametrize("size", ["patches", "patches_left_over", "large_stride", "volume"])
@pytest.mark.parametrize("zero", [0, 9])
def test_windows_without_a_form_in_bytes(size, zero, tmp_path):
    check_conv(size, np.uint8, np.int8, 0, tmp_path, fixed_zero=zero)


def test_sums_beyond_what_f32_holds(tmp_path):
    """Filters so heavy that a sum of f32 would lose its last bits."""
    import onager

    weights = np.full((1, 40, 3, 3, 3), 127, np.int8)
    x = np.full((1, 40, 4, 4, 4), 255, np.uint8)
    x[0, 0, 1, 1, 1] = 254
    node = helper.make_node("ConvInteger", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.UINT8, x.shape)], [helper.make_empty_tensor_value_info("y")], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
    found = onager.InferenceSession(model).run(None, {"x": x})[0]
    wide = x.astype(np.int64)
    wanted = [[[127 * wide[0, :, a : a + 3, b : b + 3, c : c + 3].sum() for c in range(2)] for b in range(2)] for a in range(2)]
    np.testing.assert_array_equal(found[0, 0], wanted)


@pytest.mark.parametrize("directions", [1, 2])
def test_weights_of_each_direction_are_packed(directions, tmp_path):
    """A recurrence's products are products of bytes, whichever part of its weights they take."""
    import onager

    random, size, inner = np.random.default_rng(get_seed()), 32, 48
    constants = {"w": random.integers(-128, 128, (directions, inner, 4 * size)).astype(np.int8), "r": random.integers(-128, 128, (directions, size, 4 * size)).astype(np.int8),
                 "ws": np.full(directions, 0.003, np.float32), "wz": np.zeros(directions, np.int8)}
    node = helper.make_node("DynamicQuantizeLSTM", ["x", "w", "r", "", "", "", "", "", "ws", "wz", "ws", "wz"], ["y"], domain="com.microsoft", hidden_size=size,
                            direction="bidirectional" if directions == 2 else "forward")
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 2, inner])], [helper.make_empty_tensor_value_info("y")],
                              [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)], ir_version=8).SerializeToString()
    report = []
    onager.compile(model, tmp_path / "model.so", report=report)
    heroes = [launch["hero"] for launch in json.loads(report[0])["launches"]]
    assert sum(hero in ("int8_gemm", "amx_gemm") for hero in heroes) == 2 * directions and "matmul" not in heroes, heroes
