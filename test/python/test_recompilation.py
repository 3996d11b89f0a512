"""Variants made while a model runs: what they compute, when they come, what they survive."""
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import onager
from python.models import make_text
from support.places import BUILD

TOOL = BUILD / "bin" / "onager"

# Two products, a softmax over the sequence, a broadcast, a residual; batch and sequence are symbols.
TEXT = """(float[batch, seq, 16] x, float[16, 16] unused) => (float[batch, seq, 16] y, float[batch, seq, seq] p)"""
NODES = """
w = Constant<value = float[16, 16] {%s}>()
a = MatMul(x, w)
t = Transpose<perm = [0, 2, 1]>(a)
s = MatMul(a, t)
p = Softmax<axis = -1>(s)
m = MatMul(p, a)
b = Add(m, x)
y = Relu(b)
"""


def make_model() -> bytes:
    weights = np.random.default_rng(0).uniform(-0.5, 0.5, 256)
    return make_text(TEXT, NODES % ", ".join(f"{value:.4f}" for value in weights))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return onager.compile(make_model(), tmp_path_factory.mktemp("model") / "model.so")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ONAGER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ONAGER_RECOMPILE", raising=False)
    return tmp_path / "cache"


def make_feeds(batch: int, seq: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {"x": random.uniform(-1, 1, (batch, seq, 16)).astype(np.float32), "unused": np.zeros((16, 16), np.float32)}


def agree(found, expected) -> bool:
    return all(a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(found, expected, strict=True))


def wait_for(session, name: str, count: int = 1, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while session.stats()[name] < count:
        assert time.monotonic() < end, session.stats()
        time.sleep(0.01)


@pytest.mark.parametrize("batch, seq", [(1, 1), (1, 7), (2, 64), (3, 16), (0, 5), (2, 0)])
def test_a_variant_gives_what_the_generic_form_gives(artifact, batch, seq):
    generic, session = onager.InferenceSession(artifact, recompile="off"), onager.InferenceSession(artifact, threads=2)
    feeds = make_feeds(batch, seq)
    session.warm_up(feeds)
    stats = session.stats()
    assert stats["compiled"] == 1 and stats["variants"] == 1 and stats["hits"] == 1 and stats["misses"] == 0, stats
    assert agree(session.run(None, feeds), generic.run(None, feeds))
    # Other shapes are the generic form's.
    other = make_feeds(batch + 1, seq + 2)
    assert agree(session.run(None, other), generic.run(None, other))
    assert session.stats()["misses"] == 1


def test_eager_sessions_make_variants_of_what_they_meet(artifact):
    generic, session = onager.InferenceSession(artifact, recompile="off"), onager.InferenceSession(artifact, threads=1, recompile="eager")
    for seq in (3, 4):
        assert agree(session.run(None, make_feeds(1, seq)), generic.run(None, make_feeds(1, seq)))
    wait_for(session, "compiled", 2)
    for seq in (3, 4, 5):
        assert agree(session.run(None, make_feeds(1, seq)), generic.run(None, make_feeds(1, seq)))
    stats = session.stats()
    assert stats["hits"] == 2 and stats["misses"] == 3 and stats["variants"] >= 2, stats


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_variants_may_be_made_in_the_process_itself(artifact, monkeypatch, by):
    # The compiler is in this process already, with ONNX's messages: the library must do without them.
    monkeypatch.setenv("ONAGER_COMPILER", "/nowhere")
    if by == "environment":
        monkeypatch.setenv("ONAGER_COMPILER_LIBRARY", "")
    generic = onager.InferenceSession(artifact, recompile="off")
    session = onager.InferenceSession(artifact, threads=1, compiler_library="" if by == "argument" else None)
    for batch, seq in [(1, 7), (3, 16)]:
        feeds = make_feeds(batch, seq)
        session.warm_up(feeds)
        assert agree(session.run(None, feeds), generic.run(None, feeds))
    assert session.stats()["compiled"] == 2 and session.stats()["misses"] == 0
    assert onager.compile(make_model()), "the process can still compile"


def test_later_sessions_load_what_earlier_ones_made(artifact, own_cache):
    first = onager.InferenceSession(artifact, recompile="lazy")
    first.warm_up(make_feeds(1, 8))
    assert len(list(own_cache.rglob("*.variant"))) == 1
    for mode in ("lazy", "frozen", "eager"):
        second = onager.InferenceSession(artifact, recompile=mode)
        stats = second.stats()
        assert stats["loaded"] == 1 and stats["compiled"] == 0, (mode, stats)
        assert agree(second.run(None, make_feeds(1, 8)), first.run(None, make_feeds(1, 8)))
        assert second.stats()["hits"] == 1
    assert onager.InferenceSession(artifact, recompile="off").stats()["variants"] == 0


def test_the_environment_chooses_the_mode(artifact, monkeypatch):
    for mode in ("off", "lazy", "eager", "frozen"):
        monkeypatch.setenv("ONAGER_RECOMPILE", mode)
        assert onager.InferenceSession(artifact).stats()["mode"] == mode
    assert onager.InferenceSession(artifact, recompile="off").stats()["mode"] == "off"
    monkeypatch.setenv("ONAGER_RECOMPILE", "sometimes")
    with pytest.raises(ValueError, match="ONAGER_RECOMPILE: expected off, lazy, eager or frozen, found 'sometimes'"):
        onager.InferenceSession(artifact)


def test_sessions_that_make_nothing_still_run(artifact):
    for mode in ("off", "frozen"):
        session = onager.InferenceSession(artifact, recompile=mode)
        session.warm_up(make_feeds(1, 8))
        assert session.stats()["variants"] == 0 and session.stats()["misses"] == 1
    session = onager.InferenceSession(artifact)
    session.freeze()
    assert session.stats()["mode"] == "frozen"
    session.warm_up(make_feeds(1, 8))
    assert session.stats()["variants"] == 0


def test_an_artifact_may_leave_out_what_variants_are_made_of(artifact, tmp_path):
    path = onager.compile(make_model(), tmp_path / "plain.so", recompile=False)
    sizes = [json.loads(subprocess.run([TOOL, "inspect", "--json", file], check=True, capture_output=True).stdout)["generic_form_bytes"] for file in (path, artifact)]
    assert sizes[0] == 0 and sizes[1] > 100
    session = onager.InferenceSession(path)
    session.warm_up(make_feeds(1, 8))
    assert session.stats()["mode"] == "off" and session.stats()["misses"] == 1


def test_a_session_exports_what_it_had_made(artifact, tmp_path):
    first = onager.InferenceSession(artifact)
    first.warm_up(make_feeds(1, 8))
    first.export(tmp_path / "more.so")
    second = onager.InferenceSession((tmp_path / "more.so").read_bytes(), recompile="off")
    assert agree(second.run(None, make_feeds(1, 8)), first.run(None, make_feeds(1, 8)))
    assert second.stats()["variants"] == 1 and second.stats()["hits"] == 1
    with pytest.raises(RuntimeError, match="the compiler failed"):
        first.export(tmp_path / "nowhere" / "more.so")
    plain = onager.InferenceSession(onager.compile(make_model(), tmp_path / "plain.so", recompile=False))
    with pytest.raises(ValueError, match="does not carry what variants are made of"):
        plain.export(tmp_path / "more.so")


def test_weights_of_their_own_file_cannot_be_exported(tmp_path):
    path = onager.compile(make_model(), tmp_path / "apart.so", weights="separate")
    with pytest.raises(ValueError, match="weights are in another file"):
        onager.InferenceSession(path).export(tmp_path / "more.so")
    assert not (tmp_path / "more.so").exists()


def test_no_compiler_is_no_failure_of_a_run(artifact, monkeypatch, tmp_path):
    monkeypatch.setenv("ONAGER_COMPILER", str(tmp_path / "nowhere"))
    session = onager.InferenceSession(artifact)
    with pytest.warns(RuntimeWarning, match="no compiler was found"):
        session.warm_up(make_feeds(1, 8))
    assert session.stats()["misses"] == 1


def write_compiler(path: pathlib.Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("text, said", [("echo 'onager: error: it rains' >&2; exit 5", "it rains"), ("exit 0", "left no variant"), ("kill -SEGV $$", "signal 11"),
                                        ('while [ "$1" != -o ]; do shift; done; echo nonsense > "$2"', "not an Onager artifact")])
def test_a_compiler_that_fails_is_asked_once(artifact, monkeypatch, tmp_path, text, said):
    count = tmp_path / "calls"
    monkeypatch.setenv("ONAGER_COMPILER", write_compiler(tmp_path / "compiler", f"echo call >> {count}\n{text}"))
    session = onager.InferenceSession(artifact)
    with pytest.warns(RuntimeWarning, match=said):
        session.warm_up(make_feeds(1, 8))
    with pytest.warns(RuntimeWarning, match="failed before"):
        session.warm_up(make_feeds(1, 8))
    assert count.read_text().splitlines() == ["call"]
    stats = session.stats()
    assert stats["failed"] == 1 and stats["variants"] == 0 and stats["misses"] == 2


def test_a_request_does_not_wait_for_the_compiler(artifact, monkeypatch, tmp_path):
    monkeypatch.setenv("ONAGER_COMPILER", write_compiler(tmp_path / "compiler", "exec sleep 600"))
    session = onager.InferenceSession(artifact, recompile="eager")
    start = time.monotonic()
    for _ in range(50):
        session.run(None, make_feeds(1, 8))
    assert time.monotonic() - start < 30
    # Closing the session ends the compiler.
    start = time.monotonic()
    del session
    assert time.monotonic() - start < 30


def test_pressing_on_over_many_shapes_keeps_to_the_limit(artifact):
    session = onager.InferenceSession(artifact, recompile="eager", threads=1)
    generic = onager.InferenceSession(artifact, recompile="off")
    for seq in range(1, 13):
        session.warm_up(make_feeds(1, seq))
        assert agree(session.run(None, make_feeds(1, seq)), generic.run(None, make_feeds(1, seq)))
    stats = session.stats()
    assert stats["variants"] <= 8 and stats["evicted"] >= 4, stats
    for seq in range(1, 13):
        assert agree(session.run(None, make_feeds(1, seq)), generic.run(None, make_feeds(1, seq)))


def test_two_models_of_one_graph_do_not_share_variants(tmp_path):
    """The same nodes over other weights, and with the roles of inputs changed."""
    texts = ["w = Constant<value = float[2] {1.0, 2.0}>()\ny = Mul(a, w)\nz = Sub(a, b)", "w = Constant<value = float[2] {3.0, 4.0}>()\ny = Mul(a, w)\nz = Sub(a, b)",
             "w = Constant<value = float[2] {1.0, 2.0}>()\ny = Mul(b, w)\nz = Sub(b, a)"]
    a, b = np.ones((3, 2), np.float32), np.full((3, 2), 5, np.float32)
    results = []
    for number, nodes in enumerate(texts):
        path = onager.compile(make_text("(float[n, 2] a, float[n, 2] b) => (float[n, 2] y, float[n, 2] z)", nodes), tmp_path / f"{number}.so")
        session = onager.InferenceSession(path)
        session.warm_up({"a": a, "b": b})
        assert session.stats()["compiled"] == 1
        results.append([value[0].tolist() for value in session.run(None, {"a": a, "b": b})])
    assert results == [[[1, 2], [-4, -4]], [[3, 4], [-4, -4]], [[5, 10], [4, 4]]]


def test_variants_come_with_the_artifact(tmp_path):
    report = []
    path = onager.compile(make_model(), tmp_path / "variants.so", variant=["batch=1,seq=8", "seq=16::16", "batch=2"], report=report)
    variants = json.loads(report[0])["variants"]
    assert [entry["guard"] for entry in variants] == ["batch=1,seq=8", "seq=16::16", "batch=2"]
    assert all(entry["weight_bytes"] == 0 for entry in variants), variants
    generic, session = onager.InferenceSession(onager.compile(make_model(), tmp_path / "generic.so"), recompile="off"), onager.InferenceSession(path, recompile="off")
    assert session.stats()["variants"] == 3
    hits = 0
    for batch, seq, hit in [(1, 8, 1), (3, 32, 1), (3, 33, 0), (2, 5, 1), (2, 16, 1), (3, 16, 1), (3, 0, 0), (5, 8, 0)]:
        assert agree(session.run(None, make_feeds(batch, seq)), generic.run(None, make_feeds(batch, seq))), (batch, seq)
        hits += hit
        assert session.stats()["hits"] == hits, (batch, seq)


@pytest.mark.parametrize("nodes, width, isShared", [("p = Slice(table, start, length, zero)", 32, True), ("ids = Slice(numbers, start, length, zero)\np = Gather(table, ids)", 32, True),
                                                    ("p = Slice(table, one, length, zero)", 24, False)])
def test_rows_of_a_table_are_read_where_the_generic_form_has_them(tmp_path, nodes, width, isShared):
    """Rows that lie otherwise aligned than weights do are the variant's own."""
    values = np.random.default_rng(1).uniform(-1, 1, (256, width)).astype(np.float32)
    start = 16 if isShared else 1
    model = make_text(f"(float[batch, seq, {width}] x) => (float[batch, seq, {width}] y)", f"""
table = Constant<value = float[256, {width}] {{{", ".join(str(value) for value in values.ravel())}}}>()
numbers = Constant<value = int64[256] {{{", ".join(map(str, range(256)))}}}>()
zero = Constant<value = int64[1] {{0}}>()
one = Constant<value = int64[1] {{1}}>()
start = Constant<value = int64[1] {{16}}>()
shape = Shape<start = 1, end = 2>(x)
length = Add(shape, {"start" if isShared else "one"})
{nodes}
y = Add(x, p)""")
    report = []
    path = onager.compile(model, tmp_path / "table.so", variant="batch=1,seq=128", report=report)
    own, = [entry["weight_bytes"] for entry in json.loads(report[0])["variants"]]
    assert (own == 0) == isShared, own
    session = onager.InferenceSession(path)
    for batch, seq in [(1, 128), (2, 128), (1, 200)]:
        x = np.random.default_rng(2).uniform(-1, 1, (batch, seq, width)).astype(np.float32)
        session.warm_up({"x": x})
        assert np.array_equal(session.run(None, {"x": x})[0], x + values[start : start + seq]), (batch, seq)
    assert session.stats()["misses"] == 0 and session.stats()["variants"] == 3


def test_a_variant_that_names_no_symbol_is_refused(tmp_path):
    with pytest.raises(onager.CompileError, match="unknown symbol 'width'") as error:
        onager.compile(make_model(), tmp_path / "model.so", variant="width=3")
    assert error.value.status == 2 and not (tmp_path / "model.so").exists()


def test_the_generic_form_is_compiled_for_no_shape(artifact):
    """Random shapes against the reference form: nothing of an artifact is made for one of them."""
    reference = onager.InferenceSession(onager.compile(make_model(), opt_level=0))
    session = onager.InferenceSession(artifact, recompile="eager", threads=2)
    random = np.random.default_rng(20261128)
    for _ in range(60):
        batch, seq = (int(extent) for extent in random.integers(0, 6, 2))
        feeds = make_feeds(batch, seq, int(random.integers(1 << 30)))
        assert agree(session.run(None, feeds), reference.run(None, feeds)), (batch, seq)
    wait_for(session, "compiled")


def find_abandoned() -> set[pathlib.Path]:
    """Folders that a compiler's process has left: nobody holds their locks, nor takes them soon."""
    found = {path for path in pathlib.Path("/dev/shm").glob("onager-specialize-??????") if not is_locked(path)}
    time.sleep(0.2)
    return {path for path in found if not is_locked(path)}


def is_locked(path: pathlib.Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@pytest.mark.parametrize("seed", range(3))
def test_a_process_that_is_killed_leaves_a_cache_that_works(artifact, own_cache, seed):
    program = ("import sys, numpy, onager\nsession = onager.InferenceSession(sys.argv[1])\nprint('go', flush=True)\n"
               "for seq in range(1, 100): session.warm_up({'x': numpy.zeros((1, seq, 16), numpy.float32), 'unused': numpy.zeros((16, 16), numpy.float32)})")
    random = np.random.default_rng(seed)
    before = find_abandoned()
    process = subprocess.Popen([sys.executable, "-c", program, artifact], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "go\n"
    time.sleep(random.uniform(0.1, 2))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    session = onager.InferenceSession(artifact)
    session.warm_up(make_feeds(1, 5))
    generic = onager.InferenceSession(artifact, recompile="off")
    assert agree(session.run(None, make_feeds(1, 5)), generic.run(None, make_feeds(1, 5))) and session.stats()["hits"] >= 1
    session.warm_up(make_feeds(1, 200 + seed))
    assert session.stats()["compiled"] >= 1
    assert not find_abandoned() - before, "the next compilation removes what the killed process has left"


def test_damaged_cache_entries_are_misses(artifact, own_cache):
    onager.InferenceSession(artifact).warm_up(make_feeds(1, 8))
    entry, = own_cache.rglob("*.variant")
    whole = entry.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-1], bytes([*whole[:-200], whole[-200] ^ 1, *whole[-199:]])):
        entry.write_bytes(damaged)
        session = onager.InferenceSession(artifact)
        assert session.stats()["loaded"] == 0
        session.warm_up(make_feeds(1, 8))
        assert session.stats()["compiled"] == 1 and entry.read_bytes() == whole


def test_processes_that_start_cold_compile_once(artifact, own_cache, tmp_path):
    log = tmp_path / "calls"
    compiler = write_compiler(tmp_path / "compiler", f'echo call >> {log}\nexec {TOOL} "$@"')
    program = ("import sys, numpy, onager\nsession = onager.InferenceSession(sys.argv[1])\n"
               "session.warm_up({'x': numpy.zeros((1, 9, 16), numpy.float32), 'unused': numpy.zeros((16, 16), numpy.float32)})\nstats = session.stats()\n"
               "assert stats['hits'] == 1\nprint(stats['compiled'], stats['loaded'])")
    environment = {**os.environ, "ONAGER_COMPILER": compiler}
    processes = [subprocess.Popen([sys.executable, "-c", program, artifact], env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = sorted(process.communicate()[0] for process in processes)
    assert [process.returncode for process in processes] == [0] * 4
    assert said == ["0 1\n"] * 3 + ["1 0\n"], "what another process made is loaded, whenever it is found"
    assert log.read_text().splitlines() == ["call"]


# The shape of the result, and the branch, are values of inputs; only the first of its models has symbols in shapes.
BRANCHES = """
two = Constant<value_int = 2>()
isTwo = Equal(mode, two)
z = If(isTwo) <then_branch = g1 () => (float[n, 4] t) { t = Exp(x) }, else_branch = g2 () => (float[n, 4] e) { e = Neg(x) }>
y = Expand(z, sizes)
"""


@pytest.fixture(scope="module", params=["n", "1"], ids=["symbols", "fixed"])
def branches(request, tmp_path_factory):
    text = make_text(f"(float[{request.param}, 4] x, int64 mode, int64[3] sizes) => (float[a, b, c] y)", BRANCHES.replace("[n,", f"[{request.param},"))
    return onager.compile(text, tmp_path_factory.mktemp("branches") / "branches.so")


def make_branch_feeds(mode: int, times: int) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(mode).uniform(-1, 1, (1, 4)).astype(np.float32), "mode": np.array(mode), "sizes": np.array([times, 1, 4])}


def check_branches(session, mode: int, times: int) -> None:
    feeds = make_branch_feeds(mode, times)
    y, = session.run(None, feeds)
    expected = np.exp(feeds["x"]) if mode == 2 else -feeds["x"]
    assert y.shape == (times, 1, 4) and np.allclose(y, np.broadcast_to(expected, y.shape), rtol=1e-5)


def test_warming_up_is_for_the_values_of_the_feeds(branches):
    session = onager.InferenceSession(branches, threads=1)
    for mode, times in [(2, 3), (1, 3)]:
        session.warm_up(make_branch_feeds(mode, times))
    assert session.stats()["compiled"] == 2
    for mode, times, hit in [(2, 3, 1), (1, 3, 1), (2, 4, 0), (0, 3, 0), (2, 0, 0)]:
        before = session.stats()["hits"]
        check_branches(session, mode, times)
        assert session.stats()["hits"] - before == hit, (mode, times)


def test_later_sessions_load_variants_for_values(branches, own_cache):
    onager.InferenceSession(branches).warm_up(make_branch_feeds(2, 3))
    assert len(list(own_cache.rglob("*.variant"))) == 1
    later = onager.InferenceSession(branches, recompile="frozen")
    check_branches(later, 2, 3)
    check_branches(later, 1, 3)
    stats = later.stats()
    assert stats["loaded"] == 1 and stats["hits"] == 1 and stats["misses"] == 1, stats


def test_outputs_offered_to_a_variant_may_be_too_small(branches):
    """What the generic form learns while running a variant knows before: memory that the caller offers is taken where it suffices."""
    session = onager.InferenceSession(branches, threads=1)
    session.warm_up(make_branch_feeds(2, 60))
    for times in (60, 1, 60, 2, 60):
        check_branches(session, 2, times)
    assert session.stats()["hits"] == 4


def test_eager_sessions_compile_for_few_values(branches):
    session = onager.InferenceSession(branches, threads=1, recompile="eager")
    for times in range(1, 31):
        check_branches(session, 2, times)
        session.warm_up(make_branch_feeds(2, times)) if times % 10 == 0 and times < 30 else None
    made = session.stats()["compiled"]
    for times in range(31, 90):
        check_branches(session, 2, times)
    wait_for_rest(session)
    # Eight values of `sizes`, and where shapes have symbols one variant for all others, each with `mode` as it is.
    assert 1 <= session.stats()["compiled"] <= 10 and session.stats()["failed"] == 0, (made, session.stats())


def wait_for_rest(session) -> None:
    """Waits until nothing is compiled any more."""
    before = -1
    while before != (now := session.stats()["compiled"]):
        before = now
        time.sleep(1)


def test_lazy_sessions_make_variants_for_values_that_stay(tmp_path):
    nodes = """
two = Constant<value_int = 2>()
isTwo = Equal(mode, two)
y = If(isTwo) <then_branch = g1 () => (float[n, n] t) { a = MatMul(x, x) b = Tanh(a) t = MatMul(b, x) }, else_branch = g2 () => (float[n, n] e) { e = Neg(x) }>
"""
    session = onager.InferenceSession(onager.compile(make_text("(float[n, n] x, int64 mode) => (float[n, n] y)", nodes), tmp_path / "model.so"), threads=1)
    feeds = {"x": np.random.default_rng(0).uniform(-0.1, 0.1, (384, 384)).astype(np.float32), "mode": np.array(2)}
    expected, = session.run(None, feeds)
    end = time.monotonic() + 120
    while session.stats()["hits"] == 0:
        assert time.monotonic() < end, session.stats()
        assert agree(session.run(None, feeds), [expected])
    misses = session.stats()["misses"]
    assert agree(session.run(None, {**feeds, "mode": np.array(1)}), [-feeds["x"]])
    assert session.stats()["misses"] == misses + 1, "the variant is for the value"
