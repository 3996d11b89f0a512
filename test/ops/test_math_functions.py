"""Math functions of f32 over all their arguments, against the C library in double precision, and of f64 against extended precision."""
import numpy as np
import pytest
from onnx import parser

from support.seeds import get_seed

FUNCTIONS = {"Sin": np.sin, "Cos": np.cos, "Tan": np.tan, "Asin": np.arcsin, "Acos": np.arccos, "Atan": np.arctan, "Sinh": np.sinh, "Cosh": np.cosh,
             "Asinh": np.arcsinh, "Acosh": np.arccosh, "Atanh": np.arctanh, "Exp": np.exp, "Log": np.log, "Sqrt": np.sqrt, "Tanh": np.tanh}
SPECIAL = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 2.5, 1e-45, -1e-45, 1e-38, 88.72, 88.73, -87.4, -103.9, -104, 3e38], np.float32)
# Near multiples of pi / 2, where the reduction of the argument loses most digits.
HARD = np.array([1.5707964, 3.1415927, 6.2831855, 16367173 * 2.0**72, 1.6422195e9, 4.8782227e31, 2.9293376e26], np.float32)


@pytest.fixture
def arguments():
    random = np.random.default_rng(get_seed())
    every = random.integers(0, 1 << 32, 200_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    return np.concatenate([every, random.uniform(-10, 10, 50_000), random.uniform(-1, 1, 50_000), random.normal(size=20_000) * 0.01, SPECIAL, HARD]).astype(np.float32)


def run(op: str, *inputs, opset: int = 18) -> np.ndarray:
    import onager

    names, element = [f"x{k}" for k in range(len(inputs))], "double" if inputs[0].dtype == np.float64 else "float"
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> g ({", ".join(f"{element}[n] {name}" for name in names)}) => ({element}[n] y) {{ y = {op}({", ".join(names)}) }}'
    return onager.InferenceSession(parser.parse_model(text).SerializeToString()).run(None, dict(zip(names, inputs)))[0]


def run_matrix(op: str, x: np.ndarray) -> np.ndarray:
    import onager

    text = f'<ir_version: 8, opset_import: ["" : 18]> g (float[m, n] x) => (float[m, n] y) {{ y = {op}(x) }}'
    return onager.InferenceSession(parser.parse_model(text).SerializeToString()).run(None, {"x": x})[0]


def assert_near(found: np.ndarray, exact: np.ndarray, units: float, inputs: tuple) -> None:
    """Requires the nearest number of its type but for some units in its last place; NaN, infinities and zeros with their signs are equal."""
    with np.errstate(over="ignore"):
        wanted = exact.astype(found.dtype)
    same = (found == wanted) & ((wanted != 0) | (np.signbit(found) == np.signbit(wanted))) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(same, 0, np.abs(found - exact) / np.spacing(np.abs(wanted)).astype(exact.dtype))
    worst = np.argmax(np.where(np.isnan(error), np.inf, error))
    assert error[worst] <= units, f"{[x[worst] for x in inputs]}: {found[worst]}, expected {exact[worst]}: {error[worst]:.3g} units in the last place"


@pytest.mark.parametrize("op, units", [("Exp", 1.5), ("Tanh", 3)])
def test_functions_of_one_double(op, units):
    random = np.random.default_rng(get_seed())
    every = random.integers(0, 1 << 64, 100_000, dtype=np.uint64).view(np.float64)
    special = [0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 2.3e-308, 1e-17, -1e-17, 709.78, 709.79, -708.4, -708.5, -745.13, -745.14, 1e308, 19.99, 20.01]
    x = np.concatenate([every, random.uniform(-750, 750, 50_000), random.uniform(-25, 25, 50_000), random.uniform(-1, 1, 50_000), random.normal(size=20_000) * 1e-3, special])
    with np.errstate(all="ignore"):
        exact = FUNCTIONS[op](x.astype(np.longdouble))
    assert_near(run(op, x), exact, units, (x,))


@pytest.mark.parametrize("op", FUNCTIONS)
def test_functions_of_one_number(op, arguments):
    with np.errstate(all="ignore"):
        exact = FUNCTIONS[op](arguments.astype(np.longdouble)).astype(np.float64)
    assert_near(run(op, arguments), exact, 5 if op == "Tanh" else 1.5, (arguments,))


def test_powers(arguments):
    random = np.random.default_rng(get_seed())
    small = random.integers(-20, 20, len(arguments)).astype(np.float32)
    pairs = [(arguments, random.permutation(arguments)), (arguments, small), (np.abs(arguments), random.uniform(-3, 3, len(arguments)).astype(np.float32)), tuple(map(np.ravel, np.meshgrid(SPECIAL, SPECIAL)))]
    for base, exponent in pairs:
        with np.errstate(all="ignore"):
            exact = np.power(base.astype(np.longdouble), exponent.astype(np.longdouble)).astype(np.float64)
        assert_near(run("Pow", base, exponent), exact, 1.5, (base, exponent))


@pytest.mark.parametrize("op", ["Sigmoid", "Swish"])
def test_logistic_functions(op, arguments):
    """Where e^x leaves the normal numbers they are off by less than the smallest of those, times x; soon 0."""
    wide = arguments.astype(np.longdouble)
    with np.errstate(all="ignore"):
        exact = (1 / (1 + np.exp(-wide)) if op == "Sigmoid" else wide / (1 + np.exp(-wide))).astype(np.float64)
    found = run(op, arguments, opset=24)
    low = arguments < -87
    assert_near(found[~low], exact[~low], 7, (arguments[~low],))
    finite = low & np.isfinite(arguments)
    factor = 1 if op == "Sigmoid" else np.minimum(np.abs(arguments[finite]), 89)
    assert np.all(np.abs(found[finite] - exact[finite]) <= np.finfo(np.float32).tiny * factor)
    assert np.all(found[finite & (arguments < -88.4)] == 0)
    infinite = found[arguments == -np.inf]
    assert np.all(infinite == 0 if op == "Sigmoid" else np.isnan(infinite))


def test_gelu(arguments):
    import math

    wide = arguments.astype(np.float64)
    found, exact = run("Gelu", arguments, opset=20), np.array([x * 0.5 * math.erfc(-x / math.sqrt(2)) if np.isfinite(x) else max(x, 0) for x in wide])
    finite = np.isfinite(arguments)
    assert np.all(np.abs(found[finite] - exact[finite]) <= 2e-7 * np.abs(arguments[finite]) + 1e-38)
    assert np.isnan(found[np.isnan(arguments)]).all()


def test_softmax_of_distant_numbers():
    """Weights from 1 down to where they are no normal numbers, against the exact ones."""
    x = np.sort(np.random.default_rng(get_seed()).uniform(-100, 0, (64, 301)), axis=1).astype(np.float32)
    x[:, -1] = 0
    wide = x.astype(np.float64)
    exact = np.exp(wide) / np.exp(wide).sum(axis=1, keepdims=True)
    found = run_matrix("Softmax", x)
    normal = wide >= -87
    assert np.all(np.abs(found - exact)[normal] <= 1e-6 * exact[normal]) and np.all(found[~normal] == 0)


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 300, 129), (1, 1, 8), (2, 1, 128), (0, 3, 9), (2, 1300, 16), (4, 3, 1)])
@pytest.mark.parametrize("op", ["Softmax<axis = 1>(x)", "LogSoftmax<axis = 1>(x)", "ReduceMean(x, one)", "ReduceMax(x, one)", "ReduceSumSquare(x, both)", "ReduceLogSumExp(x, one)",
                                "MeanVarianceNormalization<axes = [0, 1]>(x)"])
@pytest.mark.parametrize("fixed", [False, True])
def test_reductions_along_columns(op, shape, fixed):
    """Blocks of columns against the form without them."""
    import onager

    x = np.random.default_rng(get_seed()).normal(size=shape).astype(np.float32)
    if 0 in shape and "Variance" in op:
        pytest.skip("the mean of nothing")
    if x.size:
        x[0, 0, 0] = np.nan if shape[1] > 1000 else x[0, 0, 0]
    dims = ",".join(map(str, shape)) if fixed else "a, b, c"
    text = f'<ir_version: 8, opset_import: ["" : 18]> g (float[{dims}] x) => (float[d, e, f] y) {{ one = Constant<value_ints = [1]>() both = Constant<value_ints = [0, 1]>() y = {op} }}'
    model = parser.parse_model(text).SerializeToString()
    found, wanted = (onager.InferenceSession(model, opt_level=level).run(None, {"x": x})[0] for level in (3, 0))
    # The variance is a difference of squares there, of which little is left where values are near.
    tolerance = 1e-4 if "Variance" in op else 1e-5
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("target", ["native", "x86-64-v2"])
def test_remainders(target, tmp_path):
    """Every bit of the remainder of floats: near and far quotients, whole ones, infinities, zeros and what is no number."""
    import onager

    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 20]> g (float[N] a, float[N] b) => (float[N] y) { y = Mod<fmod = 1>(a, b) }')
    session = onager.InferenceSession(onager.compile(model.SerializeToString(), tmp_path / "model.so", target=target))
    random = np.random.default_rng(get_seed())
    a, b = (random.integers(0, 2**32, 100_003, dtype=np.uint32).view(np.float32) for _ in range(2))
    near = (random.standard_normal(a.size) * 10.0 ** random.integers(-3, 9, a.size)).astype(np.float32)
    small = (random.standard_normal(a.size) * 10.0 ** random.integers(-3, 3, a.size)).astype(np.float32)
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -3e38, 5], np.float32)
    pairs = [(a, b), (near, small), (np.round(near) * small, small), (np.repeat(special, special.size), np.tile(special, special.size))]
    for x, y in pairs:
        with np.errstate(all="ignore"):
            wanted = np.fmod(x, y)
        got = session.run(None, {"a": x, "b": y})[0]
        same = (got.view(np.uint32) == wanted.view(np.uint32)) | (np.isnan(got) & np.isnan(wanted))
        assert same.all(), (x[~same][:3], y[~same][:3], got[~same][:3], wanted[~same][:3])
