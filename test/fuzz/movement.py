"""Data movement in random graphs."""
import dataclasses

import numpy as np

from fuzz.graphs import LARGEST, Graph, Value


def transpose(g: Graph) -> None:
    if x := g.pick(lambda v: v.rank >= 2):
        perm = g.draw.sample(range(x.rank), x.rank)
        g.node("Transpose", [x], dataclasses.replace(x, shape=tuple(x.shape[k] for k in perm)), perm=perm)


def reshape(g: Graph) -> None:
    """Merges two neighbouring dims, splits one, or flattens."""
    if x := g.pick(lambda v: v.rank >= 1 and v.size):
        dims = list(x.shape)
        kind = g.draw.randrange(3)
        if kind == 0 and len(dims) > 1:
            k = g.draw.randrange(len(dims) - 1)
            dims[k:k + 2] = [dims[k] * dims[k + 1]]
        elif kind == 1:
            k = g.draw.randrange(len(dims))
            factor = g.draw.choice([f for f in range(1, dims[k] + 1) if dims[k] % f == 0])
            dims[k:k + 1] = [factor, dims[k] // factor]
        else:
            dims = [x.size]
        if len(dims) <= 5:
            target = list(dims)
            if g.draw.random() < 0.5:
                target[g.draw.randrange(len(target))] = -1
            g.node("Reshape", [x, g.integers(*target)], dataclasses.replace(x, shape=tuple(dims)))


def flatten(g: Graph) -> None:
    if x := g.pick(lambda v: v.rank >= 1):
        axis = g.draw.randint(0, x.rank)
        g.node("Flatten", [x], dataclasses.replace(x, shape=(int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:])))), axis=axis)


def unsqueeze(g: Graph) -> None:
    if x := g.pick(lambda v: v.rank <= 3):
        axis = g.draw.randint(0, x.rank)
        g.node("Unsqueeze", [x, g.integers(axis)], dataclasses.replace(x, shape=x.shape[:axis] + (1,) + x.shape[axis:]))


def squeeze(g: Graph) -> None:
    if x := g.pick(lambda v: 1 in v.shape):
        axis = g.draw.choice([k for k, extent in enumerate(x.shape) if extent == 1])
        g.node("Squeeze", [x, g.integers(axis - x.rank * g.draw.randint(0, 1))], dataclasses.replace(x, shape=x.shape[:axis] + x.shape[axis + 1:]))


def slice_(g: Graph) -> None:
    if x := g.pick(lambda v: v.rank >= 1):
        axis = g.draw.randrange(x.rank)
        start, end, step = (g.draw.randint(-x.shape[axis] - 1, x.shape[axis] + 1) for _ in range(2)), None, g.draw.choice((1, 1, 1, 2, 3, -1, -2))
        start, end = start
        shape = np.empty(x.shape, bool)[(slice(None),) * axis + (slice(*_clamp(start, end, step, x.shape[axis])),)].shape
        g.node("Slice", [x, g.integers(start), g.integers(end), g.integers(axis), g.integers(step)], dataclasses.replace(x, shape=shape))


def _clamp(start: int, end: int, step: int, extent: int):
    """NumPy's slice for ONNX's start and end, which are clamped after negative ones count from the end."""
    start, end = (value + extent if value < 0 else value for value in (start, end))
    if step > 0:
        return min(max(start, 0), extent), min(max(end, 0), extent), step
    start, end = min(max(start, 0), extent - 1), min(max(end, -1), extent - 1)
    return (start, end if end >= 0 else None, step) if extent else (0, 0, 1)


def concat(g: Graph) -> None:
    if x := g.pick(lambda v: v.rank >= 1 and v.size <= LARGEST // 3):
        axis = g.draw.randrange(x.rank)
        fits = lambda v: v.dtype == x.dtype and v.rank == x.rank and all(a == b for k, (a, b) in enumerate(zip(v.shape, x.shape)) if k != axis)
        parts = [x] + [g.pick(fits) for _ in range(g.draw.randint(1, 2))]
        extent = sum(part.shape[axis] for part in parts)
        shape = x.shape[:axis] + (extent,) + x.shape[axis + 1:]
        if np.prod(shape) <= LARGEST:
            g.node("Concat", parts, Value("", x.dtype, shape, all(part.exact for part in parts), max(part.bound for part in parts)), axis=axis - x.rank * g.draw.randint(0, 1))


def split(g: Graph) -> None:
    if x := g.pick(lambda v: v.rank >= 1 and max(v.shape) >= 2):
        axis = g.draw.choice([k for k, extent in enumerate(x.shape) if extent >= 2])
        first = g.draw.randint(1, x.shape[axis] - 1)
        parts = [dataclasses.replace(x, shape=x.shape[:axis] + (count,) + x.shape[axis + 1:]) for count in (first, x.shape[axis] - first)]
        g.node("Split", [x, g.integers(first, x.shape[axis] - first)], *parts, axis=axis)


def pad(g: Graph) -> None:
    if x := g.pick(lambda v: v.dtype == np.float32 and 1 <= v.rank and v.size):
        mode = g.draw.choice(("constant", "reflect", "edge", "wrap"))
        most = min(x.shape) - 1 if mode in ("reflect", "wrap") else 3
        pads = [g.draw.randint(0, min(most, 2)) for _ in range(2 * x.rank)]
        shape = tuple(extent + pads[k] + pads[k + x.rank] for k, extent in enumerate(x.shape))
        if np.prod(shape) <= LARGEST and mode != "wrap":
            value = [g.constant(np.float32(1.5))] if mode == "constant" and g.draw.random() < 0.5 else []
            g.node("Pad", [x, g.integers(*pads)] + value, dataclasses.replace(x, shape=shape), mode=mode)


def expand(g: Graph) -> None:
    if x := g.pick(lambda v: v.size <= 256):
        shape = tuple(g.draw.choice((2, 3)) if extent == 1 else extent for extent in x.shape)
        shape = ((g.draw.choice((1, 2)),) if g.draw.random() < 0.4 and x.rank < 4 else ()) + shape
        if np.prod(shape) <= LARGEST:
            g.node("Expand", [x, g.constant(np.array(shape, np.int64))], dataclasses.replace(x, shape=shape))


def tile(g: Graph) -> None:
    if x := g.pick(lambda v: v.rank >= 1 and v.size <= 256):
        repeats = [g.draw.choice((1, 1, 2, 3)) for _ in x.shape]
        shape = tuple(a * b for a, b in zip(x.shape, repeats))
        if np.prod(shape) <= LARGEST:
            g.node("Tile", [x, g.integers(*repeats)], dataclasses.replace(x, shape=shape))


def gather(g: Graph) -> None:
    if x := g.pick(lambda v: v.rank >= 1 and v.size):
        axis = g.draw.randrange(x.rank)
        extent = x.shape[axis]
        places = g.numbers.integers(-extent, extent, g.draw.choice(((), (2,), (3,), (2, 2)))).astype(g.draw.choice((np.int64, np.int32)))
        shape = x.shape[:axis] + places.shape + x.shape[axis + 1:]
        if np.prod(shape) <= LARGEST and len(shape) <= 5:
            g.node("Gather", [x, g.constant(places)], dataclasses.replace(x, shape=shape), axis=axis)


def gather_elements(g: Graph) -> None:
    if x := g.pick(lambda v: v.rank >= 1 and v.size):
        axis = g.draw.randrange(x.rank)
        shape = x.shape[:axis] + (g.draw.randint(1, 4),) + x.shape[axis + 1:]
        places = g.numbers.integers(-x.shape[axis], x.shape[axis], shape)
        g.node("GatherElements", [x, g.constant(places)], dataclasses.replace(x, shape=shape), axis=axis)


def scatter(g: Graph) -> None:
    """Each place is written once: what several writes of one place give is not defined."""
    if x := g.pick(lambda v: v.dtype == np.float32 and v.rank >= 1 and v.size):
        axis = g.draw.randrange(x.rank)
        count = g.draw.randint(1, x.shape[axis])
        order = np.argsort(g.numbers.random(x.shape), axis)
        places = np.take(order, range(count), axis).astype(np.int64)
        updates = g.constant(g.random_array(np.float32, places.shape))
        g.node("ScatterElements", [x, g.constant(places), updates], dataclasses.replace(x, exact=False, bound=x.bound + 4), axis=axis,
               reduction=g.draw.choice(("none", "add", "max")))


def shape_arithmetic(g: Graph) -> None:
    """Reshapes by a target that the model computes from its own shapes."""
    if x := g.pick(lambda v: v.rank >= 2 and v.size):
        vector = Value("", np.dtype(np.int64), (x.rank,), True, max(x.shape))
        whole = g.node("Shape", [x], vector)
        first = g.node("Gather", [whole, g.integers(0)], dataclasses.replace(vector, shape=(1,)), axis=0)
        target = g.node("Concat", [first, g.integers(-1)], dataclasses.replace(vector, shape=(2,)), axis=0)
        g.node("Reshape", [x, target], dataclasses.replace(x, shape=(x.shape[0], x.size // x.shape[0])))


OPERATORS = [transpose, transpose, reshape, reshape, flatten, unsqueeze, squeeze, slice_, slice_, concat, concat, split, pad, expand, tile, gather, gather_elements,
             scatter, shape_arithmetic]
