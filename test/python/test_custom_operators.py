"""Custom operators written in Python, or loaded from a library."""
import numpy as np
import pytest

import onager
from support.places import BUILD


def make_text(signature: str, body: str) -> bytes:
    return f'<ir_version: 10, opset_import: ["" : 21, "python" : 2, "example" : 1]>\ng {signature} {{ {body} }}'.encode()


def same(node, inputs):
    return [(inputs[0].dtype, inputs[0].shape)]


def test_runs_between_compiled_nodes():
    seen = []

    def scale(node, arrays):
        seen.append((node.domain, node.type, node.name, node.version, arrays[0].flags.writeable))
        return arrays[0] * np.float32(node.attributes["factor"])

    onager.register_operator("python", "Scale", same, scale)
    session = onager.InferenceSession(make_text("(float[n, 2] x) => (float[n, 2] y)", "a = Add(x, x)\nb = python.Scale<factor = 0.5>(a)\ny = Mul(b, b)"))
    for rows in (1, 5, 0):
        x = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
        np.testing.assert_array_equal(session.run(None, {"x": x})[0], x * x)
    assert set(seen) == {("python", "Scale", "b", 2, False)}


@pytest.mark.parametrize("dtype", ["float64", "float16", "int8", "uint64", "bool", "bfloat16", "float8e4m3fn", "int4"])
def test_every_element_type_goes_through(dtype):
    import ml_dtypes
    names = {"float64": "double", "float8e4m3fn": "float8e4m3fn"}
    types = {"bfloat16": ml_dtypes.bfloat16, "float8e4m3fn": ml_dtypes.float8_e4m3fn, "int4": ml_dtypes.int4}
    numpy_type = np.dtype(types.get(dtype, dtype))
    onager.register_operator("python", "Reverse", same, lambda node, arrays: arrays[0][::-1])
    session = onager.InferenceSession(make_text(f"({names.get(dtype, dtype)}[n] x) => ({names.get(dtype, dtype)}[n] y)", "y = python.Reverse(x)"))
    x = np.array([0, 1, 1, 0, 1], np.float32).astype(numpy_type)
    y, = session.run(None, {"x": x})
    assert y.dtype == numpy_type
    np.testing.assert_array_equal(y.astype(np.float32), x[::-1].astype(np.float32))


def test_shapes_that_depend_on_values_and_several_outputs():
    def infer(node, inputs):
        count = -1 if inputs[0].value is None else np.unique(inputs[0].value).size
        return [(inputs[0].dtype, (count,)), ("int64", (count,))]

    onager.register_operator("python", "Counts", infer, lambda node, arrays: np.unique(arrays[0], return_counts=True))
    session = onager.InferenceSession(make_text("(int64[n] x) => (int64[k] values, int64[k] twice)", "values, counts = python.Counts(x)\ntwice = Add(counts, counts)"))
    for x in ([3, 1, 3, 3], [7], []):
        values, twice = session.run(None, {"x": np.array(x, np.int64)})
        expected = np.unique(np.array(x, np.int64), return_counts=True)
        np.testing.assert_array_equal(values, expected[0])
        np.testing.assert_array_equal(twice, 2 * expected[1])


def test_strings_attributes_and_absent_inputs():
    def join(node, arrays):
        assert arrays[1] is None
        assert node.attributes == {"words": ["a", "\u00e9"], "count": 3, "scale": 0.5}
        return np.array([text + node.attributes["words"][1] for text in arrays[0]], object)

    onager.register_operator("python", "Join", same, join)
    session = onager.InferenceSession(make_text("(string[n] x, string[n] z) => (string[n] y)",
                                                'y = python.Join<words = ["a", "\u00e9"], count = 3, scale = 0.5>(x, , z)'))
    y, = session.run(None, {"x": np.array(["x", ""]), "z": np.array(["", ""])})
    assert y.tolist() == ["x\u00e9", "\u00e9"]


@pytest.mark.parametrize(("returned", "reason"), [
    (lambda x: x[:1], "output 0: expected shape (3,), found (1,)"),
    (lambda x: x.astype(np.float64), "output 0: expected float32, found float64"),
    (lambda x: [x, x], "expected 1 outputs from run, found 2"),
    (lambda x: x / 0 / undefined, "NameError: name 'undefined' is not defined")])  # noqa: F821
def test_what_a_function_raises_or_returns_wrongly_ends_the_run(returned, reason):
    onager.register_operator("python", "Wrong", same, lambda node, arrays: returned(arrays[0]))
    session = onager.InferenceSession(make_text("(float[n] x) => (float[n] y)", "y = python.Wrong(x)"))
    with np.errstate(all="ignore"), pytest.raises(RuntimeError) as error:
        session.run(None, {"x": np.ones(3, np.float32)})
    assert "node 'y' (op Wrong, domain python): " in str(error.value) and reason in str(error.value)


def test_what_infer_refuses_ends_the_compilation():
    def refuse(node, inputs):
        raise ValueError(f"no use for rank {len(inputs[0].shape)}")

    onager.register_operator("python", "Refuses", refuse, lambda node, arrays: arrays[0])
    with pytest.raises(onager.CompileError) as error:
        onager.compile(make_text("(float[2, 3] x) => (float[2, 3] y)", "y = python.Refuses(x)"))
    assert "node 'y' (op Refuses, domain python, opset 2): ValueError: no use for rank 2" in str(error.value)


def test_library(tmp_path):
    onager.load_operators(BUILD / "test" / "example-operators.so")
    session = onager.InferenceSession(make_text("(float[n] x) => (float[k] y)", "y = example.Positive(x)"))
    np.testing.assert_array_equal(session.run(None, {"x": np.array([1, -1, 2], np.float32)})[0], [1, 2])
    (tmp_path / "no.so").write_bytes(b"no library")
    for path, reason in ((tmp_path / "no.so", "cannot load operators"), (BUILD / "lib" / "libonager-rt.so", "does not export onager_operators")):
        with pytest.raises(RuntimeError, match=reason):
            onager.load_operators(path)
