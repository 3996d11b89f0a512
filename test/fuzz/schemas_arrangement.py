"""Generators for operators that move, select, convert or make elements."""
import numpy as np
from onnx import TensorProto, helper


def _ranked(draw, least_rank: int = 1, least: int = 0, most_rank: int = 4) -> tuple:
    return draw.shape(int(draw.random.integers(least_rank, most_rank + 1)), least)


def _integers(draw, low: int, high: int, shape, place: int = 1) -> np.ndarray:
    return np.asarray(draw.random.integers(low, high, shape)).astype(draw.kind(place))


def _cast(draw):
    target = draw.element(0, output=True)
    number = TensorProto.DataType.Value(target.upper())
    x = draw.values(0, draw.shape(), 0, 1 if "float4" in target or "2" == target[-1:] else 6)
    if draw.element(0) == "string":
        x = draw.random.choice(np.array(["1", "0", "3"], object), x.shape)
    return draw.node([x], to=target.upper() if draw.version == 1 else number)


def _cast_like(draw):
    x = draw.values(0, draw.shape(), 0, 1)
    if draw.element(0) == "string":
        x = draw.random.choice(np.array(["1", "0"], object), x.shape)
    return draw.node([x, draw.values(1, (1,), 0, 1)])


def _bit_cast(draw):
    return draw.node([draw.values(0, draw.shape())], to=helper.np_dtype_to_tensor_dtype(draw.kind(0)))


def _reshape(draw):
    shape = draw.shape(least=1)
    x, count = draw.values(0, shape), int(np.prod(shape))
    target = draw.one([count], [-1], [1, count], [count, 1, 1], list(shape) or [1])
    return draw.node([x], shape=target) if draw.version == 1 else draw.node([x, np.array(target, np.int64)])


def _transpose(draw):
    shape = draw.shape()
    order = {"perm": [int(axis) for axis in draw.random.permutation(len(shape))]} if shape and draw.random.random() < 0.8 else {}
    return draw.node([draw.values(0, shape)], **order)


def _concat(draw):
    shape = _ranked(draw)
    axis = 1 if draw.version == 1 and len(shape) > 1 else draw.axis(len(shape))
    parts = []
    for _ in range(int(draw.random.integers(1, 4))):
        extents = list(shape)
        extents[axis] = int(draw.random.integers(0 if draw.version > 1 else 1, 4))
        parts.append(draw.values(0, extents))
    return draw.node(parts, axis=axis)


def _flatten(draw):
    shape = _ranked(draw)
    return draw.node([draw.values(0, shape)], axis=int(draw.random.integers(0, len(shape) + 1)))


def _expand(draw):
    a, b = draw.broadcast(2)
    return draw.node([draw.values(0, a), np.array(b, np.int64)])


def _squeeze(draw):
    shape = _ranked(draw, least=1)
    places = sorted(int(axis) for axis in draw.random.permutation(len(shape))[:int(draw.random.integers(1, len(shape) + 1))])
    x = draw.values(0, [1 if axis in places else extent for axis, extent in enumerate(shape)])
    return draw.node([x, np.array(places)]) if draw.version >= 13 else draw.node([x], axes=places)


def _unsqueeze(draw):
    shape = draw.shape(most_rank=3)
    places = [int(draw.random.integers(0, len(shape) + 1))]
    x = draw.values(0, shape)
    return draw.node([x, np.array(places)]) if draw.version >= 13 else draw.node([x], axes=places)


def _tile(draw):
    shape = _ranked(draw, most_rank=3)
    x = draw.values(0, shape)
    if draw.version == 1:
        return draw.node([x, np.array(2).astype(draw.kind(1)), np.array(0).astype(draw.kind(2))])
    return draw.node([x, draw.random.integers(0, 4, len(shape))])


def _slice(draw):
    shape = _ranked(draw)
    axis = int(draw.random.integers(0, len(shape)))
    start, end = int(draw.random.integers(-4, 4)), int(draw.random.integers(-4, 9))
    x = draw.values(0, shape)
    if draw.version == 1:
        return draw.node([x], axes=[axis], starts=[start], ends=[end])
    return draw.node([x] + [np.array([value]).astype(draw.kind(1)) for value in (start, end, axis, draw.one(1, 2, -1, -2))])


def _split(draw):
    shape, count = list(_ranked(draw)), int(draw.random.integers(1, 4))
    axis = int(draw.random.integers(0, len(shape)))
    lengths = [int(length) for length in draw.random.integers(1, 4, count)]
    shape[axis] = sum(lengths)
    x = draw.values(0, shape)
    if draw.version in (2, 11):
        return draw.node([x], count, axis=axis, split=lengths)
    return draw.node([x, np.array(lengths).astype(np.int64 if draw.version > 1 else draw.kind(0))], count, axis=axis)


def _gather(draw):
    shape = _ranked(draw, least=1)
    axis = draw.axis(len(shape))
    low = -shape[axis] if draw.version >= 11 else 0
    return draw.node([draw.values(0, shape), _integers(draw, low, shape[axis], draw.shape(most_rank=2))], axis=axis)


def _gather_elements(draw):
    shape = _ranked(draw, least=1)
    axis = draw.axis(len(shape))
    taken = list(shape)
    taken[axis] = int(draw.random.integers(0, 4))
    return draw.node([draw.values(0, shape), _integers(draw, -shape[axis], shape[axis], taken)], axis=axis)


def _gather_nd(draw):
    shape = _ranked(draw, least=1)
    depth = int(draw.random.integers(1, len(shape) + 1))
    columns = [draw.random.integers(0, extent, 3) for extent in shape[:depth]]
    return draw.node([draw.values(0, shape), np.stack(columns, 1)])


def _scatter_elements(draw):
    shape = _ranked(draw, least=1)
    axis = draw.axis(len(shape))
    count = int(draw.random.integers(1, shape[axis] + 1))
    rows = [draw.random.permutation(shape[axis])[:count] for _ in range(int(np.prod(shape)) // shape[axis])]
    moved = [extent for place, extent in enumerate(shape) if place != axis % len(shape)]
    places = np.moveaxis(np.array(rows).reshape(moved + [count]), -1, axis)
    return draw.node([draw.values(0, shape), places.astype(draw.kind(1)), draw.values(2, places.shape)], axis=axis)


def _scatter_nd(draw):
    shape = _ranked(draw, least=1)
    rows = draw.random.permutation(shape[0])[:max(1, shape[0] // 2)]
    return draw.node([draw.values(0, shape), rows[:, None].astype(np.int64), draw.values(2, (len(rows), *shape[1:]))])


def _pad(draw):
    shape = _ranked(draw, least=1)
    pads = [int(extent) for extent in draw.random.integers(0, 3, 2 * len(shape))]
    x = draw.values(0, shape)
    if draw.version < 11:
        return draw.node([x], mode="constant", value=1.5, **{"paddings" if draw.version == 1 else "pads": pads})
    mode = draw.one("constant", "edge")
    return draw.node([x, np.array(pads)] + ([draw.values(2, ())] if mode == "constant" else []), mode=mode)


def _shape(draw):
    bounds = {"start": int(draw.random.integers(-3, 3)), "end": int(draw.random.integers(-3, 4))} if draw.has("start") else {}
    return draw.node([draw.values(0, draw.shape())], **bounds)


def _whole(draw):
    return draw.node([draw.values(0, draw.shape())])


def _non_zero(draw):
    return draw.node([draw.values(0, _ranked(draw), -1, 1)])


def _trilu(draw):
    return draw.node([draw.values(0, _ranked(draw, 2)), np.array(draw.random.integers(-3, 4))], upper=draw.one(0, 1))


def _eye_like(draw):
    return draw.node([draw.values(0, draw.shape(2))], k=int(draw.random.integers(-2, 3)), dtype=helper.np_dtype_to_tensor_dtype(draw.kind(0, output=True)))


def _constant_of_shape(draw):
    kind = draw.kind(0, output=True)
    value = helper.make_tensor("value", helper.np_dtype_to_tensor_dtype(kind), [1], [1])
    return draw.node([np.array(draw.shape(), np.int64)], value=value)


def _range(draw):
    start, step = int(draw.random.integers(0, 4)), int(draw.random.integers(1, 4))
    return draw.node([np.array(value).astype(draw.kind(0)) for value in (start, start + int(draw.random.integers(0, 12)), step)])


def _one_hot(draw):
    depth = int(draw.random.integers(1, 6))
    indices = draw.values(0, draw.shape(most_rank=2), 0, depth - 1)
    places = np.trunc(indices.astype(np.float32)).astype(draw.kind(0))
    return draw.node([places, np.array([depth]).astype(draw.kind(1)), draw.values(2, (2,))], axis=draw.one(0, -1))


def _blocks(draw):
    n, c, h, w = draw.shape(4, least=1)
    block = draw.one(1, 2, 3)
    deep = draw.name == "DepthToSpace"
    mode = {"mode": draw.one("DCR", "CRD")} if draw.has("mode") else {}
    return draw.node([draw.values(0, (n, c * block * block, h, w) if deep else (n, c, h * block, w * block))], blocksize=block, **mode)


def _reverse_sequence(draw):
    shape = draw.shape(3, least=1)
    return draw.node([draw.values(0, shape), draw.random.integers(1, shape[0] + 1, shape[1])])


def _compress(draw):
    shape = _ranked(draw, least=1)
    axis = draw.axis(len(shape))
    return draw.node([draw.values(0, shape), draw.random.integers(0, 2, shape[axis]).astype(bool)], axis=axis)


def _center_crop_pad(draw):
    shape = _ranked(draw, least=1)
    return draw.node([draw.values(0, shape), np.array([draw.one(1, 2, 4, 7) for _ in shape]).astype(draw.kind(1))])


def _unique(draw):
    return draw.node([draw.values(0, _ranked(draw, least=1), -3, 3)], 4, sorted=1)


GENERATORS = {"BitCast": _bit_cast, "Cast": _cast, "CastLike": _cast_like, "CenterCropPad": _center_crop_pad, "Compress": _compress, "Concat": _concat,
              "ConstantOfShape": _constant_of_shape, "DepthToSpace": _blocks, "Expand": _expand, "EyeLike": _eye_like, "Flatten": _flatten, "Gather": _gather,
              "GatherElements": _gather_elements, "GatherND": _gather_nd, "NonZero": _non_zero, "OneHot": _one_hot, "Pad": _pad, "Range": _range, "Reshape": _reshape,
              "ReverseSequence": _reverse_sequence, "Scatter": _scatter_elements, "ScatterElements": _scatter_elements, "ScatterND": _scatter_nd, "Shape": _shape, "Size": _whole,
              "Slice": _slice, "SpaceToDepth": _blocks, "Split": _split, "Squeeze": _squeeze, "Tile": _tile, "Transpose": _transpose, "Trilu": _trilu, "Unique": _unique,
              "Unsqueeze": _unsqueeze}
