"""What the command line says and makes of the symbols of a model's inputs: limits, variants, artifacts with other variants."""
import json

import numpy as np
import onnx
import pytest

import onager
from support.places import ONAGER
from support.tool import expect_error, run_command, run_onager

MODEL = """<ir_version: 10, opset_import: ["" : 21]>
g (float[batch, seq, 8] x, float[batch, bias] b) => (float[batch, seq, 8] y)
<float[8, 8] w = {%s}>
{ m = MatMul(x, w) y = Softmax<axis = 1>(m) unused = Relu(b) }""" % ", ".join(str(k % 7 - 3) for k in range(64))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_text(MODEL)
    return path


def inspect(path) -> dict:
    return json.loads(run_command(ONAGER, "inspect", path, "--json"))


def compile_model(model, path, *options):
    run_command(ONAGER, "compile", model, "-o", path, *options)
    return path


def make_feeds(batch: int, seq: int, bias: int = 3) -> dict[str, np.ndarray]:
    random = np.random.default_rng(batch * 1000 + seq)
    return {"x": random.uniform(-1, 1, (batch, seq, 8)).astype(np.float32), "b": np.zeros((batch, bias), np.float32)}


def test_limits_are_kept_by_runs(model, tmp_path):
    path = compile_model(model, tmp_path / "limited.so", "--dim", "batch=1:4", "--dim", "seq=8:64:8")
    assert inspect(path)["limits"] == "batch=1:4,seq=8:64:8"
    session = onager.InferenceSession(path, recompile="off")
    session.run(None, make_feeds(4, 64))
    for feeds, said in [(make_feeds(5, 8), r"input 'x': dim 0 \(batch\): expected batch=1:4, found 5"), (make_feeds(0, 8), r"expected batch=1:4, found 0"),
                        (make_feeds(1, 72), r"input 'x': dim 1 \(seq\): expected seq=8:64:8, found 72"), (make_feeds(1, 12), r"dim 1 \(seq\): expected seq=8:64:8, found 12")]:
        with pytest.raises(ValueError, match=said):
            session.run(None, feeds)
    # The limits hold for what the model may be given, whichever code runs.
    session = onager.InferenceSession(path, recompile="lazy")
    session.warm_up(make_feeds(1, 16))
    with pytest.raises(ValueError, match="expected batch=1:4, found 5"):
        session.run(None, make_feeds(5, 16))


def test_a_dim_may_be_fixed(model, tmp_path):
    path = compile_model(model, tmp_path / "fixed.so", "--dim", "batch=2")
    assert inspect(path)["inputs"][0]["shape"] == [2, "seq", 8]
    with pytest.raises(ValueError, match=r"input 'x': dim 0 \(2\): expected 2, found 3"):
        onager.InferenceSession(path, recompile="off").run(None, make_feeds(3, 5))


def test_likely_shapes_become_variants(model, tmp_path):
    path = compile_model(model, tmp_path / "likely.so", "--likely", "batch=1,seq=16", "--likely", "batch=8", "--variants=auto")
    assert [variant["guard"] for variant in inspect(path)["variants"]] == ["batch=1,seq=16", "batch=8"]
    path = compile_model(model, tmp_path / "named.so", "--variants=auto")
    assert [variant["guard"] for variant in inspect(path)["variants"]] == ["batch=1"], "without hints, a batch of one is"


def test_what_does_not_fit_is_said(model, tmp_path):
    for option, value, said in [("--variant", "width=3", "unknown symbol 'width'"), ("--variant", "seq=9:3", "no value of 'seq'"), ("--variant", "seq", "expected SYMBOL=VALUE"),
                                ("--dim", "seq=a", "expected a number, MIN:MAX or a symbol"), ("--dim", "seq=batch+1", "found a symbol"), ("--dim", "seq=1:2:0", "expected MIN:MAX")]:
        found = run_onager("compile", model, "-o", tmp_path / "none.so", option, value)
        expect_error(found, 2, said)
        assert not (tmp_path / "none.so").exists()


@pytest.mark.parametrize("emit", ["so", "exe"])
def test_artifacts_get_variants_later(model, tmp_path, monkeypatch, emit):
    monkeypatch.setenv("ONAGER_CACHE_DIR", str(tmp_path / "cache"))
    plain = compile_model(model, tmp_path / "plain.so", f"--emit={emit}")
    session = onager.InferenceSession(plain, recompile="lazy") if emit == "so" else None
    if session:
        session.warm_up(make_feeds(1, 24))
    more = tmp_path / "more.so"
    run_command(ONAGER, "respecialize", plain, "-o", more, "--variant", "batch=2", *(["--from-cache"] if session else []))
    guards = [variant["guard"] for variant in inspect(more)["variants"]]
    assert guards == (["batch=2", "batch=1,seq=24,bias=3"] if session else ["batch=2"])
    again = tmp_path / "again.so"
    run_command(ONAGER, "respecialize", more, "-o", again, "--variant", "batch=2")
    assert again.read_bytes() == more.read_bytes(), "a variant is there once, and what was there stays"
    run_command(ONAGER, "respecialize", more, "-o", again, "--drop")
    assert again.read_bytes() == plain.read_bytes()
    if session:
        generic, special = onager.InferenceSession(plain, recompile="off"), onager.InferenceSession(more, recompile="off")
        for batch, seq in [(1, 24), (2, 5), (3, 5)]:
            assert np.allclose(generic.run(None, make_feeds(batch, seq))[0], special.run(None, make_feeds(batch, seq))[0], rtol=1e-4, atol=1e-6)
        assert special.stats()["hits"] == 2


# `steps` chooses a branch, `k` a size, `target` a shape; `scale` is data.
VALUES = """<ir_version: 10, opset_import: ["" : 21]>
g (float[batch, 12] x, int64 steps, int64[1] k, int64[2] target, int64 scale) => (float[a, b] y, float[batch, c] top, int64 kept)
{ two = Constant<value_int = 2>() kept = Mul(scale, two)
  isTwo = Equal(steps, two)
  z = If(isTwo) <then_branch = g1 () => (float[batch, 12] t) { t = Exp(x) }, else_branch = g2 () => (float[batch, 12] e) { e = Neg(x) }>
  y = Reshape(z, target) top, places = TopK(x, k) }"""


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    path = tmp_path_factory.mktemp("values") / "values.onnx"
    path.write_text(VALUES)
    return path


def make_values(steps: int, k: int, target: tuple[int, int], batch: int = 2) -> dict[str, np.ndarray]:
    x = np.random.default_rng(batch).permutation(batch * 12).reshape(batch, 12).astype(np.float32) / 12
    return {"x": x, "steps": np.array(steps), "k": np.array([k]), "target": np.array(target), "scale": np.array(5)}


def check_values(session, feeds) -> None:
    x = feeds["x"]
    y, top, kept = session.run(None, feeds)
    assert np.allclose(y, (np.exp(x) if feeds["steps"] == 2 else -x).reshape(feeds["target"]), rtol=1e-5)
    assert np.array_equal(top, np.sort(x)[:, ::-1][:, :feeds["k"][0]]) and kept == 10


def test_values_of_inputs_make_variants(values, tmp_path):
    options = ["--variant", "steps=2", "--likely", "batch=2,k=3,target[0]=4,target[1]=-1", "--variants=auto"]
    path = compile_model(values, tmp_path / "values.so", *options)
    found = inspect(path)
    assert found["deciding"] == ["steps[0]", "k[0]", "target[0]", "target[1]"]
    guards = [variant["guard"] for variant in found["variants"]]
    assert guards == ["steps[0]=2", "batch=2,k[0]=3,target[0]=4,target[1]=-1"]
    assert "values that decide: steps[0] k[0] target[0] target[1]" in run_command(ONAGER, "inspect", path)
    session = onager.InferenceSession(path, recompile="off")
    hits = 0
    for steps, k, target, batch, hit in [(2, 5, (3, -1), 1, 1), (1, 5, (3, -1), 1, 0), (1, 3, (4, -1), 2, 1), (1, 3, (-1, 4), 2, 0), (1, 4, (4, -1), 2, 0), (2, 3, (4, -1), 2, 1), (0, 1, (1, 12), 1, 0)]:
        check_values(session, make_values(steps, k, target, batch))
        hits += hit
        assert session.stats()["hits"] == hits, (steps, k, target, batch)


def test_a_value_that_the_model_refuses_is_refused_by_a_variant(values, tmp_path):
    session = onager.InferenceSession(compile_model(values, tmp_path / "values.so", "--variant", "steps=2"), recompile="off")
    for k, target in [(13, (4, 6)), (-1, (4, 6)), (3, (5, -1))]:
        messages = []
        for steps in (1, 2):
            with pytest.raises((RuntimeError, ValueError)) as error:
                session.run(None, make_values(steps, k, target))
            messages.append(str(error.value))
        assert messages[0] == messages[1], "the variant says what the generic form says"
    assert session.stats()["hits"] == 3
    expect_error(run_onager("compile", values, "-o", tmp_path / "none.so", "--variant", "target[0]=-7,target[1]=2"), 2, "every run would be refused", "node 'y'")


def test_what_guards_say_of_values_wrongly_is_said(values, tmp_path):
    plain = compile_model(values, tmp_path / "plain.so")
    for guard, said in [("target=3", "input 'target' has several elements"), ("target[2]=3", "input 'target' has 2 elements"), ("scale=3", "input 'scale' decides no shape and no branch"),
                        ("x=3", "input 'x' decides no shape and no branch"), ("k=a", "expected a number, MIN:MAX or a symbol"), ("k=1,k=2", "no value of 'k[0]'"), ("batch=-1", "expected a number")]:
        expect_error(run_onager("compile", values, "-o", tmp_path / "none.so", "--variant", guard), 2, said)
    expect_error(run_onager("respecialize", plain, "-o", tmp_path / "none.so", "--variant", "scale=3"), 2, "unknown symbol 'scale'")
    expect_error(run_onager("compile", values, "-o", tmp_path / "none.so", "--dim", "steps=2"), 2, "unknown symbol 'steps'")
    assert not (tmp_path / "none.so").exists()


def test_artifacts_get_variants_for_values_later(values, tmp_path, monkeypatch):
    monkeypatch.setenv("ONAGER_CACHE_DIR", str(tmp_path / "cache"))
    plain = compile_model(values, tmp_path / "plain.so")
    onager.InferenceSession(plain).warm_up(make_values(2, 3, (4, 6)))
    more = tmp_path / "more.so"
    run_command(ONAGER, "respecialize", plain, "-o", more, "--variant", "k=5", "--from-cache")
    assert [variant["guard"] for variant in inspect(more)["variants"]] == ["k[0]=5", "batch=2,steps[0]=2,k[0]=3,target[0]=4,target[1]=6"]
    session = onager.InferenceSession(more, recompile="off")
    for feeds in (make_values(2, 3, (4, 6)), make_values(1, 5, (6, 4)), make_values(1, 6, (6, 4))):
        check_values(session, feeds)
    assert session.stats()["hits"] == 2


def test_portable_artifacts_have_variants_of_each_level(model, tmp_path):
    path = compile_model(model, tmp_path / "portable.so", "--target=portable", "--variant", "batch=1,seq=16")
    generic, session = onager.InferenceSession(compile_model(model, tmp_path / "native.so"), recompile="off"), onager.InferenceSession(path)
    assert np.allclose(session.run(None, make_feeds(1, 16))[0], generic.run(None, make_feeds(1, 16))[0], rtol=1e-4, atol=1e-6) and session.stats()["hits"] == 1
    session.warm_up(make_feeds(2, 16))
    assert session.stats()["compiled"] == 1


def test_variants_with_weights_in_another_file(model, tmp_path):
    path = compile_model(model, tmp_path / "apart.so", "--weights=separate", "--variant", "batch=1")
    session = onager.InferenceSession(path)
    session.warm_up(make_feeds(2, 16))
    assert session.stats()["compiled"] == 1
    generic = onager.InferenceSession(compile_model(model, tmp_path / "whole.so"), recompile="off")
    for batch in (1, 2):
        assert np.allclose(session.run(None, make_feeds(batch, 16))[0], generic.run(None, make_feeds(batch, 16))[0], rtol=1e-4, atol=1e-6)
    expect_error(run_onager("respecialize", path, "-o", tmp_path / "more.so", "--variant", "batch=3"), 4, "has its weights in another file")


def test_artifacts_that_cannot_get_any(model, tmp_path):
    path = compile_model(model, tmp_path / "bare.so", "--no-recompile")
    expect_error(run_onager("respecialize", path, "-o", tmp_path / "more.so", "--variant", "batch=1"), 4, "does not carry what variants are made of")
    expect_error(run_onager("respecialize", model, "-o", tmp_path / "more.so"), 4, "is not an Onager artifact")
    path = compile_model(model, tmp_path / "model.so")
    expect_error(run_onager("respecialize", path, "-o", tmp_path / "more.so", "--variant", "width=1"), 2, "unknown symbol 'width'")
    expect_error(run_onager("respecialize", path, "-o", tmp_path / "none" / "more.so", "--variant", "batch=1"), 4, "cannot create a file")


def test_runs_may_ask_for_code_of_their_shapes(model, tmp_path, monkeypatch):
    monkeypatch.setenv("ONAGER_CACHE_DIR", str(tmp_path / "cache"))
    path = compile_model(model, tmp_path / "model.so")
    inputs = ["--input", "random", "--dim", "batch=1", "--dim", "seq=5", "--seed", "3", "--json"]
    outputs = [json.loads(run_command(ONAGER, "run", path, *inputs, "--recompile", mode))["outputs"] for mode in ("off", "lazy", "frozen")]
    assert outputs[0][0]["shape"] == [1, 5, 8] and all(np.allclose(one[0]["mean"], outputs[0][0]["mean"]) for one in outputs)
    assert "1 entries" in run_command(ONAGER, "cache", "list")
    expect_error(run_onager("run", path, *inputs, "--recompile", "always"), 2, "--recompile")


@pytest.mark.parametrize("command, more", [("run", []), ("bench", ["--seconds", "0.05"])])
def test_the_environment_chooses_the_mode_where_no_option_does(model, tmp_path, monkeypatch, command, more):
    monkeypatch.setenv("ONAGER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ONAGER_RECOMPILE", raising=False)
    inputs = [command, compile_model(model, tmp_path / "model.so"), "--input", "random", "--dim", "batch=1", "--dim", "seq=5", *more]

    def read_stats(*options):
        return json.loads(run_command(ONAGER, *inputs, "--json", *options)).get("recompilation")

    assert read_stats() is None and "recompilation" not in run_command(ONAGER, *inputs)
    stats = read_stats("--recompile", "lazy", "--check-variants")
    assert stats["mode"] == "lazy" and stats["compiled"] == 1 and stats["hits"] >= 1 and stats["misses"] == 0 and stats["compile_seconds"] > 0
    monkeypatch.setenv("ONAGER_RECOMPILE", "frozen")
    assert read_stats()["loaded"] == 1 and read_stats("--recompile", "off") is None and read_stats("--recompile", "eager")["mode"] == "eager"
    assert "\nrecompilation frozen: " in run_command(ONAGER, *inputs) and "1 loaded, 0 failed" in run_command(ONAGER, *inputs)
    monkeypatch.setenv("ONAGER_RECOMPILE", "")
    assert read_stats() is None
    monkeypatch.setenv("ONAGER_RECOMPILE", "maybe")
    expect_error(run_onager(*inputs), 2, "ONAGER_RECOMPILE: expected off, lazy, eager or frozen, found 'maybe'")
    assert read_stats("--recompile", "off") is None


def test_a_variant_that_fails_is_a_failure_where_an_option_asks_for_it(model, tmp_path, monkeypatch):
    monkeypatch.setenv("ONAGER_COMPILER", "/nowhere")
    monkeypatch.setenv("ONAGER_CACHE_DIR", str(tmp_path / "cache"))
    inputs = ["run", compile_model(model, tmp_path / "model.so"), "--input", "random", "--dim", "batch=1", "--dim", "seq=5"]
    assert run_onager(*inputs, "--recompile", "lazy").returncode == 4
    monkeypatch.setenv("ONAGER_RECOMPILE", "lazy")
    found = run_onager(*inputs)
    assert found.returncode == 0 and found.stderr.startswith("onager: warning: no compiler was found") and "recompilation lazy: 0 runs of variants, 1 of the generic form" in found.stdout
    # An artifact that variants cannot be made of runs as it is.
    bare = run_onager("run", compile_model(model, tmp_path / "bare.so", "--no-recompile"), *inputs[2:])
    assert bare.returncode == 0 and "recompilation" not in bare.stdout and not bare.stderr


def _write_convolution(path):
    """For planes of unknown size filters are transformed (Winograd's form); for small ones the direct form would be faster."""
    random = np.random.default_rng(4)
    model = onnx.parser.parse_model('<ir_version: 10, opset_import: ["" : 18]> g (float[1, 96, H, W] x) => (float[1, 24, H, W] y) { y = Conv<pads = [1, 1, 1, 1]>(x, w) }')
    model.graph.initializer.append(onnx.numpy_helper.from_array(random.standard_normal((24, 96, 3, 3)).astype(np.float32), "w"))
    onnx.save(model, path)
    return {f"H={size},W={size}": {"x": random.standard_normal((1, 96, size, size)).astype(np.float32)} for size in (2, 4, 10, 40)}


def _write_product_of_bytes(path):
    """Where the target multiplies tiles of bytes, many rows take them, and few do not."""
    random = np.random.default_rng(4)
    text = """<ir_version: 10, opset_import: ["" : 18]> g (float[N, 128] x) => (float[N, 64] y) <float s = {0.02}, uint8 z = {128}, int8 n = {0}>
    { q = QuantizeLinear(x, s, z) a = DequantizeLinear(q, s, z) b = DequantizeLinear(w, s, n) m = MatMul(a, b) r = QuantizeLinear(m, s, z) y = DequantizeLinear(r, s, z) }"""
    model = onnx.parser.parse_model(text)
    model.graph.initializer.append(onnx.numpy_helper.from_array(random.integers(-9, 9, (128, 64)).astype(np.int8), "w"))
    onnx.save(model, path)
    return {f"N={rows}": {"x": random.uniform(-1, 1, (rows, 128)).astype(np.float32)} for rows in (1, 3, 8, 30)}


@pytest.mark.parametrize("write", [_write_convolution, _write_product_of_bytes])
def test_weights_of_variants_can_be_made(write, tmp_path):
    """The artifact holds weights in the form of unknown dims alone, from which no other can be made."""
    feeds = write(tmp_path / "model.onnx")
    path = compile_model(tmp_path / "model.onnx", tmp_path / "model.so")
    generic = onager.InferenceSession(path, recompile="off")
    for guard, x in feeds.items():
        run_command(ONAGER, "respecialize", path, "-o", tmp_path / "more.so", "--variant", guard)
        session = onager.InferenceSession(tmp_path / "more.so", recompile="off")
        np.testing.assert_allclose(session.run(None, x)[0], generic.run(None, x)[0], rtol=1e-4, atol=1e-4)
        assert session.stats()["hits"] == 1
