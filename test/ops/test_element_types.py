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


def test_error_function_of_integers():
    """Version 9 has integers, which were refused: the f32 nearest to erf is cut, which is 1 from 4 on."""
    import onager

    model = parse("(int32[N] x) => (y) { y = Erf(x) }")
    model.opset_import[0].version = 12
    x = np.array([-7, -2, 0, 3, 4], np.int32)
    found = onager.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    assert found.dtype == np.int32 and found.tolist() == [-1, 0, 0, 0, 1]


def test_statistics_of_doubles_are_floats():
    """The schema gives Mean and InvStdDev f32 or bfloat16 alone."""
    import onager

    x, ones = np.random.default_rng(1).standard_normal((3, 4)), np.ones(4)
    y, mean, spread = onager.InferenceSession(parse("(double[N,4] x, double[4] s) => (y, m, d) { y, m, d = LayerNormalization(x, s) }").SerializeToString()).run(None, {"x": x, "s": ones})
    assert (y.dtype, mean.dtype, spread.dtype) == (np.float64, np.float32, np.float32)
    np.testing.assert_allclose(mean, x.mean(1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(spread, 1 / np.sqrt(x.var(1, keepdims=True) + 1e-5), rtol=1e-5)


@pytest.mark.parametrize("mode, padding", [("nearest", "zeros"), ("linear", "border"), ("cubic", "reflection")])
def test_texts_are_sampled_without_weights_alone(mode, padding):
    """Zeros and weights of texts ended the compiler."""
    import onager

    text = "(string[1,1,2,2] x, float[1,H,W,2] grid) => (y) { y = GridSample<mode = \"%s\", padding_mode = \"%s\">(x, grid) }"
    x, grid = np.array([[[["a", "b"], ["c", "d"]]]], object), np.array([[[[-1, -1], [1, -1], [2, 2]]]], np.float32)
    assert _run(text % ("nearest", "border"), {"x": x, "grid": grid}).tolist() == [[[["a", "b", "d"]]]]
    with pytest.raises(onager.CompileError, match="strings have neither weights nor a zero"):
        _run(text % (mode, padding), {"x": x, "grid": grid})


def test_texts_of_blocks_are_not_added():
    """Blocks of texts ended the compiler."""
    import onager

    text = "(string[1,4,1] x) => (y) <int64[2] image = {2, 2}, int64[2] block = {2, 2}> { y = Col2Im(x, image, block) }"
    with pytest.raises(onager.CompileError, match="expected numbers, found strings"):
        _run(text, {"x": np.array([[["a"], ["b"], ["c"], ["d"]]], object)})


def test_integers_are_sampled_by_weights():
    """Weights were cut to integers, 0 or 1, before they were used."""
    x, grid = np.array([[[[0, 10], [20, 30]]]], np.int32), np.zeros((1, 1, 1, 2), np.float32)
    found = _run("(int32[1,1,2,2] x, float[1,H,W,2] grid) => (y) { y = GridSample<mode = \"linear\">(x, grid) }", {"x": x, "grid": grid})
    assert found.dtype == np.int32 and found.tolist() == [[[[15]]]]


@pytest.mark.parametrize("op, inputs, wanted", [("ExpandDims", [np.array(1, np.int32)], [[["a", "b"]], [["c", "d"]]]), ("GatherND", [np.array([[1, 0]])], ["c"]),
                                                ("UnfoldTensor", [], [[["a", "b"]], [["c", "d"]]])])
def test_contributed_movement_of_texts(op, inputs, wanted):
    """Strings were refused for each contributed operator."""
    import onager
    from onnx import TensorProto, helper

    names = [f"i{place}" for place in range(len(inputs))]
    infos = [helper.make_tensor_value_info("x", TensorProto.STRING, ["n", 2])]
    infos += [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape) for name, value in zip(names, inputs)]
    node = helper.make_node(op, ["x", *names], ["y"], domain="com.microsoft", **({"size": 2} if op == "UnfoldTensor" else {}))
    graph = helper.make_graph([node], "texts", infos, [helper.make_empty_tensor_value_info("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)], ir_version=10)
    feeds = {"x": np.array([["a", "b"], ["c", "d"]], object), **dict(zip(names, inputs))}
    assert onager.InferenceSession(model.SerializeToString()).run(None, feeds)[0].tolist() == wanted
