"""Generators for com.microsoft's operators on quantised numbers, against ONNX Runtime: bytes may be one step apart where a number lies between two."""
import ml_dtypes
import numpy as np

from fuzz.draw import Fixed
from fuzz.schemas_convolutions import draw_filter, draw_sizes, draw_window
from fuzz.schemas_microsoft import loose, sizes, trim


def _bytes(draw, place: int, shape, fixed: bool = False):
    make = draw.fixed if fixed else draw.values
    return make(place, shape, -128, 127 if draw.element(place) == "int8" else 255)


def _scale(draw, value: float | None = None, shape=()) -> Fixed:
    return Fixed(np.asarray(draw.random.uniform(0.02, 0.1, shape) if value is None else np.full(shape, value)).astype(np.float32))


def _zero(draw, place: int, shape=()) -> Fixed:
    return draw.fixed(place, shape, -20, 40)


def _stepped(node, steps: int = 1):
    node.steps = steps
    return loose(node)


def _binary(draw):
    a, b = draw.broadcast(2)
    inputs = [_bytes(draw, 0, a), _scale(draw), _zero(draw, 2), _bytes(draw, 3, b), _scale(draw), _zero(draw, 5), _scale(draw, 0.3 if draw.name == "QLinearMul" else 0.11), _zero(draw, 7)]
    return _stepped(draw.node(inputs))


def _unary(draw):
    inputs = [_bytes(draw, 0, draw.shape(least=1)), _scale(draw), _zero(draw, 2)]
    if draw.name == "QLinearSigmoid":
        return _stepped(draw.node([*inputs, _scale(draw, 1 / 256), Fixed(np.array(0, draw.kind(4)))]))
    return _stepped(draw.node([*inputs, _scale(draw, 0.07), _zero(draw, 4)], alpha=0.2))


def _last(draw, shape, last: int) -> tuple:
    return (shape[0], *shape[2:], shape[1]) if last else tuple(shape)


def _average(draw):
    last, (spatial, kernel) = draw.one(0, 1), draw_sizes(draw)
    attributes = {}
    if draw.name == "QLinearGlobalAveragePool":
        spatial = (spatial + [2])[:2]
    else:
        while len(spatial) != 2:
            spatial, kernel = draw_sizes(draw)
        attributes = draw_window(draw, spatial, kernel, False)[0] | {"kernel_shape": kernel, "count_include_pad": draw.one(0, 1)}
    shape = _last(draw, (draw.whole(1, 2), draw.whole(1, 5), *spatial), last)
    return _stepped(draw.node([_bytes(draw, 0, shape), _scale(draw), _zero(draw, 2), _scale(draw, 0.04), _zero(draw, 4)], channels_last=last, **attributes))


def _max(draw):
    spatial, kernel = draw_sizes(draw)
    while len(spatial) != 2:
        spatial, kernel = draw_sizes(draw)
    attributes, *_ = draw_window(draw, spatial, kernel)
    return draw.node([_bytes(draw, 0, (draw.whole(1, 2), *spatial, draw.whole(1, 5)))], kernel_shape=kernel, **attributes)


def _concat(draw):
    draw.types["TV"] = draw.types["T8"]
    shape, axis, inputs = draw.shape(draw.whole(1, 3), least=1), 0, [_scale(draw, 0.06), _zero(draw, 1)]
    axis = draw.whole(0, len(shape) - 1)
    for _ in range(draw.whole(1, 3)):
        extents = list(shape)
        extents[axis] = draw.whole(1, 4)
        inputs += [_bytes(draw, 2, extents), _scale(draw), _zero(draw, 2)]
    return _stepped(draw.node(inputs, axis=axis))


def _softmax(draw):
    shape = draw.shape(draw.whole(1, 3), least=1)
    zero = Fixed(np.array(0 if draw.element(0) == "uint8" else -128, draw.kind(0)))
    return _stepped(draw.node([_bytes(draw, 0, shape), _scale(draw), _zero(draw, 2), _scale(draw, 1 / 256), zero], opset=draw.one(13, 12), axis=draw.one(-1, 0)))


def _where(draw):
    condition, a, b = draw.broadcast(3)
    inputs = [draw.values(0, condition), _bytes(draw, 1, a), _scale(draw), _zero(draw, 3), _bytes(draw, 4, b), _scale(draw), _zero(draw, 6), _scale(draw, 0.06), _zero(draw, 8)]
    return _stepped(draw.node(inputs))


def _convolution(draw):
    draw.types["T3"] = draw.types["T1"]
    draw.types["T2"] = draw.one("int8", "uint8") if draw.types["T1"] == "uint8" else "int8"
    last, (image, kernel, group) = draw.one(0, 1), draw_filter(draw)
    while len(image) != 4:
        image, kernel, group = draw_filter(draw)
    attributes, *_ = draw_window(draw, image[2:], kernel[2:])
    zero = Fixed(np.array(0, draw.kind(5)))
    bias = draw.fixed(8, kernel[:1], -500, 500) if draw.often() else None
    inputs = [_bytes(draw, 0, _last(draw, image, last)), _scale(draw), _zero(draw, 2), draw.fixed(3, kernel, -64, 63), _scale(draw), zero, _scale(draw, 1.7), _zero(draw, 7), bias]
    return _stepped(draw.node(trim(inputs), channels_last=last, group=group, **attributes))


def _quantize(draw):
    shape = draw.shape(draw.whole(1, 3), least=1)
    axis = draw.whole(0, len(shape) - 1) if draw.often() else None
    inner = () if axis is None else (shape[axis],)
    spread = lambda array: array if axis is None else array.reshape([-1 if place == axis else 1 for place in range(len(shape))])
    scale, zero = _scale(draw, None, inner), draw.fixed(2, inner, 0, 3)
    if draw.name == "DequantizeLinear" and draw.element(0) == "int32":
        zero = Fixed(np.zeros(inner, draw.kind(2)))
    x = draw.values(0, shape) if draw.name == "QuantizeLinear" else draw.values(0, shape, -100, 200)
    node = draw.node([x, scale, zero], **({} if axis is None else {"axis": axis}))
    shift, factor = spread(zero.value.astype(np.int64)), spread(scale.value)
    if draw.name == "DequantizeLinear":
        node.wanted = [((x.astype(np.int64) - shift) * factor).astype(np.float32)]
        return loose(node)
    limits = ml_dtypes.iinfo(draw.kind(2))
    node.wanted = [np.clip(np.rint(x / factor) + shift, int(limits.min), int(limits.max)).astype(draw.kind(2))]
    return _stepped(node)


def _pairs(draw, labels=("T1", "T2")) -> None:
    left, right = draw.one(("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8"))
    draw.types |= dict(zip(labels, (left, right)))


def _product_to_float(draw):
    _pairs(draw)
    rows, depth, columns = sizes(draw, 3)
    inner = draw.one((), (columns,))
    inputs = [_bytes(draw, 0, (rows, depth)), draw.fixed(1, (depth, columns), -64, 63), Fixed(np.float32(0.05)), _scale(draw, None, inner), _zero(draw, 4), draw.fixed(5, inner, -60, 60),
              draw.fixed(6, (columns,), -2, 2) if draw.often() else None]
    return loose(draw.node(trim(inputs)))


def _dynamic_product(draw):
    rows, depth, columns = sizes(draw, 3)
    inner = draw.one((), (columns,))
    inputs = [draw.values(0, (rows, depth), -2, 2), draw.fixed(1, (depth, columns), -64, 63), _scale(draw, None, inner), draw.fixed(3, inner, -60, 60), draw.fixed(4, (columns,), -2, 2)]
    # What a step of the input is worth.
    return loose(draw.node(inputs[:draw.one(4, 5)]), 0.01, 0.02)


def _gemm(draw):
    _pairs(draw, ("TA", "TB"))
    quantised = draw.often()
    draw.types["TYZ"] = draw.types["TA"]
    rows, depth, columns = sizes(draw, 3)
    flips = [draw.one(0, 1), draw.one(0, 1)]
    inputs = [_bytes(draw, 0, (depth, rows) if flips[0] else (rows, depth)), Fixed(np.float32(0.05)), _zero(draw, 2),
              draw.fixed(3, (columns, depth) if flips[1] else (depth, columns), -64, 63), _scale(draw, None, (columns,)), draw.fixed(5, (columns,), -60, 60),
              draw.fixed(6, (1, columns), -900, 900)] + ([_scale(draw, 2.5), _zero(draw, 8)] if quantised else [])
    return _stepped(draw.node(inputs, transA=flips[0], transB=flips[1], alpha=0.5))


def _integers(draw):
    rows, depth, columns = sizes(draw, 3)
    return draw.node([draw.values(0, (rows, depth), -300, 300), draw.values(1, (depth, columns), -300, 300)])


def _few_bits(draw):
    bits, columns, block = draw.one(2, 4, 8), draw.whole(1, 7), draw.one(16, 32)
    depth = block * draw.whole(1, 3) - draw.one(0, 0, 8)
    blocks = -(-depth // block)
    draw.types["T3"] = "uint8"
    packed = draw.fixed(1, (columns, blocks, block * bits // 8), 0, 255)
    zeros = draw.fixed(3, (columns, (blocks * bits + 7) // 8), 0, 255) if draw.often() else None
    inputs = [draw.values(0, (draw.whole(1, 3), depth), -2, 2), packed, draw.fixed(2, (columns, blocks), -1, 1), zeros, None, draw.fixed(5, (columns,), -2, 2) if draw.often() else None]
    return loose(draw.node(trim(inputs), K=depth, N=columns, bits=bits, block_size=block), 0.02, 0.01)


def _codes(draw):
    depth, columns, block = draw.one(32, 40, 48), draw.whole(1, 6), draw.one(16, 32)
    inputs = [draw.values(0, (draw.whole(1, 3), depth), -2, 2), draw.fixed(1, ((columns * depth + 1) // 2,), 0, 255), draw.fixed(2, (-(-columns * depth // block),), 0, 1)]
    return loose(draw.node(inputs, K=depth, N=columns, block_size=block, quant_type=draw.one(0, 1)))


def _gather(draw):
    draw.types["T2"] = "float"
    rows, block = draw.whole(1, 6), 16
    kind = draw.types["T1"]
    indices = draw.random.integers(0, rows, draw.one((3,), (2, 2))).astype(draw.kind(1))
    if "float" in kind:
        if kind == "float4e2m1":
            draw.types["T1"] = kind = "float8e4m3fn"
        form = draw.one((rows, 2), (rows, 1))
        return loose(draw.node([draw.fixed(0, (rows, 32), -3, 3), indices, draw.fixed(2, form, 0, 1)], block_size=16 if form[1] == 2 else 0, quantize_axis=1, gather_axis=0))
    data = draw.fixed(0, (rows, 32), -8, 15)
    bits = 4
    if kind == "uint8":
        bits = draw.one(4, 8)
        data = draw.fixed(0, (rows, 32 * bits // 8), 0, 255)
    zeros = draw.fixed(3, (rows, 1 if kind == "uint8" and bits == 4 else 2), 0, 7 if kind != "uint8" else 255) if draw.often() else None
    return loose(draw.node(trim([data, indices, draw.fixed(2, (rows, 2), 0, 1), zeros]), bits=bits, block_size=block, quantize_axis=1, gather_axis=0))


def _embedding(draw):
    quantised = draw.name == "QEmbedLayerNormalization"
    batch, length, width = draw.whole(1, 2), draw.whole(1, 4), 8
    ids = draw.random.integers(0, 9, (batch, length)).astype(np.int32)
    parts = draw.often()
    mask = np.array([[1] * max(1, length - number) + [0] * min(number, length - 1) for number in range(batch)], np.int32)
    tables = [(9, width), (6, width), (2, width) if parts else None, (width,), (width,)]
    low, high = (0, 255) if quantised else (-2, 2)
    places = (2, 3, 4, 5, 6)
    inputs = [ids, (ids % 2) if parts else None, *[None if shape is None else draw.fixed(place, shape, low, high) for place, shape in zip(places, tables)], mask]
    if not quantised:
        return loose(draw.node(inputs, 2), 0.01, 2e-3)
    for value in (lambda: Fixed(np.float32(0.03)), lambda: Fixed(np.array(100, draw.kind(2)))):
        inputs += [None if shape is None else value() for shape in tables]
    return loose(draw.node(inputs, 2), 0.02, 0.01)


GENERATORS = {"DequantizeLinear": _quantize, "DynamicQuantizeMatMul": _dynamic_product, "EmbedLayerNormalization": _embedding, "GatherBlockQuantized": _gather, "MatMulBnb4": _codes,
              "MatMulInteger16": _integers, "MatMulIntegerToFloat": _product_to_float, "MatMulNBits": _few_bits, "NhwcMaxPool": _max, "QEmbedLayerNormalization": _embedding,
              "QGemm": _gemm, "QLinearAdd": _binary, "QLinearAveragePool": _average, "QLinearConcat": _concat, "QLinearConv": _convolution, "QLinearGlobalAveragePool": _average,
              "QLinearLeakyRelu": _unary, "QLinearMul": _binary, "QLinearSigmoid": _unary, "QLinearSoftmax": _softmax, "QLinearWhere": _where, "QuantizeLinear": _quantize}
