"""onager compress: factors of channels, corrected biases, and roundings by data."""
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onager
from support.places import ONAGER, SHARED
from support.tool import expect_error, run_command, run_onager, run_onnxruntime


class Builder:
    """Collects nodes and weights of a model; weights are drawn by one generator."""

    def __init__(self, seed: int):
        self.random, self.nodes, self.tensors = np.random.default_rng(seed), [], []

    def constant(self, name: str, array: np.ndarray) -> str:
        self.tensors.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def weights(self, name: str, *shape: int) -> str:
        return self.constant(name, self.random.standard_normal(shape) / np.sqrt(np.prod(shape[1:])))

    def node(self, op: str, inputs: list[str], output: str, name: str = "", **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name or output, **attributes))
        return output

    def finish(self, inputs: list, output: str, rank: int, opset: int = 17) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "model", inputs, [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * rank)], self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def make_images() -> onnx.ModelProto:
    """Convolutions whose channels have very different ranges: a triple with a depthwise one in the middle, a BatchNormalization, a slope for each channel, a clip at 6, a head."""
    b = Builder(1)
    uneven = 10.0 ** b.random.uniform(-1.5, 1.5, 24)
    b.node("Conv", ["x", b.weights("w1", 24, 3, 3, 3), b.weights("b1", 24)], "c1", pads=[1] * 4)
    b.node("BatchNormalization", ["c1", b.constant("scale", uneven), b.weights("shift", 24), b.constant("mean", b.random.standard_normal(24) / 9), b.constant("variance", b.random.uniform(0.5, 2, 24))], "n1")
    b.node("Relu", ["n1"], "r1")
    b.node("Conv", ["r1", b.constant("w2", b.random.standard_normal((24, 1, 3, 3)) / 3), b.weights("b2", 24)], "c2", pads=[1] * 4, group=24)
    b.node("PRelu", ["c2", b.constant("slope", b.random.uniform(0.1, 0.4, (24, 1, 1)))], "r2")
    b.node("Conv", ["r2", b.constant("w3", b.random.standard_normal((32, 24, 1, 1)) / 5 / uneven[:, None, None])], "c3")
    b.node("Clip", ["c3", b.constant("low", np.array(0)), b.constant("high", np.array(6))], "r3")
    b.node("Conv", ["r3", b.weights("w4", 32, 32, 3, 3), b.weights("b4", 32)], "c4", pads=[1] * 4)
    b.node("LeakyRelu", ["c4"], "r4")
    b.node("GlobalAveragePool", ["r4"], "pool")
    b.node("Flatten", ["pool"], "flat")
    b.node("Gemm", ["flat", b.weights("w5", 10, 32), b.weights("b5", 10)], "y", transB=1)
    return b.finish([helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 12, 12])], "y", 2)


def make_block() -> onnx.ModelProto:
    """A block of a transformer's shape without attention, whose normalisations make a few channels large: products behind a LayerNormalization alone, behind one that a residual reads as well, and behind a gate."""
    b = Builder(2)
    large = np.ones(48)
    large[[5, 17, 31]] = 40
    b.node("LayerNormalization", ["x", b.constant("g1", large), b.weights("h1", 48)], "n1")
    b.node("MatMul", ["n1", b.weights("wa", 48, 96)], "up")
    b.node("MatMul", ["n1", b.weights("wb", 48, 96)], "gate")
    b.node("Sigmoid", ["gate"], "sigmoid")
    b.node("Mul", ["gate", "sigmoid"], "swish")
    b.node("Mul", ["swish", "up"], "gated")
    b.node("MatMul", ["gated", b.weights("wc", 96, 48)], "down")
    b.node("Add", ["x", "down"], "sum")
    b.node("LayerNormalization", ["sum", b.constant("g2", large), b.weights("h2", 48)], "n2")
    b.node("MatMul", ["n2", b.weights("wd", 48, 48)], "mixed")
    b.node("Add", ["mixed", b.weights("bd", 48)], "biased")
    b.node("Add", ["biased", "n2"], "y")
    return b.finish([helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "rows", 48])], "y", 3)


def make_products() -> onnx.ModelProto:
    """Products of values of one sign, whose means matter: without a bias, with an addition behind, with a bias that two share."""
    b = Builder(6)
    b.node("MatMul", ["x", b.weights("w1", 48, 64)], "m1")
    b.node("Relu", ["m1"], "r1")
    b.node("MatMul", ["r1", b.weights("w2", 64, 64)], "m2")
    b.node("Add", ["m2", b.weights("b2", 64)], "a2")
    b.node("Relu", ["a2"], "r2")
    shared = b.weights("b3", 24)
    b.node("Reshape", ["r2", "rows"], "flat")
    b.tensors.append(numpy_helper.from_array(np.array([-1, 64], np.int64), "rows"))
    b.node("Gemm", ["flat", b.weights("w3", 64, 24), shared], "m3")
    b.node("Gemm", ["flat", b.weights("w4", 64, 24), shared], "m4")
    b.node("Add", ["m3", "m4"], "y")
    return b.finish([helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "rows", 48])], "y", 2)


def make_groups() -> onnx.ModelProto:
    """A convolution in four groups: all channels of the first are alike, of the others some are large."""
    b = Builder(8)
    large = np.ones(32)
    large[[9, 14, 18, 25, 30]] = 40
    b.node("Conv", ["x", b.constant("w1", b.random.standard_normal((32, 3, 3, 3)) / 5 * large[:, None, None, None])], "c1", pads=[1] * 4)
    b.node("Relu", ["c1"], "r1")
    b.node("Conv", ["r1", b.weights("w2", 32, 8, 3, 3), b.weights("b2", 32)], "c2", group=4)
    b.node("GlobalAveragePool", ["c2"], "pool")
    b.node("Flatten", ["pool"], "y")
    return b.finish([helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 12, 12])], "y", 2)


def make_mixed() -> onnx.ModelProto:
    """Products whose weights a few large ones make coarse, of values that hardly use these: a short one, and one with more terms than samples have rows."""
    b = Builder(9)
    weights = b.random.standard_normal((48, 64)) / 7
    weights[0] *= 60
    b.node("MatMul", ["x", b.constant("w1", weights)], "short")
    b.node("Flatten", ["short"], "flat")
    b.node("MatMul", ["flat", b.weights("w2", 9 * 64, 24)], "y", "long")
    return b.finish([helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 9, 48])], "y", 2)


def draw_mixed(count: int, seed: int) -> np.ndarray:
    """Rows that are mixes of six numbers."""
    mix = np.random.default_rng(0).standard_normal((6, 48))
    mix[:, 0] /= 60
    return (np.random.default_rng(seed).standard_normal((count, 9, 6)) @ mix).astype(np.float32)


def draw_images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 12, 12)).astype(np.float32)


def draw_rows(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 9, 48)).astype(np.float32)


MODELS = {"images": (make_images, draw_images), "block": (make_block, draw_rows), "products": (make_products, draw_rows), "groups": (make_groups, draw_images), "mixed": (make_mixed, draw_mixed)}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """For each model its path and a folder of samples."""
    found = {}
    for name, (make, draw) in MODELS.items():
        folder = tmp_path_factory.mktemp(name)
        onnx.save(make(), folder / "plain.onnx")
        (folder / "samples").mkdir()
        for k in range(10):
            np.save(folder / "samples" / f"{k}.npy", draw(8, k))
        found[name] = (folder / "plain.onnx", folder / "samples")
    return found


def compress(model, output, *options):
    force = [] if "--recipe" in options else ["--even-if-slower"]
    return json.loads(run_command(ONAGER, "compress", model, "-o", output, "--threads", 1, "--json", *force, *options))


def measure_sqnr(found: np.ndarray, expected: np.ndarray) -> float:
    return float(10 * np.log10((expected**2).sum() / ((found - expected) ** 2).sum()))


def read_weights(path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


# What scales which model for which scheme, and by how many dB less is lost at least.
GAINS = [("images", "cle", "int8", 6), ("block", "smoothquant", "int8", 6), ("block", "smoothquant", "int8-dynamic", 4), ("block", "awq", "int4", 1.5), ("groups", "awq", "int4", 1.5)]


@pytest.mark.parametrize(("model", "method", "scheme", "gain"), GAINS, ids=lambda value: str(value))
def test_scaled_channels_lose_less_and_recipes_repeat_them(data, tmp_path, model, method, scheme, gain):
    plain, samples = data[model]
    # What factors gain alone: ranges that the outputs choose and corrected biases make up for some of it.
    alone = ["--range", "mse", "--rounding", "rtn", "--no-bias-correction"] if scheme == "int8" else []
    options = ["--quantize", scheme, "--calibrate", samples, *alone]
    recipe = tmp_path / "recipe.json"
    before = compress(plain, tmp_path / "unscaled.onnx", *options, "--scaling", "none")
    after = compress(plain, tmp_path / "scaled.onnx", *options, "--scaling", method, "--write-recipe", recipe)
    assert after["held_out"][0]["sqnr"] > before["held_out"][0]["sqnr"] + gain, (before["held_out"], after["held_out"])
    x = MODELS[model][1](8, 100)
    assert measure_sqnr(run_onnxruntime(tmp_path / "scaled.onnx", x), run_onnxruntime(plain, x)) > measure_sqnr(run_onnxruntime(tmp_path / "unscaled.onnx", x), run_onnxruntime(plain, x))
    scaled = {entry["value"]: entry for entry in after["scaling"]["scaled"]}
    assert all(entry["method"] == method and entry["least_factor"] > 0 for entry in scaled.values())
    # Without data: the factors are there.
    again = compress(plain, tmp_path / "again.onnx", "--recipe", recipe)
    assert (tmp_path / "scaled.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
    assert again["layers"] == after["layers"]


def test_equalised_layers_have_equal_ranges_and_compute_the_same(data, tmp_path):
    plain, _ = data["images"]
    recipe = tmp_path / "recipe.json"
    report = compress(plain, tmp_path / "int8.onnx", "--quantize", "int8", "--calibrate", "random:1", "--scaling", "cle,smoothquant", "--write-recipe", recipe)
    assert [entry["value"] for entry in report["scaling"]["scaled"] if entry["method"] == "cle"] == ["r1", "r2", "flat"]
    left = {entry["value"]: entry["reason"] for entry in report["scaling"]["left"] if entry["method"] == "cle"}
    assert {entry["value"] for entry in report["scaling"]["left"] if entry["reason"] == "a convolution reads it"} == {"x", "r1", "r2", "r3"}
    assert left["r3"] == "node 'r3' (Clip) clips at a fixed bound, which factors would move" and "is an input" in left["x"]
    content = json.loads(recipe.read_text())
    for layer in content["layers"]:
        layer["scheme"] = "keep"
    recipe.write_text(json.dumps(content | {"activations": []}))
    compress(plain, tmp_path / "scaled.onnx", "--recipe", recipe)
    x = draw_images(4, 100)
    assert np.allclose(run_onnxruntime(tmp_path / "scaled.onnx", x), run_onnxruntime(plain, x), rtol=1e-4, atol=1e-5)
    weights = read_weights(tmp_path / "scaled.onnx")
    first = np.abs(weights["w1"]).max((1, 2, 3)) * weights["scale"] / np.sqrt(weights["variance"] + 1e-5)
    middle = np.abs(weights["w2"]).max((1, 2, 3))
    assert np.allclose(first, middle, rtol=0.01) and np.allclose(middle, np.abs(weights["w3"]).max((0, 2, 3)), rtol=0.01)


def test_factors_go_to_norms_and_gates_or_into_a_product(data, tmp_path):
    plain, samples = data["block"]
    report = compress(plain, tmp_path / "int8.onnx", "--quantize", "int8", "--calibrate", samples, "--scaling", "smoothquant", "--scaling-alpha", 0.5)
    assert {entry["value"]: entry["inserted"] for entry in report["scaling"]["scaled"]} == {"n1": False, "gated": False, "n2": True}
    assert all(entry["alpha"] == 0.5 for entry in report["scaling"]["scaled"])
    weights, before = read_weights(tmp_path / "int8.onnx"), read_weights(plain)
    ratio = before["g1"] / weights["g1"]
    assert ratio[[5, 17, 31]].min() > 3 * np.delete(ratio, [5, 17, 31]).max()
    assert np.array_equal(weights["g2"], before["g2"]), "a residual reads it, too"
    assert [node.input[0] for node in onnx.load(tmp_path / "int8.onnx").graph.node if node.op_type == "Mul" and node.input[0] == "n2"] == ["n2"]


@pytest.mark.parametrize(("model", "scheme"), [("images", "int8"), ("products", "int4")])
def test_biases_make_up_for_means_wherever_they_are(data, tmp_path, model, scheme):
    plain, samples = data[model]
    options = ["--quantize", scheme, "--rounding", {"int8": "rtn", "int4": "mse"}[scheme], "--calibrate", samples]
    before = compress(plain, tmp_path / "plain.onnx", *options, "--no-bias-correction")
    after = compress(plain, tmp_path / "corrected.onnx", *options, *([] if scheme == "int8" else ["--bias-correction"]), "--write-recipe", tmp_path / "recipe.json")
    shifts = {layer["node"]: layer["bias_shift"] for layer in json.loads((tmp_path / "recipe.json").read_text())["layers"]}
    assert all(np.any(shift) for shift in shifts.values())
    assert after["held_out"][0]["sqnr"] > before["held_out"][0]["sqnr"]
    compress(plain, tmp_path / "again.onnx", "--recipe", tmp_path / "recipe.json")
    assert (tmp_path / "corrected.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
    x = np.concatenate([np.load(file) for file in sorted(samples.iterdir())])
    expected = run_onnxruntime(plain, x).mean(0)
    gap = {name: np.abs(run_onnxruntime(tmp_path / f"{name}.onnx", x).mean(0) - expected).mean() for name in ("plain", "corrected")}
    assert gap["corrected"] < 0.5 * gap["plain"], gap


def test_biases_stay_where_outputs_would_be_further_away(data, tmp_path):
    """Rows that are normalised lose by a shift that a few large ones ask for."""
    plain, samples = data["block"]
    report = compress(plain, tmp_path / "corrected.onnx", "--quantize", "int4", "--calibrate", samples, "--bias-correction", "--write-recipe", tmp_path / "recipe.json")
    assert any("no bias correction" in note for note in report["notes"])
    assert not any("bias_shift" in layer for layer in json.loads((tmp_path / "recipe.json").read_text())["layers"])


def test_bytes_are_rounded_by_data_where_that_is_nearer(data, tmp_path):
    plain, samples = data["mixed"]
    recipe = tmp_path / "recipe.json"
    near = compress(plain, tmp_path / "near.onnx", "--quantize", "int8", "--calibrate", samples, "--rounding", "rtn")
    found = compress(plain, tmp_path / "found.onnx", "--quantize", "int8", "--calibrate", samples, "--write-recipe", recipe)
    assert found["held_out"][0]["sqnr"] > near["held_out"][0]["sqnr"] + 1, (near["held_out"], found["held_out"])
    content = json.loads(recipe.read_text())
    assert {layer["node"]: layer["rounding"] for layer in content["layers"]} == {"short": "adaround", "long": "rtn"}, "the long one has more terms than the samples have rows"
    # Without data: what moved is there.
    compress(plain, tmp_path / "again.onnx", "--recipe", recipe)
    assert (tmp_path / "found.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
    for moves in ("AAAA", "?", "////" * 700):
        content["layers"][0]["moves"] = moves
        recipe.write_text(json.dumps(content))
        expect_error(run_onager("compress", plain, "-o", tmp_path / "no.onnx", "--recipe", recipe), 4, "layer 'short': expected moves of its 3072 weights")
    # Random numbers say nothing of what is nearer.
    compress(plain, tmp_path / "small.onnx", "--quantize", "int8", "--calibrate", "random:5", "--write-recipe", recipe)
    assert [layer["rounding"] for layer in json.loads(recipe.read_text())["layers"]] == ["rtn", "rtn"]


def test_convolutions_of_bytes_are_rounded_by_data(data, tmp_path):
    plain, samples = data["images"]
    sqnr, integers = {}, {}
    for method in ("mse", "gptq", "adaround"):
        keep = [word for node in ("c1", "c2", "y") for word in ("--keep", node)]
        report = compress(plain, tmp_path / "small.onnx", "--quantize", "int8", "--calibrate", samples, "--rounding", method, *keep)
        sqnr[method], integers[method] = report["held_out"][0]["sqnr"], read_weights(tmp_path / "small.onnx")["w4_quantized"].astype(int)
    for method in ("gptq", "adaround"):
        # Bytes between layers lose more than weights of bytes do.
        assert sqnr[method] > sqnr["mse"] - 0.5, sqnr
        assert np.any(integers["mse"] != integers[method]) and np.abs(integers[method]).max() <= 127


def test_products_of_bytes_need_no_data(tmp_path):
    b = Builder(3)
    b.node("MatMul", ["x", b.weights("w", 70, 48)], "m", "product")
    b.node("Gemm", ["m", b.weights("v", 24, 48), b.weights("b", 24)], "g", "dense", transB=1)
    b.node("MatMul", ["m", b.weights("u", 48, 24)], "h", "other")
    b.node("Add", ["g", "h"], "y")
    onnx.save(b.finish([helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 70])], "y", 2, 11), tmp_path / "plain.onnx")
    report = compress(tmp_path / "plain.onnx", tmp_path / "small.onnx", "--quantize", "int8-dynamic")
    model = onnx.load(tmp_path / "small.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node].count("DynamicQuantizeLinear") == 2, "layers of one input share its rounding"
    assert [node.op_type for node in model.graph.node].count("MatMulInteger") == 3 and report["bytes_after"] < 0.5 * report["bytes_before"]
    x = np.random.default_rng(1).standard_normal((9, 70)).astype(np.float32)
    plain, found, other = run_onnxruntime(tmp_path / "plain.onnx", x), onager.InferenceSession(tmp_path / "small.onnx").run(None, {"x": x})[0], run_onnxruntime(tmp_path / "small.onnx", x)
    assert measure_sqnr(found, plain) > 32 and np.allclose(found, other, rtol=1e-3, atol=1e-3 * np.abs(plain).max())


@pytest.mark.parametrize(("scheme", "least"), [("nf4", 17), ("fp4", 15)])
def test_codebooks_of_sixteen_levels(tmp_path, scheme, least):
    b = Builder(4)
    b.node("MatMul", ["x", b.weights("w", 70, 48)], "m", "product")
    b.node("Gemm", ["m", b.weights("v", 25, 48), b.weights("b", 25)], "y", "dense", transB=1)
    onnx.save(b.finish([helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 70])], "y", 2), tmp_path / "plain.onnx")
    report = compress(tmp_path / "plain.onnx", tmp_path / "small.onnx", "--quantize", scheme, "--group", 32)
    assert all(layer["weight_sqnr"] > least for layer in report["layers"]), report["layers"]
    assert [node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node] == ["MatMulBnb4", "MatMulBnb4", "Add"]
    x = np.random.default_rng(1).standard_normal((9, 70)).astype(np.float32)
    plain, found, other = run_onnxruntime(tmp_path / "plain.onnx", x), onager.InferenceSession(tmp_path / "small.onnx").run(None, {"x": x})[0], run_onnxruntime(tmp_path / "small.onnx", x)
    assert measure_sqnr(found, plain) > least - 4 and np.allclose(found, other, rtol=1e-3, atol=1e-3 * np.abs(plain).max())


def test_text_of_weights_in_bytes_is_that_of_the_plain_model(tmp_path):
    """Trained weights, each token the most likely one. Of other beginnings some token is as likely as another within a hundredth, sooner or later."""
    folder = SHARED / "llm" / "stories260K"
    if not folder.exists():
        pytest.skip(f"no trained language model at {folder}")
    compress(folder / "stories260K-derived.onnx", tmp_path / "small.onnx", "--quantize", "int8-weights", "--group", "32", "--even-if-slower")
    beginning = json.loads((folder / "greedy_reference.json").read_text())["Lily and Tom"]["prompt_ids"]

    def write(model) -> list[int]:
        session, fed, words = onager.InferenceSession(model, recompile="off"), beginning, []
        past = [np.zeros((5, 1, 4, 0, 8), np.float32)] * 2
        while len(words) < 250:
            logits, *past = session.run(None, {"input_ids": np.array([fed]), "past_key": past[0], "past_value": past[1]})
            fed = [int(logits[0, -1].argmax())]
            words += fed
        return words

    assert write(tmp_path / "small.onnx") == write(folder / "stories260K-derived.onnx")


def make_language_model(vocabulary: int = 40) -> onnx.ModelProto:
    """Logits of the next token by the last one and its position, with a mask that must be ones and a cache that must be empty."""
    b = Builder(5)
    b.node("Gather", [b.weights("table", vocabulary, 32), "input_ids"], "e", "embedding")
    b.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    b.tensors.append(numpy_helper.from_array(np.array([2], np.int64), "two"))
    b.node("Unsqueeze", ["mask", "two"], "column")
    b.node("Mul", ["e", "column"], "seen")
    b.node("ReduceSum", ["past"], "nothing", keepdims=0)
    b.node("Add", ["seen", "nothing"], "h")
    b.node("MatMul", ["h", b.constant("head", 3 * b.random.standard_normal((32, vocabulary)))], "logits", "head")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", dim]) for name, dim in [("input_ids", "length"), ("attention_mask", "total")]]
    return b.finish([*inputs, helper.make_tensor_value_info("past", TensorProto.FLOAT, ["batch", "before", 4])], "logits", 3)


def test_language_models_draw_their_own_samples(data, tmp_path):
    onnx.save(make_language_model(), tmp_path / "plain.onnx")
    reports = [compress(tmp_path / "plain.onnx", tmp_path / f"{k}.onnx", "--quantize", "int4", "--rounding", "gptq", "--calibrate", "self:10", "--dim", "length=12") for k in range(2)]
    assert reports[0]["calibration_samples"] == 8 and any("drew itself" in note for note in reports[0]["notes"])
    assert (tmp_path / "0.onnx").read_bytes() == (tmp_path / "1.onnx").read_bytes(), "the same texts each time"
    plain, _ = data["block"]
    expect_error(run_onager("compress", plain, "-o", tmp_path / "no.onnx", "--quantize", "int8", "--calibrate", "self:4"), 2, "self:N is for language models")


def test_constants_among_the_inputs_stay_out_of_parts(tmp_path):
    model = make_block()
    model.graph.input.extend(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.dims) for tensor in model.graph.initializer)
    onnx.save(model, tmp_path / "plain.onnx")
    for k in range(5):
        np.savez(tmp_path / f"{k}.npz", x=draw_rows(2, k))
    compress(tmp_path / "plain.onnx", tmp_path / "small.onnx", "--quantize", "int4", "--scaling", "awq", "--calibrate", tmp_path)


def test_what_cannot_be_scaled_is_said(data, tmp_path):
    plain, samples = data["block"]
    wrong = tmp_path / "wrong.json"
    for entry, said in [({"method": "cle", "value": "n1", "factors": [1.0] * 3}, "expected 48 factors, found 3"), ({"method": "cle", "value": "n2", "factors": [1.0] * 48}, "read by others"),
                        ({"method": "cle", "value": "nobody", "factors": [1.0]}, "no layer reads it"), ({"method": "cle", "value": "n1", "factors": [0.0] * 48}, "factors above 0"),
                        ({"method": "best", "value": "n1", "factors": []}, "expected method, value and factors")]:
        wrong.write_text(json.dumps({"version": 1, "range": "mse", "layers": [], "activations": [], "scaling": [entry]}))
        expect_error(run_onager("compress", plain, "-o", tmp_path / "no.onnx", "--recipe", wrong), 4, said)
    wrong.write_text(json.dumps({"version": 1, "range": "mse", "activations": [], "layers": [{"node": "up", "scheme": "int4", "bias_shift": [1.0]}]}))
    expect_error(run_onager("compress", plain, "-o", tmp_path / "no.onnx", "--recipe", wrong), 4, "expected a bias_shift of 96 numbers")
    for options, said in [(["--quantize", "int4", "--scaling", "awq"], "awq needs data"), (["--quantize", "int4", "--bias-correction"], "'bias-correction': needs data"),
                          (["--quantize", "nf4", "--rounding", "gptq"], "codebooks are rounded to by rtn or mse"), (["--quantize", "int8", "--calibrate", samples, "--scaling", "best"], "best"),
                          (["--quantize", "int8", "--calibrate", "self:x"], "self:N")]:
        expect_error(run_onager("compress", plain, "-o", tmp_path / "no.onnx", *options), 2, said)
    assert not (tmp_path / "no.onnx").exists()
