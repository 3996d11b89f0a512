"""Element types that few models have, each with what single-operator cases found wrong with it."""
import numpy as np
import pytest

from support.samples import parse


def _run(text: str, feeds: dict, **options) -> np.ndarray:
    import onager

    return onager.InferenceSession(parse(text).SerializeToString(), **options).run(None, feeds)[0]


@pytest.mark.parametrize("element, options", [("int32", {}), ("uint64", {}), ("float", {"opt_level": 0}), ("float", {})])
@pytest.mark.parametrize("a, b", [(1, 3), (3, 1), (3, 3)])
def test_matmul_of_open_batches(element, options, a, b):
    """A batch dim that was not known to be 1 was indexed by the other's, behind the operand's end."""
    random, kind = np.random.default_rng(1), {"float": np.float32}.get(element) or np.dtype(element)
    feeds = {"a": random.integers(0, 5, (a, 2, 4)).astype(kind), "b": random.integers(0, 5, (b, 4, 3)).astype(kind)}
    found = _run(f"({element}[A,M,K] a, {element}[B,K,N] b) => (y) {{ y = MatMul(a, b) }}", feeds, **options)
    np.testing.assert_array_equal(found, feeds["a"] @ feeds["b"])


@pytest.mark.parametrize("element", ["int32", "int64", "uint32", "uint64"])
@pytest.mark.parametrize("op, wanted", [("ReduceL2", 5), ("ReduceLogSum", 1), ("ReduceLogSumExp", 4)])
def test_roots_and_logarithms_of_integers(op, wanted, element):
    """The root of an integer had no instruction; the result is cut off: sqrt(3^2 + 4^2), log(7), log(e^3 + e^4) = 4.3."""
    x = np.array([[3, 4]], element)
    found = _run(f"({element}[N,2] x) => (y) <int64[1] axes = {{1}}> {{ y = {op}(x, axes) }}", {"x": x})
    assert found.dtype == x.dtype and found.tolist() == [[wanted]]


def test_texts_that_are_masked_or_padded():
    """What stands where no element is was a number, which a tensor of strings cannot hold."""
    x = np.array([["a", "b"], ["c", "d"]], object)
    assert _run("(string[N,2] x) => (y) { y = Trilu(x) }", {"x": x}).tolist() == [["a", "b"], ["", "d"]]
    assert _run("(string[N,2] x) => (y) <int64[4] pads = {0, 1, 0, 0}> { y = Pad(x, pads) }", {"x": x}).tolist() == [["", "a", "b"], ["", "c", "d"]]
