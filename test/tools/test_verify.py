"""`onager verify`: what differs, from which node on, and how the tool ends then."""
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from support.places import ONAGER
from support.tool import expect_error, run_onager

# Sums in another order than the reference's, behind nodes that are exact; with no tolerance at all the product is the first that differs.
MODEL = """<ir_version: 10, opset_import: ["" : 21]>
net (float[N,300] x, float[300,20] w) => (float[N,20] y)
{
  [negate] a = Neg(x)
  [clip] b = Relu(a)
  [product] c = MatMul(b, w)
  [shift] y = Neg(c)
}"""


def verify(*arguments, status):
    done = subprocess.run([ONAGER, "verify", *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("verify") / "net.onnx"
    path.write_text(MODEL)
    return path


def test_names_the_first_node_that_differs(model):
    done = verify(model, "--dim", "N=7", "--rtol", 0, "--atol", 0, status=1)
    assert "DIFFERENT" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("first node that differs: product"), done.stdout


def test_says_nothing_of_nodes_where_all_is_near(model):
    done = verify(model, "--dim", "N=7", status=0)
    assert "ok" in done.stdout and "first node" not in done.stdout


def test_takes_inputs_from_a_folder(model, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 300), np.float32))
    np.save(tmp_path / "w.npy", np.ones((300, 20), np.float32))
    done = verify(model, "--inputs", tmp_path, "--rtol", 0, "--atol", 0, status=0)
    assert "y: float32 [3, 20]  max abs error 0," in done.stdout
    (tmp_path / "w.npy").unlink()
    assert "holds no input 'w'" in verify(model, "--inputs", tmp_path, status=4).stderr


def test_exposed_values_are_outputs(model, tmp_path):
    done = subprocess.run([ONAGER, "compile", model, "--expose=1,2", "-o", tmp_path / "net.so"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run([ONAGER, "inspect", tmp_path / "net.so"], capture_output=True, text=True, timeout=60).stdout
    assert "1:clip: float32 [N, 300]" in shown and "2:product: float32 [N, 20]" in shown and "0:negate" not in shown
    done = subprocess.run([ONAGER, "compile", model, "--expose=some", "-o", tmp_path / "net.so"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "expected all or positions" in done.stderr


def read_report(*arguments, status) -> dict:
    return json.loads(verify(*arguments, "--json", status=status).stdout)


@pytest.mark.parametrize("level", ["O0", "O1", "O2", "O3"])
def test_compares_levels(model, level):
    report = read_report(model, "--dim", "N=7", "--against", level, "-O", 2, status=0)
    assert report["found"].endswith("at -O2") and report["expected"].endswith(f"at -{level}") and report["ok"]


def test_compares_artifacts_and_models(model, tmp_path):
    for level in (0, 3):
        subprocess.run([ONAGER, "compile", model, "-O", str(level), "-o", tmp_path / f"O{level}.so"], check=True, timeout=120)
    sides = [model, tmp_path / "O0.so", tmp_path / "O3.so"]
    for found in sides:
        for against in sides:
            assert read_report(found, "--against", against, "--dim", "N=3", status=0)["ok"]
    report = read_report(model, "--against", model, "--against-level", "O0", "--dim", "N=3", "--rtol", 0, "--atol", 0, status=1)
    assert report["expected"].endswith("at -O0") and report["first_node"] == "product"
    # Artifacts show no values inside; the outputs are compared all the same.
    done = verify(tmp_path / "O3.so", "--against", tmp_path / "O0.so", "--dim", "N=3", "--rtol", 0, "--atol", 0, status=1)
    assert "DIFFERENT" in done.stdout and "first node" not in done.stdout


def test_compares_with_onnxruntime_over_many_samples(model, tmp_path, monkeypatch):
    monkeypatch.setenv("ONAGER_PYTHON", sys.executable)
    for k in range(11):
        np.savez(tmp_path / f"{k:02}.npz", x=np.full((k + 1, 300), k, np.float32), w=np.ones((300, 20), np.float32))
    report = read_report(model, "--against", "onnxruntime", "--samples", tmp_path, "--per-node", status=0)
    assert report["samples"] == 11 and [value["name"] for value in report["values"]] == ["y", "a", "b", "c"]
    assert report["values"][0]["metrics"]["elements"] == 20 * sum(range(1, 12))
    assert read_report(model, "--against", "onnxruntime", "--samples", tmp_path, "--sample", 4, status=0)["values"][0]["shape"] == [5, 20]


def test_metrics_are_those_of_numpy(tmp_path):
    """Two models that differ by known numbers."""
    for name, offset in (("plain", "1.0"), ("other", "1.25")):
        (tmp_path / f"{name}.onnx").write_text(f"""<ir_version: 10, opset_import: ["" : 21]>
            net (float[N,5] x) => (float[N,5] y) {{
              one = Constant<value_float = 1.0>()
              offset = Constant<value_float = {offset}>()
              two = Mul(x, offset)
              y = Add(two, one)
            }}""")
    x = np.random.default_rng(0).standard_normal((4, 3, 5)).astype(np.float32)
    (tmp_path / "data").mkdir()
    for k in range(4):
        np.save(tmp_path / "data" / f"{k}.npy", x[k])
    expected, found = (x + 1).reshape(-1, 5).astype(np.float64), (x * np.float32(1.25) + 1).reshape(-1, 5).astype(np.float64)
    gap = np.abs(found - expected)
    softmax = lambda rows: np.exp(rows) / np.exp(rows).sum(-1, keepdims=True)
    p, q = softmax(expected), softmax(found)
    best = lambda rows: np.argsort(-rows, axis=-1)[:, :2]
    wanted = {"max_abs": gap.max(), "mean_abs": gap.mean(), "max_rel": (gap / np.abs(expected)).max(), "mean_rel": gap.sum() / np.abs(expected).sum(),
              "cosine": (expected * found).sum() / np.sqrt((expected**2).sum() * (found**2).sum()), "sqnr": 10 * np.log10((expected**2).sum() / (gap**2).sum()),
              "kl": (p * np.log(p / q)).sum(-1).mean(), "top_k": np.mean([len(set(a) & set(b)) / 2 for a, b in zip(best(expected), best(found))])}
    options = [tmp_path / "other.onnx", "--against", tmp_path / "plain.onnx", "--samples", tmp_path / "data", "--top-k", 2]
    metrics = read_report(*options, status=1)["values"][0]["metrics"]
    for name, value in wanted.items():
        assert metrics[name] == pytest.approx(value, rel=1e-4), name
    # Thresholds decide instead of the tolerance; each of them.
    near, far = f"sqnr>={wanted['sqnr'] - 0.1}", f"sqnr>={wanted['sqnr'] + 0.1}"
    verify(*options, "--metric", near, status=0)
    done = verify(*options, "--metric", near, "--metric", far, status=1)
    assert "DIFFERENT: sqnr" in done.stdout and "expected >=" in done.stdout


def test_mixed_models_take_layers_of_one(tmp_path):
    for name, factors in (("plain", (2, 3)), ("other", (5, 7))):
        (tmp_path / f"{name}.onnx").write_text(f"""<ir_version: 10, opset_import: ["" : 21]>
            net (float[2] x) => (float[2] y) {{
              a = Constant<value_float = {factors[0]}.0>()
              b = Constant<value_float = {factors[1]}.0>()
              p = Mul(x, a)
              y = Mul(p, b)
            }}""")
    np.save(tmp_path / "x.npy", np.ones(2, np.float32))
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "x.npy", np.ones(2, np.float32))
    options = [tmp_path / "other.onnx", "--against", tmp_path / "plain.onnx", "--inputs", tmp_path / "data"]
    for mixed, gap in ((["p"], 5 * 3 - 6), (["y"], 2 * 7 - 6), (["p", "y"], 35 - 6)):
        metrics = read_report(*options, *[word for value in mixed for word in ("--mix", value)], status=int(gap > 0))["values"][0]["metrics"]
        assert metrics["max_abs"] == gap, mixed
    for name in ("x", "a"):  # an input, a constant
        expect_error(run_onager("verify", *options, "--mix", name), 2, f"option 'mix': no node of both models computes '{name}'")


def test_what_cannot_be_compared_is_said(model, tmp_path):
    subprocess.run([ONAGER, "compile", model, "-o", tmp_path / "net.so"], check=True, timeout=120)
    (tmp_path / "broken.so").write_bytes((tmp_path / "net.so").read_bytes()[:5000])
    for name, text in (("input", MODEL.replace(" x)", " z)").replace("float[N,300] x", "float[N,300] z").replace("Neg(x)", "Neg(z)")), ("type", MODEL.replace("float[N,300] x", "double[N,300] x").replace("float[300,20]", "double[300,20]").replace("(float[N,20] y)", "(double[N,20] y)")),
                       ("shape", MODEL.replace("300,20", "300,21").replace("N,20", "N,21")), ("output", MODEL.replace(" y", " u"))):
        (tmp_path / f"{name}.onnx").write_text(text)
    for arguments, status, said in [
            ((model, "--against", "O4"), 2, "expected O0, O1, O2, O3, onnxruntime or a file, found 'O4'"), ((model, "--against", tmp_path / "nowhere.so"), 2, "nowhere.so"),
            ((model, "--against", tmp_path / "broken.so"), 4, "broken.so"), ((tmp_path / "net.so", "--against", "O0"), 2, "needs the model"),
            ((tmp_path / "net.so", "--against", tmp_path / "net.so", "-O", 1), 2, "both sides are compiled already"),
            ((tmp_path / "net.so", "--against", model, "--per-node"), 2, "is compiled already: --per-node and --bisect need models"),
            ((model, "--against", tmp_path / "net.so", "--against-level", "O0"), 2, "option 'against-level'"), ((model, "--against-level", "O0"), 2, "expected --against M.onnx"),
            ((model, "--against", model, "--against-level", "O7"), 2, "expected O0, O1, O2 or O3, found 'O7'"),
            ((model, "--metric", "psnr>=3"), 2, "unknown metric 'psnr'; expected one of max_abs"), ((model, "--metric", "sqnr=3"), 2, "expected a bound such as sqnr>=0.99"),
            ((model, "--samples", tmp_path / "nowhere"), 4, "nowhere"), ((model, "--samples", "random:0"), 2, "random:N"), ((model, "--sample", 1), 2, "expected --samples"),
            ((model, "--samples", "random:2", "--sample", 2), 2, "expected less than 2"), ((model, "--mix", "c"), 2, "expected two models to mix"), ((model, "--top-k", 0), 2, "top-k"),
            ((tmp_path / "input.onnx", "--against", model), 4, "input 'z': expected float32 [?, 300]"), ((tmp_path / "type.onnx", "--against", model), 4, "input 'x': expected float64 [?, 300]"),
            ((tmp_path / "shape.onnx", "--against", model), 4, "input 'w': expected float32 [300, 21]"), ((tmp_path / "output.onnx", "--against", model), 4, "output 'u': expected float32 [?, 20]")]:
        expect_error(run_onager("verify", *arguments), status, said)
