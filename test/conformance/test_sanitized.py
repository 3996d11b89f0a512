"""Models compiled with `sanitize`: under AddressSanitizer, values in zones of their own, memory filled with NaN, a page without access behind each input.

A seeded sample of the suite, every ONAGER_TEST_SANITIZED-th case (12); 1 takes them all. ONAGER_TEST_SEED chooses the sample.
"""
import collections
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import parser

from conformance.suite import run_case
from support.guard import guard
from support.places import ONAGER, find_cases, unpack
from support.seeds import get_seed
from support.workers import run_tasks

EVERY = int(os.environ.get("ONAGER_TEST_SANITIZED", "12"))
FILTER = os.environ.get("ONAGER_TEST_FILTER", "")
STATUS = 99  # of a process that AddressSanitizer ends


def find_runtime() -> str:
    """Returns AddressSanitizer's runtime, as the compiler that the project is built with names it."""
    named = os.environ.get("ONAGER_ASAN_RUNTIME")
    return named or subprocess.run(["clang++-22", "-print-file-name=libclang_rt.asan-x86_64.so"], capture_output=True, text=True, check=True).stdout.strip()


def make_environment(log: pathlib.Path) -> dict:
    """What a process needs to run sanitized code; reports go to files that begin with `log`."""
    options = f"detect_leaks=0:alloc_dealloc_mismatch=0:allocator_may_return_null=1:exitcode={STATUS}:log_path={log}"
    return {"LD_PRELOAD": find_runtime(), "ASAN_OPTIONS": options}


def run_guarded(task) -> tuple[str, str]:
    """As run_case with each array of the feeds before a page without access."""
    return run_case(task, prepare=guard, sanitize=True)


@pytest.fixture
def sanitizer(monkeypatch, tmp_path):
    """An environment in which workers run under AddressSanitizer; the path at which its reports begin."""
    log = tmp_path / "report"
    for name, value in make_environment(log).items():
        monkeypatch.setenv(name, value)
    return log


def test_suite(sanitizer):
    root = unpack("suites/onnx-backend.tar.xz", "suites") / "onnx-backend"
    names = [name for name in find_cases(root) if re.search(FILTER, name)]
    chosen = np.random.default_rng(get_seed()).permutation(len(names))[:: max(EVERY, 1)]
    results = run_tasks(run_guarded, [(str(root), names[k], "as-is") for k in sorted(chosen)], seconds=120)
    counts = collections.Counter(verdict for verdict, _ in results.values())
    print(f"\nsanitized: {len(results)} cases of {len(names)}: {dict(counts)}")
    bad = {name: result for (_, name, _), result in results.items() if result[0] not in ("right", "refused")}
    reports = "\n".join(path.read_text()[:3000] for path in sorted(sanitizer.parent.glob("report*"))[:3])
    assert not bad, "\n".join(f"{name}: {verdict} {reason}" for name, (verdict, reason) in sorted(bad.items())) + "\n" + reports
    assert counts["right"] > len(results) // 2


BROKEN = """
import sys
import numpy as np
import onager

session = onager.InferenceSession(sys.argv[1], threads=1)
whole = np.zeros(int(sys.argv[2]), np.float32)
print(session.run(None, {"x": np.lib.stride_tricks.as_strided(whole, (4096,), (4,))})[0].shape)
"""


def _run_broken(tmp_path, elements: int) -> tuple[int, str]:
    """Runs a model of 4096 elements on an array that has fewer."""
    import onager

    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 20]> g (float[4096] x) => (float[4096] y) { a = Softmax(x) y = Add(a, x) }')
    path = onager.compile(model.SerializeToString(), tmp_path / "model.so", sanitize=True)
    found = subprocess.run([sys.executable, "-c", BROKEN, str(path), str(elements)], env=os.environ | make_environment(tmp_path / "report"), capture_output=True, text=True)
    return found.returncode, "".join(report.read_text() for report in tmp_path.glob("report*"))


def test_reads_behind_an_input_are_caught(tmp_path):
    assert _run_broken(tmp_path, 4096) == (0, "")
    status, report = _run_broken(tmp_path, 4090)
    assert status == STATUS and "heap-buffer-overflow" in report


EMPTY = """
import sys
import numpy as np
import onager

feeds = dict(np.load(sys.argv[2]))
try:
    print([value.shape for value in onager.InferenceSession(sys.argv[1], threads=1).run(None, feeds)])
except RuntimeError as error:
    print(error)
"""
# Each reads a place of a dim that has none, beside one that has many.
OF_NOTHING = {
    "gather": ("(float[A,B] x, int64[K] i) => (float[K,B] y) { y = Gather(x, i) }", [1]),
    "gather_in_a_chain": ("(float[A,B] x, int64[K] i) => (float[K,B] y) { a = Gather(x, i) y = Exp(a) }", [1]),
    "gather_elements": ("(float[A,B] x, int64[K,B] i) => (float[K,B] y) { y = GatherElements(x, i) }", [3, 4096]),
    "gather_nd": ("(float[A,B] x, int64[K,1] i) => (float[K,B] y) { y = GatherND(x, i) }", [3, 1]),
    "scatter": ("(float[A,B] x, int64[K,B] i) => (float[A,B] y) { y = ScatterElements<reduction = \"add\">(x, i, u) }", [3, 4096]),
    "scatter_nd": ("(float[A,B] x, int64[K,1] i) => (float[A,B] y) { y = ScatterND<reduction = \"add\">(x, i, u) }", [3, 1]),
}


@pytest.mark.parametrize("name", OF_NOTHING)
def test_indices_of_nothing_read_nothing(name, tmp_path):
    """The run fails before a row of a tensor without rows is read; without indices it is fine."""
    import onager

    text, shape = OF_NOTHING[name]
    text = text.replace("i) =>", "i, float[K,B] u) =>") if "scatter" in name else text
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 20]> g ' + text)
    path = onager.compile(model.SerializeToString(), tmp_path / "model.so", sanitize=True)
    for count in (shape[0], 0):
        feeds = {"x": np.zeros((0, 4096), np.float32), "i": np.zeros([count, *shape[1:]], np.int64)} | ({"u": np.zeros((count, 4096), np.float32)} if "scatter" in name else {})
        np.savez(tmp_path / "feeds.npz", **feeds)
        found = subprocess.run([sys.executable, "-c", EMPTY, str(path), str(tmp_path / "feeds.npz")], env=os.environ | make_environment(tmp_path / "report"), capture_output=True, text=True)
        assert found.returncode == 0, "".join(report.read_text() for report in tmp_path.glob("report*"))
        assert ("an index is out of range" in found.stdout) == (count > 0), found.stdout


@pytest.mark.parametrize("count", [1 << 61, (1 << 61) + 1, 1 << 62, (1 << 63) - 1])
def test_sizes_beyond_the_address_space(count, tmp_path):
    """The bytes of a size that is found while running are beyond 64 bits: the run ends before its code writes."""
    import onager

    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 20]> g (int64 n) => (int64[N] y) <int64 zero = {0}, int64 one = {1}> { y = Range(zero, n, one) }')
    path = onager.compile(model.SerializeToString(), tmp_path / "model.so")
    np.savez(tmp_path / "feeds.npz", n=np.array(count))
    found = subprocess.run([sys.executable, "-c", EMPTY, str(path), str(tmp_path / "feeds.npz")], capture_output=True, text=True)
    assert found.returncode == 0 and "no memory for a tensor whose size was found while running" in found.stdout, found


def test_without_runtime(tmp_path):
    """A process without AddressSanitizer's runtime gets an error that says what is missing."""
    import onager

    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 20]> g (float[N] x) => (float[N] y) { y = Exp(x) }')
    path = onager.compile(model.SerializeToString(), tmp_path / "model.so", sanitize=True)
    with pytest.raises(RuntimeError, match="is sanitized: the process that runs it needs AddressSanitizer's runtime"):
        onager.InferenceSession(path)


@pytest.mark.parametrize("arguments", [["run", "model.so"], ["bench", "model.so", "--seconds", "0.01"], ["run", "model.onnx", "--sanitize"], ["verify", "model.onnx", "--sanitize"]])
def test_tool(arguments, tmp_path):
    """The tool starts itself again with the runtime."""
    import onager

    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 20]> g (float[64] x) => (float[64] y) { y = Exp(x) }')
    onnx.save(model, tmp_path / "model.onnx")
    onager.compile(model.SerializeToString(), tmp_path / "model.so", sanitize=True)
    inputs = ["--input", "x=random"] if arguments[0] == "run" else []
    found = subprocess.run([str(ONAGER), *arguments, *inputs], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_tool_without_runtime(tmp_path):
    import onager

    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 20]> g (float[64] x) => (float[64] y) { y = Exp(x) }')
    path = onager.compile(model.SerializeToString(), tmp_path / "model.so", sanitize=True)
    environment = os.environ | {"ONAGER_ASAN_RUNTIME": str(tmp_path / "absent.so")}
    found = subprocess.run([str(ONAGER), "run", str(path), "--input", "random"], env=environment, capture_output=True, text=True)
    assert found.returncode == 2 and "absent.so', which is not there" in found.stderr
