"""Products and convolutions whose weights hold many zeros: against the dense form, bit for bit, and -O0, over the ways that rows, sums and outputs are cut."""
import numpy as np
import pytest
from onnx import numpy_helper, parser

from support.convolutions import check_batches, compile_with_report, run_with_threads

# rows, numbers of a sum, outputs
PRODUCTS = {"one_block": (64, 64, 64), "odd": (77, 131, 37), "rest_of_a_vector": (129, 300, 70), "few_rows": (17, 257, 130), "three_vectors": (48, 128, 64), "long_sum": (64, 1000, 33)}
# channels, output channels, spatial dims, window, strides, dilations, pads (before, then after)
CONVS = {
    "one_tap": (96, 64, (9, 13), (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    "odd_channels": (131, 37, (15, 9), (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    "strides": (70, 100, (14, 13), (1, 1), (2, 2), (1, 1), (0, 0, 0, 0)),
    "window": (64, 48, (17, 7), (3, 3), (2, 2), (1, 1), (1, 1, 1, 1)),
    "dilations": (40, 97, (11, 12), (3, 2), (1, 1), (2, 3), (0, 2, 3, 1)),
    "line": (30, 112, (161,), (5,), (1,), (1,), (2, 2)),
    "volume": (17, 96, (4, 5, 6), (2, 2, 3), (1, 1, 1), (1, 1, 1), (0, 0, 1, 1, 0, 1)),
}
EPILOGUES = {"none": "y = OP(x, w)", "bias_relu": "p = OP(x, w) q = Add(p, b) y = Relu(q)"}


def _prune(shape: tuple, zeros: float, seed: int = 5) -> np.ndarray:
    random = np.random.default_rng(seed)
    weights = random.standard_normal(shape).astype(np.float32)
    weights.reshape(-1)[random.permutation(weights.size)[: int(zeros * weights.size)]] = 0
    return weights


def _make(body: str, inputs: str, outputs: str, **values) -> bytes:
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[{inputs}] x) => (float[{outputs}] y) {{ {body} }}')
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in values.items() if f"{name})" in body or f"{name}," in body)
    return model.SerializeToString()


def _product(size: str, epilogue: str = "none", zeros: float = 0.9, rows: str = "") -> bytes:
    m, k, n = PRODUCTS[size]
    body = EPILOGUES[epilogue].replace("OP", "MatMul")
    return _make(body, f"{rows or m}, {k}", f"{rows or m}, {n}", w=_prune((k, n), zeros), b=_prune((n,), 0))


def _conv(size: str, epilogue: str = "none", zeros: float = 0.9) -> bytes:
    channels, outputs, spatial, window, strides, dilations, pads = CONVS[size]
    rank = len(spatial)
    out = [(n + pads[k] + pads[rank + k] - dilations[k] * (window[k] - 1) - 1) // strides[k] + 1 for k, n in enumerate(spatial)]
    text = lambda values: "[" + ", ".join(map(str, values)) + "]"
    body = EPILOGUES[epilogue].replace("OP", f"Conv<strides = {text(strides)}, dilations = {text(dilations)}, pads = {text(pads)}>")
    dims = lambda values: ", ".join(map(str, values))
    return _make(body, f"N, {dims((channels, *spatial))}", f"N, {dims((outputs, *out))}", w=_prune((outputs, channels, *window), zeros), b=_prune((outputs, *[1] * rank), 0))


def _input(shape: tuple) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def _compile(model: bytes, path, **options) -> tuple:
    # Products in parts of bf16 have other bits, and are faster.
    artifact, report = compile_with_report(model, path, bf16x3=False, **options)
    return artifact, [launch["hero"] for launch in report["launches"]], report.get("sparse_weights", [])


def _compare(model: bytes, x: np.ndarray, hero: str, tmp_path, **options) -> None:
    """The sparse form has the bits of the dense one, for any number of threads, and is near -O0's."""
    import onager

    run = lambda artifact: onager.InferenceSession(artifact).run(None, {"x": x})[0]
    exact, dense = run(_compile(model, tmp_path / "exact.so", opt_level=0)[0]), run(_compile(model, tmp_path / "dense.so", sparse=False, winograd=False, **options)[0])
    artifact, heroes, _ = _compile(model, tmp_path / "model.so", winograd=False, **options)
    assert hero in heroes
    found = run_with_threads(artifact, x, (1, 2, 5))
    np.testing.assert_array_equal(found, dense)
    assert np.abs(found - exact).max() <= 1e-5 * np.abs(exact).max()


@pytest.mark.parametrize("epilogue", EPILOGUES)
@pytest.mark.parametrize("size", PRODUCTS)
def test_products(size, epilogue, tmp_path):
    m, k, _ = PRODUCTS[size]
    _compare(_product(size, epilogue), _input((m, k)), "sparse_gemm", tmp_path)


@pytest.mark.parametrize("epilogue", EPILOGUES)
@pytest.mark.parametrize("size", CONVS)
def test_convolutions(size, epilogue, tmp_path):
    _compare(_conv(size, epilogue), _input((3, CONVS[size][0], *CONVS[size][2])), "sparse_conv", tmp_path)


@pytest.mark.parametrize("zeros", [0.95, 0.99, 1.0])
def test_shares_of_zeros(zeros, tmp_path):
    """Lists of few weights, of one, of none."""
    _compare(_product("odd", zeros=zeros), _input((77, 131)), "sparse_gemm", tmp_path)


@pytest.mark.parametrize("body", ["y = Gemm<transB = 1>(x, w, b)", "y = Gemm<alpha = 0.5, transB = 1>(x, w, b)"])
def test_transposed_weights(body, tmp_path):
    model = _make(body, "100, 131", "100, 90", w=_prune((90, 131), 0.9), b=_prune((90,), 0))
    _compare(model, _input((100, 131)), "sparse_gemm", tmp_path)


def test_scaled_filters(tmp_path):
    """What a normalisation does to filters keeps their zeros and may make more."""
    scale = _prune((64,), 0.25)
    body = "c = Conv(x, w) y = BatchNormalization(c, scale, shift, mean, variance)"
    constants = {name: np.abs(_prune((64,), 0, seed)) for seed, name in enumerate(["shift", "mean", "variance"])}
    model = _make(body, "1, 96, 12, 12", "1, 64, 12, 12", w=_prune((64, 96, 1, 1), 0.9), scale=scale, **constants)
    _compare(model, _input((1, 96, 12, 12)), "sparse_conv", tmp_path)


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3"])
def test_narrow_vectors(target, tmp_path):
    _compare(_product("rest_of_a_vector"), _input((129, 300)), "sparse_gemm", tmp_path, target=target)
    _compare(_conv("odd_channels"), _input((2, 131, 15, 9)), "sparse_conv", tmp_path, target=target)


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_batches(batch, tmp_path):
    """One artifact for all batches; an image's bits do not depend on its place."""
    check_batches(_compile(_conv("one_tap"), tmp_path / "model.so")[0], _input((5, 96, 9, 13)), batch)


def test_rows_of_unknown_number(tmp_path):
    """What is least known of the rows decides: one row keeps the dense form, whatever the likely number."""
    import onager

    model = _product("odd", rows="N")
    _, heroes, layers = _compile(model, tmp_path / "dense.so")
    assert "gemm" in heroes and layers[0]["kernel"] == "dense" and layers[0]["reason"].startswith("of at least 1 row, the sparse form is expected to be 0."), layers
    artifact, heroes, layers = _compile(model, tmp_path / "model.so", dim=["N=64:4096"])
    assert "sparse_gemm" in heroes and layers[0]["kernel"] == "sparse" and layers[0]["expected_speedup"] > 1.1, layers
    dense, x = _compile(model, tmp_path / "other.so", sparse=False)[0], _input((200, 131))
    for rows in (64, 65, 200):
        found, wanted = (onager.InferenceSession(path).run(None, {"x": x[:rows]})[0] for path in (artifact, dense))
        np.testing.assert_array_equal(found, wanted)


def test_report(tmp_path):
    """Layers with many zeros are named, with their share, and why they are dense where they are."""
    body = "a = MatMul(x, w) b = MatMul(a, few) c = MatMul(b, many) y = MatMul(c, narrow)"
    model = _make(body, "64, 256", "64, 2", w=_prune((256, 128), 0.9), few=_prune((128, 128), 0.2), many=_prune((128, 64), 0.26), narrow=_prune((64, 2), 0.3))
    layers = _compile(model, tmp_path / "model.so")[2]
    assert [layer["kernel"] for layer in layers] == ["sparse", "dense", "dense"], layers
    assert [layer["zeros"] for layer in layers] == [0.9, 0.26, 0.297], layers
    assert layers[1]["reason"].startswith("of 64 rows, the sparse form is expected to be 0.") or layers[1]["reason"].startswith("of 64 rows, the sparse form is expected to be 1.0") and "expected_speedup" in layers[0], layers


def test_infinite_inputs(tmp_path):
    """What is documented: a weight of 0 is left out, so that an infinite input does not make NaN; `sparse=False` multiplies."""
    import onager

    model, x = _product("one_block", zeros=0.95), np.ones((64, 64), np.float32)
    x[3, 5] = np.inf
    weights = _prune((64, 64), 0.95)
    found, dense = (onager.InferenceSession(_compile(model, tmp_path / f"{sparse}.so", sparse=sparse)[0]).run(None, {"x": x})[0] for sparse in (True, False))
    assert np.isnan(dense[3, weights[5] == 0]).all() and not np.isnan(found).any()
    assert np.isinf(found[3, weights[5] != 0]).all()
    np.testing.assert_array_equal(np.delete(found, 3, 0), np.delete(dense, 3, 0))


def test_variants(tmp_path):
    """A variant for known rows takes the form of the generic one."""
    import onager

    model, x = _product("odd", rows="N"), _input((96, 131))
    artifact = _compile(model, tmp_path / "model.so", dim=["N=64:4096"], variant=["N=96"])[0]
    dense = _compile(model, tmp_path / "dense.so", sparse=False)[0]
    found, wanted = (onager.InferenceSession(path).run(None, {"x": x})[0] for path in (artifact, dense))
    np.testing.assert_array_equal(found, wanted)
