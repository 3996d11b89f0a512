"""Products, convolutions, pooling and their like in random graphs."""
import dataclasses
import math

import numpy as np

from fuzz.graphs import LARGEST, Graph, Value


def _f32(value: Value) -> bool:
    return value.dtype == np.float32


def _weights(g: Graph, *shape) -> Value:
    return g.constant(g.random_array(np.float32, shape, -1, 1))


def _product_bound(x: Value, depth: int) -> float:
    return x.bound * max(depth, 1)


def matmul(g: Graph) -> None:
    if x := g.pick(lambda v: _f32(v) and v.rank >= 1):
        depth, columns = x.shape[-1], g.draw.choice((1, 2, 5, 8, 16, 17, 32, 33))
        shape = x.shape[:-1] + (columns,)
        if math.prod(shape) <= LARGEST:
            g.node("MatMul", [x, _weights(g, depth, columns)], Value("", x.dtype, shape, False, _product_bound(x, depth)))


def batched_matmul(g: Graph) -> None:
    if x := g.pick(lambda v: _f32(v) and v.rank >= 2 and v.size):
        perm = list(range(x.rank - 2)) + [x.rank - 1, x.rank - 2]
        y = g.node("Transpose", [x], dataclasses.replace(x, shape=tuple(x.shape[k] for k in perm)), perm=perm)
        shape = x.shape[:-1] + (x.shape[-2],)
        if math.prod(shape) <= LARGEST:
            g.node("MatMul", [x, y], Value("", x.dtype, shape, False, x.bound * x.bound * x.shape[-1]))


def gemm(g: Graph) -> None:
    if x := g.pick(lambda v: _f32(v) and v.rank == 2):
        a, b = g.draw.randint(0, 1), g.draw.randint(0, 1)
        rows, depth = x.shape[::-1] if a else x.shape
        columns = g.draw.choice((1, 3, 8, 16, 20))
        weights = _weights(g, columns, depth) if b else _weights(g, depth, columns)
        bias = [_weights(g, *g.draw.choice(((columns,), (1, columns), (rows, 1), ())))] if g.draw.random() < 0.7 else []
        if rows * columns <= LARGEST:
            g.node("Gemm", [x, weights] + bias, Value("", x.dtype, (rows, columns), False, 2 * _product_bound(x, depth) + 2), transA=a, transB=b,
                   alpha=g.draw.choice((1.0, 0.5)), beta=g.draw.choice((1.0, 2.0)))


def _window(g: Graph, x: Value) -> tuple[dict, list, list] | None:
    """Draws kernel, strides, pads and dilations for the spatial dims; None where a window would not fit."""
    count = x.rank - 2
    kernel, strides = [g.draw.randint(1, 3) for _ in range(count)], [g.draw.choice((1, 1, 2, 3)) for _ in range(count)]
    dilations = [g.draw.choice((1, 1, 2)) for _ in range(count)]
    pads = [g.draw.randint(0, size - 1) for size in kernel] + [g.draw.randint(0, size - 1) for size in kernel]
    spans = [x.shape[2 + k] + pads[k] + pads[k + count] - (kernel[k] - 1) * dilations[k] - 1 for k in range(count)]
    if min(spans, default=-1) < 0 or min(x.shape) == 0:
        return None
    return {"kernel_shape": kernel, "strides": strides, "pads": pads, "dilations": dilations}, kernel, [span // stride + 1 for span, stride in zip(spans, strides)]


def conv(g: Graph) -> None:
    if (x := g.pick(lambda v: _f32(v) and v.rank in (3, 4) and v.size)) and (window := _window(g, x)):
        attributes, kernel, out = window
        channels = x.shape[1]
        group = g.draw.choice([k for k in range(1, channels + 1) if channels % k == 0])
        filters = group * g.draw.choice((1, 1, 2, 3))
        bias = [_weights(g, filters)] if g.draw.random() < 0.5 else []
        shape = (x.shape[0], filters, *out)
        if math.prod(shape) <= LARGEST:
            g.node("Conv", [x, _weights(g, filters, channels // group, *kernel)] + bias,
                   Value("", x.dtype, shape, False, _product_bound(x, channels // group * math.prod(kernel)) + 1), group=group, **attributes)


def conv_transpose(g: Graph) -> None:
    if x := g.pick(lambda v: _f32(v) and v.rank in (3, 4) and v.size):
        count, channels = x.rank - 2, x.shape[1]
        group = g.draw.choice([k for k in range(1, channels + 1) if channels % k == 0])
        filters, kernel, strides = g.draw.randint(1, 3), [g.draw.randint(1, 3) for _ in range(count)], [g.draw.choice((1, 2)) for _ in range(count)]
        shape = (x.shape[0], filters * group, *(strides[k] * (x.shape[2 + k] - 1) + kernel[k] for k in range(count)))
        if math.prod(shape) <= LARGEST:
            g.node("ConvTranspose", [x, _weights(g, channels, filters, *kernel)],
                   Value("", x.dtype, shape, False, _product_bound(x, channels // group * math.prod(kernel))), group=group, strides=strides)


def pool(g: Graph) -> None:
    if (x := g.pick(lambda v: _f32(v) and v.rank in (3, 4) and v.size)) and (window := _window(g, x)):
        attributes, _, out = window
        op = g.draw.choice(("MaxPool", "AveragePool"))
        if any(dilation > extent for dilation, extent in zip(attributes["dilations"], x.shape[2:])):
            return  # a window may step over all data: the largest of nothing is the lowest float in ONNX Runtime, and -inf here and by definition
        if op == "AveragePool":
            del attributes["dilations"]
            attributes["count_include_pad"] = g.draw.randint(0, 1)
            spans = [x.shape[2 + k] + attributes["pads"][k] + attributes["pads"][k + x.rank - 2] - size for k, size in enumerate(attributes["kernel_shape"])]
            out = [span // stride + 1 for span, stride in zip(spans, attributes["strides"])]
        g.node(op, [x], Value("", x.dtype, (*x.shape[:2], *out), x.exact and op == "MaxPool", x.bound), **attributes)


def global_pool(g: Graph) -> None:
    if x := g.pick(lambda v: _f32(v) and v.rank in (3, 4) and v.size):
        op = g.draw.choice(("GlobalAveragePool", "GlobalMaxPool"))
        g.node(op, [x], Value("", x.dtype, x.shape[:2] + (1,) * (x.rank - 2), x.exact and op == "GlobalMaxPool", x.bound))


def batch_normalization(g: Graph) -> None:
    if x := g.pick(lambda v: _f32(v) and v.rank >= 2 and v.size):
        channels = x.shape[1]
        parts = [_weights(g, channels) for _ in range(3)] + [g.constant(g.random_array(np.float32, (channels,), 0.5, 2))]
        g.node("BatchNormalization", [x] + parts, dataclasses.replace(x, exact=False, bound=2 * x.bound + 4))


OPERATORS = [matmul, matmul, batched_matmul, gemm, conv, conv, conv_transpose, pool, global_pool, batch_normalization]
