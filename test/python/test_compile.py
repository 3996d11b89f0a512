"""onager.compile: what it takes, where the artifact goes, what it refuses."""
import json
import os
import pathlib
import stat

import numpy as np
import onnx
import pytest

import onager
from python.models import SUM, UNKNOWN, make_text

RELU = make_text("(float[n] x) => (float[n] y)", "y = Relu(x)")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, not made yet."""
    folder = tmp_path / "cache" / "of mine"
    monkeypatch.setenv("ONAGER_CACHE_DIR", str(folder))
    return folder


def run_relu(artifact) -> list:
    return onager.InferenceSession(artifact).run(None, {"x": np.array([-1, 2], np.float32)})[0].tolist()


def test_path_in_path_out(tmp_path):
    model = tmp_path / "relu.txt"
    model.write_bytes(RELU)
    for source, output in ((model, tmp_path / "a.so"), (str(model), str(tmp_path / "b.so"))):
        assert onager.compile(source, output) == str(output)
        assert run_relu(output) == [0, 2]


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_bytes(wrap, tmp_path):
    assert run_relu(onager.compile(wrap(RELU), tmp_path / "relu.so")) == [0, 2]


def test_binary_model(tmp_path):
    model = onnx.parser.parse_model(RELU.decode())
    assert run_relu(onager.compile(model.SerializeToString(), tmp_path / "relu.so")) == [0, 2]


def test_without_output_the_artifact_goes_to_the_cache(cache):
    first = pathlib.Path(onager.compile(RELU))
    assert first.parent == cache and stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert onager.compile(RELU) == str(first)
    others = {onager.compile(RELU, opt_level=0), onager.compile(SUM)}
    assert len(others) == 2 and str(first) not in others
    assert {path.name for path in cache.iterdir()} == {pathlib.Path(path).name for path in others | {str(first)}}


def test_options_are_those_of_the_command_line(tmp_path):
    artifact = onager.compile(SUM, tmp_path / "sum.so", opt_level=0, target="x86-64-v3", shape={"left": [4, 3]})
    assert onager.InferenceSession(artifact).get_inputs()[0].shape == [4, 3]


def test_a_scalar_has_the_empty_shape(tmp_path):
    model = make_text("(float[n] x, float s) => (float[n] y)", "y = Mul(x, s)")
    artifact = onager.compile(model, tmp_path / "scaled.so", shapes={"x": (2,), "s": ()})
    assert [value.shape for value in onager.InferenceSession(artifact).get_inputs()] == [[2], []]


def test_report(tmp_path):
    reports = []
    onager.compile(RELU, tmp_path / "relu.so", report=reports, target="x86-64-v2")
    (report,) = map(json.loads, reports)
    assert report["target"] == "x86-64-v2" and report["launches"]


def test_same_model_gives_the_same_bytes(tmp_path):
    paths = [tmp_path / "one" / "a.so", tmp_path / "another" / "b.so"]
    for path in paths:
        path.parent.mkdir()
        onager.compile(SUM, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_refused_model_names_every_node_and_leaves_no_file(tmp_path):
    with pytest.raises(onager.CompileError, match=r"(?s)Frobnicate.*Grumble") as caught:
        onager.compile(UNKNOWN, tmp_path / "model.so")
    assert caught.value.status == 3
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("options", "message"), [
    ({"colour": "red"}, "unknown option 'colour'"),
    ({"opt_level": 7}, "option 'opt-level': expected 0 to 3, found '7'"),
    ({"target": "z80"}, "option 'target': expected one of native, .*, found 'z80'"),
    ({"sanitize": "maybe"}, "option 'sanitize': expected true or false, found 'maybe'"),
    ({"winograd": 2}, "option 'winograd': expected true or false, found '2'"),
    ({"shape": {"left": ["many"]}}, "option 'shape': expected .*, found 'left=many'"),
    ({"shape": "left"}, "option 'shape': expected .*, found 'left'"),
])
def test_bad_option(options, message, tmp_path):
    with pytest.raises(onager.CompileError, match=message) as caught:
        onager.compile(SUM, tmp_path / "model.so", **options)
    assert caught.value.status == 2
    assert os.listdir(tmp_path) == []


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(onager.CompileError, match="absent.onnx") as caught:
        onager.compile(tmp_path / "absent.onnx", tmp_path / "model.so")
    assert caught.value.status == 4
    with pytest.raises(onager.CompileError) as caught:
        onager.compile(b"\x08\x0d\xff\xff\xff", tmp_path / "model.so")
    assert caught.value.status == 4
    with pytest.raises(onager.CompileError, match="no-such-folder") as caught:
        onager.compile(RELU, tmp_path / "no-such-folder" / "model.so")
    assert caught.value.status == 4
    assert os.listdir(tmp_path) == []
