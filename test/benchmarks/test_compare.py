"""The comparison runs, keeps its numbers, and turns them into tables; what it counts as floating-point operations is right."""
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from support.places import ROOT

FOLDER = ROOT / "benchmarks"


def run_compare(*arguments) -> str:
    result = subprocess.run([sys.executable, str(FOLDER / "compare.py"), *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A measurement of the smallest case, as short as it gets."""
    path = tmp_path_factory.mktemp("compare") / "result.json"
    run_compare("--only", "MLP 784-512-10, batch 1", "--rounds", 2, "--seconds", 0.01, "--threads", 1, "--output", path)
    return path


def test_every_engine_ran_and_agrees(measured):
    results = json.loads(measured.read_text())
    (case,) = results["cases"]
    assert case["flops"] == 2 * (784 * 512 + 512 * 10)
    assert case["compile"]["seconds"] > 0 and case["compile"]["memory_bytes"] > 1 << 20 and case["compile"]["file_bytes"] > 4 * (784 * 512 + 512 * 10)
    (run,) = case["runs"]
    assert set(run["engines"]) == {"onager", "onnxruntime", "openvino"}
    for engine in run["engines"].values():
        assert len(engine["rounds_s"]) == 2 and min(engine["rounds_s"]) <= engine["run_s"] <= max(engine["rounds_s"])
        assert engine["load_s"] > 0 and engine["first_run_s"] > 0 and engine["memory_bytes"] > 0
    assert run["engines"]["onager"]["error_to_onnxruntime"] < 1e-4


def test_tables_of_a_former_result(measured):
    output = run_compare("--table", measured)
    assert "| MLP 784-512-10, batch 1 | 1 |" in output and "**geometric mean** of 1" in output and "| compile s |" in output


RESULTS = {"machine": {"date": "today", "processor": "P", "cores": 1, "memory_bytes": 2 ** 33, "system": "S", "onager": "a", "onnxruntime": "b", "openvino": "c"},
           "peak_flops": {"1": 1e9}, "rounds": 3, "cases": []}


def make_case(name: str, ours, first, second, flops=None) -> dict:
    engine = lambda seconds: {"run_s": seconds} if seconds else {"error": "no such operator"}
    return {"name": name, "flops": flops, "compile": {"seconds": 1.0}, "runs": [{"threads": 1, "engines": {"onager": engine(ours), "onnxruntime": engine(first),
                                                                                                            "openvino": engine(second)}}]}


def test_ratios_and_means(scripts):
    cases = [make_case("a", 1.0, 2.0, 4.0, flops=5e8), make_case("b", 1.0, 0.5, 0.25), make_case("c", 1.0, 8.0, None), make_case("d", None, 1.0, 1.0)]
    text = scripts("table").make_tables({**RESULTS, "cases": cases})
    speed = text.split("Compiling, loading")[0]
    rows = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:]] for line in speed.splitlines() if line.startswith("|")}
    assert rows["a"][4:7] == ["2.00x", "2.00x", "50%"]
    assert rows["**geometric mean** of 3"][4:6] == [f"**{math.cbrt(2 * 0.5 * 8):.2f}x**", f"**{math.cbrt(2 * 0.25 * 8):.2f}x**"]
    assert "- c, threads 1, openvino: no such operator" in text and "- d, threads 1, onager: no such operator" in text


def test_readme_keeps_what_is_around_the_table(scripts, monkeypatch, tmp_path):
    table = scripts("table")
    monkeypatch.setattr(table, "ROOT", tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- speed -->\nold\n<!-- end of speed -->\nafter\n")
    table.write_readme("new\n")
    assert readme.read_text() == "before\n<!-- speed -->\nnew\n<!-- end of speed -->\nafter\n"
    readme.write_text("nothing")
    with pytest.raises(SystemExit, match="no markers"):
        table.write_readme("new\n")


def test_operations_are_counted(scripts, tmp_path):
    import onnx

    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[n, 4, 8, 8] x) => (float[n, 6, 3] y) {
      c = Conv<group = 2, strides = [2, 2], pads = [1, 1, 1, 1]>(x, w)
      s = Constant<value_ints = [0, 6, 16]>()
      r = Reshape(c, s)
      y = MatMul(r, v)
    }"""
    model = onnx.parser.parse_model(text)
    for name, shape in (("w", (6, 2, 3, 3)), ("v", (16, 3))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name))
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    feeds = {"x": np.zeros((5, 4, 8, 8), np.float32)}
    assert scripts("cases").count_flops(path, feeds) == 2 * 5 * (6 * 4 * 4) * (2 * 3 * 3) + 2 * 5 * 6 * 3 * 16


def test_differences_are_found(scripts, tmp_path):
    compare = scripts("compare")
    np.savez(tmp_path / "a.npz", y=np.array([1.0, 2.0]))
    for name, values, error in (("same", [1.0, 2.0], 0), ("near", [1.0, 2.002], 0.001), ("nan", [1.0, np.nan], None), ("short", [1.0], None)):
        np.savez(tmp_path / f"{name}.npz", y=np.array(values))
        found = compare.find_error(tmp_path / f"{name}.npz", tmp_path / "a.npz")
        assert found is None if error is None else found == pytest.approx(error)
