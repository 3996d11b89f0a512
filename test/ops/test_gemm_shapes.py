"""Products whose rows and columns fill tiles, and shares of the work, in every way: against a sum in double precision, over thread counts and targets."""
import numpy as np
import pytest
from onnx import numpy_helper, parser

COLUMNS = [1, 17, 33, 64, 96, 200, 224, 520, 600]  # the weights of the last are more than a second-level cache holds
DEPTH = 997  # so that some are work enough for threads


def _model(rows: str, weight: np.ndarray, depth: int = DEPTH) -> bytes:
    """A product with a bias, which leaves tiles, beside one without."""
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[{rows},{depth}] x) => (float y, float z) {{ y = MatMul(x, w) t = MatMul(x, v) z = Add(t, bias) }}')
    bias = np.linspace(-1, 1, weight.shape[-1], dtype=np.float32)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in {"w": weight, "v": -weight, "bias": bias}.items())
    return model.SerializeToString()


@pytest.mark.parametrize("target", ["native", "x86-64-v3"])
@pytest.mark.parametrize("columns", COLUMNS)
def test_rows_and_columns(columns, target, tmp_path):
    import onager

    generator = np.random.default_rng(columns)
    weight = generator.standard_normal((DEPTH, columns)).astype(np.float32)
    paths = {rows: onager.compile(_model(rows, weight), tmp_path / f"{rows}.so", target=target) for rows in ("1", "M")}
    for rows, count in (("1", 1), ("M", 1), ("M", 2), ("M", 3), ("M", 13), ("M", 0)):
        x = generator.standard_normal((count, DEPTH)).astype(np.float32)
        wanted = x.astype(np.float64) @ weight
        for threads in (1, 2, 3, 5):
            y, z = onager.InferenceSession(paths[rows], threads=threads, recompile="off").run(None, {"x": x})
            np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-3)
            np.testing.assert_allclose(z, np.linspace(-1, 1, columns) - wanted, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("columns", [24, 176, 300])
def test_matrices_of_a_row(columns, tmp_path):
    """Shares begin and end within a matrix and take several."""
    import onager

    generator = np.random.default_rng(columns)
    weight = generator.standard_normal((5, DEPTH, columns)).astype(np.float32)
    path = onager.compile(_model("B,1", weight), tmp_path / "m.so")
    for batch in (1, 5):
        x = generator.standard_normal((batch, 1, DEPTH)).astype(np.float32)
        wanted = x.astype(np.float64) @ weight
        for threads in (1, 2, 3, 4):
            y, _ = onager.InferenceSession(path, threads=threads, recompile="off").run(None, {"x": x})
            np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("rows", ["M", "560", "2,560", "B,M"])
def test_more_rows_than_a_cache_holds(rows, tmp_path):
    """A block of rows meets all columns before the next one does."""
    import onager

    generator = np.random.default_rng(3)
    batch = (2,) if "," in rows else ()
    for columns in (17, 130):
        weight = generator.standard_normal((*batch, DEPTH, columns)).astype(np.float32)
        path = onager.compile(_model(rows, weight), tmp_path / "m.so")
        for count in (560, 529) if "M" in rows else (560,):
            x = generator.standard_normal((*batch, count, DEPTH)).astype(np.float32)
            wanted = x.astype(np.float64) @ weight
            for threads in (1, 2, 3):
                y, z = onager.InferenceSession(path, threads=threads, recompile="off").run(None, {"x": x})
                np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-3)
                np.testing.assert_allclose(z, np.linspace(-1, 1, columns) - wanted, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("target", ["native", "x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("form", ["Gemm<transB = 1>(x, w)", "MatMul(x, w)", "MatMul(w, x)"])
def test_few_rows_and_columns(form, target, tmp_path):
    """Operands that each run computes, a few rows or columns of them, around the sizes of vectors and tiles; something follows."""
    import onager

    generator = np.random.default_rng(7)
    is_transposed, is_swapped = "transB" in form, form == "MatMul(w, x)"
    for few in (1, 2, 3, 5, 8, 9):
        for depth in (31, 32, 70):
            x_dims = f"{depth},{few}" if is_swapped else f"{few},{depth}"
            w_dims = f"N,{depth}" if is_transposed or is_swapped else f"{depth},N"
            model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[{x_dims}] x, float[{w_dims}] w, float b) => (float y) {{ p = {form} y = Add(p, b) }}')
            path = onager.compile(model.SerializeToString(), tmp_path / "m.so", target=target)
            for count in (1, 15, 16, 37, 600):
                x = generator.standard_normal(tuple(map(int, x_dims.split(",")))).astype(np.float32)
                w = generator.standard_normal((count, depth) if is_transposed or is_swapped else (depth, count)).astype(np.float32)
                wanted = (w.astype(np.float64) @ x if is_swapped else x.astype(np.float64) @ (w.T if is_transposed else w)) + 0.5
                for threads in (1, 3):
                    y = onager.InferenceSession(path, threads=threads, recompile="off").run(None, {"x": x, "w": w, "b": np.float32(0.5)})[0]
                    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-4, err_msg=f"{few} by {depth} by {count}")


def test_few_rows_of_a_batch(tmp_path):
    """Heads that a transposition brings together, and a batch that spreads."""
    import onager

    generator = np.random.default_rng(8)
    q, k = generator.standard_normal((3, 2, 64)).astype(np.float32), generator.standard_normal((50, 3, 64)).astype(np.float32)
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 20]> g (float[3,2,64] q, float[N,3,64] k) => (float y, float z) { t = Transpose<perm = [1, 2, 0]>(k) y = MatMul(q, t) s = Constant<value_ints = [0]>() e = Constant<value_ints = [1]>() o = Slice(q, s, e) z = MatMul(o, t) }')
    y, z = onager.InferenceSession(onager.compile(model.SerializeToString(), tmp_path / "m.so")).run(None, {"q": q, "k": k})
    wanted = np.einsum("hid,nhd->hin", q.astype(np.float64), k)
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(z, np.einsum("id,nhd->hin", q[0].astype(np.float64), k), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("rows", ["M", "8", "9", "40", "97", "700"])
@pytest.mark.parametrize("depth", [1024, 3072])
def test_rows_that_are_pages_apart(rows, depth, tmp_path):
    """Rows are copied by each share of the work, all of them or block by block."""
    import onager

    generator = np.random.default_rng(depth)
    for columns in (128, 150):
        weight = generator.standard_normal((depth, columns)).astype(np.float32)
        path = onager.compile(_model(rows, weight, depth), tmp_path / "m.so")
        for count in (1, 7, 12, 96, 193) if rows == "M" else (int(rows),):
            x = generator.standard_normal((count, depth)).astype(np.float32)
            wanted = x.astype(np.float64) @ weight
            for threads in (1, 2, 3):
                y, z = onager.InferenceSession(path, threads=threads, recompile="off").run(None, {"x": x})
                np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-3)
                np.testing.assert_allclose(z, np.linspace(-1, 1, columns) - wanted, rtol=1e-5, atol=1e-3)
