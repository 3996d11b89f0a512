"""Strings in the files and on the terminals of `onager run`, `onager verify` and of programs made by --emit=exe."""
import json
import subprocess

import numpy as np
import onnx
import pytest

from support.places import ONAGER

MODEL = """<ir_version: 10, opset_import: ["" : 22]>
words (string[N] x) => (string[N] loud, int64[N] same) <string[1] end = {"!"}> {
  joined = StringConcat(x, end)
  loud = StringNormalizer<case_change_action = "UPPER">(joined)
  equal = Equal(x, end)
  same = Cast<to = 7>(equal)
}"""
WORDS = ["a", "", "ü日\"", "!"]
LOUD = ["A!", "!", "Ü日\"!", "!!"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strings")
    (folder / "words.onnx").write_text(MODEL)
    for emit, name in (("so", "words.so"), ("exe", "words")):
        subprocess.run([ONAGER, "compile", folder / "words.onnx", f"--emit={emit}", "-o", folder / name], check=True)
    np.save(folder / "x.npy", np.array(WORDS))
    (folder / "x.pb").write_bytes(onnx.numpy_helper.from_array(np.array(WORDS, object)).SerializeToString())
    return folder


def _run(*arguments, status=0):
    done = subprocess.run([*map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    return done


@pytest.mark.parametrize("file", ["x.npy", "x.pb"])
def test_files(folder, file, tmp_path):
    done = _run(ONAGER, "run", folder / "words.so", "--input", f"x={folder / file}", "--output-dir", tmp_path, "--json")
    outputs = {output["name"]: output for output in json.loads(done.stdout)["outputs"]}
    assert outputs["loud"]["head"] == LOUD and outputs["loud"]["type"] == "string"
    assert np.load(tmp_path / "loud.npy").tolist() == LOUD
    assert np.load(tmp_path / "same.npy").tolist() == [0, 0, 0, 1]


def test_terminal(folder):
    text = 'loud: string [4]\n  "A!" "!" "Ü日\\"!" "!!"\n'
    assert _run(ONAGER, "run", folder / "words.so", "--input", f"x={folder / 'x.npy'}").stdout.startswith(text)
    assert _run(folder / "words", folder / "x.npy").stdout.startswith(text.replace("\n  ", "\n "))


def test_bytes_of_fixed_width(folder, tmp_path):
    np.save(tmp_path / "x.npy", np.array([b"a", b"bc"]))
    assert '"A!" "BC!"' in _run(folder / "words", tmp_path / "x.npy").stdout


def test_verify(folder):
    assert "loud" in _run(ONAGER, "verify", folder / "words.onnx", "--dim", "N=9").stdout


def test_damaged_files(folder, tmp_path):
    message = onnx.TensorProto(data_type=onnx.TensorProto.STRING, dims=[3], string_data=[b"a"])
    (tmp_path / "x.pb").write_bytes(message.SerializeToString())
    done = _run(folder / "words", tmp_path / "x.pb", status=4)
    assert "shape [3] of strings does not fit 1 of them" in done.stderr
    np.save(tmp_path / "x.npy", np.zeros(3, np.float32))
    assert "expected type string, found float32" in _run(folder / "words", tmp_path / "x.npy", status=4).stderr
