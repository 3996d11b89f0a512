"""Transposed convolutions, which become convolutions of phases: against -O0, over groups, strides, dilations, pads and planes that a run tells."""
import itertools

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

CASES = {
    "stride": dict(strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 0]),
    "wide stride": dict(strides=[3, 2], pads=[0, 2, 1, 0]),
    "dilated": dict(dilations=[2, 3], pads=[1, 2, 1, 2]),
    "dilated in one dim": dict(strides=[2, 1], dilations=[1, 2], pads=[1, 0, 0, 1]),
    "dilated along a stride": dict(strides=[2, 1], dilations=[2, 2]),
}


@pytest.mark.parametrize("group, channels, per_group", [(1, 5, 6), (2, 6, 4), (8, 8, 1), (8, 8, 2)])
@pytest.mark.parametrize("case", CASES)
def test_against_reference(case, group, channels, per_group, tmp_path):
    import onager

    generator = np.random.default_rng(group)
    for kernel, dims in itertools.product([(3, 3), (2, 4), (1, 2)], [("N", channels, "H", "W"), (2, channels, 7, 9)]):
        node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], group=group, **CASES[case])
        w = numpy_helper.from_array(generator.standard_normal((channels, per_group, *kernel)).astype(np.float32), "w")
        graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)], [helper.make_empty_tensor_value_info("y")], [w])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10).SerializeToString()
        x = generator.standard_normal((2, channels, 7, 9)).astype(np.float32)
        wanted = onager.InferenceSession(onager.compile(model, tmp_path / "reference.so", opt_level=0)).run(None, {"x": x})[0]
        got = onager.InferenceSession(onager.compile(model, tmp_path / "model.so"), threads=2).run(None, {"x": x})[0]
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
