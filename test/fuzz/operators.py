"""What a random graph may do next: each function takes values of the pool that fit and adds a node, or does nothing."""
import dataclasses
import math

import numpy as np

from fuzz import movement, patterns, windows
from fuzz.graphs import LARGEST, Graph, Value

# name: the largest magnitude of the result for one of the operand, and what the operand may be
_SMOOTH = {"Tanh": (lambda b: 1.0, None), "Sigmoid": (lambda b: 1.0, None), "Erf": (lambda b: 1.0, None), "Exp": (math.exp, 4), "Sin": (lambda b: 1.0, 16),
           "Cos": (lambda b: 1.0, 16), "Softplus": (lambda b: b + 1, None), "Atan": (lambda b: 1.6, None), "Softsign": (lambda b: 1.0, None),
           "HardSwish": (lambda b: b, None), "Elu": (lambda b: b + 1, None), "Selu": (lambda b: 2 * b + 2, None), "Mish": (lambda b: b, None), "Sinh": (math.sinh, 4)}
_EXACT = {"Abs": None, "Neg": None, "Relu": None, "Identity": None}
_JUMPS = ("Floor", "Ceil", "Round", "Sign")


def _f32(value: Value) -> bool:
    return value.dtype == np.float32


def smooth(g: Graph) -> None:
    op = g.draw.choice(list(_SMOOTH))
    grow, most = _SMOOTH[op]
    if x := g.pick(lambda v: _f32(v) and (most is None or v.bound <= most)):
        g.node(op, [x], dataclasses.replace(x, exact=False, bound=grow(x.bound)))


def exact_unary(g: Graph) -> None:
    if x := g.pick(lambda v: v.is_float):
        g.node(g.draw.choice(list(_EXACT)), [x], x)


def jump(g: Graph) -> None:
    if x := g.pick(lambda v: v.is_float and v.exact):
        g.node(g.draw.choice(_JUMPS), [x], dataclasses.replace(x, bound=x.bound + 1))


def root(g: Graph) -> None:
    if x := g.pick(_f32):
        positive = g.node("Abs", [x], x)
        shifted = g.node("Add", [positive, g.constant(np.float32(0.5))], dataclasses.replace(x, exact=False, bound=x.bound + 0.5))
        if shifted.bound <= 64:
            g.node(g.draw.choice(("Sqrt", "Log", "Reciprocal")), [shifted], dataclasses.replace(x, exact=False, bound=max(2.0, x.bound + 1)))


def _broadcast(g: Graph, shape: tuple) -> tuple:
    """Draws a shape that broadcasts against `shape`."""
    dims = tuple(1 if g.draw.random() < 0.3 else extent for extent in shape)
    return dims[g.draw.randint(0, len(dims)):] if g.draw.random() < 0.5 else dims


def _partner(g: Graph, x: Value, **bounds) -> Value:
    """A value or constant that broadcasts with x."""
    other = g.pick(lambda v: v.dtype == x.dtype and _fits(v.shape, x.shape))
    if other and g.draw.random() < 0.6 and not bounds:
        return other
    return g.constant(g.random_array(x.dtype, _broadcast(g, x.shape), **bounds))


def _fits(a: tuple, b: tuple) -> bool:
    try:
        return math.prod(np.broadcast_shapes(a, b)) <= LARGEST
    except ValueError:
        return False


def binary(g: Graph) -> None:
    if x := g.pick(lambda v: v.is_float):
        y = _partner(g, x)
        op = g.draw.choice(("Add", "Sub", "Mul", "Add", "Mul"))
        bound = x.bound * y.bound if op == "Mul" else x.bound + y.bound
        first, second = (x, y) if g.draw.random() < 0.5 else (y, x)
        g.node(op, [first, second], Value("", x.dtype, np.broadcast_shapes(x.shape, y.shape), False, bound))


def extreme(g: Graph) -> None:
    if x := g.pick(lambda v: v.is_float or v.dtype in (np.int32, np.int64)):
        y = _partner(g, x)
        g.node(g.draw.choice(("Min", "Max")), [x, y], Value("", x.dtype, np.broadcast_shapes(x.shape, y.shape), x.exact and y.exact, max(x.bound, y.bound)))


def divide(g: Graph) -> None:
    if x := g.pick(_f32):
        y = g.constant(g.random_array(np.float32, _broadcast(g, x.shape), low=0.5, high=3))
        g.node("Div", [x, y], dataclasses.replace(x, exact=False, bound=2 * x.bound))


def integer(g: Graph) -> None:
    if x := g.pick(lambda v: v.dtype in (np.int32, np.int64) and v.bound <= 1e4):
        op = g.draw.choice(("Add", "Sub", "Mul", "Div", "Mod"))
        y = _partner(g, x, low=1, high=5) if op in ("Div", "Mod") else _partner(g, x)
        if y.bound <= 1e4:
            g.node(op, [x, y], Value("", x.dtype, np.broadcast_shapes(x.shape, y.shape), True, x.bound * y.bound + x.bound + y.bound))


def compare(g: Graph) -> None:
    if x := g.pick(lambda v: v.exact and v.dtype in (np.float32, np.int64, np.int32)):
        y = g.constant(g.random_array(x.dtype, _broadcast(g, x.shape)))
        g.node(g.draw.choice(("Less", "Greater", "Equal", "LessOrEqual", "GreaterOrEqual")), [x, y],
               Value("", np.dtype(bool), np.broadcast_shapes(x.shape, y.shape), True, 1))


def logic(g: Graph) -> None:
    if x := g.pick(lambda v: v.dtype == bool):
        if g.draw.random() < 0.3:
            g.node("Not", [x], x)
        else:
            y = _partner(g, x)
            g.node(g.draw.choice(("And", "Or", "Xor")), [x, y], Value("", x.dtype, np.broadcast_shapes(x.shape, y.shape), True, 1))


def where(g: Graph) -> None:
    if (c := g.pick(lambda v: v.dtype == bool)) and (x := g.pick(lambda v: v.is_float and _fits(v.shape, c.shape))):
        y = g.constant(g.random_array(x.dtype, _broadcast(g, x.shape)))
        g.node("Where", [c, x, y], Value("", x.dtype, np.broadcast_shapes(c.shape, x.shape, y.shape), x.exact, max(x.bound, y.bound)))


def cast(g: Graph) -> None:
    from onnx import helper

    if x := g.pick(lambda v: v.bound <= 200):
        kinds = [np.float32, np.float64] if x.dtype != np.float16 else [np.float32]
        if x.exact:
            kinds += [np.int32, np.int64, np.bool_] + ([np.float16] if x.dtype == np.float32 else [])
        dtype = np.dtype(g.draw.choice(kinds))
        # ONNX Runtime drops casts to f16 and back again, which it puts around what it has in f32 alone: numbers are not rounded there.
        g.node("Cast", [x], dataclasses.replace(x, dtype=dtype, exact=x.exact and (x.dtype, dtype) != (np.float32, np.float16)), to=helper.np_dtype_to_tensor_dtype(dtype))


def softmax(g: Graph) -> None:
    if x := g.pick(lambda v: _f32(v) and v.rank and v.size):
        g.node(g.draw.choice(("Softmax", "LogSoftmax")), [x], dataclasses.replace(x, exact=False, bound=2 * x.bound + 10), axis=g.draw.randrange(-x.rank, x.rank))


_REDUCE = {"ReduceSum": lambda b, n: b * n, "ReduceMean": lambda b, n: b, "ReduceMax": lambda b, n: b, "ReduceMin": lambda b, n: b, "ReduceL1": lambda b, n: b * n,
           "ReduceL2": lambda b, n: b * n, "ReduceSumSquare": lambda b, n: b * b * n, "ReduceLogSumExp": lambda b, n: b + n}


def reduce(g: Graph) -> None:
    if x := g.pick(lambda v: _f32(v) and v.rank and v.size):
        op = g.draw.choice(list(_REDUCE))
        axes = sorted(g.draw.sample(range(x.rank), g.draw.randint(1, x.rank)))
        keep = g.draw.randint(0, 1)
        shape = tuple(1 if k in axes else extent for k, extent in enumerate(x.shape) if keep or k not in axes)
        exact = x.exact and op in ("ReduceMax", "ReduceMin")
        given = g.integers(*(axis - x.rank * g.draw.randint(0, 1) for axis in axes))
        g.node(op, [x, given], Value("", x.dtype, shape, exact, _REDUCE[op](x.bound, x.size)), keepdims=keep)


def argument(g: Graph) -> None:
    if x := g.pick(lambda v: v.exact and v.dtype in (np.float32, np.int32) and v.rank and v.size):
        axis, keep = g.draw.randrange(x.rank), g.draw.randint(0, 1)
        shape = tuple(1 if k == axis else extent for k, extent in enumerate(x.shape) if keep or k != axis)
        g.node(g.draw.choice(("ArgMax", "ArgMin")), [x], Value("", np.dtype(np.int64), shape, True, x.shape[axis]), axis=axis, keepdims=keep,
               select_last_index=g.draw.randint(0, 1))


def cumulate(g: Graph) -> None:
    if x := g.pick(lambda v: v.dtype in (np.float32, np.int64) and v.rank and v.bound < 1e5):
        g.node("CumSum", [x, g.constant(np.int64(g.draw.randrange(x.rank)))], dataclasses.replace(x, exact=not x.is_float, bound=x.bound * max(1, max(x.shape))),
               exclusive=g.draw.randint(0, 1), reverse=g.draw.randint(0, 1))


def normalize(g: Graph) -> None:
    if x := g.pick(lambda v: _f32(v) and v.rank >= 2 and v.size and v.shape[-1] > 1):
        scale = g.constant(g.random_array(np.float32, x.shape[-1:]))
        g.node("LayerNormalization", [x, scale], dataclasses.replace(x, exact=False, bound=4 * math.sqrt(x.shape[-1])), axis=-1, epsilon=0.05)


OPERATORS = [smooth, smooth, exact_unary, jump, root, binary, binary, binary, extreme, divide, integer, compare, logic, where, cast, softmax, reduce, reduce,
             argument, cumulate, normalize] + movement.OPERATORS + windows.OPERATORS + patterns.OPERATORS
