"""A sample of the ONNX node tests through the command line: what `onager verify` finds the same, refuses, or dies of.

ONAGER_TEST_SAMPLE=k takes every k-th case (64). The build may be an instrumented one: ONAGER_BUILD_DIR names it.
"""
import collections
import os
import pathlib

from support.places import find_cases, unpack
from support.tool import run_onager
from support.workers import run_tasks

SAMPLE = int(os.environ.get("ONAGER_TEST_SAMPLE", "64"))


def verify_case(path: str) -> tuple[str, str]:
    """Compiles a case twice and compares its results on the case's own inputs."""
    found = run_onager("verify", pathlib.Path(path) / "model.onnx", "--inputs", pathlib.Path(path) / "test_data_set_0", seconds=100)
    verdicts = {0: "same", 3: "refused", 4: "unreadable"}
    return verdicts.get(found.returncode, f"status {found.returncode}"), found.stderr[-2000:]


def test_sample_of_node_tests():
    root = unpack("suites/onnx-backend.tar.xz", "suites") / "onnx-backend" / "node"
    tasks = [str(root / name) for name in find_cases(root)[::SAMPLE]]
    results = run_tasks(verify_case, tasks, seconds=120)
    counts = collections.Counter(verdict for verdict, _ in results.values())
    print(f"\n{len(tasks)} node tests: {dict(counts)}")
    bad = {path: result for path, result in results.items() if result[0] not in ("same", "refused", "unreadable")}
    assert not bad, "\n".join(f"{path}: {verdict}: {text}" for path, (verdict, text) in sorted(bad.items()))
    assert counts["same"] > len(tasks) // 2, counts
