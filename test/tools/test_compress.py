"""onager compress: quantised models, as other runtimes read them and as Onager compiles them."""
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onager
from support.places import ONAGER
from support.tool import expect_error, run_command, run_onager, run_onnxruntime, save_samples


def make_network(opset: int = 17, seed: int = 0) -> onnx.ModelProto:
    """A residual network: convolutions with and without bias, strided, depthwise; an addition, pooling, a Gemm and a MatMul."""
    random = np.random.default_rng(seed)
    tensors: list = []

    def weights(name: str, *shape: int) -> str:
        scale = 1 / np.sqrt(np.prod(shape[1:]))
        tensors.append(numpy_helper.from_array((random.standard_normal(shape) * scale).astype(np.float32), name))
        return name

    nodes = [
        helper.make_node("Conv", ["x", weights("w1", 16, 3, 3, 3), weights("b1", 16)], ["c1"], "first", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", weights("w2", 16, 1, 3, 3)], ["c2"], "depthwise", pads=[1] * 4, group=16),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Conv", ["r2", weights("w3", 16, 16, 1, 1), weights("b3", 16)], ["c3"], "pointwise"),
        helper.make_node("Add", ["r1", "c3"], ["sum"], "residual"),
        helper.make_node("Conv", ["sum", weights("w4", 32, 16, 3, 3)], ["c4"], "strided", pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Relu", ["c4"], ["r4"]),
        helper.make_node("GlobalAveragePool", ["r4"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", weights("w5", 40, 32), weights("b5", 40)], ["g"], "dense", transB=1),
        helper.make_node("Tanh", ["g"], ["t"]),
        helper.make_node("MatMul", ["t", weights("w6", 40, 10)], ["y"], "head"),
    ]
    graph = helper.make_graph(nodes, "network", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def draw(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "network.onnx"
    onnx.save(make_network(), path)
    return path


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return save_samples(tmp_path_factory.mktemp("samples"), draw, 4)


def compress(model, output, *options):
    """Compresses a model; networks as small as these would stay plain for their time."""
    force = [] if "--recipe" in options or "--budget" in options else ["--even-if-slower"]
    return json.loads(run_command(ONAGER, "compress", model, "-o", output, "--threads", 1, "--json", *force, *options))


def measure_sqnr(found: np.ndarray, expected: np.ndarray) -> float:
    return float(10 * np.log10((expected**2).sum() / ((found - expected) ** 2).sum()))


def test_int8_is_standard_and_near(network, samples, tmp_path):
    report = compress(network, tmp_path / "small.onnx", "--quantize", "int8", "--calibrate", samples, "--no-bias-correction")
    model = onnx.load(tmp_path / "small.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert report["calibration_samples"] == 8 and report["held_out_samples"] == 2
    assert [layer["scheme"] for layer in report["layers"]] == ["int8"] * 6
    assert report["bytes_after"] < 0.45 * report["bytes_before"]
    # Every product reads bytes; so does the addition between them.
    producers = {output: node.op_type for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul", "Add", "GlobalAveragePool"):
            assert [producers[name] for name in node.input[:2]] == ["DequantizeLinear"] * len(node.input[:2]), node.name
    x = draw(16, 100)
    plain, found, other = run_onnxruntime(network, x), onager.InferenceSession(tmp_path / "small.onnx", threads=1).run(None, {"x": x})[0], run_onnxruntime(tmp_path / "small.onnx", x)
    assert measure_sqnr(found, plain) > 25 and measure_sqnr(other, plain) > 25
    assert np.abs(found - other).max() <= 0.05 * np.abs(plain).max(), "ONNX Runtime reads the same model, up to a step here and there"
    (error,) = report["held_out"]
    assert error["output"] == "y" and error["sqnr"] > 25 and error["cosine"] > 0.998 and error["top1_agreement"] > 0.8


def test_operator_sets_that_have_no_way_up(samples, tmp_path):
    """ImageScaler is no operator of later sets."""
    model = make_network(8)
    model.graph.node[0].input[0] = "scaled"
    model.graph.node.insert(0, helper.make_node("ImageScaler", ["x"], ["scaled"], "scaler", bias=[0.1, 0.2, 0.3], scale=2.0))
    onnx.save(model, tmp_path / "network.onnx")
    report = compress(tmp_path / "network.onnx", tmp_path / "small.onnx", "--quantize", "int8", "--calibrate", samples)
    assert any("cannot bring the model to operator set 13" in note for note in report["notes"])
    assert all(layer["scheme"] == "int8" for layer in report["layers"])
    x = draw(4, 100)
    found, expected = (onager.InferenceSession(tmp_path / name).run(None, {"x": x})[0] for name in ("small.onnx", "network.onnx"))
    assert measure_sqnr(found, expected) > 20


@pytest.mark.parametrize("opset", [8, 11, 13, 21])
def test_int8_of_older_and_newer_operator_sets(samples, tmp_path, opset):
    onnx.save(make_network(opset), tmp_path / "network.onnx")
    compress(tmp_path / "network.onnx", tmp_path / "small.onnx", "--quantize", "int8", "--calibrate", samples)
    x = draw(4, 100)
    plain = run_onnxruntime(tmp_path / "network.onnx", x)
    assert measure_sqnr(run_onnxruntime(tmp_path / "small.onnx", x), plain) > 25
    assert measure_sqnr(onager.InferenceSession(tmp_path / "small.onnx").run(None, {"x": x})[0], plain) > 25


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy", "mse", "best"])
def test_ranges(network, samples, tmp_path, method):
    (error,) = compress(network, tmp_path / "small.onnx", "--quantize", "int8", "--calibrate", samples, "--range", method)["held_out"]
    assert error["sqnr"] > 18


def test_ranges_are_chosen_by_what_the_outputs_lose(tmp_path):
    """What one value's outliers mean is in the layer that reads them: they are all that counts in one output, and nothing in another."""
    random = np.random.default_rng(0)
    # Both inputs have one large element in a thousand; only the first one's is multiplied by more than the others' noise.
    heavy = random.standard_normal((64, 8)).astype(np.float32) * 0.01
    heavy[0] = 1
    tensors = [numpy_helper.from_array(value, name) for name, value in [("heavy", heavy), ("even", random.standard_normal((63, 8)).astype(np.float32))]]
    nodes = [helper.make_node("MatMul", ["a", "heavy"], ["y"], "outliers"), helper.make_node("MatMul", ["b", "even"], ["z"], "others")]
    graph = helper.make_graph(nodes, "outliers", [helper.make_tensor_value_info("a", TensorProto.FLOAT, [256, 64]), helper.make_tensor_value_info("b", TensorProto.FLOAT, [256, 63])],
                              [helper.make_tensor_value_info(name, TensorProto.FLOAT, [256, 8]) for name in "yz"], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "plain.onnx")
    folder = tmp_path / "samples"
    folder.mkdir()
    for k in range(10):
        a, b = random.standard_normal((256, 64)).astype(np.float32), random.standard_normal((256, 63)).astype(np.float32)
        a[0, 0] = b[0, 1] = 60
        np.savez(folder / f"{k}.npz", a=a, b=b)
    options = ["--quantize", "int8", "--calibrate", folder, "--no-bias-correction"]
    mean = {method: np.mean([error["sqnr"] for error in compress(tmp_path / "plain.onnx", tmp_path / f"{method}.onnx", *options, "--range", method)["held_out"]])
            for method in ("minmax", "percentile", "entropy", "mse")}
    report = compress(tmp_path / "plain.onnx", tmp_path / "best.onnx", *options, "--write-recipe", tmp_path / "recipe.json")
    assert np.mean([error["sqnr"] for error in report["held_out"]]) > max(mean.values()) - 0.1, mean
    assert max(mean.values()) > min(mean.values()) + 3, "the methods differ"
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    assert recipe["range"] == "best" and {entry["value"] for entry in recipe["activations"]} == {"a", "b"}
    compress(tmp_path / "plain.onnx", tmp_path / "again.onnx", "--recipe", tmp_path / "recipe.json")
    assert (tmp_path / "best.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()


def test_unknown_ranges_are_refused(network, samples, tmp_path):
    expect_error(run_onager("compress", network, "-o", tmp_path / "none.onnx", "--quantize", "int8", "--calibrate", samples, "--range", "widest"), 2, "widest")


def make_products(terms: int) -> onnx.ModelProto:
    random = np.random.default_rng(terms)
    tensors = [numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name) for name, shape in [("w", (terms, 48)), ("v", (24, 48)), ("b", (24,))]]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"], "product"), helper.make_node("Gemm", ["m", "v", "b"], ["y"], "dense", transB=1)]
    graph = helper.make_graph(nodes, "products", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", terms])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 24])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("terms", [64, 70, 5])
@pytest.mark.parametrize(("scheme", "rounding", "least"), [("int4", "rtn", 16), ("int4", "mse", 16), ("int4", "hqq", 16), ("int8-weights", "rtn", 38), ("int8-weights", "mse", 38)])
def test_weights_of_few_bits(tmp_path, terms, scheme, rounding, least):
    onnx.save(make_products(terms), tmp_path / "plain.onnx")
    report = compress(tmp_path / "plain.onnx", tmp_path / "small.onnx", "--quantize", scheme, "--rounding", rounding, "--group", 16)
    assert all(layer["weight_sqnr"] > least for layer in report["layers"])
    assert [node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node] == ["MatMulNBits", "MatMulNBits", "Add"]
    x = np.random.default_rng(1).standard_normal((9, terms)).astype(np.float32)
    plain, found, other = run_onnxruntime(tmp_path / "plain.onnx", x), onager.InferenceSession(tmp_path / "small.onnx").run(None, {"x": x})[0], run_onnxruntime(tmp_path / "small.onnx", x)
    assert measure_sqnr(found, plain) > least - 4
    assert np.allclose(found, other, rtol=1e-3, atol=1e-3 * np.abs(plain).max())


@pytest.mark.parametrize(("scheme", "terms", "group"), [("int8-weights", 512, 128), ("int8-weights", 1000, 128), ("int8-weights", 64, 64), ("int8-weights", 172, 32), ("int8-weights", 24, 32), ("int4", 512, 32)])
def test_groups_of_eight_bits_are_as_large_as_rows_are_filled(tmp_path, scheme, terms, group):
    onnx.save(make_products(terms), tmp_path / "plain.onnx")
    recipe = tmp_path / "recipe.json"
    compress(tmp_path / "plain.onnx", tmp_path / "small.onnx", "--quantize", scheme, "--even-if-slower", "--write-recipe", recipe)
    assert [layer["group"] for layer in json.loads(recipe.read_text())["layers"]] == [group, 32]
    x = np.random.default_rng(1).standard_normal((9, terms)).astype(np.float32)
    found = onager.InferenceSession(tmp_path / "small.onnx").run(None, {"x": x})[0]
    assert measure_sqnr(found, run_onnxruntime(tmp_path / "plain.onnx", x)) > (14 if scheme == "int4" else 36)


@pytest.mark.parametrize(("scheme", "terms", "gain"), [("int4", 64, 1.5), ("int4", 70, 1.5), ("int8-weights", 64, 1.0)])
def test_gptq_makes_up_for_errors_by_what_inputs_look_like(tmp_path, scheme, terms, gain):
    onnx.save(make_products(terms), tmp_path / "plain.onnx")
    random = np.random.default_rng(terms)
    mixing = random.standard_normal((8, terms))  # few directions: there is much to make up by

    def draw_rows(count: int) -> np.ndarray:
        return (random.standard_normal((count, 8)) @ mixing + 0.3 * random.standard_normal((count, terms))).astype(np.float32)

    (tmp_path / "data").mkdir()
    for k in range(10):
        np.save(tmp_path / "data" / f"{k}.npy", draw_rows(64))
    x, sqnr = draw_rows(200), {}
    plain = run_onnxruntime(tmp_path / "plain.onnx", x)
    for rounding in ("mse", "gptq"):
        compress(tmp_path / "plain.onnx", tmp_path / "small.onnx", "--quantize", scheme, "--rounding", rounding, "--group", 32, "--calibrate", tmp_path / "data")
        found = onager.InferenceSession(tmp_path / "small.onnx").run(None, {"x": x})[0]
        assert measure_sqnr(found, run_onnxruntime(tmp_path / "small.onnx", x)) > 60, "both read the same integers"
        sqnr[rounding] = measure_sqnr(found, plain)
    assert sqnr["gptq"] > sqnr["mse"] + gain, sqnr


def test_recipes_give_the_same_bits_and_may_be_edited(network, samples, tmp_path):
    recipe, again, edited = tmp_path / "recipe.json", tmp_path / "again.json", tmp_path / "edited.json"
    compress(network, tmp_path / "first.onnx", "--quantize", "int8", "--calibrate", samples, "--keep", "first", "--write-recipe", recipe)
    # Without data: the scales are there.
    compress(network, tmp_path / "second.onnx", "--recipe", recipe, "--write-recipe", again)
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()
    assert recipe.read_text() == again.read_text()
    content = json.loads(recipe.read_text())
    assert content["layers"][0] == {"node": "first", "op": "Conv", "scheme": "keep", "reason": "asked for"}
    for layer in content["layers"]:
        if layer["node"] in ("dense", "head"):
            layer.update(scheme="int4", rounding="mse", group=16)
    edited.write_text(json.dumps(content))
    report = compress(network, tmp_path / "third.onnx", "--recipe", edited)
    assert [layer["scheme"] for layer in report["layers"]] == ["keep", "int8", "int8", "int8", "int4", "int4"]
    x = draw(4, 100)
    assert measure_sqnr(onager.InferenceSession(tmp_path / "third.onnx").run(None, {"x": x})[0], run_onnxruntime(network, x)) > 10


def test_compiled_output_and_reports(network, samples, tmp_path):
    text = run_command(ONAGER, "compress", network, "-o", tmp_path / "small.so", "--quantize", "int8", "--calibrate", samples, "--even-if-slower", "--report", tmp_path / "report.json")
    assert "6 of 6 layers compressed" in text and "top-1 agreement" in text
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["seconds"]["plain"] > 0 and report["seconds"]["compressed"] > 0
    x = draw(4, 100)
    assert measure_sqnr(onager.InferenceSession(tmp_path / "small.so").run(None, {"x": x})[0], run_onnxruntime(network, x)) > 25


def make_switched_off(weight: float) -> onnx.ModelProto:
    """A convolution of whose channels one has hardly any weights and a large bias."""
    w, b = np.random.default_rng(4).standard_normal((4, 3, 3, 3)).astype(np.float32), np.array([0.5, 3, -1, 2], np.float32)
    w[1] = weight
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w", "b"], ["y"], "conv", pads=[1] * 4)], "off", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4, 16, 16])], [numpy_helper.from_array(w, "w"), numpy_helper.from_array(b, "b")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)


@pytest.mark.parametrize("weight", [1e-12, 1e-30, 0.0])
def test_channels_that_are_switched_off_have_biases_of_integers(samples, tmp_path, weight):
    """Biases of floats among those of bytes are what ONNX Runtime fails to open before operator set 13."""
    onnx.save(make_switched_off(weight), tmp_path / "off.onnx")
    compress(tmp_path / "off.onnx", tmp_path / "small.onnx", "--quantize", "int8", "--calibrate", samples)
    assert any(tensor.data_type == TensorProto.INT32 for tensor in onnx.load(tmp_path / "small.onnx").graph.initializer)
    x = draw(4, 100)
    expected, found = run_onnxruntime(tmp_path / "off.onnx", x), run_onnxruntime(tmp_path / "small.onnx", x)
    assert measure_sqnr(found, expected) > 35 and np.abs(found[:, 1] - 3).max() < 0.02
    assert measure_sqnr(onager.InferenceSession(tmp_path / "small.onnx").run(None, {"x": x})[0], expected) > 35


def make_depthwise(function: str) -> onnx.ModelProto:
    """Channels of very different ranges between a pointwise and a depthwise convolution."""
    random = np.random.default_rng(6)
    spread = np.logspace(-2, 2, 16).astype(np.float32)[:, None, None, None]
    tensors = {"w1": random.standard_normal((16, 3, 1, 1)).astype(np.float32) * spread, "w2": random.standard_normal((16, 1, 3, 3)).astype(np.float32) / spread,
               "w3": random.standard_normal((8, 16, 1, 1)).astype(np.float32)}
    between = [helper.make_node("Sigmoid", ["c1"], ["gate"]), helper.make_node("Mul", ["c1", "gate"], ["a"])] if function == "SiLU" else [helper.make_node(function, ["c1"], ["a"])]
    nodes = [helper.make_node("Conv", ["x", "w1"], ["c1"], "first"), *between, helper.make_node("Conv", ["a", "w2"], ["c2"], "depthwise", pads=[1] * 4, group=16),
             helper.make_node("Relu", ["c2"], ["r2"]), helper.make_node("Conv", ["r2", "w3"], ["y"], "last")]
    graph = helper.make_graph(nodes, "depthwise", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 8, 16, 16])], [numpy_helper.from_array(array, name) for name, array in tensors.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("function", ["Relu", "SiLU"])
def test_channels_of_depthwise_convolutions_have_ranges_of_their_own(samples, tmp_path, function):
    onnx.save(make_depthwise(function), tmp_path / "plain.onnx")
    x, found = draw(4, 100), {}
    expected = run_onnxruntime(tmp_path / "plain.onnx", x)
    for name, options in {"own": [], "one": ["--scaling", "none"]}.items():
        report = compress(tmp_path / "plain.onnx", tmp_path / f"{name}.onnx", "--quantize", "int8", "--calibrate", samples, *options, "--write-recipe", tmp_path / f"{name}.json")
        found[name] = measure_sqnr(run_onnxruntime(tmp_path / f"{name}.onnx", x), expected)
        scaled = report.get("scaling", {}).get("scaled", [])
        assert [(entry["method"], entry["value"], entry["inserted"]) for entry in scaled] == ([("depthwise", "a", function == "SiLU")] if name == "own" else [])
    assert found["own"] > 25 and found["own"] > found["one"] + 10, found
    compress(tmp_path / "plain.onnx", tmp_path / "again.onnx", "--recipe", tmp_path / "own.json")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "own.onnx").read_bytes()


def test_compile_compresses_as_well(network, samples, tmp_path):
    """By the same options: the artifact gives what the compressed model gives, and the report has a section."""
    options = ["--quantize", "int8", "--calibrate", samples, "--even-if-slower", "--threads", 1]
    compress(network, tmp_path / "small.onnx", *options[:4])
    run_command(ONAGER, "compile", network, "-o", tmp_path / "small.so", *options, "--report", tmp_path / "report.json", "--write-recipe", tmp_path / "recipe.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["launches"] and report["compression"]["held_out"][0]["sqnr"] > 25 and all(layer["scheme"] == "int8" for layer in report["compression"]["layers"])
    run_command(ONAGER, "compile", network, "-o", tmp_path / "again.so", "--recipe", tmp_path / "recipe.json")
    onager.compile(network, tmp_path / "python.so", compress={"data": str(samples), "quantize": "int8", "even_if_slower": True, "threads": 1})
    x = draw(4, 100)
    expected = onager.InferenceSession(tmp_path / "small.onnx").run(None, {"x": x})[0]
    for name in ("small.so", "again.so", "python.so"):
        assert np.array_equal(onager.InferenceSession(tmp_path / name).run(None, {"x": x})[0], expected), name
    expect_error(run_onager("compile", network, "-o", tmp_path / "none.so", "--calibrate", samples), 2, "expected --quantize")
    assert not (tmp_path / "none.so").exists()


def test_samples_may_be_archives_folders_and_random(network, tmp_path):
    for k in range(2):
        np.savez(tmp_path / f"{k}.npz", x=draw(2, k))
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "x.npy", draw(2, 7))
    report = compress(network, tmp_path / "out.onnx", "--quantize", "int8", "--calibrate", tmp_path)
    assert report["calibration_samples"] == 3 and any("no held-out samples" in note for note in report["notes"])
    report = compress(network, tmp_path / "out.onnx", "--quantize", "int8", "--calibrate", "random:6", "--dim", "batch=2")
    assert report["held_out_samples"] == 1 and any("random numbers" in note for note in report["notes"])


def test_quantised_models_keep_their_own_scales(network, samples, tmp_path):
    compress(network, tmp_path / "small.onnx", "--quantize", "int8", "--calibrate", samples)
    expect_error(run_onager("compress", tmp_path / "small.onnx", "-o", tmp_path / "again.onnx", "--quantize", "int8", "--calibrate", samples), 3, "no product, convolution or table")
    assert not (tmp_path / "again.onnx").exists()


def test_what_cannot_be_compressed_is_said(network, samples, tmp_path):
    kept = tmp_path / "kept.onnx"
    kept.write_bytes(b"kept")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    np.savez(tmp_path / "bad" / "0.npz", y=draw(1, 0))
    broken, other, unknown = tmp_path / "broken.json", tmp_path / "other.json", tmp_path / "unknown.json"
    broken.write_text("{")
    other.write_text('{"version": 1, "range": "mse", "layers": [{"node": "nobody", "scheme": "int8"}], "activations": []}')
    unknown.write_text('{"version": 1, "range": "mse", "layers": [{"node": "first", "scheme": "int3"}], "activations": []}')
    for options, status, said in [([], 2, "--precision or --recipe"), (["--quantize", "int3"], 2, "int3"), (["--quantize", "int8"], 2, "int8 needs data"),
                                  (["--quantize", "int8", "--calibrate", tmp_path / "nowhere"], 4, "nowhere"), (["--quantize", "int8", "--calibrate", tmp_path / "empty"], 4, "holds no samples"),
                                  (["--quantize", "int8", "--calibrate", tmp_path / "bad"], 4, "holds no input 'x'"), (["--quantize", "int8", "--calibrate", "random:x"], 2, "random:N"),
                                  (["--quantize", "int8", "--calibrate", samples, "--keep", "nobody"], 3, "no layer 'nobody'"),
                                  (["--quantize", "int8", "--calibrate", samples, "--rounding", "hqq"], 2, "hqq is for int4"), (["--precision", "bf16", "--rounding", "gptq"], 2, "gptq and adaround are for schemes of integers"),
                                  (["--quantize", "int4", "--rounding", "gptq", "--keep", "head"], 2, "gptq needs data"),
                                  (["--quantize", "int4", "--group", "20"], 2, "20"), (["--recipe", broken], 4, "the recipe"), (["--recipe", other], 4, "no layer 'nobody'"),
                                  (["--recipe", unknown], 4, "unknown scheme 'int3'"), (["--recipe", unknown, "--quantize", "int8"], 2, "excludes")]:
        expect_error(run_onager("compress", network, "-o", kept, *options), status, said)
        assert kept.read_bytes() == b"kept"


def test_python_takes_feeds_and_gives_recipes(network, tmp_path):
    feeds = [{"x": draw(2, k)} for k in range(6)]
    report = onager.compress(network, iter(feeds), tmp_path / "small.onnx", quantize="int8", range="percentile", keep=["first", "head"], threads=1, even_if_slower=True)
    assert report["held_out_samples"] == 1 and [layer["scheme"] for layer in report["layers"]] == ["keep", "int8", "int8", "int8", "int8", "keep"]
    onager.compress(network.read_bytes(), output=tmp_path / "again.onnx", recipe=report["recipe"])
    assert (tmp_path / "small.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
    with pytest.raises(onager.CompileError, match="int8 needs data") as error:
        onager.compress(network, quantize="int8")
    assert error.value.status == 2
