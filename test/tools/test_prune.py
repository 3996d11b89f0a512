"""onager compress --prune and --mask: smaller weights and sparser ones, with and without data, by recipes, and what is refused."""
import collections
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import onager
from fuzz.pruning import run, try_seed, zero_out
from support.networks import load_script, write_model
from support.seeds import get_seed
from support.tool import compress, expect_error, run_onager, save_samples

GRAPHS = 40


def make_network(hidden: int = 32) -> onnx.ModelProto:
    """Convolutions whose channels have few directions, so that some can stand for others; a residual addition, a Gemm."""
    random = np.random.default_rng(5)
    tensors: list = []

    def weights(name: str, *shape: int) -> str:
        few = min(shape[0], 6)
        values = random.standard_normal((shape[0], few)) @ random.standard_normal((few, int(np.prod(shape[1:])))) / np.sqrt(few * np.prod(shape[1:]))
        tensors.append(numpy_helper.from_array((values + 0.02 * random.standard_normal(values.shape)).reshape(shape).astype(np.float32), name))
        return name

    nodes = [
        helper.make_node("Conv", ["x", weights("w1", hidden, 3, 3, 3), weights("b1", hidden)], ["c1"], "first", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", weights("w2", hidden, hidden, 3, 3), weights("b2", hidden)], ["c2"], "second", pads=[1] * 4),
        helper.make_node("Add", ["r1", "c2"], ["sum"], "residual"),
        helper.make_node("GlobalAveragePool", ["sum"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", weights("w3", 48, hidden), weights("b3", 48)], ["g"], "dense", transB=1),
        helper.make_node("Tanh", ["g"], ["t"]),
        helper.make_node("MatMul", ["t", weights("w4", 48, 10)], ["y"], "head"),
    ]
    graph = helper.make_graph(nodes, "network", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def draw(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "network.onnx"
    onnx.save(make_network(), path)
    return path


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return save_samples(tmp_path_factory.mktemp("samples"), draw, 16)


def find_dims(path) -> dict[str, list[int]]:
    return {tensor.name: list(tensor.dims) for tensor in onnx.load(path).graph.initializer}


def run_onnxruntime(model, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(str(model)).run(None, {"x": x})[0]


def measure_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(((found - expected) ** 2).sum() / (expected**2).sum())


def test_random_networks_equal_dense_ones_that_do_not_read_what_went():
    seed = get_seed()
    results = {tried: try_seed(tried) for tried in range(seed, seed + GRAPHS)}
    counts = collections.Counter(verdict for verdict, _ in results.values())
    print(f"\n{GRAPHS} random networks: {dict(counts)}")
    bad = {tried: result for tried, result in results.items() if result[0] not in ("same", "whole")}
    assert not bad, "\n".join(f"test/fuzz/pruning.py --seed {tried} --count 1: {verdict}: {reason}" for tried, (verdict, reason) in bad.items())
    assert counts["same"] > GRAPHS // 2


@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2", "bert-base", "gpt2"])
def test_known_networks_with_symbolic_dims_equal_dense_ones(tmp_path, name):
    """Shapes that the network computes while it runs follow the number of heads."""
    plain = onnx.load(write_model(name, True))
    shares = {"resnet50": "channels=0.4", "mobilenetv2": "flops=0.3", "bert-base": "heads=0.5,channels=0.4", "gpt2": "channels=0.4"}[name]
    report = compress(write_model(name, True), tmp_path / "small.onnx", "--prune", shares)
    axes = {"Conv": 1, "MatMul": 0}
    sums = {node.input[1]: axes.get(node.op_type, 1) for node in plain.graph.node if node.op_type in ("Conv", "MatMul", "Gemm")}
    sums = {weights: axis for weights, axis in sums.items() if not any(node.input[1] == weights and any(own.name == "group" and own.i > 1 for own in node.attribute) for node in plain.graph.node if len(node.input) > 1)}
    pruned = onnx.load(tmp_path / "small.onnx")
    dense, cut = zero_out(plain, pruned, sums)
    assert cut and report["pruning"]["flops_after"] < report["pruning"]["flops_before"]
    if name == "bert-base":
        assert any(group["what"] == "heads" and group["removed"] for group in report["pruning"]["groups"])
    dims = {dim.dim_param for own in plain.graph.input for dim in own.type.tensor_type.shape.dim if dim.dim_param}
    for extent in (2, 3):
        feeds = load_script().make_feeds(plain, dict.fromkeys(dims, extent), 0)
        found, expected = run(pruned, feeds), run(dense, feeds)
        assert found.shape == expected.shape and np.abs(found - expected).max() <= 2e-4 * np.abs(expected).max()


def test_channels_of_each_layer_go(network, tmp_path):
    report = compress(network, tmp_path / "small.onnx", "--prune", "channels=0.5")
    onnx.checker.check_model(onnx.load(tmp_path / "small.onnx"), full_check=True)
    assert find_dims(tmp_path / "small.onnx") == {"w1": [16, 3, 3, 3], "b1": [16], "w2": [16, 16, 3, 3], "b2": [16], "w3": [24, 16], "b3": [24], "w4": [24, 10]}
    pruning = report["pruning"]
    assert [(group["weights"], group["units"], group["removed"], group["what"]) for group in pruning["groups"]] == [("w1", 32, 16, "channels"), ("w3", 48, 24, "channels")]
    assert pruning["flops_after"] < 0.5 * pruning["flops_before"] and not pruning["refits"]
    assert all(group["mean_score_removed"] < 1 < group["mean_score_kept"] for group in pruning["groups"])
    assert report["bytes_after"] < 0.4 * report["bytes_before"]
    x = draw(3, 50)
    found = onager.InferenceSession(tmp_path / "small.onnx").run(None, {"x": x})[0]
    assert np.allclose(found, run_onnxruntime(tmp_path / "small.onnx", x), rtol=1e-4, atol=1e-5)


def test_kept_nodes_keep_the_channels_that_they_read_and_make(network, samples, tmp_path):
    plain, options = find_dims(network), ["compress", network, "-o", tmp_path / "none.onnx", "--prune"]
    compress(network, tmp_path / "small.onnx", "--prune", "channels=0.5", "--keep", "head")
    found = find_dims(tmp_path / "small.onnx")
    assert found["w4"] == plain["w4"] and found["w3"] == [plain["w3"][0], plain["w3"][1] // 2] and found["w1"][0] == plain["w1"][0] // 2
    # `dense` makes the channels that `head` reads, and reads the sum of both convolutions.
    expect_error(run_onager(*options, "channels=0.5", "--keep", "dense"), 3, "no group of channels or heads can lose so few of them, or the model has none that may be cut")
    expect_error(run_onager(*options, "hidden=0.5", "--calibrate", samples, "--keep", "dense"), 2, "hidden writes all layers in another basis, node 'dense' cannot stay as it is")


@pytest.mark.parametrize("criterion", ["magnitude", "activation", "loss"])
def test_operations_go_until_the_share_is_reached(network, samples, tmp_path, criterion):
    report = compress(network, tmp_path / "small.onnx", "--prune", "flops=0.3", "--prune-by", criterion, "--calibrate", samples, "--no-refit")
    pruning = report["pruning"]
    assert 0.45 < pruning["flops_after"] / pruning["flops_before"] <= 0.7
    dims = find_dims(tmp_path / "small.onnx")
    assert dims["w1"][0] % 8 == 0 and dims["w3"][0] % 8 == 0, "multiples of eight stay"


def test_refit_brings_layers_near_to_what_they_gave(network, samples, tmp_path):
    options = ["--prune", "channels=0.5", "--prune-by", "activation", "--calibrate", samples]
    compress(network, tmp_path / "plain.onnx", *options, "--no-refit")
    report = compress(network, tmp_path / "fitted.onnx", *options)
    refits = {entry["node"]: entry for entry in report["pruning"]["refits"]}
    assert list(refits) == ["second", "dense", "head"] and all(entry["error_after"] < 0.5 * entry["error_before"] for entry in refits.values())
    x = draw(64, 99)
    expected = run_onnxruntime(network, x)
    assert measure_error(run_onnxruntime(tmp_path / "fitted.onnx", x), expected) < 0.3 * measure_error(run_onnxruntime(tmp_path / "plain.onnx", x), expected)


def make_shifted(kind: str) -> onnx.ModelProto:
    """Layers whose shift goes into the means of a norm, into an addition, or whose sums are too long to be solved for."""
    random = np.random.default_rng(9)
    tensors: list = []

    def weights(name: str, *shape: int, offset: float = 0) -> str:
        tensors.append(numpy_helper.from_array((offset + random.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))).astype(np.float32), name))
        return name

    wide = 576 if kind == "scales" else 32
    nodes = [helper.make_node("Conv", ["x", weights("w1", wide, 3, 3, 3), weights("b1", wide, offset=1)], ["c"], "first", pads=[1] * 4), helper.make_node("Relu", ["c"], ["r"])]
    if kind == "added":
        nodes += [helper.make_node("GlobalAveragePool", ["r"], ["p"]), helper.make_node("Flatten", ["p"], ["f"]), helper.make_node("MatMul", ["f", weights("w2", wide, 10)], ["m"], "second"),
                  helper.make_node("Add", ["m", weights("b2", 10)], ["y"])]
    else:
        nodes.append(helper.make_node("Conv", ["r", weights("w2", 8, wide, 3, 3)], ["m"], "second", pads=[1] * 4))
        for name, values in (("scale", random.standard_normal(8)), ("shift", random.standard_normal(8)), ("mean", random.standard_normal(8)), ("variance", 0.5 + random.random(8))):
            tensors.append(numpy_helper.from_array(values.astype(np.float32), name))
        nodes += [helper.make_node("BatchNormalization", ["m", "scale", "shift", "mean", "variance"], ["n"]), helper.make_node("GlobalAveragePool", ["n"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])]
    graph = helper.make_graph(nodes, "shifted", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", None])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(("kind", "form"), [("mean", "weights"), ("added", "weights"), ("scales", "scales")])
def test_refit_finds_a_place_for_shifts(samples, tmp_path, kind, form):
    onnx.save(make_shifted(kind), tmp_path / "plain.onnx")
    options = ["--prune", "channels=0.5", "--calibrate", samples]
    compress(tmp_path / "plain.onnx", tmp_path / "cut.onnx", *options, "--no-refit")
    report = compress(tmp_path / "plain.onnx", tmp_path / "fitted.onnx", *options)
    (entry,) = report["pruning"]["refits"]
    assert entry["node"] == "second" and entry["form"] == form and entry["error_after"] < 0.6 * entry["error_before"]
    x = draw(64, 99)
    expected = run_onnxruntime(tmp_path / "plain.onnx", x)
    assert measure_error(run_onnxruntime(tmp_path / "fitted.onnx", x), expected) < 0.3 * measure_error(run_onnxruntime(tmp_path / "cut.onnx", x), expected)


def test_recipes_prune_the_same_bytes_and_may_be_edited(network, samples, tmp_path):
    recipe, edited = tmp_path / "recipe.json", tmp_path / "edited.json"
    compress(network, tmp_path / "first.onnx", "--prune", "channels=0.5", "--calibrate", samples, "--mask", "2:4", "--write-recipe", recipe)
    compress(network, tmp_path / "second.onnx", "--recipe", recipe, "--calibrate", samples)
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()
    expect_error(run_onager("compress", network, "-o", tmp_path / "third.onnx", "--recipe", recipe), 2, "the refit needs data")
    content = json.loads(recipe.read_text())
    content["pruning"]["refit"], content["pruning"]["masks"] = False, []
    content["pruning"]["groups"][0]["removed"] = [3, 31]
    edited.write_text(json.dumps(content))
    compress(network, tmp_path / "third.onnx", "--recipe", edited)
    plain, small = (numpy_helper.to_array(onnx.load(path).graph.initializer[0]) for path in (network, tmp_path / "third.onnx"))
    assert np.array_equal(small, np.delete(plain, [3, 31], 0))


@pytest.mark.parametrize("scheme", [["--quantize", "int8"], ["--quantize", "int4", "--group", 16]])
def test_pruned_models_are_quantised_as_well(network, samples, tmp_path, scheme):
    report = compress(network, tmp_path / "small.onnx", "--prune", "channels=0.5", "--calibrate", samples, *scheme, "--write-recipe", tmp_path / "recipe.json")
    assert {layer["scheme"] for layer in report["layers"]} >= {scheme[1]} and report["pruning"]["groups"]
    compress(network, tmp_path / "again.onnx", "--recipe", tmp_path / "recipe.json", "--calibrate", samples)
    assert (tmp_path / "small.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
@pytest.mark.parametrize(("pattern", "share"), [("2:4", 0.5), ("0.75", 0.75)])
def test_masks(network, samples, tmp_path, method, pattern, share):
    report = compress(network, tmp_path / "sparse.onnx", "--mask", pattern, "--mask-by", method, "--calibrate", samples, "--keep", "head")
    masks = {layer["node"]: layer for layer in report["pruning"]["masks"]}
    assert list(masks) == ["first", "second", "dense"]
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(tmp_path / "sparse.onnx").graph.initializer}
    assert find_dims(tmp_path / "sparse.onnx") == find_dims(network)
    for name, node in (("w1", "first"), ("w2", "second"), ("w3", "dense")):
        rows = tensors[name].reshape(len(tensors[name]), -1)
        assert masks[node]["zeros"] == (rows == 0).sum() and abs((rows == 0).mean() - share) < 0.06
        if pattern == "2:4":
            whole = rows[:, : rows.shape[1] // 4 * 4].reshape(len(rows), -1, 4)
            assert ((whole == 0).sum(-1) == 2).all()
        assert masks[node]["kernel"].startswith(("dense: of ", "sparse: expected to be ")), masks[node]
    assert (tensors["w4"] != 0).all()


def test_masks_that_know_the_data_lose_less(network, samples, tmp_path):
    x = draw(64, 99)
    errors = {}
    for method in ("magnitude", "wanda", "sparsegpt"):
        compress(network, tmp_path / "sparse.onnx", "--mask", "2:4", "--mask-by", method, "--calibrate", samples, "--no-refit")
        errors[method] = measure_error(run_onnxruntime(tmp_path / "sparse.onnx", x), run_onnxruntime(network, x))
    assert errors["sparsegpt"] < 0.5 * errors["magnitude"] and errors["wanda"] < 1.5 * errors["magnitude"], errors
    report = compress(network, tmp_path / "fitted.onnx", "--mask", "2:4", "--mask-by", "magnitude", "--calibrate", samples)
    assert measure_error(run_onnxruntime(tmp_path / "fitted.onnx", x), run_onnxruntime(network, x)) < 0.5 * errors["magnitude"]
    assert all(entry["form"] == "masked weights" and entry["error_after"] < entry["error_before"] for entry in report["pruning"]["refits"])


def test_what_cannot_be_pruned_is_said(network, samples, tmp_path):
    kept, single = tmp_path / "kept.onnx", tmp_path / "single.onnx"
    kept.write_bytes(b"kept")
    onnx.save(onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 17]> g (float[2,3] x) => (float[2,3] y) { y = CumSum(x, a) }'.replace("{", "<int64 a = {1}> {", 1)), single)
    recipes = {"unknown": [{"weights": "w9", "axis": 0, "what": "channels", "units": 8, "removed": [1]}], "beyond": [{"weights": "w1", "axis": 0, "what": "channels", "units": 32, "removed": [32]}],
               "all": [{"weights": "w1", "axis": 0, "what": "channels", "units": 32, "removed": list(range(32))}], "broken": [{"weights": "w1"}]}
    for name, groups in recipes.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"version": 1, "range": "mse", "layers": [], "activations": [], "pruning": {"refit": False, "groups": groups, "masks": []}}))
    for model, options, status, said in [(network, ["--prune", "channels"], 2, "found 'channels'"), (network, ["--prune", "channels=1.5"], 2, "found 'channels=1.5'"),
                                         (network, ["--prune", "rows=0.5"], 2, "found 'rows=0.5'"), (network, ["--prune", "flops=0.3", "--prune", "heads=0.5"], 2, "expected it alone"),
                                         (network, ["--prune", "heads=0.5"], 3, "no group of channels or heads"), (network, ["--prune", "flops=0.99"], 3, "of the operations can go at most"),
                                         (network, ["--prune", "channels=0.5", "--prune-by", "loss"], 2, "needs data"), (network, ["--mask", "4:2"], 2, "found '4:2'"),
                                         (network, ["--mask", "2:4", "--mask-by", "wanda"], 2, "wanda needs data"), (single, ["--mask", "2:4"], 3, "takes a mask"),
                                         (single, ["--prune", "channels=0.5"], 3, "no group of channels or heads"),
                                         (network, ["--recipe", tmp_path / "unknown.json"], 4, "no such group"), (network, ["--recipe", tmp_path / "beyond.json"], 4, "found 32"),
                                         (network, ["--recipe", tmp_path / "all.json"], 4, "too little would be left"), (network, ["--recipe", tmp_path / "broken.json"], 4, "without weights"),
                                         (network, ["--recipe", tmp_path / "all.json", "--prune", "channels=0.5"], 2, "excludes")]:
        expect_error(run_onager("compress", model, "-o", kept, *options), status, said)
        assert kept.read_bytes() == b"kept"


def test_python_prunes(network, tmp_path):
    feeds = [{"x": draw(8, k)} for k in range(6)]
    report = onager.compress(network, iter(feeds), tmp_path / "small.onnx", prune="flops=0.3", threads=1)
    assert report["pruning"]["flops_after"] <= 0.7 * report["pruning"]["flops_before"] and report["recipe"]["pruning"]["refit"]
    onager.compress(network, iter(feeds), tmp_path / "again.onnx", recipe=report["recipe"])
    assert (tmp_path / "small.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
