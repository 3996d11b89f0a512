"""Generators for quantisation and operators on quantised numbers. Most scales are powers of two, so that results are exact, ties included."""
import numpy as np

from fuzz.draw import to_numpy, to_onnx
from fuzz.numpy_windows import convolve
from fuzz.schemas_convolutions import draw_filter, draw_window


def _scales(draw, kind, shape) -> np.ndarray:
    return np.asarray(2.0 ** draw.random.integers(-4, 2, shape)).astype(kind)


def _layout(draw) -> tuple:
    """Returns (shape, shape of the scales, attributes): one scale, one along an axis, or one for each block."""
    shape = draw.shape(draw.whole(1, 4), least=1)
    axis = draw.whole(0, len(shape) - 1)
    form = draw.one("tensor", "axis", "block")
    if form == "tensor" or not draw.has("axis") or form == "block" and not draw.has("block_size"):
        return shape, (), {}
    if form == "axis":
        return shape, (shape[axis],), {"axis": draw.one(axis, axis - len(shape))}
    size, count = draw.whole(1, 4), draw.whole(1, 3)
    shape = (*shape[:axis], size * count, *shape[axis + 1:])
    return shape, (*shape[:axis], count, *shape[axis + 1:]), {"axis": axis, "block_size": size}


def _integral(element: str) -> bool:
    return "int" in element


def _quantize(draw):
    shape, inner, attributes = _layout(draw)
    if "T2" in draw.types and draw.version >= 23:
        draw.types["T2"] = draw.one(draw.types["T1"], "float") if draw.types["T1"] != "int32" else "float"
    target = draw.element(0, output=True)
    scale = _scales(draw, to_numpy(draw.element(1)) if draw.element(1) != "int32" else np.int32, inner)
    if scale.dtype == np.int32:
        scale = np.maximum(scale, 1)
    x = draw.values(0, shape, -40, 40)
    zero = draw.values(2, inner, -3, 3) if _integral(target) else np.zeros(inner, draw.kind(2))
    inputs = [x, scale, zero]
    if draw.has("output_dtype") and draw.often(0.3):
        inputs, attributes = inputs[:2], attributes | {"output_dtype": to_onnx(target)}
    elif target == "uint8" and draw.often(0.3):
        inputs = inputs[:2]
    if draw.has("saturate") and target.startswith("float8") and draw.often():
        attributes = attributes | {"saturate": 0}
    return draw.node(inputs, **attributes)


def _dequantize(draw):
    shape, inner, attributes = _layout(draw)
    element = draw.element(0)
    x = draw.values(0, shape, -100, 200) if _integral(element) else draw.values(0, shape, -6, 6)
    zero = draw.values(2, inner, -3, 3) if _integral(element) and element != "int32" else np.zeros(inner, draw.kind(2))
    scale = _scales(draw, draw.kind(1), inner)
    if draw.has("output_dtype"):
        attributes = attributes | {"output_dtype": to_onnx(draw.element(0, output=True))}
    return draw.node([x, scale, zero] if draw.often(0.7) else [x, scale], **attributes)


def _dynamic(draw):
    return draw.node([draw.values(0, draw.shape(least=1), -5, 9)], 3)


def _fill(draw, place: int, shape) -> np.ndarray:
    return draw.values(place, shape, -128, 255)


def _requantise(y, scale: float, zero, kind) -> np.ndarray:
    limits = np.iinfo(kind)
    return np.clip(np.rint(y * scale) + int(zero), limits.min, limits.max).astype(kind)


def _product(draw):
    rows, depth, columns = (draw.whole(1, 5) for _ in range(3))
    lead = draw.one((), (2,), (2, 3))
    a, b = _fill(draw, 0, (*lead, rows, depth)), _fill(draw, 1, (depth, columns))
    za, zb = draw.values(2, draw.one((), (1,)), -60, 120), draw.values(3, draw.one((), (columns,)), -60, 120)
    inputs = draw.one([a, b], [a, b, za], [a, b, za, zb])
    y = (a.astype(int) - (za.astype(int) if len(inputs) > 2 else 0)) @ (b.astype(int) - (zb.astype(int) if len(inputs) > 3 else 0))
    node = draw.node(inputs)
    node.wanted = [y.astype(np.int32)]
    return node


def _quantised_product(draw):
    if draw.version >= 21:
        draw.types |= {label: draw.one("int8", "uint8") for label in ("T1", "T2", "T3")}
    else:
        draw.retype("T2"), draw.retype("T3")
    rows, depth, columns = (draw.whole(1, 5) for _ in range(3))
    kind = draw.kind(1)
    a, b = _fill(draw, 0, (rows, depth)), _fill(draw, 3, (depth, columns))
    scales = [_scales(draw, kind, ()) for _ in range(3)]
    zeros = [draw.values(2, (), -60, 120), draw.values(5, (), -60, 120), draw.values(7, (), -60, 120)]
    node = draw.node([a, scales[0], zeros[0], b, scales[1], zeros[1], scales[2], zeros[2]])
    factor = float(scales[0]) * float(scales[1]) / float(scales[2])
    node.wanted = [_requantise((a.astype(int) - int(zeros[0])) @ (b.astype(int) - int(zeros[1])), factor, zeros[2], draw.kind(7))]
    return node


def _quantised_convolution(draw):
    draw.retype("T2")
    draw.types["T3"] = draw.types["T1"]
    image, kernel, group = draw_filter(draw)
    attributes, strides, pads, dilations = draw_window(draw, image[2:], kernel[2:])
    x, w = _fill(draw, 0, image), _fill(draw, 3, kernel)
    per_channel = draw.often()
    scales = [_scales(draw, np.float32, ()), _scales(draw, np.float32, kernel[:1] if per_channel else ()), _scales(draw, np.float32, ()) * np.float32(16)]
    zeros = [draw.values(2, (), -60, 120), draw.values(5, (), -60, 120) if draw.often() and not per_channel else np.zeros(scales[1].shape, draw.kind(5)), draw.values(7, (), -60, 120)]
    bias = draw.values(8, kernel[:1], -900, 900) if draw.often() else None
    scales[2] = np.asarray(scales[2], np.float32)
    node = draw.node([x, scales[0], zeros[0], w, scales[1], zeros[1], scales[2], zeros[2]] + ([] if bias is None else [bias]), group=group, **attributes)
    y = convolve(x.astype(int) - int(zeros[0]), w.astype(int) - int(zeros[1].reshape(-1)[0]), bias, strides, pads, dilations, group)
    factor = float(scales[0]) * scales[1].astype(np.float64) / float(scales[2])
    node.wanted = [_requantise(y, factor.reshape(-1, *[1] * (w.ndim - 2)) if per_channel else factor, zeros[2], draw.kind(7))]
    return node


GENERATORS = {"DequantizeLinear": _dequantize, "DynamicQuantizeLinear": _dynamic, "MatMulInteger": _product, "QLinearConv": _quantised_convolution,
              "QLinearMatMul": _quantised_product, "QuantizeLinear": _quantize}
