"""Generators for normalisations and losses, held against NumPy in f64 where the text gives a formula."""
import numpy as np


def _wide(array) -> np.ndarray:
    return array.astype(np.float64)


def _image(draw, least_rank: int = 3) -> tuple:
    return (draw.whole(1, 3), draw.whole(1, 4), *[draw.whole(1, 5) for _ in range(draw.whole(least_rank, 4) - 2)])


def _per_channel(array, rank: int) -> np.ndarray:
    return _wide(array).reshape(1, -1, *[1] * (rank - 2))


def _done(node, wanted: list):
    node.wanted, node.loose = wanted, (0.01, 1e-3)
    return node


def _batch(draw):
    shape = _image(draw, 2)
    channels, rank = (shape[1],), len(shape)
    x, scale, bias = draw.values(0, shape), draw.values(1, channels, 0.5, 2), draw.values(2, channels)
    mean, variance = draw.values(3, channels, -1, 1), draw.values(4, channels, 0.5, 2)
    normal = lambda m, v: ((_wide(x) - m) / np.sqrt(v + 0.01) * _per_channel(scale, rank) + _per_channel(bias, rank)).astype(x.dtype)
    node = draw.node([x, scale, bias, mean, variance], epsilon=0.01)
    if draw.version == 1:
        node.attributes["consumed_inputs"] = [0, 0, 0, 1, 1]
    if draw.version < 7:
        node.attributes["is_test"] = 1
    if draw.version >= 14 and draw.often():
        axes = (0, *range(2, rank))
        m, v = _wide(x).mean(axes), _wide(x).var(axes)
        node.attributes |= {"training_mode": 1, "momentum": 0.75}
        node.outputs = 3
        wanted = [normal(m.reshape(1, -1, *[1] * (rank - 2)), v.reshape(1, -1, *[1] * (rank - 2)))]
        return _done(node, wanted + [(_wide(old) * 0.75 + new * 0.25).astype(old.dtype) for old, new in ((mean, m), (variance, v))])
    return _done(node, [normal(_per_channel(mean, rank), _per_channel(variance, rank))])


def _instance(draw):
    shape = _image(draw)
    x, scale, bias = draw.values(0, shape), draw.values(1, shape[1:2], 0.5, 2), draw.values(2, shape[1:2])
    axes = tuple(range(2, len(shape)))
    y = (_wide(x) - _wide(x).mean(axes, keepdims=True)) / np.sqrt(_wide(x).var(axes, keepdims=True) + 0.01)
    return _done(draw.node([x, scale, bias], epsilon=0.01), [(y * _per_channel(scale, len(shape)) + _per_channel(bias, len(shape))).astype(x.dtype)])


def _group(draw):
    groups = draw.whole(1, 3)
    shape = (draw.whole(1, 2), groups * draw.whole(1, 2), *[draw.whole(1, 4) for _ in range(draw.whole(1, 2))])
    x, scale, bias = draw.values(0, shape), draw.values(1, shape[1:2], 0.5, 2), draw.values(2, shape[1:2])
    flat = _wide(x).reshape(shape[0], groups, -1)
    y = ((flat - flat.mean(-1, keepdims=True)) / np.sqrt(flat.var(-1, keepdims=True) + 0.01)).reshape(shape)
    wanted = (y * _per_channel(scale, len(shape)) + _per_channel(bias, len(shape))).astype(x.dtype)
    return _done(draw.node([x, scale, bias], num_groups=groups, epsilon=0.01), [wanted])


def _layer(draw):
    shape = draw.shape(draw.whole(1, 4), least=1)
    axis = draw.whole(0, len(shape) - 1)
    x, scale = draw.values(0, shape), draw.values(1, shape[axis:], 0.5, 2)
    axes, wide = tuple(range(axis, len(shape))), _wide(x)
    if draw.name == "RMSNormalization":
        y = wide / np.sqrt((wide ** 2).mean(axes, keepdims=True) + 0.01)
        return _done(draw.node([x, scale], axis=draw.one(axis, axis - len(shape)), epsilon=0.01), [(y.astype(x.dtype).astype(np.float64) * _wide(scale)).astype(scale.dtype)])
    draw.types["U"] = draw.one("float", "float")
    mean, spread = wide.mean(axes, keepdims=True), 1 / np.sqrt(wide.var(axes, keepdims=True) + 0.01)
    bias = draw.values(2, shape[axis:]) if draw.often() else None
    y = ((wide - mean) * spread * _wide(scale) + (0 if bias is None else _wide(bias))).astype(x.dtype)
    node = draw.node([x, scale] + ([] if bias is None else [bias]), draw.one(1, 3), axis=draw.one(axis, axis - len(shape)), epsilon=0.01)
    return _done(node, [y, mean.astype(np.float32), spread.astype(np.float32)][:node.outputs])


def _local_response(draw):
    shape, size = _image(draw), draw.one(1, 2, 3, 5)
    x, channels = draw.values(0, shape, -3, 3), shape[1]
    squares, sums = _wide(x) ** 2, np.zeros(shape)
    for channel in range(channels):
        sums[:, channel] = squares[:, max(0, channel - (size - 1) // 2):channel + size // 2 + 1].sum(1)
    return _done(draw.node([x], size=size, alpha=0.5, beta=0.75, bias=1.5), [(_wide(x) / (1.5 + 0.5 / size * sums) ** 0.75).astype(x.dtype)])


def _mean_variance(draw):
    shape = _image(draw, 4)
    axes = sorted(int(axis) for axis in draw.random.permutation(len(shape))[:draw.whole(1, 4)])
    x = draw.values(0, [extent + 1 for extent in shape])
    wide, at = _wide(x), tuple(axes)
    y = (wide - wide.mean(at, keepdims=True)) / (wide.std(at, keepdims=True) + 1e-9)
    return _done(draw.node([x], axes=axes), [y.astype(x.dtype)])


def _dropout(draw):
    x = draw.values(0, draw.shape(least=1))
    node = draw.node([x], draw.one(1, 2) if draw.version >= 10 else 1)
    if draw.version < 7:
        node.attributes["is_test"] = 1
    if draw.version >= 12:
        draw.types["T1"] = "float"
        node.inputs += draw.one([], [draw.values(1, (), 0, 0.9)], [draw.values(1, (), 0, 0.9), np.array(False)])
    else:
        node.attributes["ratio"] = 0.25
    return _done(node, [x, np.ones(x.shape, bool)][:node.outputs])


def _loss(draw):
    count, classes, rest = draw.whole(1, 4), draw.whole(2, 5), draw.one((), (3,), (2, 3))
    x, reduction = draw.values(0, (count, classes, *rest), -3, 3), draw.one("none", "sum", "mean")
    labels = draw.random.integers(0, classes, (count, *rest)).astype(draw.kind(1))
    weight = draw.values(2, (classes,), 0.5, 2) if draw.often() else None
    ignored = draw.often(0.4)
    node = draw.node([x, labels] + ([] if weight is None else [weight]), reduction=reduction, **({"ignore_index": draw.one(-1, 0)} if ignored else {}))
    if ignored and node.attributes["ignore_index"] < 0:
        labels[draw.random.random(labels.shape) < 0.3] = -1
    logs = _wide(x)
    if draw.name == "SoftmaxCrossEntropyLoss":
        logs = logs - logs.max(1, keepdims=True)
        logs = logs - np.log(np.exp(logs).sum(1, keepdims=True))
        node.outputs = draw.one(1, 2)
    kept = labels != node.attributes["ignore_index"] if ignored else np.ones(labels.shape, bool)
    chosen = np.where(kept, labels, 0).astype(int)
    factor = np.where(kept, 1.0 if weight is None else _wide(weight)[chosen], 0)
    losses = -np.take_along_axis(logs, chosen[:, None], 1)[:, 0] * factor
    with np.errstate(invalid="ignore"):
        y = {"none": losses, "sum": losses.sum(), "mean": losses.sum() / factor.sum()}[reduction]
    return _done(node, [np.asarray(y).astype(x.dtype), logs.astype(x.dtype)][:node.outputs])


GENERATORS = {"BatchNormalization": _batch, "Dropout": _dropout, "GroupNormalization": _group, "InstanceNormalization": _instance, "LRN": _local_response,
              "LayerNormalization": _layer, "MeanVarianceNormalization": _mean_variance, "NegativeLogLikelihoodLoss": _loss, "RMSNormalization": _layer,
              "SoftmaxCrossEntropyLoss": _loss}
