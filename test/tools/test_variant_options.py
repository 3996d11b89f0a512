"""Variants that limits, hints or other variants leave nothing of, and names that guards have to be read back with."""
import json

import numpy as np
import onnx
import pytest

import onager
from support.places import ONAGER
from support.tool import expect_error, run_command, run_onager

TEXT = """<ir_version: 10, opset_import: ["" : 21]>
g (float[batch, seq, 8] x) => (float[batch, seq, 8] y) { y = Softmax<axis = 1>(x) }"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_text(TEXT)
    return path


def list_guards(path) -> list[str]:
    return [variant["guard"] for variant in json.loads(run_command(ONAGER, "inspect", path, "--json"))["variants"]]


@pytest.mark.parametrize("options, guards", [
    (["--variant", "seq=0::9223372036854775807,seq=0::4611686018427387904"], ["seq=0"]),
    (["--variant", "batch=1", "--variant", "batch=1:1"], ["batch=1"]),
    (["--variants=auto", "--likely", "batch=1,seq=3", "--likely", "seq=3,batch=1"], ["batch=1,seq=3"]),
    (["--variant", "batch=3,seq=4,seq=batch+1"], ["batch=3,seq=4"]),
    (["--variant", "batch=seq,seq=batch"], ["seq=batch"]),
    (["--variant", "batch=seq", "--variant", "seq=batch"], ["seq=batch"]),
    (["--dim", "batch=1:4", "--variant", "batch=2:8"], ["batch=2:4"]),
    (["--dim", "batch=1:4", "--variant", "batch=1:8,seq=5"], ["seq=5"]),
    (["--dim", "batch=2", "--variant", "batch=2,seq=5", "--variant", "seq=batch+1"], ["seq=5", "seq=3"]),
    (["--dim", "seq=8:64:8", "--variant", "seq=16:512"], ["seq=16:64:8"]),
    (["--dim", "batch=1:4", "--variants=auto", "--likely", "batch=1:8", "--likely", "batch=2"], ["batch=2"]),
    (["--dim", "batch=2:4", "--variants=auto"], []),
    (["--dim", "batch=1", "--variants=auto"], []),
    (["--likely", "batch=1"], []),
])
def test_what_variants_are_made(model, tmp_path, options, guards):
    path = tmp_path / "model.so"
    run_command(ONAGER, "compile", model, "-o", path, *options)
    assert list_guards(path) == guards


@pytest.mark.parametrize("options, said", [
    (["--dim", "seq=9:15:8"], "option 'dim': 'seq=9:15:8': no value of 'seq'"),
    (["--variant", "seq=9:15:8"], "option 'variant': 'seq=9:15:8': no value of 'seq'"),
    (["--variant", "batch=3,seq=9,seq=batch+1"], "no value of 'batch'"),
    (["--dim", "batch=1:4", "--variant", "batch=9"], "option 'variant': 'batch=9': no value of 'batch' fulfils the conditions on it and the limits batch=1:4"),
    (["--dim", "batch=2", "--variant", "batch=9"], "no value of 'batch' fulfils the conditions on it and the limits batch=2"),
    (["--dim", "batch=1:4", "--variant", "batch=1:8"], "option 'variant': 'batch=1:8': every run fulfils it, within the limits batch=1:4"),
    (["--variant", "seq=0:"], "option 'variant': 'seq=0:': every run fulfils it"),
    (["--likely", "nonsense"], "option 'likely': 'nonsense': expected SYMBOL=VALUE"),
    (["--likely", "width=3"], "option 'likely': 'width=3': unknown symbol 'width'"),
    (["--variants=auto", "--likely", "width=3"], "option 'likely': 'width=3': unknown symbol 'width'"),
])
def test_what_no_variant_can_be_made_for_is_said(model, tmp_path, options, said):
    expect_error(run_onager("compile", model, "-o", tmp_path / "none.so", *options), 2, said)
    assert not (tmp_path / "none.so").exists()


def test_later_variants_keep_to_the_limits(model, tmp_path):
    plain, more = tmp_path / "plain.so", tmp_path / "more.so"
    run_command(ONAGER, "compile", model, "-o", plain, "--dim", "batch=1:4", "--variant", "seq=5")
    run_command(ONAGER, "respecialize", plain, "-o", more, "--variant", "batch=2:8", "--variant", "batch=2:4", "--variant", "seq=5")
    assert list_guards(more) == ["seq=5", "batch=2:4"]
    for guard, said in [("batch=9", "and the limits batch=1:4"), ("batch=1:8", "every run fulfils it, within the limits batch=1:4"), ("seq=0:", "every run fulfils it")]:
        expect_error(run_onager("respecialize", plain, "-o", tmp_path / "none.so", "--variant", guard), 2, f"option '--variant': '{guard}': ", said)
    session = onager.InferenceSession(more, recompile="off")
    with pytest.raises(ValueError, match=r"dim 0 \(batch\): expected batch=1:4, found 5"):
        session.run(None, {"x": np.zeros((5, 5, 8), np.float32)})


def test_names_with_commas_are_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.setenv("ONAGER_CACHE_DIR", str(tmp_path / "cache"))
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch,a=b"]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Exp", ["x"], ["y"])], "g", [x], [y])
    onnx.save(onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 21)]), tmp_path / "model.onnx")
    run_command(ONAGER, "compile", tmp_path / "model.onnx", "-o", tmp_path / "model.so", "--variants=auto")
    assert list_guards(tmp_path / "model.so") == ["batch,a=b=1"]
    session = onager.InferenceSession(tmp_path / "model.so", recompile="lazy")
    session.warm_up({"x": np.zeros(3, np.float32)})
    session.export(tmp_path / "more.so")
    assert list_guards(tmp_path / "more.so") == ["batch,a=b=1", "batch,a=b=3"]


@pytest.mark.parametrize("command", [
    ["run", "M.so", "--recompile", "maybe"], ["bench", "M.so", "--recompile", "maybe"], ["cache", "maybe"],
    *(["compress", "M.onnx", "-o", "N.onnx", option, "maybe"] for option in ("--quantize", "--precision", "--minimize", "--range", "--rounding", "--group", "--prune-by", "--prune-scope", "--prune-rotation", "--mask-by", "--scaling")),
])
def test_words_that_an_option_does_not_know(command):
    found = run_onager(*command)
    expect_error(found, 2, "expected ", " or ", ", found 'maybe'")
    assert not any(mark in found.stderr for mark in ("{", "->", "FAILED"))
    assert found.stderr.count("\n") == 1


def test_words_in_capitals_are_known(model, tmp_path):
    expect_error(run_onager("run", tmp_path / "none.so", "--recompile", "EAGER"), 4, "none.so")
