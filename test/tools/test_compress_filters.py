"""onager compress: convolutions with weights alone quantised."""
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import onager
from support.places import ONAGER
from support.tool import compress, expect_error, run_command, run_onager, run_onnxruntime, save_samples


def make_network(opset: int = 17) -> onnx.ModelProto:
    """Convolutions and transposed ones, each alone, in groups and depthwise, with odd numbers of channels; two that share their weights."""
    random = np.random.default_rng(0)
    tensors: list = []

    def weights(name: str, *shape: int) -> str:
        tensors.append(numpy_helper.from_array((random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32), name))
        return name

    nodes = [
        helper.make_node("Conv", ["x", weights("w1", 10, 3, 3, 3), weights("b1", 10)], ["c1"], "first", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", weights("w2", 10, 1, 3, 3)], ["c2"], "depthwise", pads=[1] * 4, group=10),
        helper.make_node("Conv", ["c2", weights("w3", 14, 5, 5, 5)], ["c3"], "grouped", pads=[2] * 4, group=2),
        helper.make_node("Conv", ["c3", weights("shared", 14, 14, 1, 1)], ["c4"], "left"),
        helper.make_node("Conv", ["c4", "shared"], ["c5"], "right"),
        helper.make_node("ConvTranspose", ["c5", weights("w6", 14, 9, 2, 2), weights("b6", 9)], ["t1"], "wide", strides=[2, 2]),
        helper.make_node("ConvTranspose", ["t1", weights("w7", 9, 5, 3, 3)], ["t2"], "parts", pads=[1] * 4, group=3),
        helper.make_node("ConvTranspose", ["t2", weights("w8", 15, 1, 3, 3)], ["t3"], "thin", pads=[1] * 4, group=15),
        helper.make_node("Conv", ["t3", weights("w9", 3, 15, 1, 1)], ["y"], "last"),
    ]
    graph = helper.make_graph(nodes, "network", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 12, 11])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3, 24, 22])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def draw(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 12, 11)).astype(np.float32)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "network.onnx"
    onnx.save(make_network(), path)
    return path


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return save_samples(tmp_path_factory.mktemp("samples"), draw, 4)


def measure_sqnr(found: np.ndarray, expected: np.ndarray) -> float:
    return float(10 * np.log10((expected**2).sum() / ((found - expected) ** 2).sum()))


def read_filters(path) -> dict[str, np.ndarray]:
    """What ONNX Runtime makes of each constant that was quantised, by the name that it had."""
    model = onnx.load(path)
    values = [output for node in model.graph.node for output in node.output if output.endswith("_dequantized")]
    model.graph.output.extend(helper.make_empty_tensor_value_info(value) for value in values)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return dict(zip([value.removesuffix("_dequantized") for value in values], session.run(values, {"x": draw(1, 0)})))


@pytest.mark.parametrize("opset", [11, 17, 21])
@pytest.mark.parametrize(("scheme", "bits", "least"), [("int8-weights", 8, 40), ("int4", 4, 15)])
def test_filters_are_within_half_a_step(tmp_path, opset, scheme, bits, least):
    onnx.save(make_network(opset), tmp_path / "plain.onnx")
    report = compress(tmp_path / "plain.onnx", tmp_path / "small.onnx", "--quantize", scheme, "--rounding", "rtn", "--group", 16)
    assert [layer["scheme"] for layer in report["layers"]] == [scheme] * 9 and all(layer["weight_sqnr"] > least for layer in report["layers"])
    onnx.checker.check_model(onnx.load(tmp_path / "small.onnx"), full_check=opset == 21)
    plain = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(tmp_path / "plain.onnx").graph.initializer if tensor.name[0] != "b"}
    found = read_filters(tmp_path / "small.onnx")
    assert plain.keys() == found.keys()
    for name, weights in plain.items():
        # A range holds 0, and its scale is rounded up to bf16 where there are groups.
        step = 2 * np.abs(weights).max() / 254 if bits == 8 else (weights.max() - weights.min()) / 15 * 1.01
        assert np.abs(found[name] - weights).max() <= 0.51 * step, name
    x = draw(3, 100)
    expected, other = run_onnxruntime(tmp_path / "plain.onnx", x), run_onnxruntime(tmp_path / "small.onnx", x)
    assert np.allclose(onager.InferenceSession(tmp_path / "small.onnx").run(None, {"x": x})[0], other, atol=1e-4 * np.abs(expected).max())
    assert measure_sqnr(other, expected) > least - 10


def test_steps_are_those_of_channels_and_of_parts(network, tmp_path):
    report = compress(network, tmp_path / "bytes.onnx", "--quantize", "int8-weights", "--rounding", "rtn")
    compress(network, tmp_path / "nibbles.onnx", "--quantize", "int4", "--rounding", "rtn", "--group", 32)
    scales = [{tensor.name.removesuffix("_scale"): tensor.dims[0] for tensor in onnx.load(tmp_path / name).graph.initializer if tensor.name.endswith("_scale")} for name in ("bytes.onnx", "nibbles.onnx")]
    # By output channel, but for a transposed convolution with groups.
    assert scales[0] == {"w1": 10, "w2": 10, "w3": 14, "shared": 14, "w6": 9, "w7": 9, "w8": 15, "w9": 3}
    # Filters of 27, 9, 125 = 5 * 25, 14, 36, 45 = 3 * 15 or whole, 9 and 15 weights: the size next to 32.
    assert scales[1] == {"w1": 10, "w2": 10, "w3": 14 * 5, "shared": 14, "w6": 14, "w7": 9, "w8": 15, "w9": 3}
    assert report["layers"][0]["bytes_before"] == 270 * 4 and report["layers"][0]["bytes_after"] == 270 + 10 * 4
    assert report["bytes_after"] < 0.6 * report["bytes_before"] and any("compiled code holds them as f32" in note for note in report["notes"])


@pytest.mark.parametrize("scheme", ["int8-weights", "int4"])
def test_compiled_code_has_the_same_kernels(network, tmp_path, scheme):
    """What restores filters is gone when the model is compiled, so that a run takes as long as before."""
    compress(network, tmp_path / "small.onnx", "--quantize", scheme)
    described = []
    for name in (network, tmp_path / "small.onnx"):
        run_command(ONAGER, "compile", name, "-o", tmp_path / "model.so")
        # What a later compilation for certain shapes starts from is the model as it came.
        described.append([line for line in run_command(ONAGER, "inspect", tmp_path / "model.so").splitlines() if not line.startswith("recompilation:")])
    assert described[0] == described[1] and any(line.startswith("weights:") for line in described[0])


@pytest.mark.parametrize("scheme", ["int8-weights", "int4"])
def test_recipes_and_clipped_ranges(network, tmp_path, scheme):
    sqnr = {}
    for rounding in ("rtn", "mse"):
        report = compress(network, tmp_path / "small.onnx", "--quantize", scheme, "--rounding", rounding, "--write-recipe", tmp_path / "recipe.json")
        sqnr[rounding] = [layer["weight_sqnr"] for layer in report["layers"]]
    assert all(mse >= rtn for mse, rtn in zip(sqnr["mse"], sqnr["rtn"])) and (scheme != "int4" or sum(sqnr["mse"]) > sum(sqnr["rtn"]) + 1)
    compress(network, tmp_path / "again.onnx", "--recipe", tmp_path / "recipe.json")
    assert (tmp_path / "small.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
    layers = json.loads((tmp_path / "recipe.json").read_text())["layers"]
    assert all(("group" in layer) == (scheme == "int4") for layer in layers)


@pytest.mark.parametrize("scheme", ["int8-weights", "int4"])
@pytest.mark.parametrize("rounding", ["gptq", "adaround"])
def test_rounding_by_data_lowers_what_outputs_lose(network, samples, tmp_path, scheme, rounding):
    x, sqnr = draw(4, 100), {}
    expected = run_onnxruntime(network, x)
    for name in ("rtn", rounding):
        compress(network, tmp_path / f"{name}.onnx", "--quantize", scheme, "--rounding", name, "--calibrate", samples, "--write-recipe", tmp_path / "recipe.json")
        sqnr[name] = measure_sqnr(run_onnxruntime(tmp_path / f"{name}.onnx", x), expected)
        assert np.allclose(onager.InferenceSession(tmp_path / f"{name}.onnx").run(None, {"x": x})[0], run_onnxruntime(tmp_path / f"{name}.onnx", x), atol=1e-4 * np.abs(expected).max())
    assert sqnr[rounding] > sqnr["rtn"], sqnr
    roundings = {layer["node"]: layer["rounding"] for layer in json.loads((tmp_path / "recipe.json").read_text())["layers"]}
    assert roundings == {name: "mse" if name in ("wide", "parts", "thin") else rounding for name in roundings}


def test_biases_make_up_for_filters(network, samples, tmp_path):
    """Also those of transposed convolutions, whose channels are not the weights' first dim."""
    errors, folder = {}, tmp_path / "far"
    folder.mkdir()
    for k in range(10):
        np.save(folder / f"{k}.npy", draw(4, k) + 2)  # a mean that is not 0
    for name, options in {"plain": [], "corrected": ["--bias-correction"]}.items():
        report = compress(network, tmp_path / "small.onnx", "--quantize", "int4", "--calibrate", folder, *options)
        errors[name] = report["held_out"][0]["sqnr"]
    assert errors["corrected"] > errors["plain"] + 3 and {layer["node"] for layer in report["layers"] if "bias_shift" in layer} >= {"wide", "parts", "thin"}


def test_schemes_are_chosen_layer_by_layer(network, samples, tmp_path):
    report = compress(network, tmp_path / "small.onnx", "--quantize", "int4,int8-weights", "--target-bpw", 8, "--calibrate", samples)
    assert {"int4", "int8-weights"} <= {layer["scheme"] for layer in report["layers"]}
    assert sum(layer["bytes_after"] for layer in report["layers"]) * 8 <= 8 * sum(layer["bytes_before"] for layer in report["layers"]) / 4
    report = compress(network, tmp_path / "small.onnx", "--quantize", "int4,int8-weights", "--budget", "sqnr>=30", "--calibrate", samples)
    assert report["held_out"][0]["sqnr"] > 30 and report["bytes_after"] < report["bytes_before"]


def test_what_convolutions_do_not_take_is_said(network, samples, tmp_path):
    model = make_network()
    model.graph.initializer.append(numpy_helper.from_array(np.ones((3, 1, 1, 1), np.float32), "gains"))
    model.graph.node.append(helper.make_node("Conv", ["y", "gains"], ["z"], "gain", group=3))
    model.graph.output[0].name = "z"
    onnx.save(model, tmp_path / "plain.onnx")
    reasons = {layer["node"]: layer.get("reason") for layer in compress(tmp_path / "plain.onnx", tmp_path / "small.onnx", "--quantize", "int4", "--rounding", "hqq")["layers"]}
    assert reasons.pop("gain") == "each weight would have a scale of its own" and not any(reasons.values())
    report = compress(network, tmp_path / "small.onnx", "--quantize", "int8", "--calibrate", samples, "--even-if-slower")
    assert {layer["node"]: layer["reason"] for layer in report["layers"] if "reason" in layer} == {name: "transposed convolutions take weights alone" for name in ("wide", "parts", "thin")}
    expect_error(run_onager("compress", network, "-o", tmp_path / "none.onnx", "--quantize", "nf4"), 3, "convolutions have no form of 16 levels")
