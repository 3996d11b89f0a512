"""Sizes that values decide: results that are views of another size, and sizes that no run may have."""
import numpy as np
import pytest
from onnx import parser

import onager

HEAD = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]> g '
LARGE = np.arange(300_000, dtype=np.float32)


def open_model(body: str, opt_level: int = 3) -> onager.InferenceSession:
    return onager.InferenceSession(parser.parse_model(HEAD + body).SerializeToString(), opt_level=opt_level, recompile="off")


@pytest.mark.parametrize("opt_level", [0, 3])
def test_results_may_be_views_of_sizes_that_values_decide(opt_level):
    session = open_model("""(float[n, 12] x, int64[2] target) => (float[a, b] y, float[n, 12] z, float[c] flat)
        { all = Constant<value_ints = [-1]>() z = Neg(x) y = Reshape(z, target) flat = Reshape(z, all) }""", opt_level)
    for rows, target, shape in [(2, (4, -1), (4, 6)), (1, (3, 4), (3, 4)), (3, (-1, 1), (36, 1)), (2, (0, 12), (2, 12))]:
        x = LARGE[:rows * 12].reshape(rows, 12)
        y, z, flat = session.run(None, {"x": x, "target": np.array(target)})
        assert np.array_equal(y, -x.reshape(shape)) and np.array_equal(z, -x) and np.array_equal(flat, -x.ravel())


# Each gives two elements or is refused, and must not write more than two before it says so.
TWO = {
    "of a call": "z, places = TopK(x, k) y = Reshape(z, two)",
    "of a unit": "z, places = TopK(x, k) w = Abs(z) y = Reshape(w, two)",
    "of a branch": "isLarge = Greater(k, two) one = Squeeze(isLarge, axis) z = If(one) <then_branch = a () => (float[p] t) { t, tp = TopK(x, k) }, else_branch = b () => (float[q] e) "
                   "{ e, ep = TopK(x, k) }> y = Reshape(z, two)",
    "returned twice": "z, places = TopK(x, k) y = Reshape(z, two) u = Reshape(z, two)",
    "of a broadcast": "ones = ConstantOfShape<value = float[1] {1}>(k) y = Reshape(ones, two)",
}


@pytest.mark.parametrize("opt_level", [0, 3])
@pytest.mark.parametrize("body", TWO.values(), ids=TWO)
def test_fixed_views_of_what_has_no_fixed_size_are_written_once_the_sizes_agree(body, opt_level):
    session = open_model("(float[n] x, int64[1] k) => (float[2] y) { two = Constant<value_ints = [2]>() axis = Constant<value_ints = [0]>() " + body + " }", opt_level)
    assert np.array_equal(session.run(None, {"x": LARGE[:5], "k": np.array([2])})[0], [1, 1] if "ones" in body else [4, 3])
    for k in (1, LARGE.size):
        with pytest.raises((RuntimeError, ValueError), match="node 'y': the number of elements before and after a reshape"):
            session.run(None, {"x": LARGE, "k": np.array([k])})


@pytest.mark.parametrize("opt_level", [0, 3])
@pytest.mark.parametrize("body", ["z = Neg(x) y = Reshape(z, shape)", "y = Reshape(x, shape)", "z = Reshape(x, shape) y = Neg(z)"])
def test_what_shapes_decide_is_compared_before_anything_is_written(body, opt_level):
    session = open_model("(float[n, 12] x) => (float[3, 4] y) { shape = Constant<value_ints = [3, 4]>() " + body + " }", opt_level)
    assert session.run(None, {"x": LARGE[:12].reshape(1, 12)})[0].shape == (3, 4)
    with pytest.raises((RuntimeError, ValueError), match="the number of elements before and after a reshape"):
        session.run(None, {"x": LARGE.reshape(-1, 12)})


# Nodes on a vector x of 4 elements and a number n that says a size.
SIZES = {
    "k": "y, places = TopK(x, n)",
    "a dim of the shape": "y = ConstantOfShape(n)",
    "the repeats": "y = Tile(x, n)",
    "a size": "one = Constant<value_ints = [1]>() sizes = Concat<axis = 0>(n, one) y, rest = Split(x, sizes)",
    "the depth": "places = Constant<value_ints = [0, 1]>() values = Constant<value_floats = [0.0, 1.0]>() y = OneHot(places, n, values)",
}


@pytest.mark.parametrize("opt_level", [0, 3])
@pytest.mark.parametrize(("what", "body"), SIZES.items(), ids=SIZES)
def test_negative_sizes_are_refused(what, body, opt_level):
    session = open_model("(float[4] x, int64[1] n) => (y) { " + body + " }", opt_level)
    session.run(None, {"x": LARGE[:4], "n": np.array([3])})
    with pytest.raises((RuntimeError, ValueError), match=f"{what}: expected 0 or more"):
        session.run(None, {"x": LARGE[:4], "n": np.array([-1])})
    with pytest.raises((RuntimeError, ValueError), match=f"{what}: expected 0 or more, found -3"):
        open_model("(float[4] x) => (y) { n = Constant<value_ints = [-3]>() " + body + " }", opt_level)


# `some` picks elements of a list by flags, so that only a run knows how many there are.
BY_LISTS = {
    "Slice by starts": ("y = Slice(x, some, ends, axes)", lambda x, some: x[some[0]:4, some[1]:5]),
    "Slice by ends": ("y = Slice(x, starts, some)", lambda x, some: x[:some[0], :some[1]]),
    "Slice by steps": ("far = Add(some, ends) y = Slice(x, some, far, , steps)", lambda x, some: x[some[0]::2, some[1]:]),
    "Pad": ("pads = Concat<axis = 0>(starts, some) y = Pad(x, pads)", lambda x, some: np.pad(x, ((0, some[0]), (0, some[1])))),
    "Pad of axes": ("pads = Concat<axis = 0>(starts, some) y = Pad(x, pads, , axes)", lambda x, some: np.pad(x, ((0, some[0]), (0, some[1])))),
    "Tile": ("y = Tile(x, some)", lambda x, some: np.tile(x, some)),
    "Resize": ("y = Resize<mode = \"nearest\", nearest_mode = \"floor\", coordinate_transformation_mode = \"asymmetric\">(x, , , some)",
               lambda x, some: x[np.arange(some[0]) * 4 // some[0]][:, np.arange(some[1]) * 5 // some[1]]),
}


def open_by_list(body: str, opt_level: int) -> onager.InferenceSession:
    return open_model("""(float[4, 5] x, int64[3] list, bool[3] flags) => (float[a, b] y) { starts = Constant<value_ints = [0, 0]>() ends = Constant<value_ints = [4, 5]>()
        axes = Constant<value_ints = [0, 1]>() steps = Constant<value_ints = [2, 1]>() some = Compress(list, flags) """ + body + " }", opt_level)


@pytest.mark.parametrize("opt_level", [0, 3])
@pytest.mark.parametrize(("body", "compute"), BY_LISTS.values(), ids=BY_LISTS)
def test_the_number_of_sizes_may_be_found_while_running(body, compute, opt_level):
    session, x = open_by_list(body, opt_level), LARGE[:20].reshape(4, 5)
    for flags in [(True, True, False), (True, False, True)]:
        numbers = np.array([1, 3, 2])
        (y,) = session.run(None, {"x": x, "list": numbers, "flags": np.array(flags)})
        np.testing.assert_array_equal(y, compute(x, numbers[list(flags)]))
    with pytest.raises((RuntimeError, ValueError), match="the number of|dims do not broadcast"):
        session.run(None, {"x": x, "list": numbers, "flags": np.array([True, True, True])})


@pytest.mark.parametrize("opt_level", [0, 3])
def test_as_many_dims_are_cut_as_a_run_gives_starts(opt_level):
    body = "far = Constant<value_ints = [100]>() count = Shape(some) limits = Expand(far, count) y = Slice(x, some, limits)"
    session, x = open_by_list(body, opt_level), LARGE[:20].reshape(4, 5)
    for flags, wanted in [((False, False, False), x), ((True, False, False), x[1:]), ((True, False, True), x[1:, 2:])]:
        np.testing.assert_array_equal(session.run(None, {"x": x, "list": np.array([1, 3, 2]), "flags": np.array(flags)})[0], wanted)


@pytest.mark.parametrize("opt_level", [0, 3])
@pytest.mark.parametrize("body, sizes, wanted", [("y = Tile(x, s)", [2, 1, 4], (0, 2, 12)), ("y = Expand(x, s)", [5, 1, 1, 1], (5, 0, 2, 3)), ("y = Pad(x, s)", [0, 1, 2, 0, 0, 1], (0, 3, 6)),
                                                 ("y = Reshape<allowzero = 1>(x, s)", [7, 0, 9], (7, 0, 9))])
def test_results_of_no_element_have_the_shape_that_values_decide(body, sizes, wanted, opt_level):
    import onager

    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g (float[0, 2, 3] x, int64[{len(sizes)}] s) => (float y) {{ {body} }}')
    session = onager.InferenceSession(model.SerializeToString(), opt_level=opt_level)
    assert session.run(None, {"x": np.zeros((0, 2, 3), np.float32), "s": np.array(sizes)})[0].shape == wanted
