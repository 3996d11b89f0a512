"""`onager verify --bisect`: injected faults are found in models of three kinds, and in real ones; passes are named by their own numbers."""
import json
import shlex

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from support import faults
from support.places import ONAGER, unpack
from support.tool import expect_error, run_command, run_onager

KINDS = sorted(faults.MODELS)


def bisect(model, *arguments) -> dict:
    """Returns what is to blame, and holds the command that reproduces it against what it promises."""
    level = [] if "-O" in arguments else ["-O", 1]  # the passes of -O3, compiled in less time
    found = run_onager("verify", model, "--bisect", "--json", "--threads", 1, *level, *arguments, seconds=600)
    assert found.returncode == 1, found.stdout + found.stderr
    blame = json.loads(found.stdout)["bisect"]
    words = shlex.split(blame["reproduce"])
    assert words[:2] == ["onager", "verify"] and run_onager(*words[1:], seconds=300).returncode == 1, blame["reproduce"]
    return blame


def pass_dims(kind: str) -> list:
    return [word for dim in faults.DIMS[kind] for word in ("--dim", dim)]


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def plain(kind, tmp_path_factory):
    path = tmp_path_factory.mktemp(kind) / "plain.onnx"
    onnx.save(faults.MODELS[kind](), path)
    return path


@pytest.mark.parametrize("scheme", ["int8", "int4"])
def test_wrong_scale(kind, plain, tmp_path, scheme):
    if (kind, scheme) == ("convolutional", "int4"):
        pytest.skip("int4 is for products")
    run_command(ONAGER, "compress", plain, "-o", tmp_path / "small.onnx", "--quantize", scheme, "--even-if-slower", "--calibrate", "random:8", "--threads", 1, *pass_dims(kind))
    threshold = ["--metric", "sqnr>=12" if scheme == "int8" else "sqnr>=8", "--samples", "random:3", *pass_dims(kind)]
    assert run_onager("verify", tmp_path / "small.onnx", "--against", plain, *threshold).returncode == 0
    model = onnx.load(tmp_path / "small.onnx")
    node = faults.QUANTIZED[kind]
    faults.scale_wrongly(model, next(one.name for one in model.graph.node if one.name.startswith(node)))
    onnx.save(model, tmp_path / "broken.onnx")
    blame = bisect(tmp_path / "broken.onnx", "--against", plain, *threshold)
    assert blame["kind"] == "layer" and blame["enough"]
    assert [layer["node"] for layer in blame["layers"]] == [node]
    # The advice mends it.
    mend = shlex.split(blame["mend"])
    assert ["--quantize", scheme] == mend[mend.index("--quantize"):][:2] and ["--keep", node] == mend[-2:]


def test_the_advice_mends_where_errors_add_up(tmp_path):
    onnx.save(faults.make_convolutional(), tmp_path / "plain.onnx")
    data = ["--dim", "n=2"]
    run_command(ONAGER, "compress", tmp_path / "plain.onnx", "-o", tmp_path / "small.onnx", "--quantize", "int8", "--even-if-slower", "--calibrate", "random:8", *data)
    judge = [*data, "--samples", "random:8"]
    report = json.loads(run_command(ONAGER, "verify", tmp_path / "small.onnx", "--against", tmp_path / "plain.onnx", "--metric", "sqnr>=0", "--json", *judge))
    bound = report["values"][0]["metrics"]["sqnr"] + 6  # half of the error has to go
    blame = bisect(tmp_path / "small.onnx", "--against", tmp_path / "plain.onnx", "--metric", f"sqnr>={bound}", *judge)
    assert blame["enough"] and all(layer["op"] != "Constant" for layer in blame["layers"])
    mend = shlex.split(blame["mend"])
    assert mend[:2] == ["onager", "compress"]
    run_command(ONAGER, *mend[1:], cwd=tmp_path)
    mended = json.loads(run_command(ONAGER, "verify", tmp_path / "fixed.onnx", "--against", tmp_path / "plain.onnx", "--metric", "sqnr>=0", "--json", *judge))
    assert mended["values"][0]["metrics"]["sqnr"] > bound - 2


def test_bad_fold(kind, plain, tmp_path):
    model = onnx.load(plain)
    faults.fold_wrongly(model, kind)
    onnx.save(model, tmp_path / "folded.onnx")
    blame = bisect(tmp_path / "folded.onnx", "--against", plain, *pass_dims(kind))
    output, weights, scaled, _ = faults.FOLDS[kind]
    (layer,) = blame["layers"]
    assert blame["kind"] == "layer" and layer["value"] == scaled and layer["changed_constants"] == [weights]


def test_overflow_of_f16(kind, plain, tmp_path):
    model = onnx.load(plain)
    faults.grow(model, kind)
    onnx.save(model, tmp_path / "grown.onnx")
    half = faults.convert_to_half(model)
    onnx.save(half, tmp_path / "half.onnx")
    threshold = ["--metric", "sqnr>=20", *pass_dims(kind)]
    blame = bisect(tmp_path / "half.onnx", "--against", tmp_path / "grown.onnx", "-O", 0, *threshold)
    output = faults.FOLDS[kind][0]
    assert blame["overflow"]["node"] == f"node_{output}", blame
    assert output in [layer["value"] for layer in blame["layers"]]
    # The reference form rounds each value to f16; fused code computes in f32, and differs from it.
    blame = bisect(tmp_path / "half.onnx", "--against", "O0", *pass_dims(kind))
    assert blame["overflow"]["node"] == f"node_{output}", blame


def test_overflow_on_which_both_sides_agree(plain, kind, tmp_path):
    model = onnx.load(plain)
    faults.grow(model, kind)
    onnx.save(faults.convert_to_half(model), tmp_path / "half.onnx")
    found = run_onager("verify", tmp_path / "half.onnx", "--against", "O0", "-O", 0, "--bisect", *pass_dims(kind))
    assert found.returncode == 0 and f"first node with infinities or NaN: node_{faults.FOLDS[kind][0]}" in found.stdout, found.stdout + found.stderr


def test_the_pass_that_rounds_is_named(plain, kind):
    """What a pass does to numbers breaks a bound that is closer than that: the honest fault of a compiler that has none."""
    blame = bisect(plain, "--rtol", 0, "--atol", 1e-12, *pass_dims(kind))
    assert blame["kind"] in ("pass", "code") and blame["node"]
    if blame["kind"] == "pass":
        number = blame["pass_number"]
        assert run_onager("verify", plain, "-O", 1, "--rtol", 0, "--atol", 1e-12, "--pass-limit", number - 1, *pass_dims(kind)).returncode == 0


def test_winograd_is_found_as_the_choice_that_costs_accuracy(tmp_path):
    net = faults.Builder(5)
    net.add("Conv", ["x", net.weights("w1", 64, 64, 3, 3)], "c1", pads=[1] * 4)
    net.add("Relu", ["c1"], "r1")
    net.add("Conv", ["r1", net.weights("w2", 64, 64, 3, 3)], "y", pads=[1] * 4)
    onnx.save(net.build("wide", [1, 64, 28, 28], [1, 64, 28, 28]), tmp_path / "wide.onnx")
    sqnr = [json.loads(run_command(ONAGER, "verify", tmp_path / "wide.onnx", "-O", 1, "--json", *options))["values"][0]["metrics"]["sqnr"]
            for options in ([], ["--skip-pass", "convert-conv-to-winograd"])]
    assert sqnr[1] > sqnr[0] + 3
    blame = bisect(tmp_path / "wide.onnx", "--metric", f"sqnr>={sum(sqnr) / 2}")
    assert blame["kind"] == "pass" and blame["pass"] == "convert-conv-to-winograd" and blame["skip_pass_helps"], blame


@pytest.mark.parametrize(("name", "op"), [("mobilenetv2-int8-qdq", "Conv"), ("mnist-8", "Conv"), ("super-resolution-10", "Conv")])
def test_edited_constants_of_real_models(tmp_path, name, op):
    path = unpack("models/models.tar.xz", "models") / "models" / name / "model.onnx"
    model = onnx.load(path)
    producers = {output: node for node in model.graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == op]
    node = nodes[len(nodes) // 2]
    weights = node.input[1]
    if weights not in constants:
        weights = producers[weights].input[1]  # the scale of a dequantised weight
    faults.replace(model, weights, numpy_helper.to_array(constants[weights]) * np.float32(3))
    onnx.save(model, tmp_path / "edited.onnx")
    blame = bisect(tmp_path / "edited.onnx", "--against", path, "--metric", "sqnr>=20")
    (layer,) = blame["layers"]
    assert layer["value"] in node.output and weights in layer["changed_constants"], blame


def test_artifacts_cannot_be_bisected(plain, kind, tmp_path):
    run_command(ONAGER, "compile", plain, "-o", tmp_path / "plain.so")
    expect_error(run_onager("verify", tmp_path / "plain.so", "--against", plain, "--bisect", "--metric", "max_abs<0", *pass_dims(kind)), 2, "is compiled already: --bisect needs models")


def test_overflow_of_a_layer_that_compressing_made_narrow(kind, tmp_path):
    """f16 for a layer whose values need more range: the advice keeps this layer alone."""
    model = faults.MODELS[kind]()
    output, weights, _, scale = faults.FOLDS[kind]
    # Weights that are infinite in f16 and a scale that makes up for them.
    values, factors = (numpy_helper.to_array(faults.find_tensor(model, name)) for name in (weights, scale))
    faults.replace(model, weights, values * np.float32(1e7))
    faults.replace(model, scale, factors / np.float32(1e7))
    onnx.save(model, tmp_path / "plain.onnx")
    run_command(ONAGER, "compress", tmp_path / "plain.onnx", "-o", tmp_path / "small.onnx", "--precision", "f16", "--even-if-slower")
    blame = bisect(tmp_path / "small.onnx", "--against", tmp_path / "plain.onnx", "--metric", "sqnr>=30", *pass_dims(kind))
    assert [layer["value"] for layer in blame["layers"]] == [output] and blame["overflow"]["node"] == f"node_{output}"
    mend = shlex.split(blame["mend"])
    assert mend[-4:] == ["--precision", "f16", "--keep", f"node_{output}"]
    run_command(ONAGER, *mend[1:], cwd=tmp_path)
    assert run_onager("verify", tmp_path / "fixed.onnx", "--against", tmp_path / "plain.onnx", "-O", 1, "--metric", "sqnr>=30", *pass_dims(kind)).returncode == 0
