"""Convolutions over data whose number of channels only the filters say: against -O0, for each kernel that convolutions have."""
import numpy as np
import pytest
from onnx import numpy_helper, parser

from support.convolutions import compile_with_report, run_with_threads

# channels, output channels, window, groups, stride, pad, part of the weights that is 0
KINDS = {
    "plain": (128, 128, 1, 1, 1, 0, 0),
    "strided": (128, 128, 3, 1, 2, 1, 0),
    "winograd": (64, 64, 3, 1, 1, 1, 0),
    "depthwise": (64, 64, 3, 64, 1, 1, 0),
    "grouped": (64, 64, 3, 4, 1, 1, 0),
    "sparse": (128, 128, 1, 1, 1, 0, 0.9),
    "large_window": (64, 96, 5, 1, 1, 2, 0),
}


@pytest.mark.parametrize("plane", ["7, 7", "28, 28", "H, W"])
@pytest.mark.parametrize("kind", KINDS)
def test_against_reference(kind, plane, tmp_path):
    import onager

    channels, outputs, size, groups, stride, pad, zeros = KINDS[kind]
    random = np.random.default_rng(3)
    filters = random.standard_normal((outputs, channels // groups, size, size)).astype(np.float32)
    filters[random.random(filters.shape) < zeros] = 0
    attributes = f"group = {groups}, strides = [{stride}, {stride}], pads = [{pad}, {pad}, {pad}, {pad}]"
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[N, C, {plane}] x) => (float[N, {outputs}, A, B] y) {{ y = Conv<{attributes}>(x, w) }}')
    model.graph.initializer.append(numpy_helper.from_array(filters, "w"))
    height, width = map(int, plane.split(",")) if plane != "H, W" else (19, 14)
    x = random.standard_normal((2, channels, height, width)).astype(np.float32)
    wanted = onager.InferenceSession(compile_with_report(model.SerializeToString(), tmp_path / "reference.so", opt_level=0)[0]).run(None, {"x": x})[0]
    artifact = compile_with_report(model.SerializeToString(), tmp_path / "model.so")[0]
    found = run_with_threads(artifact, x, (1, 2))
    assert found.shape == wanted.shape and np.abs(found - wanted).max() <= 2e-5 * np.abs(wanted).max()
    with pytest.raises(RuntimeError, match="node .y.*channels"):
        onager.InferenceSession(artifact).run(None, {"x": x[:, :-1]})
