"""A short run of random graphs against ONNX Runtime; `test/fuzz/run.py --minutes 60` is a long one.

Every difference that a run has found is a test of its own below, named after what it was.
"""
import collections

import numpy as np

from fuzz.compare import compare
from fuzz.run import explain, try_seed
from support.samples import parse
from support.seeds import get_seed
from support.workers import run_tasks

GRAPHS = 48


def test_random_graphs():
    seed = get_seed()
    results = run_tasks(try_seed, range(seed, seed + GRAPHS))
    counts = collections.Counter(verdict for verdict, _ in results.values())
    print(f"\n{GRAPHS} random graphs: {dict(counts)}")
    bad = {tried: result for tried, result in results.items() if result[0] not in ("same", "refused")}
    assert not bad, "\n".join(explain(tried, result, number < 2) for number, (tried, result) in enumerate(sorted(bad.items())))
    assert counts["same"] > GRAPHS // 2, [reason for verdict, reason in results.values() if verdict == "refused"][:5]


def _expect_same(text: str, **feeds) -> None:
    model = parse(text)
    assert compare(model.SerializeToString(), {name: np.asarray(value) for name, value in feeds.items()}) == ("same", "")


def _numbers(*shape) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def test_convolution_by_one_number():
    """A filter of one element was taken for a scalar that units keep inside."""
    _expect_same("(float[5,1,21] x) => (float y) <float[1,1,1] w = {0.5}> { a = Conv(x, w)\n y = Relu(a) }", x=_numbers(5, 1, 21))


def test_epilogue_that_reads_the_input_of_its_windows():
    """An input of the windows was no concern of how pixels are numbered, though what follows read it along another width."""
    more = "pads = [0, 2, 1, 2], strides = [1, 2]"
    for op in (f"MaxPool<kernel_shape = [2, 3], {more}>(x)", f"AveragePool<kernel_shape = [2, 3], {more}>(x)", f"Conv<group = 3, {more}>(x, w)", f"Conv<{more}>(x, v)"):
        _expect_same(f"(float[8,3,3,1] x, float[3,1,2,3] w, float[3,3,2,3] v) => (float y) {{ a = {op}\n y = Max(a, x) }}",
                     x=_numbers(8, 3, 3, 1), w=_numbers(3, 1, 2, 3), v=_numbers(3, 3, 2, 3))


def test_slice_backwards_over_nothing():
    """The first of no elements was one."""
    _expect_same("(float[0,5] x) => (float y) <int64[1] start = {-1}, int64[1] end = {-1}, int64[1] axis = {0}, int64[1] step = {-2}> "
                 "{ y = Slice(x, start, end, axis, step) }", x=_numbers(0, 5))
    _expect_same("(float[N,5] x) => (float y) <int64[1] start = {-1}, int64[1] end = {-1000}, int64[1] axis = {0}, int64[1] step = {-2}> "
                 "{ y = Slice(x, start, end, axis, step) }", x=_numbers(0, 5))


def test_epilogue_behind_a_convolution_of_width_one():
    """Pixels were numbered along a last dim of extent 1, along which the other operand is not read."""
    _expect_same("(float[3,3,8,5] x, float[2,3,2,3] w, float[3,2,3,1] c) => (float y) "
                 "{ a = Conv<dilations = [2, 2], pads = [1, 0, 0, 1], strides = [3, 3]>(x, w)\n b = Tanh(a)\n y = Add(c, b) }",
                 x=_numbers(3, 3, 8, 5), w=_numbers(2, 3, 2, 3), c=_numbers(3, 2, 3, 1))
