"""Quantised convolutions and products: against -O0 and ONNX Runtime, each within one quantum, over sizes around the tiles and all levels of code."""
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.machine import skip_without_level
from support.single import run_reference

# channels, outputs, height, width, kernel, strides, pads, dilations, group
CONVS = {
    "pointwise": (64, 96, 16, 16, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    "pointwise_tail": (30, 17, 7, 13, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    "pointwise_strided": (16, 24, 15, 14, (1, 1), (2, 2), (0, 0, 0, 0), (1, 1), 1),
    "pointwise_padded": (9, 8, 6, 6, (1, 1), (1, 1), (1, 2, 0, 3), (1, 1), 1),
    "first_layer": (3, 32, 33, 45, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 1),
    "one_pixel": (40, 24, 1, 1, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    "square": (20, 25, 19, 21, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    "wide_window": (1, 16, 29, 20, (8, 8), (1, 1), (3, 3, 4, 4), (1, 1), 1),
    "dilated": (7, 9, 20, 22, (3, 3), (1, 1), (2, 2, 2, 2), (2, 2), 1),
    "strided_dilated": (4, 7, 23, 26, (3, 5), (3, 2), (1, 2, 0, 1), (2, 3), 1),
    "grouped": (24, 36, 11, 12, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 3),
    "far_pads": (5, 4, 3, 3, (2, 2), (1, 1), (4, 5, 6, 7), (1, 1), 1),
    "depthwise": (32, 32, 28, 30, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 32),
    "depthwise_strided": (21, 21, 15, 17, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 21),
    "depthwise_large": (12, 12, 14, 14, (5, 5), (1, 1), (2, 2, 2, 2), (1, 1), 12),
    "depthwise_large_strided": (12, 12, 31, 29, (5, 5), (2, 2), (2, 2, 2, 2), (1, 1), 12),
    "depthwise_wide": (12, 12, 12, 140, (1, 7), (1, 3), (0, 3, 0, 3), (1, 2), 12),
    "depthwise_multiplied": (6, 18, 9, 9, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 6),
}
# dtype of activations, of weights, scales of weights per channel, between sum and bytes
FORMS = {
    "unsigned": (np.uint8, np.int8, False, "relu"),
    "channels": (np.uint8, np.int8, True, "none"),
    "signed": (np.int8, np.int8, True, "clip"),
    "unsigned_weights": (np.int8, np.uint8, False, "residual"),
}
PRODUCT = {"int8_gemm", "amx_gemm"}
INT8 = {"int8_conv", "int8_depthwise"} | PRODUCT


class Model:
    """Grows a graph of quantised operators with random numbers."""

    def __init__(self, seed: int, dtype):
        self.random, self.dtype, self.nodes, self.weights, self.inputs = np.random.default_rng(seed), dtype, [], [], []

    def constant(self, value) -> str:
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, op: str, *inputs: str, **attributes) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def zero(self) -> int:
        return int(self.random.integers(90, 160)) - (128 if self.dtype == np.int8 else 0)

    def quantize(self, x: str, scale: float, zero: int) -> str:
        return self.node("QuantizeLinear", x, self.constant(np.float32(scale)), self.constant(self.dtype(zero)))

    def dequantize(self, x: str, scale: float, zero: int) -> str:
        return self.node("DequantizeLinear", x, self.constant(np.float32(scale)), self.constant(self.dtype(zero)))

    def activation(self, name: str, shape: list) -> str:
        self.inputs.append((name, shape))
        return self.dequantize(name, 0.02, self.zero())

    def filter(self, shape: tuple, dtype, per_channel: bool, axis: int = 0) -> str:
        numbers = self.random.integers(-127, 128, shape)
        scales = self.random.uniform(0.002, 0.01, shape[axis] if per_channel else ()).astype(np.float32)
        offset = 128 if dtype == np.uint8 else 0
        zeros = np.full_like(scales, offset).astype(dtype)
        values = (numbers + offset).astype(dtype)
        return self.node("DequantizeLinear", self.constant(values), self.constant(scales), self.constant(zeros), **({"axis": axis} if per_channel else {}))

    def build(self, output: str, element: int) -> bytes:
        types = {np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8}
        infos = [helper.make_tensor_value_info(name, types[self.dtype], shape) for name, shape in self.inputs]
        graph = helper.make_graph(self.nodes, "g", infos, [helper.make_tensor_value_info(output, element, None)], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def _element(dtype) -> int:
    return TensorProto.UINT8 if dtype == np.uint8 else TensorProto.INT8


def _conv(size: str, form: str, batch="N", symbolic: bool = False) -> bytes:
    channels, outputs, height, width, kernel, strides, pads, dilations, group = CONVS[size]
    dtype, weight_type, per_channel, epilogue = FORMS[form]
    model = Model(len(size) + len(form), dtype)
    taps = channels // group * kernel[0] * kernel[1]
    x, spread = model.activation("x", [batch, channels, "H" if symbolic else height, "W" if symbolic else width]), 0.02 * 0.004 * 127 * 128 * taps**0.5 / 3
    w = model.filter((outputs, channels // group, *kernel), weight_type, per_channel)
    b = model.constant((model.random.standard_normal(outputs) * spread).astype(np.float32))
    y = model.node("Conv", x, w, b, strides=strides, pads=pads, dilations=dilations, group=group)
    if epilogue == "relu":
        y = model.node("Relu", y)
    if epilogue == "clip":
        y = model.node("Clip", y, model.constant(np.float32(-spread / 2)), model.constant(np.float32(spread)))
    q = model.quantize(y, spread / 60, model.zero())
    if epilogue == "residual":
        zero = model.zero()
        out = [(extent + pads[d] + pads[d + 2] - dilations[d] * (kernel[d] - 1) - 1) // strides[d] + 1 for d, extent in enumerate((height, width))]
        other = model.activation("r", [batch, outputs, *out])
        q = model.quantize(model.node("Add", model.dequantize(q, spread / 60, zero), other), spread / 40, zero)
    return model.build(q, _element(dtype))


def _feeds(model: bytes, batch: int) -> dict:
    import onnx

    random, feeds = np.random.default_rng(3), {}
    for value in onnx.load_from_string(model).graph.input:
        kind = value.type.tensor_type
        shape = [dim.dim_value or batch for dim in kind.shape.dim]
        low = 0 if kind.elem_type == TensorProto.UINT8 else -128
        feeds[value.name] = random.integers(low, low + 256, shape).astype(np.uint8 if low == 0 else np.int8)
    return feeds


def _compile(model: bytes, path, **options) -> tuple:
    import onager

    report = []
    artifact = onager.compile(model, path, report=report, **options)
    return artifact, json.loads(report[0])


def _heroes(report: dict) -> set:
    return {launch["hero"] for launch in report["launches"]}


def _hold(found: np.ndarray, wanted: np.ndarray, often: float = 0.01) -> None:
    """One quantum, and that seldom: a sum near the middle of two bytes."""
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    if found.size == 0:
        return
    difference = np.abs(found.astype(np.int32) - wanted.astype(np.int32))
    assert difference.max(initial=0) <= 1
    assert (difference != 0).mean() <= often + 1.5 / difference.size


def _reference(model: bytes, feeds: dict, tmp_path) -> np.ndarray:
    import onager

    return onager.InferenceSession(_compile(model, tmp_path / "reference.so", opt_level=0)[0]).run(None, feeds)[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", CONVS)
def test_conv(size, form, tmp_path):
    import onager

    model = _conv(size, form)
    feeds = _feeds(model, 2)
    artifact, report = _compile(model, tmp_path / "model.so")
    assert _heroes(report) & INT8 and "bytes" in report["numerics"]
    results = [onager.InferenceSession(artifact, threads=threads).run(None, feeds)[0] for threads in (1, 2, 3)]
    _hold(results[0], _reference(model, feeds, tmp_path))
    # Its kernels for signed bytes saturate in between without VNNI: how often they differ is not held.
    _hold(results[0], run_reference(model, feeds)[0], often=1)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "x86-64-v4"])
@pytest.mark.parametrize("size", ["pointwise_tail", "first_layer", "strided_dilated", "grouped", "depthwise", "depthwise_large_strided"])
def test_conv_levels(size, target, tmp_path):
    """All levels give the same bytes: sums are exact; one without fused multiply-adds rounds products first."""
    import onager

    skip_without_level(target)
    for form in ("unsigned", "signed"):
        model = _conv(size, form)
        feeds = _feeds(model, 1)
        artifact, report = _compile(model, tmp_path / f"{form}.so", target=target)
        assert _heroes(report) & INT8
        _hold(onager.InferenceSession(artifact).run(None, feeds)[0], _reference(model, feeds, tmp_path))


@pytest.mark.parametrize("size", ["pointwise_tail", "square", "depthwise_strided"])
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_batches(size, batch, tmp_path):
    """One artifact for all batches; an image's bytes do not depend on its place."""
    import onager

    model = _conv(size, "channels")
    session = onager.InferenceSession(_compile(model, tmp_path / "model.so")[0], threads=2)
    x = _feeds(model, 5)["x"]
    together = session.run(None, {"x": x[:batch]})[0]
    assert together.shape[0] == batch
    for number, image in enumerate(together):
        np.testing.assert_array_equal(image, session.run(None, {"x": x[number : number + 1]})[0][0])


@pytest.mark.parametrize("target", ["native", "x86-64-v3"])
@pytest.mark.parametrize("size", ["pointwise", "first_layer", "strided_dilated", "grouped", "depthwise", "depthwise_strided"])
def test_symbolic_images(size, target, tmp_path):
    """One artifact for all extents of images."""
    import onager

    model = _conv(size, "signed", symbolic=True)
    artifact = _compile(model, tmp_path / "model.so", target=target)[0]
    reference = _compile(model, tmp_path / "reference.so", opt_level=0)[0]
    channels = CONVS[size][0]
    for height, width in [(9, 11), (16, 40), (31, 17), (70, 65)]:
        x = np.random.default_rng(height).integers(-128, 128, (2, channels, height, width)).astype(np.int8)
        found, wanted = (onager.InferenceSession(path).run(None, {"x": x})[0] for path in (artifact, reference))
        _hold(found, wanted)


def _product(rows, depth: int, columns: int, form: str, op: str) -> bytes:
    dtype, weight_type, per_channel, epilogue = FORMS[form]
    model = Model(depth + columns, dtype)
    spread = 0.02 * 0.004 * 127 * 128 * depth**0.5 / 3
    x = model.activation("x", [*rows, depth])
    if op == "Gemm":
        w = model.filter((columns, depth), weight_type, per_channel)
        y = model.node("Gemm", x, w, model.constant((model.random.standard_normal(columns) * spread).astype(np.float32)), transB=1)
    else:
        y = model.node("MatMul", x, model.filter((depth, columns), weight_type, per_channel, 1))
    y = model.node("Relu", y) if epilogue == "relu" else y
    return model.build(model.quantize(y, spread / 60, model.zero()), _element(dtype))


PRODUCTS = {"whole": (["N"], 64, 128), "few_columns": (["N"], 37, 10), "batched": (["N", 3], 130, 65), "one_row": ([1], 512, 200), "short": (["N"], 3, 64)}


def _check_product(size: str, form: str, target: str, tmp_path) -> None:
    import onager

    rows = PRODUCTS[size][0]
    for op in ["Gemm", "MatMul"] if len(rows) == 1 else ["MatMul"]:
        model = _product(*PRODUCTS[size], form, op)
        artifact, report = _compile(model, tmp_path / f"{op}.so", target=target)
        reference = _compile(model, tmp_path / f"{op}_reference.so", opt_level=0)[0]
        assert PRODUCT & _heroes(report)
        for batch in [0, 1, 7, 100] if "N" in rows else [1]:
            found, wanted = (onager.InferenceSession(path).run(None, _feeds(model, batch))[0] for path in (artifact, reference))
            _hold(found, wanted)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", PRODUCTS)
def test_product(size, form, tmp_path):
    _check_product(size, form, "native", tmp_path)


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "x86-64-v4"])
@pytest.mark.parametrize("size", ["few_columns", "batched"])
def test_product_levels(size, target, tmp_path):
    skip_without_level(target)
    _check_product(size, "signed", target, tmp_path)


def test_floats_behind_a_sum(tmp_path):
    """Where no bytes follow, the sum is scaled in the epilogue."""
    import onager

    model = Model(11, np.uint8)
    x = model.activation("x", ["N", 12, 9, 10])
    y = model.node("Sigmoid", model.node("Conv", x, model.filter((16, 12, 3, 3), np.int8, True)))
    data = model.build(y, TensorProto.FLOAT)
    feeds = _feeds(data, 2)
    artifact, report = _compile(data, tmp_path / "model.so")
    assert "int8_conv" in _heroes(report)
    np.testing.assert_allclose(onager.InferenceSession(artifact).run(None, feeds)[0], _reference(data, feeds, tmp_path), atol=2e-6)


def test_movements(tmp_path):
    """Bytes are moved, pooled and added between two convolutions."""
    import onager

    model = Model(17, np.uint8)
    x = model.activation("x", ["N", 12, 9, 10])
    a = model.node("Conv", x, model.filter((16, 12, 1, 1), np.int8, True))
    b = model.node("Conv", x, model.filter((16, 12, 3, 3), np.int8, True), pads=[1, 1, 1, 1])
    a, b = model.dequantize(model.quantize(a, 0.05, 120), 0.05, 120), model.dequantize(model.quantize(b, 0.1, 120), 0.1, 120)
    joined = model.dequantize(model.quantize(model.node("Concat", a, b, axis=1), 0.1, 120), 0.1, 120)
    turned = model.dequantize(model.quantize(model.node("Transpose", joined, perm=[0, 1, 3, 2]), 0.1, 120), 0.1, 120)
    pooled = model.dequantize(model.quantize(model.node("MaxPool", turned, kernel_shape=[2, 2], strides=[2, 2]), 0.1, 120), 0.1, 120)
    y = model.node("Conv", pooled, model.filter((8, 32, 1, 1), np.int8, False))
    data = model.build(model.quantize(y, 0.2, 120), TensorProto.UINT8)
    feeds = _feeds(data, 3)
    artifact, report = _compile(data, tmp_path / "model.so")
    assert sum(launch["hero"] in INT8 for launch in report["launches"]) == 3
    _hold(onager.InferenceSession(artifact).run(None, feeds)[0], _reference(data, feeds, tmp_path), often=0.05)


def test_integer_operators(tmp_path):
    """QLinearConv and QLinearMatMul have the same form."""
    import onager

    model = Model(13, np.uint8)
    model.inputs.append(("x", ["N", 10, 8, 9]))
    scalar = lambda value: model.constant(np.float32(value))
    weights = model.constant(model.random.integers(-127, 128, (12, 10, 3, 3)).astype(np.int8))
    bias = model.constant(model.random.integers(-2000, 2000, 12).astype(np.int32))
    scales, zeros = model.constant(model.random.uniform(0.002, 0.01, 12).astype(np.float32)), model.constant(np.zeros(12, np.int8))
    q = model.node("QLinearConv", "x", scalar(0.02), model.constant(np.uint8(111)), weights, scales, zeros, scalar(0.2), model.constant(np.uint8(130)), bias)
    right = model.constant(model.random.integers(-127, 128, (7, 70)).astype(np.int8))
    q = model.node("QLinearMatMul", q, scalar(0.2), model.constant(np.uint8(130)), right, scalar(0.01), model.constant(np.int8(0)), scalar(1.2), model.constant(np.uint8(99)))
    data = model.build(q, TensorProto.UINT8)
    feeds = _feeds(data, 2)
    artifact, report = _compile(data, tmp_path / "model.so")
    assert "int8_conv" in _heroes(report) and PRODUCT & _heroes(report)
    _hold(onager.InferenceSession(artifact).run(None, feeds)[0], _reference(data, feeds, tmp_path), often=0.05)


@pytest.mark.parametrize("target", ["native", "x86-64-v3"])
def test_dynamic_quantization(target, tmp_path):
    """The zero point of the left operand is computed while the model runs."""
    import onager

    random = np.random.default_rng(4)
    weights = [numpy_helper.from_array(random.integers(-127, 128, (48, 70)).astype(np.int8), "w"), numpy_helper.from_array(np.float32(0.01), "s")]
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["q", "w", "zero"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["scale", "s"], ["factor"]),
        helper.make_node("Mul", ["number", "factor"], ["y"]),
    ]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", "S", width]) for name, width in (("x", 48), ("y", 70))]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    artifact, report = _compile(model, tmp_path / "model.so", target=target)
    assert PRODUCT & _heroes(report)
    for shape in [(1, 1, 48), (2, 5, 48)]:
        x = (random.standard_normal(shape) + 0.7).astype(np.float32)
        found, wanted = onager.InferenceSession(artifact).run(None, {"x": x})[0], run_reference(model, {"x": x})[0]
        np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


def test_option(tmp_path):
    """Without the form its line leaves the report."""
    report = _compile(_conv("square", "unsigned"), tmp_path / "model.so", int8=False)[1]
    assert not _heroes(report) & INT8 and "bytes" not in report["numerics"]


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("zeros", [(0, 0), (3, 0), (0, 7), (5, 200), (0, 128)])
def test_weights_without_a_sign(symbolic, dtype, zeros):
    """Sums of any bytes with weights of 0 to 255 are exact."""
    import onager

    random, limits = np.random.default_rng(1), np.iinfo(dtype)
    draw = lambda *shape: random.integers(limits.min, limits.max + 1, shape).astype(dtype)
    cases = [("ConvInteger", draw(2, 5, 9, 11), (7, 5, 3, 3), {"pads": [1, 1, 1, 1]}), ("ConvInteger", draw(2, 5, 9, 11), (7, 5, 3, 3), {"strides": [2, 1]}),
             ("MatMulInteger", draw(9, 33), (33, 20), {})]
    for op, x, shape, attributes in cases:
        weights = random.integers(0, 256, shape).astype(np.uint8)
        constants = [numpy_helper.from_array(value, name) for name, value in (("w", weights), ("zx", dtype(zeros[0])), ("zw", np.uint8(zeros[1])))]
        dims = [f"d{k}" if symbolic and k != 1 else extent for k, extent in enumerate(x.shape)]
        graph = helper.make_graph([helper.make_node(op, ["x", "w", "zx", "zw"], ["y"], **attributes)], "sums",
                                  [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), dims)], [helper.make_empty_tensor_value_info("y")], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
        found, wanted = (onager.InferenceSession(model, opt_level=level).run(None, {"x": x})[0] for level in (3, 0))
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("size", [2048, 3001, 70000])
def test_functions_of_bytes_by_table(size):
    """What a table of 256 results gives, with a second result and several threads."""
    import onager

    x = np.random.default_rng(1).integers(0, 256, size).astype(np.uint8)
    scales = [numpy_helper.from_array(np.float32(value), name) for name, value in (("s", 0.05), ("t", 0.004))] + [numpy_helper.from_array(np.uint8(128), "z"), numpy_helper.from_array(np.uint8(0), "n")]
    nodes = [helper.make_node("DequantizeLinear", ["x", "s", "z"], ["r"]), helper.make_node("Sigmoid", ["r"], ["g"]), helper.make_node("QuantizeLinear", ["g", "t", "n"], ["y"]),
             helper.make_node("Mul", ["g", "r"], ["h"]), helper.make_node("QuantizeLinear", ["h", "s", "z"], ["w"])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.UINT8, ["n"]) for name in ("y", "w")]
    graph = helper.make_graph(nodes, "table", [helper.make_tensor_value_info("x", TensorProto.UINT8, ["n"])], outputs, scales)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
    wanted = run_reference(model, {"x": x})
    for threads in (1, 2):
        for found, want in zip(onager.InferenceSession(model, threads=threads).run(None, {"x": x}), wanted):
            assert np.abs(found.astype(int) - want.astype(int)).max() <= 1
