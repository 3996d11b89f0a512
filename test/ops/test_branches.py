"""If with branches of different rank: the rest of the graph follows in both, and a way that does not fit stops the run."""
import json

import numpy as np
import pytest

from support.samples import parse

HEAD = '<ir_version: 10, opset_import: ["" : 21]>'
SQUEEZE = """one = Constant<value_ints = [1]>()
      last = Constant<value_ints = [-1]>()
      shape = Shape(x)
      extent = Gather(shape, last)
      is_one = Equal(extent, one)
      r = If<then_branch = then () => (float[N] a) { a = Squeeze(x, last) }, else_branch = other () => (float[N,M] b) { b = Identity(x) }>(is_one)"""


def _open(text: str):
    import onager

    return onager.InferenceSession(parse(text).SerializeToString())


def test_both_ways_reach_the_result():
    session = _open(f"(float[N,M] x) => (float[K] y) {{ {SQUEEZE}\n s = Neg(r)\n minus = Constant<value_ints = [-1]>()\n y = Reshape(s, minus) }}")
    for shape in ((3, 1), (3, 2)):
        x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        np.testing.assert_array_equal(session.run(None, {"x": x})[0], -x.ravel())


def test_a_way_that_does_not_fit_stops_the_run():
    session = _open(f"(float[N,M] x, float[3,3] w) => (float[K,L] y) {{ {SQUEEZE}\n zero = Constant<value_ints = [0]>()\n s = Concat<axis = 1>(r, w)\n y = Neg(s) }}")
    x, w = np.ones((3, 2), np.float32), np.zeros((3, 3), np.float32)
    np.testing.assert_array_equal(session.run(None, {"x": x, "w": w})[0], -np.hstack([x, w]))
    with pytest.raises(Exception, match="axis 1 is outside rank 1"):
        session.run(None, {"x": x[:, :1], "w": w})


BRANCHES = """(float[4,6] x, bool wide) => (float[R,C] y) {
    shape = Constant<value_ints = [6, 4]>() other = Constant<value_ints = [5, 4]>()
    y = If<then_branch = then () => (float[A,B] a) { a = Reshape(x, %s) }, else_branch = rest () => (float[C,D] b) { b = Reshape(x, %s) }>(wide) }"""


@pytest.mark.parametrize("fits", [True, False])
@pytest.mark.parametrize("opt_level", [0, 3])
def test_a_branch_that_does_not_fit_the_shapes_stops_the_run(fits, opt_level, tmp_path):
    import onager

    model, report = parse(BRANCHES % (("shape", "other") if fits else ("other", "shape"))).SerializeToString(), []
    session = onager.InferenceSession(onager.compile(model, tmp_path / "m.so", opt_level=opt_level, report=report))
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_array_equal(session.run(None, {"x": x, "wide": np.array(fits)})[0], x.reshape(6, 4))
    with pytest.raises(Exception, match="Reshape"):
        session.run(None, {"x": x, "wide": np.array(not fits)})
    reasons = json.loads(report[0])["branches_that_stop"]
    assert len(reasons) == 1 and "Reshape" in reasons[0]


def test_branches_that_both_do_not_fit_are_refused():
    import onager

    with pytest.raises(onager.CompileError, match="Reshape") as refusal:
        _open(BRANCHES % ("other", "other"))
    assert str(refusal.value).count("Reshape") == 2


def test_a_branch_that_fits_must_give_all_values():
    import onager

    with pytest.raises(onager.CompileError, match="another number of values"):
        _open((BRANCHES % ("shape", "other")).replace("y = If", "y, z = If"))


def test_results_of_different_rank_are_refused():
    import onager

    with pytest.raises(onager.CompileError, match="different rank or element type"):
        _open(f"(float[N,M] x) => (y) {{ {SQUEEZE}\n y = Neg(r) }}")


@pytest.mark.parametrize("dims, fits, breaks, rank", [("K,L", (3, 2), (3, 1), 1), ("K", (3, 1), (3, 2), 2)])
def test_a_way_to_another_rank_than_the_declared_one_stops_the_run(dims, fits, breaks, rank):
    session = _open(f"(float[N,M] x) => (float[{dims}] y) {{ {SQUEEZE}\n y = Neg(r) }}")
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(session.run(None, {"x": x[:, :fits[1]]})[0].ravel(), -x[:, :fits[1]].ravel())
    with pytest.raises(Exception, match=f"its branch gives 'y' rank {rank}, the model declares rank {3 - rank}"):
        session.run(None, {"x": x[:, :breaks[1]]})


@pytest.mark.parametrize("opt_level", [0, 3])
def test_a_loop_may_declare_its_number_and_condition_as_vectors(opt_level):
    import onager

    text = """(float[4,2] x, int64 trips) => (float[N,1,2] rows) { yes = Constant<value = bool {1}>() one = Constant<value_ints = [1]>()
        rows = Loop<body = body (int64[1] i, bool[1] go) => (bool[1] again, float[1,2] row) { end = Add(i, one) row = Slice(x, i, end) again = Identity(go) }>(trips, yes) }"""
    session, x = onager.InferenceSession(parse(text).SerializeToString(), opt_level=opt_level), np.arange(8, dtype=np.float32).reshape(4, 2)
    for trips in (1, 2, 4):
        np.testing.assert_array_equal(session.run(None, {"x": x, "trips": np.array(trips)})[0], x[:trips, None])


def _take(name: str, body: str, result: str) -> str:
    """An If whose branch is known; the other one does nothing."""
    return f"{name} = If<then_branch = known_{name} () => ({result}) {{ {body} }}, else_branch = other_{name} () => (float[N,M] no_{name}) {{ no_{name} = Neg(x) }}>(yes)"


YES = "number = Constant<value_int = 1>()\n yes = Cast<to = 9>(number)"
TAKEN = _take("outer", _take("inner", f"{SQUEEZE}\n t = Neg(r)", "t") + "\n u = Exp(inner)", "u")


@pytest.mark.parametrize("form", ["symbolic", "O0"])
def test_ways_go_on_behind_the_known_branches_around(form):
    import onager

    text = f"(float[N,M] x, float[K] w) => (float[L] y, float[K] z) {{ {YES}\n {TAKEN}\n minus = Constant<value_ints = [-1]>()\n s = Reshape(outer, minus)\n z = Neg(w)\n y = Log(s) }}"
    session = onager.InferenceSession(parse(text).SerializeToString(), **({"opt_level": 0} if form == "O0" else {}))
    for shape in ((3, 1), (3, 2)):
        x, w = np.arange(np.prod(shape), dtype=np.float32).reshape(shape), np.ones(5, np.float32)
        y, z = session.run(None, {"x": x, "w": w})
        np.testing.assert_allclose(y, -x.ravel(), rtol=1e-5)
        np.testing.assert_array_equal(z, -w)


def test_results_of_different_rank_behind_known_branches_are_refused():
    import onager

    with pytest.raises(onager.CompileError, match="node 'r' .*different rank or element type"):
        _open(f"(float[N,M] x) => (y) {{ {YES}\n {TAKEN}\n y = Neg(outer) }}")
