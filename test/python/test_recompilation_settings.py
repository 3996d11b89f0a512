"""What a session's arguments say about variants: limits, folders, functions that are told, shapes without arrays, pins."""
import gc
import pathlib
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import onager
from python.models import make_text


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    text = make_text("(float[n, 4] x, float[4] b) => (float[n, 4] y)", "m = Mul(x, x)\ny = Add(m, b)")
    return onager.compile(text, tmp_path_factory.mktemp("model") / "model.so")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ONAGER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ONAGER_RECOMPILE", raising=False)
    return tmp_path / "cache"


def make_feeds(n: int) -> dict[str, np.ndarray]:
    return {"x": np.full((n, 4), 2, np.float32), "b": np.arange(4, dtype=np.float32)}


def is_right(session, n: int) -> bool:
    return np.array_equal(session.run(None, make_feeds(n))[0], np.tile(4 + np.arange(4, dtype=np.float32), (n, 1)))


def write_compiler(path: pathlib.Path, text: str) -> pathlib.Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_shapes_alone_warm_up(artifact):
    session = onager.InferenceSession(artifact, threads=1, cache="")
    session.warm_up(shapes={"x": (3, 4), "b": (4,)})
    session.warm_up(shapes={"x": [np.int64(5), 4]})
    stats = session.stats()
    assert stats["compiled"] == 2 and stats["hits"] == stats["misses"] == 0, stats
    assert is_right(session, 3) and is_right(session, 5) and session.stats()["hits"] == 2


def test_shapes_go_with_values_that_decide(tmp_path):
    path = onager.compile(make_text("(float[n, 4] x, int64[3] sizes) => (float[a, b, c] y)", "y = Expand(x, sizes)"), tmp_path / "model.so")
    session = onager.InferenceSession(path, threads=1)
    session.warm_up({"sizes": np.array([2, 1, 4])}, shapes={"x": (1, 4)})
    feeds = {"x": np.ones((1, 4), np.float32), "sizes": np.array([2, 1, 4])}
    assert session.run(None, feeds)[0].shape == (2, 1, 4) and session.stats()["hits"] == 1
    session.run(None, {**feeds, "sizes": np.array([3, 1, 4])})
    assert session.stats()["hits"] == 1


@pytest.mark.parametrize("mode", ["off", "lazy"])
@pytest.mark.parametrize("error, said, arguments", [
    (ValueError, "'z' is not an input", {"shapes": {"z": (1,)}}), (TypeError, "input 'x': expected a shape", {"shapes": {"x": 3}}),
    (TypeError, r"input 'x': expected a shape, a sequence of whole numbers from 0 on, found \(3, -1\)", {"shapes": {"x": (3, -1)}}),
    (TypeError, "expected a shape", {"shapes": {"x": (3, 4.0)}}), (ValueError, "input 'x': expected a feed or a shape, found both", {"feeds": make_feeds(1), "shapes": {"x": (1, 4)}}),
    (ValueError, "expected feeds or shapes", {})])
def test_wrong_shapes_are_said(artifact, mode, error, said, arguments):
    with pytest.raises(error, match=said):
        onager.InferenceSession(artifact, recompile=mode).warm_up(**arguments)


@pytest.mark.parametrize("said, arguments", [("input 'x': dim 1", {"shapes": {"x": (3, 5)}}), ("input 'x': expected rank 2", {"shapes": {"x": (3,)}}),
                                             ("input 'x' has neither a feed nor a shape", {"shapes": {"b": (4,)}}), ("'z' is not an input", {"feeds": {"z": 1}, "shapes": {"x": (3, 4)}})])
def test_shapes_that_do_not_fit_are_said(artifact, said, arguments):
    with pytest.raises(ValueError, match=said):
        onager.InferenceSession(artifact, cache="").warm_up(**arguments)


@pytest.mark.parametrize("error, said, arguments", [
    (TypeError, "max_variants: expected a whole number, found 2.5", {"max_variants": 2.5}), (ValueError, "max_variants: expected a number above 0", {"max_variants": 0}),
    (ValueError, "max_variant_bytes: expected a number above 0", {"max_variant_bytes": -1}), (TypeError, "max_compile_seconds: expected a number, found 'soon'", {"max_compile_seconds": "soon"}),
    (ValueError, "max_compile_seconds: expected a number above 0", {"max_compile_seconds": float("nan")}), (TypeError, "check_variants: expected True or False, found 1", {"check_variants": 1}),
    (TypeError, "compiler: expected a path, found 3", {"compiler": 3}), (TypeError, "cache: expected a path, found False", {"cache": False}),
    (TypeError, "on_variant: expected a function, found 'print'", {"on_variant": "print"})])
def test_wrong_settings_are_said(artifact, error, said, arguments):
    with pytest.raises(error, match=said):
        onager.InferenceSession(artifact, **arguments)


def test_limits_are_kept_and_told(artifact, own_cache, tmp_path):
    events = []
    session = onager.InferenceSession(artifact, threads=1, max_variants=2, check_variants=True, cache=tmp_path / "own", on_variant=events.append)
    for n in (1, 2, 3):
        session.warm_up(make_feeds(n))
    assert [(event.kind, event.guard) for event in events] == [("compiled", "n=1"), ("compiled", "n=2"), ("evicted", "n=1"), ("compiled", "n=3")]
    assert events[2].message == "it was run least" and events[0].seconds > 0 and isinstance(events[0], onager.VariantEvent)
    assert session.stats()["variants"] == 2 and (tmp_path / "own").is_dir() and not own_cache.exists()
    small = onager.InferenceSession(artifact, max_variant_bytes=1000, cache="", on_variant=events.append)
    with pytest.warns(RuntimeWarning, match="more than all variants may"):
        small.warm_up(make_feeds(1))
    assert events[-1].kind == "failed" and "more than all variants may" in events[-1].message
    # What comes from the cache is told while the session opens.
    later = []
    onager.InferenceSession(artifact, cache=tmp_path / "own", on_variant=later.append)
    assert [event.kind for event in later] == ["loaded"] * 3


def test_compilations_take_only_so_long(artifact, tmp_path):
    compiler = write_compiler(tmp_path / "compiler", "exec sleep 60")
    session = onager.InferenceSession(artifact, max_compile_seconds=0.3, compiler=compiler, cache="")
    with pytest.warns(RuntimeWarning, match="it took more than 0.3"):
        session.warm_up(make_feeds(1))
    with pytest.warns(RuntimeWarning, match="compilations have taken"):
        session.warm_up(make_feeds(2))
    assert is_right(session, 1) and session.stats()["failed"] == 2


def test_a_pinned_session_keeps_to_its_code(artifact):
    session = onager.InferenceSession(artifact, threads=1, cache="")
    session.warm_up(make_feeds(1))
    session.pin()
    session.warm_up(shapes={"x": (2, 4)})
    hits = session.stats()["hits"]
    threads = [threading.Thread(target=lambda: [is_right(session, n) for n in (1, 2) * 20]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.stats()["hits"] - hits == 80, "all runs of n=1, whichever context they had"
    session.pin(False)
    assert is_right(session, 2) and session.stats()["hits"] - hits == 81
    with pytest.raises(TypeError, match="pin: expected True or False, found 1"):
        session.pin(1)


def test_what_a_function_that_is_told_raises_is_unraisable(artifact, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: seen.append(repr(info.exc_value)))

    def fail(event):
        raise KeyError(event.guard)

    session = onager.InferenceSession(artifact, cache="", on_variant=fail)
    session.warm_up(make_feeds(1))
    assert seen == ["KeyError('n=1')"] and is_right(session, 1) and session.stats()["hits"] == 2


def test_a_function_that_is_told_may_drop_the_session_but_not_wait_for_it(artifact):
    said, sessions = [], []

    def drop(event):
        try:
            sessions[0].warm_up(shapes={"x": (9, 4)})
        except ValueError as error:
            said.append(str(error))
        sessions.clear()

    sessions.append(onager.InferenceSession(artifact, recompile="eager", cache="", on_variant=drop))
    gone = weakref.ref(sessions[0])
    session = sessions[0]
    assert is_right(session, 1)
    del session
    end = time.monotonic() + 60
    while gone() is not None and time.monotonic() < end:
        time.sleep(0.01)
    assert gone() is None and said == ["a function that is told of variants cannot wait for one"]


def test_sessions_that_their_functions_refer_to_are_collected(artifact):
    session = onager.InferenceSession(artifact, cache="", on_variant=lambda event: session.stats())
    session.warm_up(make_feeds(1))
    gone = weakref.ref(session)
    session = None
    del session
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("ending", ["", "del session", "import os, signal; os.kill(os.getpid(), signal.SIGINT)", "raise SystemExit(0)"])
def test_an_interpreter_may_end_while_variants_are_made(artifact, tmp_path, ending):
    program = ("import sys, time, numpy, onager\nsession = onager.InferenceSession(sys.argv[1], recompile='eager', cache='', on_variant=lambda event: time.sleep(0.01))\n"
               "for n in range(1, 6): session.run(None, {'x': numpy.ones((n, 4), numpy.float32), 'b': numpy.ones(4, numpy.float32)}); time.sleep(float(sys.argv[2]))\n" + ending)
    for pause in ("0", "0.05", "0.2"):
        done = subprocess.run([sys.executable, "-c", program, artifact, pause], capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, 1, -2) and "Fatal" not in done.stderr, done
