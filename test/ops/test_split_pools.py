"""Pools over volumes and of other types than f32, which go dim by dim: against -O0, over kinds, pads, strides and sizes that a run tells."""
import numpy as np
import pytest
from onnx import helper

# size, window, strides, dilations, pads (before, then after), rounding up
SIZES = {
    "cube": ((9, 10, 11), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1, 1, 1, 1), 0),
    "strides": ((9, 10, 11), (2, 3, 2), (2, 1, 3), (1, 1, 1), (0, 1, 0, 1, 0, 1), 1),
    "depth": ((9, 10, 11), (3, 1, 1), (1, 1, 1), (2, 1, 1), (1, 0, 0, 0, 0, 0), 0),
    "plane of a volume": ((9, 10, 11), (1, 5, 3), (1, 2, 2), (1, 1, 1), (0, 2, 1, 0, 0, 0), 1),
    "one element": ((4, 5, 6), (1, 1, 1), (1, 1, 1), (1, 1, 1), (0, 0, 0, 0, 0, 0), 0),
    "four dims": ((4, 5, 6, 7), (2, 2, 3, 3), (1, 2, 1, 2), (1, 1, 1, 1), (1, 0, 1, 0, 0, 0, 1, 0), 0),
    "plane": ((13, 14), (3, 5), (1, 2), (1, 1), (1, 2, 1, 0), 0),
    "all outside": ((5, 6, 7), (2, 2, 2), (2, 2, 2), (1, 1, 1), (1, 1, 1, 1, 1, 1), 1),
}
KINDS = {
    "MaxPool": (22, [np.float32, np.float64, np.float16, np.uint8, np.int8], {}),
    "AveragePool": (22, [np.float32, np.float64, np.float16], {"count_include_pad": 0}),
    "AveragePool of pads": (22, [np.float32, np.float64], {"count_include_pad": 1}),
    "LpPool": (22, [np.float32, np.float64], {"p": 3}),
}


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_against_reference(size, kind, symbolic, tmp_path):
    import onager

    extents, window, strides, dilations, pads, ceil = SIZES[size]
    opset, types, attributes = KINDS[kind]
    for dtype in types:
        x = np.random.default_rng(4).integers(0 if dtype == np.uint8 else -100, 100, (2, 3, *extents)).astype(dtype)
        shape = [f"d{k}" for k in range(x.ndim)] if symbolic else x.shape
        node = helper.make_node(kind.split()[0], ["x"], ["y"], kernel_shape=window, strides=strides, dilations=dilations, pads=pads, ceil_mode=ceil, **attributes)
        graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), shape)], [helper.make_empty_tensor_value_info("y")])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10).SerializeToString()
        wanted = onager.InferenceSession(onager.compile(model, tmp_path / "reference.so", opt_level=0)).run(None, {"x": x})[0]
        got = onager.InferenceSession(onager.compile(model, tmp_path / "model.so"), threads=2).run(None, {"x": x})[0]
        if kind == "MaxPool":
            np.testing.assert_array_equal(got, wanted)
        else:
            np.testing.assert_allclose(got, wanted, rtol=1e-3 if dtype == np.float16 else 2e-6, atol=0.1 if dtype == np.float16 else 1e-4)
