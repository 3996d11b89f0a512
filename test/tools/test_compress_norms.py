"""onager compress --calibrate batch-norm: ranges of activations without data."""
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import onager
from support.places import ONAGER
from support.tool import expect_error, run_command, run_onager


def make_network(function: str = "Relu") -> onnx.ModelProto:
    """Two residual blocks with BatchNormalization, whose statistics are those of normal inputs, and a head."""
    random = np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {}
    nodes = []

    def add_conv(source: str, target: str, inputs: int, size: int, group: int = 1) -> None:
        tensors[f"{target} w"] = random.standard_normal((16, inputs // group, size, size)) / np.sqrt(inputs // group * size * size)
        tensors.update({f"{target} scale": random.uniform(0.5, 2, 16), f"{target} bias": random.standard_normal(16) / 2, f"{target} mean": np.zeros(16), f"{target} variance": np.ones(16)})
        nodes.append(helper.make_node("Conv", [source, f"{target} w"], [f"{target} c"], f"{target} conv", pads=[size // 2] * 4, group=group))
        nodes.append(helper.make_node("BatchNormalization", [f"{target} c", *(f"{target} {part}" for part in ("scale", "bias", "mean", "variance"))], [target]))

    def add_function(source: str, target: str) -> None:
        if function == "SiLU":
            nodes.extend([helper.make_node("Sigmoid", [source], [f"{target} gate"]), helper.make_node("Mul", [source, f"{target} gate"], [target])])
        else:
            nodes.append(helper.make_node(function, [source], [target]))

    add_conv("x", "n1", 3, 3)
    add_function("n1", "r1")
    add_conv("r1", "n2", 16, 3, 16)
    add_function("n2", "r2")
    add_conv("r2", "n3", 16, 1)
    nodes.append(helper.make_node("Add", ["r1", "n3"], ["sum"]))
    add_function("sum", "r3")
    add_conv("r3", "n4", 16, 3)
    add_function("n4", "r4")
    nodes += [helper.make_node("GlobalAveragePool", ["r4"], ["pool"]), helper.make_node("Flatten", ["pool"], ["flat"]), helper.make_node("Gemm", ["flat", "dense w"], ["y"], "dense")]
    tensors["dense w"] = random.standard_normal((16, 10))
    graph = helper.make_graph(nodes, "network", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])],
                              [numpy_helper.from_array(array.astype(np.float32), name) for name, array in tensors.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    settle(model)
    return model


def draw(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 16, 16)).astype(np.float32)


def look(model: onnx.ModelProto, names: list[str], x: np.ndarray) -> list[np.ndarray]:
    probe = onnx.ModelProto.FromString(model.SerializeToString())
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    return onnxruntime.InferenceSession(probe.SerializeToString()).run(names, {"x": x})


def settle(model: onnx.ModelProto) -> None:
    """Gives each BatchNormalization the statistics of what it reads, as training would."""
    for node in [node for node in model.graph.node if node.op_type == "BatchNormalization"]:
        (value,) = look(model, [node.input[0]], draw(32, 1))
        for name, statistic in ((node.input[3], value.mean((0, 2, 3))), (node.input[4], value.var((0, 2, 3)))):
            tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
            tensor.CopyFrom(numpy_helper.from_array(statistic, name))


def compress(model, output, *options):
    return json.loads(run_command(ONAGER, "compress", model, "-o", output, "--threads", 1, "--json", "--quantize", "int8", "--even-if-slower", "--dim", "batch=2", *options))


@pytest.mark.parametrize("function", ["Relu", "LeakyRelu", "HardSwish", "SiLU"])
def test_ranges_come_from_statistics(tmp_path, function):
    model = make_network(function)
    onnx.save(model, tmp_path / "plain.onnx")
    report = compress(tmp_path / "plain.onnx", tmp_path / "small.onnx", "--calibrate", "batch-norm", "--write-recipe", tmp_path / "recipe.json")
    kept = {layer["node"]: layer["reason"] for layer in report["layers"] if layer["scheme"] == "keep"}
    assert kept == {"n1 conv": "no BatchNormalization tells the range of its input 'x'"}
    assert report["calibration_samples"] == report["held_out_samples"] == 0 and any("without data: weaker" in note for note in report["notes"])
    names = [entry["value"] for entry in report["activations"]]
    assert set(names) == {"r1", "r2", "r3", "flat"} and {entry["method"] for entry in report["activations"]} == {"batch-norm"}
    for entry, value in zip(report["activations"], look(model, names, draw(8, 2))):
        # What a depthwise convolution sums need not be normal: few numbers lie beyond.
        assert entry["least"] <= value.min() + 0.3 and np.quantile(value, 0.999) <= entry["most"], entry
        # Six deviations, and not many times what is there; means of planes are the exception.
        assert entry["value"] == "flat" or entry["most"] - entry["least"] < 6 * (value.max() - value.min()), entry
    x = draw(8, 3)
    expected, found = (onnxruntime.InferenceSession(str(tmp_path / name)).run(None, {"x": x})[0] for name in ("plain.onnx", "small.onnx"))
    assert 10 * np.log10((expected**2).sum() / ((found - expected) ** 2).sum()) > 15
    assert np.abs(onager.InferenceSession(tmp_path / "small.onnx").run(None, {"x": x})[0] - found).max() < 0.1 * np.abs(expected).max()
    compress_again = run_command(ONAGER, "compress", tmp_path / "plain.onnx", "-o", tmp_path / "again.onnx", "--recipe", tmp_path / "recipe.json", "--dim", "batch=2")
    assert (tmp_path / "small.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes() and " batch-norm" in compress_again


def test_ends_are_as_many_deviations_as_asked_for(tmp_path):
    model = make_network()
    onnx.save(model, tmp_path / "plain.onnx")
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for deviations in (3, 5.5):
        report = compress(tmp_path / "plain.onnx", tmp_path / "small.onnx", "--calibrate", f"batch-norm:{deviations}")
        (entry,) = [entry for entry in report["activations"] if entry["value"] == "r2"]
        assert entry["least"] == 0 and entry["most"] == pytest.approx((tensors["n2 bias"] + deviations * tensors["n2 scale"]).max(), rel=0.01)


def test_what_statistics_do_not_tell_is_said(tmp_path):
    model = make_network()
    # Folded, as exporters do it: the layers' inputs are known no more.
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            node.op_type = "Identity"
            del node.input[1:]
    onnx.save(model, tmp_path / "folded.onnx")
    run = lambda *options: run_onager("compress", tmp_path / "folded.onnx", "-o", tmp_path / "none.onnx", "--quantize", "int8", "--even-if-slower", *options)
    expect_error(run("--calibrate", "batch-norm"), 3, "where one was folded into a layer its statistics are gone")
    expect_error(run("--calibrate", "batch-norm:0"), 2, "expected batch-norm:K with K above 0")
    expect_error(run("--calibrate", "batch-norm", "--rounding", "gptq"), 3, "folded")
    expect_error(run("--calibrate", "batch-norm", "--bias-correction"), 3, "folded")
    onnx.save(make_network(), tmp_path / "folded.onnx")
    expect_error(run("--calibrate", "batch-norm", "--rounding", "gptq"), 2, "gptq needs data")
    expect_error(run("--calibrate", "batch-norm", "--bias-correction"), 2, "needs data")
    assert not (tmp_path / "none.onnx").exists()
