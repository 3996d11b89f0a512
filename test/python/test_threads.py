"""The GIL is released while a model is compiled and while it runs, and one session serves several threads."""
import sys
import threading

import numpy as np
import pytest

import onager
from python.models import HEAVY, SUM


@pytest.fixture
def no_forced_switches():
    """A thread keeps the GIL until it gives it up by itself."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    yield
    sys.setswitchinterval(interval)


def watch(call, times: int) -> int:
    """Returns how many of `times` calls in another thread had ended when this thread first got the GIL back after their start."""
    done, started = [], threading.Lock()
    started.acquire()

    def work() -> None:
        started.release()  # wakes the watcher, who then needs the GIL
        for _ in range(times):
            call()
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    started.acquire()
    seen = len(done)
    thread.join()
    return seen


def test_the_gil_is_released_during_a_run(no_forced_switches):
    session = onager.InferenceSession(HEAVY, threads=1)
    feeds = {"x": np.random.default_rng(0).random((384, 384), dtype=np.float32) / 384}
    session.warm_up(feeds)
    assert watch(lambda: session.run(None, feeds), 50) < 50


def test_the_gil_is_released_during_a_compilation(no_forced_switches, tmp_path):
    assert watch(lambda: onager.compile(HEAVY, tmp_path / "heavy.so"), 5) < 5


def test_the_watch_sees_a_call_that_keeps_the_gil(no_forced_switches):
    assert watch(lambda: sum(range(100_000)), 50) == 50


def test_one_session_on_eight_threads():
    session = onager.InferenceSession(SUM, threads=2)
    wrong = []

    def work(seed: int) -> None:
        generator = np.random.default_rng(seed)
        for _ in range(200):
            left, right = generator.random((2, int(generator.integers(1, 40)), 3), dtype=np.float32)
            total, gap = session.run(None, {"left": left, "right": right})
            if not (np.array_equal(total, left + right) and np.array_equal(gap, left - right)):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_compilations_at_the_same_time(tmp_path):
    results = {}

    def work(number: int) -> None:
        results[number] = onager.InferenceSession(onager.compile(SUM, tmp_path / f"{number}.so")).run(["total"], {"left": np.ones((1, 3), np.float32),
                                                                                                                   "right": np.ones((1, 3), np.float32)})[0]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 1, 2, 3] and all(value.tolist() == [[2, 2, 2]] for value in results.values())
