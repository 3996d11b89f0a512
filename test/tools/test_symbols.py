"""Debuggers and profilers see ONNX nodes: functions and lines of compiled code carry their names."""
import os
import re
import shutil
import subprocess

import pytest

from support.places import ONAGER

MODEL = """<ir_version: 10, opset_import: ["" : 21]>
net (float[N,64] x) => (float[N,64] y) <int64 axis = {1}>
{
  [first_tanh] a = Tanh(x)
  [second_softmax] b = Softmax<axis=-1>(a)
  [third_sum] y = CumSum(b, axis)
}"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("symbols")
    (folder / "net.onnx").write_text(MODEL)
    done = subprocess.run([ONAGER, "compile", folder / "net.onnx", "-o", folder / "net.so"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "net.so"


def read_symbols(path) -> dict[str, int]:
    text = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    return {name: int(address, 16) for address, kind, name in (line.split() for line in text.splitlines()) if kind in "tT"}


def test_functions_are_named_after_nodes(artifact):
    named = [name for name in read_symbols(artifact) if name.startswith("onnx_")]
    for node in ("first_tanh", "second_softmax", "third_sum"):
        assert any(node in name for name in named), named


def test_addresses_have_lines(artifact):
    symbols = {name: address for name, address in read_symbols(artifact).items() if name.startswith("onnx_")}
    done = subprocess.run(["addr2line", "-f", "-e", artifact, *map(hex, symbols.values())], capture_output=True, text=True, check=True).stdout.splitlines()
    lines = {}
    for name, function, place in zip(symbols, done[::2], done[1::2]):
        assert function == name
        match = re.fullmatch(r"model\.onnx:(\d+)", place.split(" (")[0])
        assert match, place
        lines[name] = int(match[1])
    assert min(lines.values()) == 1
    assert len(set(lines.values())) == len(lines), "each node has a line of its own"


def test_debugger_stops_at_a_node(artifact):
    if not shutil.which("gdb"):
        pytest.skip("gdb is not installed")
    name = next(name for name in read_symbols(artifact) if "third_sum" in name)
    done = subprocess.run(["gdb", "-batch", "-ex", "set breakpoint pending on", "-ex", f"break {name}", "-ex", "run", "-ex", "backtrace", "--args", ONAGER, "run",
                           artifact, "--input", "random", "--threads", "1"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "DEBUGINFOD_URLS": ""})
    assert re.search(rf"#0 .*{name} .*model\.onnx:\d+", done.stdout), done.stdout + done.stderr


def test_code_is_kept_in_a_folder_on_request(artifact, tmp_path):
    environment = {**os.environ, "ONAGER_CODE_DIR": str(tmp_path)}
    subprocess.run([ONAGER, "run", artifact, "--input", "random"], check=True, capture_output=True, env=environment)
    (code,) = tmp_path.iterdir()
    assert read_symbols(code) == read_symbols(artifact)
