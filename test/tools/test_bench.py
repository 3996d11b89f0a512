"""What `onager bench` and --profile tell: rates beside the machine's peaks, a row for each thread."""
import json
import subprocess

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from support.places import ONAGER

MODEL = """<ir_version: 10, opset_import: ["" : 21]>
net (float[N,256] x, float[256,256] w) => (float[N,256] y)
{
  [product] a = MatMul(x, w)
  [rows] y = Softmax(a)
}"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    (folder / "net.onnx").write_text(MODEL)
    subprocess.run([ONAGER, "compile", folder / "net.onnx", "-o", folder / "net.so"], check=True, timeout=120)
    return folder / "net.so"


def test_bench_compares_launches_with_peaks(artifact):
    done = subprocess.run([ONAGER, "bench", artifact, "--dim", "N=64", "--seconds", "0.1", "--threads", "1", "--json"], capture_output=True, text=True, check=True, timeout=120)
    result = json.loads(done.stdout)
    assert result["peak_gflops"] > 0 and result["peak_gbytes_per_second"] > 0 and result["gbytes_per_second"] > 0
    product = max((launch for launch in result["launches"] if "product" in launch["nodes"]), key=lambda launch: launch["flops"])
    assert result["bytes"] == sum(launch["bytes"] for launch in result["launches"] if launch["ms"] > 0)
    assert product["flops"] >= 2 * 64 * 256 * 256
    assert product["bytes"] >= 4 * (64 * 256 + 256 * 256)
    for launch in result["launches"]:
        peaks = (launch["gflops"] / result["peak_gflops"], launch["gbytes_per_second"] / result["peak_gbytes_per_second"])
        assert launch["peak_share"] == pytest.approx(max(peaks))
    table = subprocess.run([ONAGER, "bench", artifact, "--dim", "N=64", "--seconds", "0.1"], capture_output=True, text=True, check=True, timeout=120).stdout
    assert "peaks of this machine: " in table and "GB/s" in table and "product" in table


STEP = """<ir_version: 10, opset_import: ["" : 23]> step (float[1, 2, 1, 64] q, float[1, 2, P, 64] past_k, float[1, 2, P, 64] past_v, int64[1] id)
    => (float[1, 2, 1, 64] y, float[1, 2, T, 64] k, float[1, 2, T, 64] v) <float[1000, 64] table> {
    k = Concat <axis = 2> (past_k, q)
    v = Concat <axis = 2> (past_v, q)
    attended = Attention (q, k, v)
    row = Gather (table, id)
    y = Add (attended, row)
}"""


@pytest.mark.parametrize("queries", [1, 2])
def test_bytes_are_those_that_a_run_reads(queries, tmp_path):
    """Of a table the rows that are looked up, of a past that attention reads instead of its copy nothing twice, nor of copies that it writes."""
    model = onnx.parser.parse_model(STEP.replace("1, 2, 1, 64", f"1, 2, {queries}, 64"))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1000, 64), np.float32), "table"))
    onnx.save(model, tmp_path / "step.onnx")
    done = subprocess.run([ONAGER, "bench", tmp_path / "step.onnx", "--dim", "P=100", "--seconds", "0.1", "--threads", "1", "--json"], capture_output=True, text=True, check=True, timeout=120)
    row = 2 * 64 * 4
    keys = 100 + queries
    least = (2 * (100 + queries + keys) + (2 * keys + 2 * queries if queries > 1 else 0)) * row
    assert least < json.loads(done.stdout)["bytes"] < least + 8 * queries * row


def test_the_table_has_the_slowest_launches_or_all(tmp_path):
    steps = "\n".join(f"v{k + 1} = Softmax <axis = {k % 2}> (v{k})" for k in range(32))
    (tmp_path / "deep.onnx").write_text(f'<ir_version: 10, opset_import: ["" : 20]> g (float[8, 16] v0) => (float[8, 16] v32) {{ {steps} }}')
    tables = [
        subprocess.run([ONAGER, "bench", tmp_path / "deep.onnx", "--seconds", "0.05", *options], capture_output=True, text=True, check=True, timeout=120).stdout for options in ([], ["--per-kernel"])
    ]
    assert "launches more" in tables[0] and tables[0].count(" softmax ") <= 30
    assert "launches more" not in tables[1] and tables[1].count("%") > tables[0].count("%")


def test_trace_has_a_row_for_each_thread(artifact, tmp_path):
    subprocess.run([ONAGER, "run", artifact, "--input", "random", "--dim", "N=512", "--threads", "2", "--profile", tmp_path / "trace.json"], check=True,
                   capture_output=True, timeout=120)
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    rows = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert rows == {0: "thread 0", 1: "thread 1"}
    spans = [event for event in events if event["ph"] == "X"]
    assert {span["tid"] for span in spans} == {0, 1}
    # Every span lies in the run, whichever thread began first.
    assert all(span["ts"] >= 0 and 0 <= span["dur"] < 60e6 and span["ts"] < 60e6 for span in spans)


def test_bench_takes_inputs_that_random_numbers_cannot_stand_for(tmp_path):
    """An index has to lie in the table; what no option names is random."""
    (tmp_path / "words.onnx").write_text('<ir_version: 10, opset_import: ["" : 21]> net (float[8,4] table, int64[n] words) => (float[n,4] y) { y = Gather(table, words) }')
    np.save(tmp_path / "words.npy", np.array([7, 0, 3]))
    command = [ONAGER, "bench", tmp_path / "words.onnx", "--seconds", "0.05", "--json"]
    done = subprocess.run([*command, "--input", f"words={tmp_path / 'words.npy'}"], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout)["runs"] >= 5
    refused = subprocess.run([*command, "--dim", "n=64"], capture_output=True, text=True, timeout=120)
    assert refused.returncode == 4 and "index is out of range" in refused.stderr
