"""What models spell by several nodes, and passes know as one operation: activations, normalisations, attention, quantised products; and layers with kernels of their own."""
import dataclasses
import math

import numpy as np

from fuzz.graphs import LARGEST, Graph, Value


def _f32(value: Value) -> bool:
    return value.dtype == np.float32


def _number(g: Graph, value: float) -> Value:
    return g.constant(np.float32(value))


def _like(x: Value, bound: float, **changes) -> Value:
    return dataclasses.replace(x, exact=False, bound=bound, **changes)


def gelu(g: Graph) -> None:
    if not (x := g.pick(_f32)):
        return
    if g.draw.random() < 0.5:
        inner = g.inner("Erf", [g.inner("Div", [x, _number(g, math.sqrt(2))], _like(x, x.bound))], _like(x, 1))
    else:
        cube = g.inner("Mul", [g.inner("Mul", [g.inner("Mul", [x, x], _like(x, x.bound ** 2)), x], _like(x, x.bound ** 3)), _number(g, 0.044715)], _like(x, x.bound ** 3))
        inner = g.inner("Tanh", [g.inner("Mul", [g.inner("Add", [x, cube], _like(x, x.bound ** 3 + x.bound)), _number(g, math.sqrt(2 / math.pi))], _like(x, x.bound ** 3 + x.bound))], _like(x, 1))
    whole = g.inner("Mul", [x, g.inner("Add", [inner, _number(g, 1)], _like(x, 2))], _like(x, 2 * x.bound))
    g.node("Mul", [whole, _number(g, 0.5)], _like(x, x.bound))


def swish(g: Graph) -> None:
    if x := g.pick(_f32):
        g.node("Mul", [x, g.inner("Sigmoid", [x], _like(x, 1))], _like(x, x.bound))


def spelled_normalization(g: Graph) -> None:
    """Of layers, or by the root mean square alone."""
    if not (x := g.pick(lambda v: _f32(v) and v.rank >= 2 and v.size and v.shape[-1] > 1)):
        return
    row, axes = {"shape": x.shape[:-1] + (1,)}, g.integers(-1)
    centered = x
    if g.draw.random() < 0.6:
        centered = g.inner("Sub", [x, g.inner("ReduceMean", [x, axes], _like(x, x.bound, **row), keepdims=1)], _like(x, 2 * x.bound))
    square = g.inner("Pow", [centered, _number(g, 2)], _like(x, centered.bound ** 2)) if g.draw.random() < 0.5 else g.inner("Mul", [centered, centered], _like(x, centered.bound ** 2))
    mean = g.inner("Add", [g.inner("ReduceMean", [square, axes], _like(x, square.bound, **row), keepdims=1), _number(g, 0.05)], _like(x, square.bound + 1, **row))
    root, bound = g.inner("Sqrt", [mean], _like(x, centered.bound + 1, **row)), math.sqrt(x.shape[-1])
    if g.draw.random() < 0.5:
        y = g.inner("Div", [centered, root], _like(x, bound))
    else:
        y = g.inner("Mul", [centered, g.inner("Reciprocal", [root], _like(x, 5, **row))], _like(x, bound))
    g.node("Mul", [y, g.constant(g.random_array(np.float32, x.shape[-1:], -2, 2))], _like(x, 2 * bound))


def attention(g: Graph) -> None:
    """Half of them of heads that are long enough for the kernel of attention."""
    q = g.pick(lambda v: _f32(v) and v.rank in (3, 4) and v.size)
    if not q or g.draw.random() < 0.5:
        heads = [g.draw.randint(1, 3) for _ in range(g.draw.randint(1, 2))]
        q = g.add_input(np.float32, (*heads, g.draw.choice((1, 2, 5, 16, 33)), g.draw.choice((8, 16, 20))))
    keys, width = g.draw.choice((1, 3, 8, 16, 17, 40)), g.draw.choice((1, 4, 8, 8, 16, 20))
    batch, (rows, depth) = q.shape[:-2], q.shape[-2:]
    if math.prod(batch) * keys * max(depth, width, rows) > LARGEST:
        return
    k, v = (g.add_input(np.float32, (*batch, keys, extent)) for extent in (depth, width))
    perm = [*range(q.rank - 2), q.rank - 1, q.rank - 2]
    turned = g.inner("Transpose", [k], dataclasses.replace(k, shape=(*batch, depth, keys)), perm=perm)
    scores = Value("", q.dtype, (*batch, rows, keys), False, q.bound * k.bound * depth)
    factor = _number(g, 1 / (4 * math.sqrt(depth)))
    if g.draw.random() < 0.5:
        s = g.inner("MatMul", [g.inner("Mul", [q, factor], _like(q, q.bound)), turned], scores)
    else:
        s = g.inner("Mul", [g.inner("MatMul", [q, turned], scores), factor], scores)
    if g.draw.random() < 0.5:
        s = g.inner("Add", [s, g.constant(g.random_array(np.float32, g.draw.choice(((rows, keys), (keys,), (1, keys)))))], scores)
    weights = g.inner("Softmax", [s], dataclasses.replace(scores, bound=1), axis=-1)
    g.node("MatMul", [weights, v], Value("", q.dtype, (*batch, rows, width), False, v.bound))


def _quantise(g: Graph, x: Value, scale: float, dtype, add) -> Value:
    """Makes bytes of a float and floats of them again. Scales are powers of two, so that all that follows is exact."""
    zero = g.constant(dtype(g.draw.choice((0, 0, 128 if dtype == np.uint8 else 3))))
    parts = [_number(g, scale), zero]
    q = g.inner("QuantizeLinear", [x, *parts], Value("", np.dtype(dtype), x.shape, True, 255))
    return add("DequantizeLinear", [q, *parts], Value("", x.dtype, x.shape, True, 255 * scale))


def _quantised_weights(g: Graph, shape, axis: int) -> Value:
    is_many = g.draw.random() < 0.5
    scale = g.numbers.choice([0.0625, 0.125], shape[axis]).astype(np.float32) if is_many else np.float32(0.125)
    zero = np.zeros(scale.shape, np.int8)
    parts = [g.constant(g.random_array(np.int8, shape, -32, 32)), g.constant(scale), g.constant(zero)]
    return g.inner("DequantizeLinear", parts, Value("", np.dtype(np.float32), tuple(shape), True, 4), **({"axis": axis} if is_many else {}))


def quantised_product(g: Graph) -> None:
    if not (x := g.pick(lambda v: _f32(v) and v.exact and v.size and (v.rank in (2, 3) or (v.rank == 4 and v.size * 4 <= LARGEST)))):
        return
    x = _quantise(g, x, g.draw.choice((0.0625, 0.125, 0.25)), g.draw.choice((np.uint8, np.int8)), g.inner)
    if x.rank == 4:
        channels, filters = x.shape[1], g.draw.choice((1, 3, 4, 16))
        kernel = [g.draw.randint(1, min(2, extent)) for extent in x.shape[2:]]
        shape = (x.shape[0], filters, *(extent - size + 1 for extent, size in zip(x.shape[2:], kernel)))
        depth, y = channels * math.prod(kernel), ("Conv", [x, _quantised_weights(g, (filters, channels, *kernel), 0)])
    else:
        depth, columns = x.shape[-1], g.draw.choice((1, 4, 16, 17, 33))
        shape, y = (*x.shape[:-1], columns), ("MatMul", [x, _quantised_weights(g, (depth, columns), 1)])
    if math.prod(shape) > LARGEST:
        return
    has_relu, is_kept = g.draw.random() < 0.4, g.draw.random() < 0.3
    last = g.node if is_kept else g.inner
    y = (g.inner if has_relu else last)(*y, Value("", x.dtype, shape, True, x.bound * 4 * depth))
    if has_relu:
        y = last("Relu", [y], y)
    if not is_kept:
        _quantise(g, y, g.draw.choice((0.25, 0.5, 2.0)), g.draw.choice((np.uint8, np.int8)), g.node)


def square_convolution(g: Graph) -> None:
    """Windows of 3 x 3 over enough channels and pixels for Winograd's form."""
    shape = (1, g.draw.choice((8, 16, 32)), g.draw.randint(6, 11), g.draw.randint(6, 11))
    filters = g.draw.choice((8, 16, 20, 32))
    x = g.pick(lambda v: _f32(v) and v.rank == 4 and v.size and v.shape[1] >= 8 and min(v.shape[2:]) >= 4) or g.add_input(np.float32, shape)
    shape = (x.shape[0], filters, *x.shape[2:])
    if math.prod(shape) <= LARGEST:
        g.node("Conv", [x, g.constant(g.random_array(np.float32, (filters, x.shape[1], 3, 3), -0.3, 0.3)), g.constant(g.random_array(np.float32, (filters,)))],
               Value("", x.dtype, shape, False, x.bound * x.shape[1] * 3), pads=[1, 1, 1, 1])


def recurrence(g: Graph) -> None:
    if not (x := g.pick(lambda v: _f32(v) and v.rank == 3 and v.size)):
        return
    op, hidden, direction = g.draw.choice(("LSTM", "GRU", "RNN")), g.draw.choice((1, 3, 8, 16, 17)), g.draw.choice(("forward", "reverse", "bidirectional"))
    gates, count = {"LSTM": 4, "GRU": 3, "RNN": 1}[op], 2 if direction == "bidirectional" else 1
    weights = [g.constant(g.random_array(np.float32, (count, gates * hidden, width), -0.5, 0.5)) for width in (x.shape[2], hidden)]
    if g.draw.random() < 0.6:
        weights.append(g.constant(g.random_array(np.float32, (count, 2 * gates * hidden), -0.5, 0.5)))
    more = {"linear_before_reset": g.draw.randint(0, 1)} if op == "GRU" else {}
    g.node(op, [x, *weights], Value("", x.dtype, (x.shape[0], count, x.shape[1], hidden), False, 1), Value("", x.dtype, (count, x.shape[1], hidden), False, 1),
           hidden_size=hidden, direction=direction, **more)


def resize(g: Graph) -> None:
    if x := g.pick(lambda v: _f32(v) and v.rank in (3, 4) and v.size):
        sizes = x.shape[:2] + tuple(max(1, extent * g.draw.randint(1, 4) // 2) for extent in x.shape[2:])
        is_nearest = g.draw.random() < 0.5
        if math.prod(sizes) <= LARGEST:
            g.node("Resize", [x, None, None, g.integers(*sizes)], dataclasses.replace(x, shape=sizes, exact=x.exact and is_nearest), mode="nearest" if is_nearest else "linear",
                   coordinate_transformation_mode="asymmetric" if is_nearest else "half_pixel", nearest_mode="floor")


def top(g: Graph) -> None:
    if x := g.pick(lambda v: v.exact and v.dtype in (np.float32, np.int64) and v.rank and v.size):
        axis = g.draw.randrange(x.rank)
        count = g.draw.randint(1, x.shape[axis])
        shape = x.shape[:axis] + (count,) + x.shape[axis + 1:]
        g.node("TopK", [x, g.integers(count)], dataclasses.replace(x, shape=shape), Value("", np.dtype(np.int64), shape, True, x.shape[axis]), axis=axis,
               largest=g.draw.randint(0, 1))


OPERATORS = [gelu, swish, spelled_normalization, attention, attention, quantised_product, quantised_product, square_convolution, recurrence, resize, top]
