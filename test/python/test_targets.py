"""Artifacts for processors without an instruction that the build machine has: the same results by other means."""
import ml_dtypes
import numpy as np
import pytest

import onager
from python.models import make_text

TYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float": np.float32, "double": np.float64}


def convert(source: str, target: str, values: np.ndarray, cpu: str) -> np.ndarray:
    number = {"float": 1, "float16": 10, "double": 11, "bfloat16": 16}[target]
    session = onager.InferenceSession(make_text(f"({source}[n] x) => ({target}[n] y)", f"y = Cast<to = {number}>(x)"), threads=1, target=cpu)
    return session.run(None, {"x": values})[0]


def make_values(source: str) -> np.ndarray:
    """All 16-bit patterns; of wider types, random bits, and what lies on or near the middle between two halves."""
    if source in ("float16", "bfloat16"):
        return np.arange(1 << 16, dtype=np.uint16).view(TYPES[source])
    generator = np.random.default_rng(11)
    with np.errstate(all="ignore"):
        halves = np.arange(0x7c00, dtype=np.uint16).view(np.float16).astype(TYPES[source])
        middles = (halves[:-1] + halves[1:]) / 2
        edges = np.concatenate([middles, np.nextafter(middles, np.inf), np.nextafter(middles, -np.inf), [65504, 65519.996, 65520, np.inf, np.nan, 0.0]])
        bits = generator.integers(0, 256, (20000, edges.itemsize), dtype=np.uint8).view(edges.dtype)[:, 0]
        return np.concatenate([edges, -edges, bits, generator.standard_normal(20000)]).astype(TYPES[source])


@pytest.mark.parametrize("cpu", ["x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize(("source", "target"), [("float16", "float"), ("float16", "double"), ("float", "float16"), ("double", "float16"), ("bfloat16", "float"),
                                                ("float", "bfloat16"), ("bfloat16", "float16")])
def test_conversions_of_small_floats(source, target, cpu):
    values = make_values(source)
    with np.errstate(all="ignore"):
        # Doubles become halves by way of float, as in ONNX Runtime.
        expected = (values.astype(np.float32) if (source, target) == ("double", "float16") else values).astype(TYPES[target])
        found = convert(source, target, values, cpu)
        np.testing.assert_array_equal(found.astype(np.float64), expected.astype(np.float64))


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("cpu", ["portable", "x86-64-v2", "x86-64-v3"])
def test_half_precision_products(cpu, level):
    generator = np.random.default_rng(3)
    session = onager.InferenceSession(make_text("(float16[m, k] x, float16[k, n] w) => (float16[m, n] y)", "a = MatMul(x, w)\ny = Softmax(a)"),
                                      target=cpu, opt_level=level)
    for rows, depth, columns in ((1, 5, 3), (9, 64, 40)):
        x, w = (generator.standard_normal(shape).astype(np.float16) for shape in ((rows, depth), (depth, columns)))
        scores = x.astype(np.float64) @ w.astype(np.float64)
        scores = np.exp(scores - scores.max(1, keepdims=True))
        np.testing.assert_allclose(session.run(None, {"x": x, "w": w})[0], scores / scores.sum(1, keepdims=True), rtol=5e-2, atol=2e-3)


# One for each way in which code is emitted: polynomials, rows, panels, direct and depthwise convolutions, recurrent cells.
OPERATIONS = {
    "exp": ("(float[n, 24] x) => (float[n, 24] y)", "y = Exp(x)"),
    "tanh": ("(float[n, 24] x) => (float[n, 24] y)", "y = Tanh(x)"),
    "erf": ("(float[n, 24] x) => (float[n, 24] y)", "y = Erf(x)"),
    "log": ("(float[n, 24] x) => (float[n, 24] y)", "a = Abs(x)\ny = Log(a)"),
    "softmax": ("(float[n, 24] x) => (float[n, 24] y)", "y = Softmax(x)"),
    "gemm": ("(float[n, 24] x, float[24, 40] w) => (float[n, 40] y)", "y = MatMul(x, w)"),
    "double": ("(double[n, 24] x, double[24, 40] w) => (double[n, 40] y)", "y = MatMul(x, w)"),
    "conv": ("(float[n, 6, 9, 9] x, float[8, 6, 3, 3] w) => (float[n, 8, 7, 7] y)", "y = Conv(x, w)"),
    "depthwise": ("(float[n, 6, 9, 9] x, float[6, 1, 3, 3] w) => (float[n, 6, 7, 7] y)", "y = Conv<group = 6>(x, w)"),
    "lstm": ("(float[4, n, 6] x, float[1, 32, 6] w, float[1, 32, 8] r) => (float[4, 1, n, 8] y)", "y = LSTM<hidden_size = 8>(x, w, r)"),
}


@pytest.mark.parametrize("options", [{"target": "portable"}, {"opt_level": 1, "target": "portable"}, {"opt_level": 1}], ids=["portable", "portable at O1", "native at O1"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_code_agrees_with_the_reference_form(name, options):
    model = make_text(*OPERATIONS[name])
    session, reference = onager.InferenceSession(model, **options), onager.InferenceSession(model, opt_level=0)
    generator = np.random.default_rng(5)
    feeds = {node.name: generator.standard_normal([3 if dim == "n" else dim for dim in node.shape]).astype(TYPES[node.type[7:-1]]) for node in reference.get_inputs()}
    np.testing.assert_allclose(session.run(None, feeds)[0], reference.run(None, feeds)[0], rtol=2e-5, atol=2e-6)
