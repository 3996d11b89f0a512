"""Quantised models while training: rounded as ONNX says, gradients straight through, written back as integers; accuracy that few bits cost is won back."""
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import onager
from support.places import SHARED
from train.networks_of_training import draw_rows, load_digits, make_cnn, make_mlp, make_model, read_weights, strip_values

torch = pytest.importorskip("torch", reason="PyTorch is absent: ONAGER_WITH_TORCH=1 scripts/setup.sh installs it")
torch.set_num_threads(1)

from onager._train.module import GraphModule  # noqa: E402
from onager._train.quantization import RANGES  # noqa: E402

TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "int16": TensorProto.INT16, "uint16": TensorProto.UINT16, "int4": TensorProto.INT4, "uint4": TensorProto.UINT4, "int2": TensorProto.INT2}


def make_rounding(kind: str, place: str) -> tuple[onnx.ModelProto, np.ndarray]:
    """QuantizeLinear and DequantizeLinear of [3, 8], with scales for all, for each row, or for blocks of 4."""
    random, shape = np.random.default_rng(7), {"all": (), "rows": (3,), "blocks": (3, 2)}[place]
    least, most = RANGES[TYPES[kind]]
    scale = (random.uniform(0.5, 2, shape) * 4 / (most - least)).astype(np.float32)
    zero = random.integers(least // 2, most // 2 + 1, shape)
    attributes = {"all": {}, "rows": {"axis": 0}, "blocks": {"axis": 1, "block_size": 4}}[place]
    nodes = [helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], **attributes), helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], **attributes)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, [3, 8])], [helper.make_tensor_value_info("y", 1, [3, 8])],
                              [numpy_helper.from_array(scale, "scale"), numpy_helper.from_array(zero.astype(helper.tensor_dtype_to_np_dtype(TYPES[kind])), "zero")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=13), random.uniform(-4, 4, (3, 8)).astype(np.float32)


@pytest.mark.parametrize("place", ["all", "rows", "blocks"])
@pytest.mark.parametrize("kind", list(TYPES))
def test_rounding_is_that_of_onnx(kind, place):
    model, x = make_rounding(kind, place)
    module = GraphModule(model)
    with torch.no_grad():
        found = module({"x": torch.from_numpy(x)})["y"].numpy()
    assert list(module.scales) == ["scale"]
    assert np.allclose(found, ReferenceEvaluator(model).run(None, {"x": x})[0], rtol=1e-5, atol=1e-6)


def test_gradients_pass_straight_through_within_the_range():
    model, _ = make_rounding("uint4", "all")
    module = GraphModule(model)
    scale, zero = float(module.constants["scale"]), int(module.constants["zero"])
    levels = torch.tensor([-zero - 2.0, -zero + 0.3, 0.4, 0.6, 15.0 - zero, 17.0 - zero])
    x = (levels * scale).reshape(1, 6).requires_grad_()
    y = module({"x": x})["y"]
    y.sum().backward()
    assert x.grad.tolist() == [[0, 1, 1, 1, 1, 0]] or x.grad[0, 1:4].tolist() == [1, 1, 1], "outside of the range nothing passes"
    assert x.grad[0, 0] == 0 and x.grad[0, 5] == 0
    # Of the scale: the rounding error within the range, the end of the range outside; times the scale, as its logarithm is trained.
    inner = levels[1:5].round() - levels[1:5]
    expected = scale * float(inner.sum() + (0 - zero) + (15 - zero))
    assert float(module.scales["scale"].grad) == pytest.approx(expected, abs=1e-4)


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    """Returns a function from a scheme to a compressed network's path."""
    folder, made = tmp_path_factory.mktemp("compressed"), {}
    rows = [{"x": draw_rows(32, seed=k)} for k in range(10)]
    images = [{"x": load_digits()[0][k * 32:k * 32 + 32]} for k in range(10)]

    def provide(network: str, scheme: str, **options):
        key = "-".join((network, scheme, *options.values()))
        if key not in made:
            made[key] = folder / f"{key}.onnx"
            onager.compress(make_mlp(32, seed=1) if network == "mlp" else make_cnn(4), rows if network == "mlp" else images, made[key], quantize=scheme, threads=1, even_if_slower=True, **options)
        return made[key]

    return provide


SCHEMES = [("mlp", "int8", {}), ("cnn", "int8", {}), ("mlp", "int4", {}), ("mlp", "int4", {"rounding": "hqq"}), ("mlp", "int8-weights", {}), ("cnn", "int4", {})]


@pytest.mark.parametrize(("network", "scheme", "options"), SCHEMES)
def test_an_untrained_model_is_written_as_it_came(compressed, network, scheme, options):
    path = compressed(network, scheme, **options)
    module = GraphModule(onnx.load(path))
    before, after = read_weights(path), read_weights(module.export().SerializeToString())
    assert strip_values(path) == strip_values(module.export().SerializeToString())
    assert module.integers or module.blocks, "integers are trained"
    for name, values in before.items():
        if values.dtype.kind == "f":
            assert np.allclose(values, after[name], rtol=1e-5), name
        else:
            assert np.abs(values.astype(np.int64) - after[name].astype(np.int64)).max() <= (values.dtype == np.int32), name


@pytest.mark.parametrize(("network", "scheme", "options"), SCHEMES)
def test_compressed_students(compressed, tmp_path, network, scheme, options):
    path, feeds = compressed(network, scheme, **options), [{"x": draw_rows(400)}] if network == "mlp" else [{"x": load_digits()[0][:400]}]
    report = onager.train(path, feeds, make_mlp(32, seed=1) if network == "mlp" else make_cnn(4), loss="mse", output=tmp_path / "trained.onnx", epochs=12,
                          learning_rate=5e-5 if scheme == "int8" else 3e-4, batch=16, threads=1)
    assert strip_values(path) == strip_values(tmp_path / "trained.onnx")
    # Of int8 nearly all error is that of one rounding to the nearest step: there is little to win.
    assert report["after"]["relative_error"] < report["before"]["relative_error"] * (1.1 if scheme == "int8" else 1)
    before, after = read_weights(path), read_weights(tmp_path / "trained.onnx")
    assert any(not np.array_equal(before[name], after[name]) for name in before if before[name].dtype.kind in "iu" and before[name].size > 20), "integers have moved"
    assert report["difference"]["y"] < (2e-2 if scheme == "int8" else 1e-4), "what is written is what was trained, up to a step of rounding where activations are rounded"
    x = feeds[0]["x"][:64]
    ours, theirs = onager.InferenceSession(tmp_path / "trained.onnx", threads=1).run(None, {"x": x})[0], onnxruntime.InferenceSession(str(tmp_path / "trained.onnx")).run(None, {"x": x})[0]
    assert np.abs(ours - theirs).max() < 0.03 * np.abs(theirs).max()


def test_bias_scales_follow_those_of_the_products(compressed, tmp_path):
    path = compressed("cnn", "int8")
    onager.train(path, [{"x": load_digits()[0][:200]}], make_cnn(4), loss="mse", output=tmp_path / "trained.onnx", epochs=2, learning_rate=1e-2, batch=16, threads=1)
    before, after = read_weights(path), read_weights(tmp_path / "trained.onnx")
    assert not np.array_equal(before["x_scale"], after["x_scale"])
    assert np.allclose(after["b1_scale"], after["x_scale"] * after["w1_scale"], rtol=1e-6)


def test_fixed_scales_stay(compressed, tmp_path):
    path = compressed("mlp", "int8")
    report = onager.train(path, [{"x": draw_rows(200)}], make_mlp(32, seed=1), scales="fixed", output=tmp_path / "trained.onnx", epochs=2, batch=16, threads=1)
    before, after = read_weights(path), read_weights(tmp_path / "trained.onnx")
    assert all(np.array_equal(before[name], after[name]) for name in before if name.endswith("_scale")) and not any(name.endswith("_scale") for name in report["trained"])


@pytest.mark.parametrize(("scheme", "suffix"), [("int4", "_blocks"), ("int8", "_quantized")])
def test_quantize_compresses_and_trains_what_was_before_rounding(tmp_path, scheme, suffix):
    plain = make_mlp(32, seed=1)
    report = onager.train(plain, [{"x": draw_rows(400)}], quantize=scheme, even_if_slower=True, mask="2:4", output=tmp_path / "small.onnx", epochs=0, batch=32, threads=1)
    assert report["before"] == report["after"] and [layer["scheme"] for layer in report["recipe"]["layers"]] == [scheme] * 2
    assert report["masked"] == {"w1" + suffix: 0.5, "w2" + suffix: 0.5}
    trained = onager.train(plain, [{"x": draw_rows(400)}], recipe=report["recipe"], mask="2:4", output=tmp_path / "trained.onnx", epochs=10, batch=32, threads=1)
    assert strip_values(tmp_path / "small.onnx") == strip_values(tmp_path / "trained.onnx")
    assert trained["before"] == pytest.approx(report["after"]) and trained["after"]["relative_error"] < 0.9 * trained["before"]["relative_error"]
    # Masked weights are zero as they are read: the level of the zero point.
    with torch.no_grad():
        module = GraphModule(onnx.load(tmp_path / "trained.onnx"))
    zeros = [float((entry.weights == 0).float().mean()) for entry in (*module.integers.values(), *module.blocks.values()) if entry.weights.dim() == 2]
    assert len(zeros) == 2 and min(zeros) >= 0.5


def test_filters_of_few_bits_are_trained_from_what_they_were(tmp_path):
    images = [{"x": load_digits()[0][k * 32:k * 32 + 32]} for k in range(10)]
    report = onager.train(make_cnn(4), images, quantize="int4", mask="2:4", output=tmp_path / "small.onnx", epochs=0, threads=1)
    assert [layer["scheme"] for layer in report["recipe"]["layers"]] == ["int4"] * 3 and {"w1_quantized", "w2_quantized"} <= report["masked"].keys()
    trained = onager.train(make_cnn(4), images, recipe=report["recipe"], mask="2:4", output=tmp_path / "trained.onnx", epochs=10, threads=1)
    assert trained["before"] == pytest.approx(report["after"]) and trained["after"]["relative_error"] < 0.9 * trained["before"]["relative_error"]
    x = images[0]["x"]
    ours, theirs = onager.InferenceSession(tmp_path / "trained.onnx", threads=1).run(None, {"x": x})[0], onnxruntime.InferenceSession(str(tmp_path / "trained.onnx")).run(None, {"x": x})[0]
    assert np.allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def make_few_bits(plain: str, images: np.ndarray) -> bytes:
    """Puts roundings around the layers of make_cnn: weights of 2 bits and activations of 4, one scale for each, from the largest magnitude."""
    weights, model, probe = read_weights(plain), onnx.load(plain), onnx.load(plain)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in ("r1", "f"))
    _, r1, f = onnxruntime.InferenceSession(probe.SerializeToString()).run(None, {"x": images})
    largest, nodes, tensors = {"x": 1.0, "r1": float(r1.max()), "f": float(f.max())}, [], {name: weights[name] for name in ("b1", "b2", "b3")}
    for node in model.graph.node:
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        if node.op_type in ("Conv", "Gemm"):
            value, name = node.input[:2]
            tensors[value + "_scale"], tensors[value + "_zero"] = np.float32(largest[value] / 15), np.zeros((), helper.tensor_dtype_to_np_dtype(TensorProto.UINT4))
            tensors[name + "_scale"] = np.float32(np.abs(weights[name]).max() / 2)
            tensors[name + "_q"] = np.clip(np.round(weights[name] / tensors[name + "_scale"]), -2, 1).astype(helper.tensor_dtype_to_np_dtype(TensorProto.INT2))
            nodes += [helper.make_node("QuantizeLinear", [value, value + "_scale", value + "_zero"], [value + "_q"]),
                      helper.make_node("DequantizeLinear", [value + "_q", value + "_scale", value + "_zero"], [value + "_d"]),
                      helper.make_node("DequantizeLinear", [name + "_q", name + "_scale"], [name + "_d"])]
            copy.input[0], copy.input[1] = value + "_d", name + "_d"
        nodes.append(copy)
    return make_model(nodes, tensors, ["n", 1, 8, 8], ["n", 10], 25)


def test_training_wins_back_what_few_bits_cost(tmp_path):
    images, labels, test_images, test_labels = load_digits()

    def find_accuracy(model) -> float:
        return float((onager.InferenceSession(model, threads=1).run(None, {"x": test_images})[0].argmax(1) == test_labels).mean())

    onager.train(make_cnn(8), [{"x": images}], labels=[labels], output=tmp_path / "plain.onnx", epochs=12, learning_rate=5e-3, batch=32, threads=1)
    rounded = make_few_bits(str(tmp_path / "plain.onnx"), images)
    report = onager.train(rounded, [{"x": images}], tmp_path / "plain.onnx", labels=[labels], output=tmp_path / "trained.onnx", epochs=12, learning_rate=3e-3, batch=32, threads=1)
    plain, before, after = (find_accuracy(model) for model in (tmp_path / "plain.onnx", rounded, tmp_path / "trained.onnx"))
    print(f"\naccuracy: f32 {plain:.4f}, rounded {before:.4f}, trained {after:.4f}; held out {report['before']['accuracy']:.4f} -> {report['after']['accuracy']:.4f}")
    assert plain > 0.95 and before < plain - 0.1 and after > plain - 0.05
    assert report["difference"]["y"] < 1e-4
    assert all(values.min() >= -2 and values.max() <= 1 for name, values in read_weights(str(tmp_path / "trained.onnx")).items() if name.startswith("w") and name.endswith("_q"))


def test_narrow_floats_are_trained_in_f32_and_written_rounded(tmp_path):
    weights = {name: array.astype(np.float16) for name, array in read_weights(make_mlp(16)).items() if name != "b1"}
    nodes = [helper.make_node("Cast", ["w1"], ["u1"], to=1), helper.make_node("Cast", ["w2"], ["u2"], to=1), helper.make_node("Gemm", ["x", "u1"], ["h"], transB=1),
             helper.make_node("Relu", ["h"], ["r"]), helper.make_node("MatMul", ["r", "u2"], ["y"])]
    student = make_model(nodes, weights, ["n", 8], ["n", 4])
    report = onager.train(student, [{"x": draw_rows(400)}], make_mlp(32, seed=1), output=tmp_path / "m.onnx", epochs=5, learning_rate=1e-2, batch=32, threads=1)
    assert strip_values(student) == strip_values(tmp_path / "m.onnx") and read_weights(tmp_path / "m.onnx")["w1"].dtype == np.float16
    assert report["after"]["relative_error"] < report["before"]["relative_error"] and report["difference"]["y"] < 1e-5


def test_layers_of_a_narrow_precision(tmp_path):
    report = onager.train(make_mlp(32, seed=1), [{"x": draw_rows(400)}], precision="bf16", even_if_slower=True, output=tmp_path / "m.onnx", epochs=3, learning_rate=1e-4, batch=32, threads=1)
    assert {name: values.dtype.name for name, values in read_weights(tmp_path / "m.onnx").items()}["w1_bf16"] == "bfloat16" and "w1_bf16" in report["trained"]
    assert report["after"]["relative_error"] < 0.02 and report["difference"]["y"] < 1e-2


def test_tables_in_blocks_are_trained(tmp_path):
    random = np.random.default_rng(0)
    tensors = {"blocks": random.integers(0, 256, (10, 16), np.uint8), "scales": random.uniform(0.1, 0.2, (10, 2)).astype(np.float32), "zeros": random.integers(0, 256, (10, 1), np.uint8)}
    node = helper.make_node("GatherBlockQuantized", ["blocks", "ids", "scales", "zeros"], ["y"], domain="com.microsoft", bits=4, block_size=16, gather_axis=0, quantize_axis=1)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 32])],
                              [numpy_helper.from_array(array, name) for name, array in tensors.items()])
    student = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)], ir_version=10).SerializeToString()
    ids, wanted = random.integers(0, 10, 200), random.standard_normal((10, 32)).astype(np.float32)
    report = onager.train(student, [{"ids": ids}], labels=[wanted[ids]], output=tmp_path / "m.onnx", epochs=20, learning_rate=3e-2, batch=16, threads=1)
    assert report["after"]["relative_error"] < 0.5 * report["before"]["relative_error"] and report["difference"]["y"] < 1e-5
    assert strip_values(student) == strip_values(tmp_path / "m.onnx")


def test_texts_that_must_stay(tmp_path):
    """Trained weights of a language model, rounded to 8 bits: its reference texts, token by token the most likely one, of which rounding to the nearest turns some."""
    folder, past = SHARED / "llm" / "stories260K", np.zeros((5, 1, 4, 0, 8), np.float32)
    if not folder.exists():
        pytest.skip(f"no trained language model at {folder}")
    texts = [(text["all_ids"], len(text["prompt_ids"])) for words, text in json.loads((folder / "greedy_reference.json").read_text()).items() if words]
    feeds = [{"input_ids": np.array([tokens]), "past_key": past, "past_value": past} for tokens, _ in texts]
    report = onager.train(folder / "stories260K-derived.onnx", feeds, output=tmp_path / "small.onnx", quantize="int8-weights", loss="choices", epochs=60, learning_rate=1e-5,
                          held_out=0, threads=1, even_if_slower=True)
    assert report["loss"] == "choices" and report["losses"][-1] < 0.5 * report["losses"][0]
    session = onager.InferenceSession(tmp_path / "small.onnx", recompile="off")
    for (tokens, given), sample in zip(texts, feeds, strict=True):
        # All positions at once: each token is the most likely one behind those before it.
        logits = session.run(None, sample)[0][0]
        assert logits[given - 1:-1].argmax(-1).tolist() == tokens[given:]
