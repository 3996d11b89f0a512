"""GELU and SiLU in the forms that exporters write: the optimised form against -O0, and at the ends of the range."""
import json

import numpy as np
import pytest
from onnx import numpy_helper, parser

FORMS = {
    "gelu_erf": "a = Div(x, root) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half)",
    "gelu_tanh": "a = Pow(x, three) b = Mul(a, cube) c = Add(x, b) d = Mul(c, scale) e = Tanh(d) f = Add(one, e) g = Mul(half, x) y = Mul(g, f)",
    "gelu": "y = Gelu(x)",
    "gelu_approximate": 'y = Gelu<approximate = "tanh">(x)',
    "silu": "a = Sigmoid(x) y = Mul(x, a)",
}
CONSTANTS = {"root": 2**0.5, "one": 1, "half": 0.5, "three": 3, "cube": 0.044715, "scale": (2 / np.pi) ** 0.5}


def _export(form: str, dtype: str, element: type) -> bytes:
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g ({dtype}[N] x) => ({dtype}[N] y) {{ {FORMS[form]} }}')
    model.graph.initializer.extend(numpy_helper.from_array(np.array(value, element), name) for name, value in CONSTANTS.items())
    return model.SerializeToString()


def _run(model: bytes, level: int, x: np.ndarray, tmp_path):
    import onager

    report = []
    path = onager.compile(model, tmp_path / f"level{level}.so", opt_level=level, report=report)
    name = "SiLU" if b"Sigmoid" in model else "GELU"
    assert (name in json.loads(report[0]).get("numerics", "")) == (level > 0)
    return onager.InferenceSession(path, threads=1).run(None, {"x": x})[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype, element, error", [("float", np.float32, 1.3e-6), ("double", np.float64, 1e-12), ("float16", np.float16, 1e-2)])
def test_range(form, dtype, element, error, tmp_path):
    """Over what is not flat, in a vector's whole lanes and its rest."""
    model = _export(form, dtype, element)
    x = np.linspace(-9, 9, 20011).astype(element)
    found, wanted = (_run(model, level, x, tmp_path).astype(np.float64) for level in (3, 0))
    np.testing.assert_allclose(found, wanted, rtol=3e-7 if element is np.float32 else error, atol=error)


@pytest.mark.parametrize("form", FORMS)
def test_ends(form, tmp_path):
    """Far from 0 the result is x or 0 exactly; infinity, NaN and the sign of 0 are those of the formula."""
    x = np.array([-1e30, -200, 200, 1e30, np.inf, np.nan, -np.inf, 0.0, -0.0], np.float32)
    found, wanted = (_run(_export(form, "float", np.float32), level, x, tmp_path) for level in (3, 0))
    np.testing.assert_array_equal(found, wanted)
    assert (np.signbit(found[-2:]) == [False, True]).all()
