"""Gradient against numerical differentiation in f64, with known and with symbolic dims."""
import numpy as np
import pytest
from onnx.parser import parse_model

from support.seeds import get_seed

HEAD = '<ir_version: 8, opset_import: ["" : {opset}, "ai.onnx.preview.training" : 1]>'
STEP = 1e-5


def _signature(shapes: dict, symbolic: bool) -> str:
    dims = {name: ",".join(f"{name}{k}" if symbolic else str(extent) for k, extent in enumerate(shape)) for name, shape in shapes.items()}
    return ", ".join(f"double[{inside}] {name}" if inside else f"double {name}" for name, inside in dims.items())


def _open(body: str, shapes: dict, xs: list, symbolic: bool, opset: int = 21, **options):
    import onager

    names = ", ".join(f'"{name}"' for name in xs)
    outputs = ", ".join(f"d{name}" for name in xs)
    text = f"{HEAD.format(opset=opset)} g ({_signature(shapes, symbolic)}) => (y, {outputs}) {{ {body}\n {outputs} = ai.onnx.preview.training.Gradient<xs = [{names}], y = \"y\">({', '.join(xs)}) }}"
    return onager.InferenceSession(parse_model(text).SerializeToString(), **options)


def _differentiate(session, feeds: dict, name: str) -> np.ndarray:
    """Central differences of the sum of y."""
    found = np.zeros_like(feeds[name])
    for place in np.ndindex(found.shape):
        sums = []
        for step in (STEP, -STEP):
            moved = feeds[name].copy()
            moved[place] += step
            sums.append(session.run(["y"], feeds | {name: moved})[0].sum())
        found[place] = (sums[0] - sums[1]) / (2 * STEP)
    return found


def check(body: str, shapes: dict, xs: list | None = None, low: float = -2, high: float = 2, **more) -> None:
    random = np.random.default_rng(get_seed())
    feeds = {name: random.uniform(low, high, shape) for name, shape in shapes.items()}
    for symbolic in (False, True):
        session = _open(body, shapes, xs or list(shapes), symbolic, **more)
        for name, gradient in zip(xs or shapes, session.run(None, feeds)[1:]):
            np.testing.assert_allclose(gradient, _differentiate(session, feeds, name), rtol=1e-5, atol=1e-7, err_msg=f"d{name}, {'symbolic' if symbolic else 'known'} dims")


@pytest.mark.parametrize("op", "Abs Neg Exp Sin Cos Tanh Sinh Cosh Asinh Atan Erf Sigmoid Relu Floor Ceil Round Sign Softplus Softsign Gelu HardSwish Mish Selu Elu Celu LeakyRelu HardSigmoid ThresholdedRelu Softmax LogSoftmax Swish".split())
def test_functions(op):
    check(f"t = {op}(x)\n y = Mul(t, w)", {"x": (3, 4), "w": (3, 4)}, opset=24 if op == "Swish" else 21)


@pytest.mark.parametrize("op, low, high", [("Log", 0.2, 3), ("Sqrt", 0.2, 3), ("Reciprocal", 0.5, 3), ("Tan", -1, 1), ("Asin", -0.9, 0.9), ("Acos", -0.9, 0.9), ("Acosh", 1.1, 3), ("Atanh", -0.9, 0.9)])
def test_functions_of_a_range(op, low, high):
    check(f"t = {op}(x)\n y = Mul(t, w)", {"x": (3, 4), "w": (3, 4)}, low=low, high=high)


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 4), (4,)), ((1, 4), (3, 1)), ((), (2, 3))])
@pytest.mark.parametrize("op", "Add Sub Mul Div Pow Min Max".split())
def test_operands_broadcast(op, shapes):
    check(f"t = {op}(a, b)\n y = Mul(t, t)", dict(zip("ab", shapes)), low=0.5, high=2)


def test_extents_that_show_while_running():
    """One artifact for extents that are repeated and for those that are not."""
    session = _open("t = Mul(a, b)\n y = Mul(t, t)", {"a": (3, 4), "b": (3, 4)}, ["a", "b"], True)
    random = np.random.default_rng(get_seed())
    for a, b in (((3, 4), (3, 4)), ((1, 4), (3, 1)), ((3, 1), (1, 1)), ((0, 4), (1, 4))):
        feeds = {"a": random.random(a), "b": random.random(b)}
        for name, gradient in zip("ab", session.run(None, feeds)[1:]):
            np.testing.assert_allclose(gradient, _differentiate(session, feeds, name), rtol=1e-5, atol=1e-7)


def test_equal_operands_share():
    session = _open("y = Max(a, b)", {"a": (2,), "b": (2,)}, ["a", "b"], False)
    _, left, right = session.run(None, {"a": np.array([1.0, 2]), "b": np.array([1.0, 1])})
    assert left.tolist() == [0.5, 1] and right.tolist() == [0.5, 0]


CONSTANTS = "i = Constant<value_ints = [2, 0, 2, -1]>()\n two = Constant<value_ints = [1, 2]>()\n pads = Constant<value_ints = [1, -1, 0, 2]>()\n minus = Constant<value_ints = [-1]>()\n zero = Constant<value_ints = [0]>()\n one = Constant<value_ints = [1]>()\n three = Constant<value_ints = [3]>()\n"
MOVES = {
    "Reshape": "t = Reshape(x, minus)", "Transpose": "t = Transpose<perm = [1, 0]>(x)", "Flatten": "t = Flatten<axis = 0>(x)", "Unsqueeze": "t = Unsqueeze(x, one)",
    "Expand": "s = Constant<value_ints = [2, 1, 1]>()\n t = Expand(x, s)", "Concat": "t = Concat<axis = 1>(x, x, x)", "Split": "a, b = Split<axis = 1, num_outputs = 2>(x)\n t = Mul(a, b)",
    "Slice": "t = Slice(x, one, three, one)", "Slice by steps": "s = Constant<value_ints = [-2]>()\n e = Constant<value_ints = [-9]>()\n t = Slice(x, three, e, one, s)",
    "Pad": "t = Pad(x, pads)", "Tile": "t = Tile(x, two)", "Gather": "t = Gather<axis = 1>(x, i)", "Gather rows": "t = Gather<axis = 0>(x, one)",
    "GatherElements": "j = Constant<value = int64[2, 4] {0, 1, 1, 0, 1, 1, 0, 0}>()\n t = GatherElements<axis = 0>(x, j)",
    "GatherND": "j = Constant<value = int64[3, 2] {0, 1, 1, 0, 0, 1}>()\n t = GatherND(x, j)",
    "ScatterElements": "j = Constant<value = int64[1, 4] {0, 1, 1, 0}>()\n u = Slice(x, zero, one, zero)\n q = Mul(u, u)\n t = ScatterElements<axis = 0>(x, j, q)",
    "ScatterND": "j = Constant<value = int64[2, 1] {1, 1}>()\n q = Mul(x, x)\n t = ScatterND<reduction = \"add\">(x, j, q)",
    "Where": "c = Greater(x, z)\n q = Exp(x)\n t = Where(c, x, q)", "CumSum": "t = CumSum<exclusive = 1>(x, one)", "Clip": "h = Constant<value_float = 1.0>()\n l = Cast<to = 11>(h)\n t = Clip(x, , l)",
    "Trilu": "t = Trilu(x)", "Einsum": "t = Einsum<equation = \"ij,kj->ik\">(x, x)",
}


@pytest.mark.parametrize("name", MOVES)
def test_movements(name):
    check(f"{CONSTANTS} z = Sub(x, x)\n {MOVES[name]}\n y = Mul(t, t)", {"x": (2, 4)})


@pytest.mark.parametrize("op", "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp".split())
@pytest.mark.parametrize("axes", [[1], [0, 2], [0, 1, 2]])
def test_reductions(op, axes):
    check(f"axes = Constant<value_ints = {axes}>()\n t = {op}<keepdims = 0>(x, axes)\n y = Mul(t, t)", {"x": (2, 3, 2)}, low=0.5, high=2)


def test_products_with_zeros():
    session = _open("y = ReduceProd<keepdims = 0>(x)", {"x": (2, 2)}, ["x"], False)
    assert session.run(None, {"x": np.array([[0.0, 2], [3, 4]])})[1].tolist() == [[24, 0], [0, 0]]


@pytest.mark.parametrize("a, b", [((2, 3), (3, 4)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 2, 3), (3, 4)), ((1, 2, 3), (5, 3, 4))])
def test_matrix_products(a, b):
    check("t = MatMul(a, b)\n y = Mul(t, t)", {"a": a, "b": b})


def test_gemm():
    check("t = Gemm<alpha = 0.5, beta = 2.0, transA = 1, transB = 1>(a, b, c)\n y = Exp(t)", {"a": (3, 2), "b": (4, 3), "c": (4,)}, low=-0.5, high=0.5)


@pytest.mark.parametrize("attributes", ["", "strides = [2, 1], pads = [1, 0, 2, 1]", "dilations = [2, 1], group = 2", "strides = [2, 3], dilations = [1, 2], group = 2, pads = [0, 2, 1, 0]"])
@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
def test_convolutions(op, attributes):
    group = 2 if "group" in attributes else 1
    filter = (4, 4 // group, 2, 2) if op == "Conv" else (4, 3, 2, 2)
    check(f"t = {op}<{attributes}>(x, f, b)\n y = Mul(t, t)".replace("<>", ""), {"x": (2, 4, 4, 5), "f": filter, "b": (4 if op == "Conv" else 3 * group,)}, low=-1, high=1)


@pytest.mark.parametrize("body", ["MaxPool<kernel_shape = [2, 2], strides = [2, 1], pads = [1, 0, 0, 1]>(x)", "AveragePool<kernel_shape = [2, 3], strides = [1, 2], pads = [1, 1, 0, 1]>(x)",
                                  "AveragePool<kernel_shape = [2, 3], count_include_pad = 1, pads = [1, 1, 0, 1]>(x)", "AveragePool<kernel_shape = [2, 2], ceil_mode = 1, strides = [2, 2]>(x)",
                                  "GlobalAveragePool(x)", "GlobalMaxPool(x)"])
def test_pooling(body):
    check(f"t = {body}\n y = Mul(t, t)", {"x": (2, 2, 4, 5)})


@pytest.mark.parametrize("body, shapes", [("LayerNormalization<axis = 1>(x, s, b)", {"x": (3, 4), "s": (4,), "b": (4,)}), ("InstanceNormalization(x, s, b)", {"x": (2, 3, 4), "s": (3,), "b": (3,)}),
                                          ("BatchNormalization(x, s, b, m, v)", {"x": (2, 3, 4), "s": (3,), "b": (3,), "m": (3,), "v": (3,)})])
def test_normalisations(body, shapes):
    check(f"t = {body}\n y = Mul(t, t)", shapes, low=0.5, high=2)


@pytest.mark.parametrize("body", ["SoftmaxCrossEntropyLoss(x, labels)", 'SoftmaxCrossEntropyLoss<reduction = "sum", ignore_index = 2>(x, labels)', 'NegativeLogLikelihoodLoss<reduction = "none">(x, labels)'])
def test_losses(body):
    check(f"labels = Constant<value = int64[3] {{1, 2, 0}}>()\n t = {body}\n y = Mul(t, t)", {"x": (3, 4)})


def test_a_loop_of_descent():
    """Least squares: the body of a loop computes a loss, its gradient and the next weights."""
    import onager

    text = HEAD.format(opset=21) + """ g (double[N,3] x, double[N,1] t, double[3,1] start) => (w) <int64 trips = {400}, double rate = {0.1}> {
      yes = Constant<value_int = 1>()
      go = Cast<to = 9>(yes)
      w = Loop<body = b (int64 i, bool more, double[3,1] v) => (bool again, double[3,1] next) {
        again = Identity(more)
        p = MatMul(x, v)
        e = Sub(p, t)
        q = Mul(e, e)
        loss = ReduceMean<keepdims = 0>(q)
        dv = ai.onnx.preview.training.Gradient<xs = ["v"], y = "loss">(v)
        step = Mul(dv, rate)
        next = Sub(v, step)
      }>(trips, go, start) }"""
    random = np.random.default_rng(get_seed())
    x, w = random.normal(size=(40, 3)), np.array([[1.0], [-2], [3]])
    found, = onager.InferenceSession(parse_model(text).SerializeToString()).run(None, {"x": x, "t": x @ w, "start": np.zeros((3, 1))})
    np.testing.assert_allclose(found, w, atol=1e-6)


def test_gradients_of_gradients():
    """Of (x^3 w): by x and w, and then the sum of 3 x^2 w by both."""
    import onager

    text = HEAD.format(opset=21) + """ g (double[N] x, double[N] w) => (a, b, c) {
      q = Mul(x, x)
      p = Mul(q, x)
      y = Mul(p, w)
      first = ai.onnx.preview.training.Gradient<xs = ["x"], zs = ["w"], y = "y">(x, w)
      a, b = ai.onnx.preview.training.Gradient<xs = ["x", "w"], y = "first">(x, w)
      c = ai.onnx.preview.training.Gradient<xs = ["q"], y = "y">(q) }"""
    x, w = np.array([1.0, -2, 3]), np.array([2.0, 1, 0.5])
    a, b, c = onager.InferenceSession(parse_model(text).SerializeToString()).run(None, {"x": x, "w": w})
    np.testing.assert_allclose(a, 6 * x * w)
    np.testing.assert_allclose(b, 3 * x**2)
    np.testing.assert_allclose(c, x * w)


def test_orders_are_limited():
    import onager

    steps = "\n".join(f'd{k + 1} = ai.onnx.preview.training.Gradient<xs = ["x"], y = "d{k}">(x)' for k in range(12))
    with pytest.raises(onager.CompileError, match="gradients of gradients are nested more than 4 deep"):
        onager.compile(parse_model(HEAD.format(opset=21) + f" g (double[N] x) => (d12) {{ d0 = Exp(x)\n {steps} }}").SerializeToString())


def test_at_other_values():
    """The inputs of Gradient may be other tensors than those that it names."""
    import onager

    text = HEAD.format(opset=21) + """ g (double[N] x, double[N] z, double[M] at, double[M] with) => (y, d) {
      p = Mul(x, x)
      y = Mul(p, z)
      d = ai.onnx.preview.training.Gradient<xs = ["x"], zs = ["z"], y = "y">(at, with) }"""
    session = onager.InferenceSession(parse_model(text).SerializeToString())
    at, other = np.array([3.0, 5]), np.array([2.0, 0.5])
    _, d = session.run(None, {"x": np.ones(3), "z": np.ones(3), "at": at, "with": other})
    np.testing.assert_allclose(d, 2 * at * other)


def test_constants_are_variables_too():
    import onager

    text = HEAD.format(opset=21) + """ g () => (y, d) <double[2] w = {3.0, 4.0}> {
      t = Mul(w, w)
      y = Neg(t)
      d = ai.onnx.preview.training.Gradient<xs = ["w"], y = "y">(w) }"""
    y, d = onager.InferenceSession(parse_model(text).SerializeToString()).run(None, {})
    assert y.tolist() == [-9, -16] and d.tolist() == [-6, -8]


def test_what_does_not_depend_is_zero():
    session = _open("y = Neg(b)", {"a": (2, 3), "b": (2,)}, ["a", "b"], True)
    _, a, b = session.run(None, {"a": np.ones((2, 3)), "b": np.ones(2)})
    assert a.tolist() == [[0] * 3] * 2 and b.tolist() == [-1, -1]


@pytest.mark.parametrize("body, reason", [
    ("[sort] y, i = TopK(a, k)", "there is no derivative of 'graph.call', which node 'sort' became"),
    ("[choose] y = If<then_branch = t () => (p) { p = Neg(a) }, else_branch = e () => (q) { q = Exp(a) }>(c)", "there is no derivative of 'graph.if', which node 'choose' became"),
    ("[wrap] y = Pad<mode = \"reflect\">(a, pads)", "there is no derivative of padding by elements, which node 'wrap' does"),
    ("y = Shape(a)", "'y', the target, is no tensor of floats that a node before gives")])
def test_refusals(body, reason):
    import onager

    text = HEAD.format(opset=21) + f" g (double[N] a, int64[1] k, bool c) => (d) {{ pads = Constant<value_ints = [1, 1]>()\n {body}\n [gradient] d = ai.onnx.preview.training.Gradient<xs = [\"a\"], y = \"y\">(a) }}"
    with pytest.raises(onager.CompileError) as caught:
        onager.compile(parse_model(text).SerializeToString())
    assert f"node 'gradient' (op Gradient, domain ai.onnx.preview.training, opset 1): {reason}" in str(caught.value)


def test_names_must_fit_the_inputs():
    import onager

    text = HEAD.format(opset=21) + ' g (double[N] a) => (d) { y = Neg(a)\n d = ai.onnx.preview.training.Gradient<xs = ["a"], zs = ["b"], y = "y">(a) }'
    with pytest.raises(onager.CompileError, match="1 inputs and 1 outputs for 1 names in xs and 1 in zs"):
        onager.compile(parse_model(text).SerializeToString())
