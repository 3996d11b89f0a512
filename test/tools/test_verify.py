"""`onager verify`: what differs, from which node on, and how the tool ends then."""
import pathlib
import subprocess

import numpy as np
import pytest

from support.places import ONAGER

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
