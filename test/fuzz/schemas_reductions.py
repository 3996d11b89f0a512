"""Generators for reductions, scans, normalisations along an axis, and products."""
import numpy as np


def _reduce(draw):
    shape = draw.shape(least=1)
    rank = len(shape)
    bounds = (0.2, 3) if "Log" in draw.name else (-2, 2)
    x, keep = draw.values(0, shape, *bounds), {"keepdims": draw.one(0, 1)}
    axes = sorted(int(axis) for axis in draw.random.permutation(rank)[:int(draw.random.integers(0, rank + 1))])
    if draw.version >= 11:
        axes = [axis - draw.one(0, rank) for axis in axes]
    if len(draw.schema.inputs) > 1:
        if draw.random.random() < 0.5:
            keep["noop_with_empty_axes"] = 1
        node = draw.node([x, np.array(axes, np.int64)] if axes else [x], **keep)
    else:
        node = draw.node([x], **(keep | {"axes": axes} if axes else keep))
    # A logarithm that is whole may lie just below the integer, and is cut.
    node.steps = int(draw.name == "ReduceLogSumExp")
    if node.steps and x.dtype.kind in "iu":
        kept = axes or (list(range(rank)) if not keep.get("noop_with_empty_axes") else [])
        sums = np.exp(x.astype(np.float64)).sum(axis=tuple(kept), keepdims=bool(keep["keepdims"]))
        node.wanted = [np.log(sums).astype(x.dtype)]
    return node


def _arg(draw):
    shape = draw.shape(int(draw.random.integers(1, 5)), least=1)
    last = {"select_last_index": draw.one(0, 1)} if draw.has("select_last_index") else {}
    return draw.node([draw.values(0, shape)], axis=draw.axis(len(shape)), keepdims=draw.one(0, 1), **last)


def _softmax(draw):
    shape = draw.shape(int(draw.random.integers(1, 5)), least=1)
    # Before version 13 all dims from the axis on are one; at the last axis both meanings agree.
    return draw.node([draw.values(0, shape)], axis=draw.axis(len(shape)) if draw.version >= 13 else len(shape) - 1)


def _scan(draw):
    shape = draw.shape(int(draw.random.integers(1, 4)), least=1)
    return draw.node([draw.values(0, shape, -2, 2), np.array(draw.axis(len(shape)), draw.kind(1))], exclusive=draw.one(0, 1), reverse=draw.one(0, 1))


def _top_k(draw):
    shape = draw.shape(int(draw.random.integers(1, 4)), least=1)
    axis = draw.axis(len(shape))
    extent = int(draw.random.integers(1, shape[axis] + 1))
    x = draw.values(0, shape, -100, 100)
    if len(draw.schema.inputs) == 1:
        return draw.node([x], 2, axis=axis, k=extent)
    return draw.node([x, np.array([extent])], 2, axis=axis, **({"largest": draw.one(0, 1)} if draw.has("largest") else {}))


def _mat_mul(draw):
    rows, depth, columns = draw.shape(3)
    a, b = draw.one(((rows, depth), (depth, columns)), ((depth,), (depth, columns)), ((rows, depth), (depth,)), ((depth,), (depth,)),
                    ((2, rows, depth), (depth, columns)), ((1, rows, depth), (3, depth, columns)), ((3, 1, rows, depth), (2, depth, columns)))
    return draw.node([draw.values(0, a, -2, 2), draw.values(1, b, -2, 2)])


def _gemm(draw):
    rows, depth, columns = draw.shape(3, least=1)
    flip_a, flip_b = draw.one(0, 1), draw.one(0, 1)
    a, b = (depth, rows) if flip_a else (rows, depth), (columns, depth) if flip_b else (depth, columns)
    c = (rows, columns) if draw.version < 7 else draw.one((rows, columns), (columns,), (1, columns), (rows, 1), ())
    factors = {} if "int" in draw.element(0) else {"alpha": 0.5, "beta": 2.0}
    return draw.node([draw.values(0, a, -2, 2), draw.values(1, b, -2, 2), draw.values(2, c)], transA=flip_a, transB=flip_b, **factors)


def _lp_norm(draw):
    shape = draw.shape(int(draw.random.integers(1, 4)), least=1)
    return draw.node([draw.values(0, shape, 0.5, 4)], axis=draw.axis(len(shape)), p=draw.one(1, 2))


GENERATORS = {f"Reduce{name}": _reduce for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")}
GENERATORS |= {"ArgMax": _arg, "ArgMin": _arg, "CumProd": _scan, "CumSum": _scan, "Gemm": _gemm, "Hardmax": _softmax, "LogSoftmax": _softmax, "LpNormalization": _lp_norm,
               "MatMul": _mat_mul, "Softmax": _softmax, "TopK": _top_k}
