"""The ONNX backend suite in four forms, and real models, against the checked-in list of what is right.

A case of the list that is right no more fails the test, and so does any wrong result, error, crash or hang, listed or not. A newly right
case prints a note; ONAGER_UPDATE_EXPECTED=1 rewrites the list. ONAGER_TEST_FILTER=REGEX takes a part.
"""
import collections
import json
import os
import pathlib
import re
import time

import pytest

from conformance.models import run_model
from conformance.suite import FORMS, run_case
from support.places import find_cases, unpack
from support.workers import run_tasks

EXPECTED = pathlib.Path(__file__).with_name("expected.json")
FILTER = os.environ.get("ONAGER_TEST_FILTER", "")
UPDATE = os.environ.get("ONAGER_UPDATE_EXPECTED") == "1"


def _write(expected: dict) -> None:
    lines = [f"{json.dumps(name)}: {json.dumps(letters)}" for name, letters in sorted(expected.items()) if letters]
    EXPECTED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _judge(results: dict, letter: str, seconds: float, title: str) -> None:
    """Holds {name: (verdict, reason)} against the list; fails with all regressions."""
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    counts = collections.Counter(verdict for verdict, _ in results.values())
    print(f"\n{title}: {len(results)} cases in {seconds:.0f} s: " + ", ".join(f"{counts[v]} {v}" for v in ("right", "refused", "wrong", "error", "crash", "hang")))
    right = {name for name, (verdict, _) in results.items() if verdict == "right"}
    listed = {name for name in results if letter in expected.get(name, "")}
    if right - listed:
        print(f"{title}: {len(right - listed)} newly right, not in expected.json: {' '.join(sorted(right - listed)[:10])} ...")
    if UPDATE:
        for name in results:
            expected[name] = "".join(sorted(expected.get(name, "").replace(letter, "") + (letter if name in right else "")))
        _write(expected)
        listed = right
    bad = {name for name, (verdict, _) in results.items() if verdict not in ("right", "refused")} | (listed - right)
    assert not bad, f"{title}: {len(bad)} cases\n" + "\n".join(f"  {results[name][0]:7} {name}: {results[name][1]}" for name in sorted(bad))


@pytest.mark.parametrize("form", FORMS)
def test_backend_suite(form):
    root = unpack("suites/onnx-backend.tar.xz", "suites") / "onnx-backend"
    tasks = [(str(root), name, form) for name in find_cases(root) if re.search(FILTER, name)]
    assert tasks or FILTER, f"no case in {root}"
    start = time.monotonic()
    results = run_tasks(run_case, tasks)
    _judge({name: result for (_, name, _), result in results.items()}, FORMS[form], time.monotonic() - start, form)


def test_models():
    root = unpack("models/models.tar.xz", "models") / "models"
    tasks = [(str(root), name) for name in find_cases(root) if re.search(FILTER, name)]
    assert tasks or FILTER, f"no model in {root}"
    start = time.monotonic()
    results = run_tasks(run_model, tasks, seconds=240)
    _judge({name: result for (_, name), result in results.items()}, "m", time.monotonic() - start, "models")
