"""onager compress --prune hidden=X: transformers whose residual stream is rotated and narrowed, run by ONNX Runtime; recipes, reports and what is refused."""
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.networks import load_script, write_model
from support.tool import compress, expect_error, run_onager

WORDS, WIDTH, INNER, LENGTH = 37, 40, 51, 11


def make_decoder(kind: str, rank: int = WIDTH, seed: int = 3) -> onnx.ModelProto:
    """Gated feed-forward blocks on a residual stream that is written in `rank` directions; norms as `kind` has them. The table is the head as well."""
    random, tensors, nodes = np.random.default_rng(seed), [], []
    directions = random.standard_normal((rank, WIDTH)) / np.sqrt(rank)

    def constant(name: str, values: np.ndarray) -> str:
        tensors.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def node(op: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes) -> str:
        names = [f"v{len(nodes)}"] + ["", "", f"v{len(nodes)}_sum"][: outputs - 1]
        nodes.append(helper.make_node(op, list(inputs), names, f"{op}_{len(nodes)}", domain=domain, **attributes))
        return names[0]

    def norm(x: str, name: str) -> str:
        scale = constant(f"{name}_scale", 1 + 0.3 * random.standard_normal(WIDTH))
        if kind in ("layer", "skip"):
            return node("LayerNormalization", x, scale, constant(f"{name}_bias", random.standard_normal(WIDTH)), epsilon=1e-3)
        if kind == "simplified":
            return node("SimplifiedLayerNormalization", x, scale, epsilon=1e-3)
        squares = node("ReduceMean", node("Pow", x, constant(f"{name}_two", 2)), axes=[-1])
        return node("Mul", node("Div", x, node("Sqrt", node("Add", squares, constant(f"{name}_epsilon", 1e-3)))), scale)

    def add_norm(x: str, y: str, name: str) -> tuple[str, str]:
        """The sum and its norm."""
        if kind != "skip":
            total = node("Add", x, y)
            return total, norm(total, name)
        lines = [constant(f"{name}_{part}", random.standard_normal(WIDTH)) for part in ("scale", "bias")]
        given = node("SkipLayerNormalization", x, y, *lines, constant(f"{name}_shift", random.standard_normal(rank) @ directions), domain="com.microsoft", outputs=4, epsilon=1e-3)
        return f"{given}_sum", given

    table = constant("table", random.standard_normal((WORDS, rank)) @ directions)
    x = node("Gather", table, "ids")
    y = norm(x, "norm0")
    for layer in range(3):
        gate, up = (node("MatMul", y, constant(f"{part}{layer}", random.standard_normal((WIDTH, INNER)) / np.sqrt(WIDTH))) for part in ("gate", "up"))
        down = node("MatMul", node("Mul", node("Sigmoid", gate), up), constant(f"down{layer}", random.standard_normal((INNER, rank)) @ directions / np.sqrt(INNER)))
        x, y = add_norm(x, down, f"norm{layer + 1}")
    nodes.append(helper.make_node("MatMul", [y, node("Transpose", table, perm=[1, 0])], ["logits"], "head"))
    graph = helper.make_graph(nodes, "decoder", [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "length", WORDS])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8)


def draw(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, WORDS, (2, LENGTH))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    for k in range(10):
        np.save(folder / f"{k}.npy", draw(k))
    return folder


def save(kind: str, folder, rank: int = WIDTH):
    path = folder / f"{kind}{rank}.onnx"
    onnx.save(make_decoder(kind, rank), path)
    return path


def run(model, feeds: dict[str, np.ndarray]) -> np.ndarray:
    return onnxruntime.InferenceSession(str(model)).run(["logits"], feeds)[0]


def measure_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(((found - expected) ** 2).sum() / (expected**2).sum())


@pytest.mark.parametrize("rotation", ["shared", "each"])
@pytest.mark.parametrize("kind", ["layer", "simplified", "written", "skip"])
def test_rotation_alone_changes_nothing(samples, tmp_path, kind, rotation):
    model, feeds = save(kind, tmp_path), {"ids": draw(99)}
    compress(model, tmp_path / "turned.onnx", "--prune", "hidden=0", "--prune-rotation", rotation, "--calibrate", samples, "--no-refit")
    found, expected = run(tmp_path / "turned.onnx", feeds), run(model, feeds)
    assert np.abs(found - expected).max() < 2e-5 * np.abs(expected).max()
    turned = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(tmp_path / "turned.onnx").graph.initializer}
    plain = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(model).graph.initializer}
    assert not np.allclose(turned["down1"], plain["down1"], atol=0.01)


@pytest.mark.parametrize("kind", ["layer", "simplified", "written", "skip"])
def test_columns_that_hold_nothing_go_at_no_cost(samples, tmp_path, kind):
    model, feeds = save(kind, tmp_path, 20), {"ids": draw(99)}
    report = compress(model, tmp_path / "small.onnx", "--prune", "hidden=0.4", "--calibrate", samples, "--no-refit")["pruning"]
    dims = {tensor.name: list(tensor.dims) for tensor in onnx.load(tmp_path / "small.onnx").graph.initializer}
    assert dims["gate1"] == [24, INNER] and dims["down1"] == [INNER, 24]
    stream, = report["streams"]
    assert (stream["width"], stream["kept"]) == (WIDTH, 24) and len(stream["energy_kept"]) == 4 and min(stream["energy_kept"].values()) > 0.9999
    assert report["flops_after"] == pytest.approx(0.6 * report["flops_before"])
    assert measure_error(run(tmp_path / "small.onnx", feeds), run(model, feeds)) < 1e-8


def test_refit_and_own_bases_lose_less(samples, tmp_path):
    model, feeds, errors = save("layer", tmp_path), {"ids": draw(99)}, {}
    for rotation in ("shared", "each"):
        for options in ([], ["--no-refit"]):
            report = compress(model, tmp_path / "small.onnx", "--prune", "hidden=0.25", "--prune-rotation", rotation, "--calibrate", samples, *options)
            errors[rotation, not options] = measure_error(run(tmp_path / "small.onnx", feeds), run(model, feeds))
            assert report["pruning"]["rotation"] == rotation and bool(report["pruning"]["refits"]) != bool(options)
    assert errors["shared", True] < errors["shared", False] and errors["each", True] < errors["each", False], errors


@pytest.mark.parametrize("share", [0, 0.25])
def test_known_decoder(tmp_path, share):
    """Attention with a past, positions, and the head that is the table: heads keep their width."""
    path, samples = write_model("gpt2", True), tmp_path / "samples"
    plain = onnx.load(path)
    dims = {dim.dim_param for own in plain.graph.input for dim in own.type.tensor_type.shape.dim if dim.dim_param}
    samples.mkdir()
    for k in range(5):
        np.savez(samples / f"{k}.npz", **load_script().make_feeds(plain, dict.fromkeys(dims, 3 + k), k))
    report = compress(path, tmp_path / "small.onnx", "--prune", f"hidden={share}", "--calibrate", samples, "--no-refit")["pruning"]
    feeds = load_script().make_feeds(plain, dict.fromkeys(dims, 4), 9)
    found, expected = run(tmp_path / "small.onnx", feeds), run(path, feeds)
    assert report["streams"][0]["kept"] == (1 - share) * report["streams"][0]["width"]
    assert np.abs(found - expected).max() < (2e-5 if share == 0 else 1) * np.abs(expected).max()


def test_channels_go_as_well_and_what_is_left_is_quantised(samples, tmp_path):
    model = save("written", tmp_path)
    report = compress(model, tmp_path / "small.onnx", "--prune", "hidden=0.25,channels=0.2", "--mask", "0.2", "--quantize", "int8-weights", "--even-if-slower", "--calibrate", samples)
    assert report["pruning"]["streams"][0]["kept"] == 32 and any(group["removed"] for group in report["pruning"]["groups"]) and report["pruning"]["masks"]
    assert np.isfinite(run(tmp_path / "small.onnx", {"ids": draw(99)})).all()


@pytest.mark.parametrize("options", [["--no-refit"], ["--prune-rotation", "each"]])
def test_recipes_slice_the_same_bytes(samples, tmp_path, options):
    model, recipe = save("layer", tmp_path), tmp_path / "recipe.json"
    compress(model, tmp_path / "small.onnx", "--prune", "hidden=0.25", "--calibrate", samples, "--write-recipe", recipe, *options)
    compress(model, tmp_path / "again.onnx", "--recipe", recipe, "--calibrate", samples)
    assert (tmp_path / "small.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
    part = json.loads(recipe.read_text())["pruning"]
    assert part["streams"][0]["kept"] == 32
    expect_error(run_onager("compress", model, "-o", tmp_path / "no.onnx", "--recipe", recipe), 2, "needs data: --calibrate")
    for change, said in [({"rotation": "none"}, "expected rotation 'shared' or 'each', found 'none'"), ({"streams": [{"value": "v9", "width": WIDTH, "kept": 8}]}, "no stream 'v9' of width 40"),
                         ({"streams": [{"value": "v9", "width": 8, "kept": 9}]}, "not between 1 and its width")]:
        whole = json.loads(recipe.read_text())
        whole["pruning"] |= change
        (tmp_path / "other.json").write_text(json.dumps(whole))
        expect_error(run_onager("compress", model, "-o", tmp_path / "no.onnx", "--recipe", tmp_path / "other.json", "--calibrate", samples), 4, said)


def test_what_cannot_be_sliced_is_said(samples, tmp_path):
    decoder, output = save("layer", tmp_path), tmp_path / "no.onnx"
    watched = make_decoder("layer")
    watched.graph.output.append(helper.make_tensor_value_info(next(node for node in watched.graph.node if node.op_type == "Add").output[0], TensorProto.FLOAT, None))
    onnx.save(watched, tmp_path / "watched.onnx")
    for model, options, status, said in [(decoder, ["--prune", "hidden=0.25"], 2, "needs data: --calibrate"), (decoder, ["--prune", "hidden=1", "--calibrate", samples], 2, "found 'hidden=1'"),
                                         (decoder, ["--prune", "channels=0"], 2, "found 'channels=0'"), (decoder, ["--prune", "flops=0.3,hidden=0.2", "--calibrate", samples], 2, "expected it alone"),
                                         (tmp_path / "watched.onnx", ["--prune", "hidden=0.25", "--calibrate", samples], 3, "is an output of the model"),
                                         (write_model("bert-base", True), ["--prune", "hidden=0.25", "--calibrate", "random:2"], 3, "(LayerNormalization) normalises behind an addition"),
                                         (write_model("resnet50", True), ["--prune", "hidden=0.25", "--calibrate", "random:2"], 3, "no residual stream")]:
        expect_error(run_onager("compress", model, "-o", output, *options), status, said)
        assert not output.exists()


def test_models_in_text_may_have_constants(tmp_path):
    """Their constants have no raw data, which ended the process."""
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[B, 4] x) => (float[B, 8] y) <float[4, 8] w = {%s}> {y = MatMul(x, w)}' % ", ".join(str(k % 7) for k in range(32))
    (tmp_path / "text.onnxtxt").write_text(text)
    compress(tmp_path / "text.onnxtxt", tmp_path / "sparse.onnx", "--mask", "0.5")
    found, = (numpy_helper.to_array(tensor) for tensor in onnx.load(tmp_path / "sparse.onnx").graph.initializer)
    assert found.shape == (4, 8) and (found == 0).sum() >= 16
