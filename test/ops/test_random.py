"""Random operators: the same numbers in each run and on any number of threads, other ones per node and iteration, of the right distribution."""
import numpy as np
import pytest

from support.samples import parse


def _run(text: str, feeds: dict, threads: int = 1, **options):
    import onager

    return onager.InferenceSession(parse(text).SerializeToString(), threads=threads, **options).run(None, feeds)


def test_same_numbers_on_any_threads():
    text = "(float[N] x) => (float[N] u, float[N] n) { u = RandomUniformLike(x)\n n = RandomNormalLike<seed = 3.0>(x) }"
    x = np.zeros(100_003, np.float32)
    first = _run(text, {"x": x})
    for threads in (2, 3):
        for a, b in zip(first, _run(text, {"x": x}, threads)):
            np.testing.assert_array_equal(a, b)
    uniform, normal = first
    assert 0 < uniform.min() and uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.01 and abs(uniform.var() - 1 / 12) < 0.01
    assert abs(normal.mean()) < 0.02 and abs(normal.var() - 1) < 0.03
    assert abs(np.corrcoef(uniform[:-1], uniform[1:])[0, 1]) < 0.02


def test_nodes_and_seeds_differ():
    text = ("(float[4] x) => (float[64] a, float[64] b, float[64] c, float[64] d) { a = RandomUniform<shape = [64]>()\n b = RandomUniform<shape = [64]>()\n"
            " c = RandomUniform<shape = [64], seed = 5.0>()\n d = RandomUniform<shape = [64], seed = 5.0, low = -2.0, high = 2.0>() }")
    a, b, c, d = _run(text, {"x": np.zeros(4, np.float32)})
    assert not np.array_equal(a, b) and not np.array_equal(a, c)
    np.testing.assert_allclose(d, c * 4 - 2, rtol=1e-5, atol=1e-6)


def test_iterations_differ():
    text = """(int64 trips, float[1] x) => (float[1] last, float[M,8] drawn) {
      last, drawn = Loop<body = body (int64 i, bool go, float[1] carried) => (bool more, float[1] next, float[8] slice) {
        more = Identity(go)
        next = Identity(carried)
        slice = RandomUniform<shape = [8]>()
      }>(trips, , x)
    }"""
    _, drawn = _run(text, {"trips": np.int64(5), "x": np.zeros(1, np.float32)})
    assert drawn.shape == (5, 8) and len(np.unique(drawn)) == 40


@pytest.mark.parametrize("level", [0, 3])
def test_dropout_in_training(level):
    text = "(float[N] x, float ratio, bool training) => (float[N] y, bool[N] mask) { y, mask = Dropout(x, ratio, training) }"
    x = np.linspace(1, 2, 20_000, dtype=np.float32)
    feeds = {"x": x, "ratio": np.float32(0.25), "training": np.bool_(True)}
    y, mask = _run(text, feeds, opt_level=level)
    assert abs(mask.mean() - 0.75) < 0.02
    np.testing.assert_allclose(y, np.where(mask, x / 0.75, 0), rtol=1e-6)
    y, mask = _run(text, feeds | {"training": np.bool_(False)}, opt_level=level)
    np.testing.assert_array_equal(y, x)
    assert mask.all()


def test_multinomial_follows_the_weights():
    text = "(float[B,C] x) => (int64[B,20000] y) { y = Multinomial<sample_size = 20000, dtype = 7>(x) }"
    shares = np.array([[0.5, 0.3, 0.2], [0.1, 0.0, 0.9]], np.float64)
    with np.errstate(divide="ignore"):
        (y,) = _run(text, {"x": np.log(shares).astype(np.float32)})
    for row, wanted in zip(y, shares):
        np.testing.assert_allclose(np.bincount(row, minlength=3) / row.size, wanted, atol=0.02)


def test_bernoulli_follows_the_probabilities():
    text = "(float[N] p) => (double[N] y) { y = Bernoulli<dtype = 11>(p) }"
    (y,) = _run(text, {"p": np.repeat(np.float32([0, 0.25, 1]), 10_000)})
    np.testing.assert_allclose(y.reshape(3, -1).mean(axis=1), [0, 0.25, 1], atol=0.02)
