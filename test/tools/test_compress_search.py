"""onager compress that chooses for each layer: budgets, bits, tables, precisions, and speed."""
import html.parser
import itertools
import json
import os
import shutil
import subprocess

import numpy as np
import onnx
import pytest
from PIL import Image
from onnx import TensorProto, helper, numpy_helper

import onager
from support.places import ONAGER
from support.single import run_reference
from support.tool import compress, expect_error, run_command, run_onager

WIDTH, LAYERS = 64, 6


def make_language_model(seed: int = 0, outliers: float = 8.0, layers: int = LAYERS) -> onnx.ModelProto:
    """Embeddings, gated residual products of unequal sensitivity, and a head."""
    random = np.random.default_rng(seed)
    tensors, nodes, last = [], [], "h0"

    def weights(name: str, *shape: int) -> str:
        values = random.standard_normal(shape) / np.sqrt(shape[0])
        # Few large weights make rounding hard for some layers.
        values[0, : shape[1] // 16] *= outliers if name.endswith(("1", "4")) else 1
        tensors.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    nodes.append(helper.make_node("Gather", [weights("table", 200, WIDTH), "ids"], [last], "embedding"))
    for k in range(layers):
        nodes += [helper.make_node("MatMul", [last, weights(f"w{k}", WIDTH, WIDTH)], [f"m{k}"], f"product{k}"), helper.make_node("Tanh", [f"m{k}"], [f"t{k}"]),
                  helper.make_node("Add", [last, f"t{k}"], [f"h{k + 1}"], f"residual{k}")]
        last = f"h{k + 1}"
    nodes.append(helper.make_node("MatMul", [last, weights("head", WIDTH, 200)], ["y"], "logits"))
    graph = helper.make_graph(nodes, "language", [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "length", 200])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    path = tmp_path_factory.mktemp("language") / "model.onnx"
    onnx.save(make_language_model(), path)
    return path


def draw_ids(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (2, 24))


@pytest.fixture(scope="module")
def ids(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ids")
    for k in range(20):
        np.save(folder / f"{k:02}.npy", draw_ids(k))
    return folder


def compute_divergence(found: np.ndarray, expected: np.ndarray) -> float:
    def normalise(x: np.ndarray) -> np.ndarray:
        x = x.astype(np.float64) - x.max(-1, keepdims=True)
        return x - np.log(np.exp(x).sum(-1, keepdims=True))

    own, other = normalise(expected), normalise(found)
    return float((np.exp(own) * (own - other)).sum(-1).mean())


def count_bits(report: dict) -> float:
    weights = sum(layer["bytes_before"] / 4 for layer in report["layers"])
    return sum(8 * layer.get("bytes_after", layer["bytes_before"]) for layer in report["layers"]) / weights


@pytest.mark.parametrize("scheme", ["int8-weights", "int4"])
def test_tables_are_read_in_groups(language, tmp_path, scheme):
    report = compress(language, tmp_path / "small.onnx", "--quantize", scheme)
    nodes = {node.name: node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node}
    assert nodes["embedding"] == "GatherBlockQuantized" and nodes["logits"] == "MatMulNBits"
    assert report["bytes_after"] < (0.4 if scheme == "int8-weights" else 0.25) * report["bytes_before"]
    x = {"ids": draw_ids(100)}
    plain, found = (onager.InferenceSession(path).run(None, x)[0] for path in (language, tmp_path / "small.onnx"))
    other = run_reference(str(tmp_path / "small.onnx"), x)[0]
    assert np.allclose(found, other, rtol=1e-3, atol=1e-3 * np.abs(plain).max())
    assert compute_divergence(found, plain) < (1e-3 if scheme == "int8-weights" else 0.3)


@pytest.mark.parametrize(("scheme", "steps"), [("bf16", 2.0**-8), ("f16", 2.0**-11)])
def test_narrow_floats_round_operands_alone(language, tmp_path, scheme, steps):
    report = compress(language, tmp_path / "small.onnx", "--precision", scheme, "--even-if-slower")
    assert [layer["scheme"] for layer in report["layers"]] == [scheme] * (LAYERS + 2)
    x = {"ids": draw_ids(100)}
    plain, found = (onager.InferenceSession(path).run(None, x)[0] for path in (language, tmp_path / "small.onnx"))
    other = run_reference(str(tmp_path / "small.onnx"), x)[0]
    assert np.abs(found - plain).max() < 4 * steps * np.abs(plain).max()
    assert np.abs(found - plain).max() > 0.01 * steps * np.abs(plain).max(), "operands are rounded"
    assert np.allclose(found, other, rtol=0, atol=2 * steps * np.abs(plain).max())


@pytest.mark.parametrize("limit", [0.0015, 0.003])
def test_budgets_hold_on_samples_not_seen(language, ids, tmp_path, limit):
    report = compress(language, tmp_path / "small.onnx", "--quantize", "int4,int8-weights", "--budget", f"kl<={limit}", "--calibrate", ids)
    assert report["budgets"][0]["holds"] and report["budgets"][0]["held_out"] <= limit
    assert (report["calibration_samples"], report["judging_samples"], report["held_out_samples"]) == (12, 4, 4)
    schemes = [layer["scheme"] for layer in report["layers"]]
    assert "int4" in schemes and len(set(schemes)) >= 2, "a budget between the two schemes takes some of each"
    divergence = [compute_divergence(onager.InferenceSession(tmp_path / "small.onnx").run(None, {"ids": draw_ids(k)})[0], onager.InferenceSession(language).run(None, {"ids": draw_ids(k)})[0])
                  for k in range(200, 210)]
    assert np.mean(divergence) <= 1.2 * limit
    # Layers say what was measured of each form.
    for layer in report["layers"]:
        assert [form["scheme"] for form in layer["forms"]] == ["int4", "int8-weights"] and layer["forms"][0]["loss"] > layer["forms"][1]["loss"] / 10
    costs, losses = zip(*[(point["cost"], point["loss"]) for point in report["pareto"]])
    assert list(costs) == sorted(costs) and list(losses) == sorted(losses, reverse=True) and any(point["chosen"] for point in report["pareto"])


def test_search_comes_near_to_the_best_of_all_choices(language, ids, tmp_path):
    """Bytes, of which there is no noise: all choices of int4 or plain for six products, with the same budget."""
    keep = ["--keep", "embedding", "--keep", "logits"]
    limit = 0.0013
    report = compress(language, tmp_path / "small.onnx", "--quantize", "int4", "--budget", f"kl<={limit}", "--calibrate", ids, *keep, "--write-recipe", tmp_path / "recipe.json")
    chosen = sum(layer["scheme"] == "int4" for layer in report["layers"])
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    template = next(layer for layer in recipe["layers"] if layer["scheme"] == "int4")
    x = [{"ids": draw_ids(k)} for k in range(16)]
    plain = [onager.InferenceSession(language, threads=1).run(None, feed)[0] for feed in x]
    best = 0
    for choice in itertools.product([False, True], repeat=LAYERS):
        if sum(choice) <= max(best, chosen):
            continue
        for k, isSmall in enumerate(choice):
            name = {"node": f"product{k}", "op": "MatMul"}
            recipe["layers"][k + 1] = template | name if isSmall else {**name, "scheme": "keep"}
        small = onager.compress(language, output=tmp_path / "trial.onnx", recipe=recipe)
        assert sum(layer["scheme"] == "int4" for layer in small["layers"]) == sum(choice)
        session = onager.InferenceSession(tmp_path / "trial.onnx", threads=1)
        if np.mean([compute_divergence(session.run(None, feed)[0], y) for feed, y in zip(x, plain)]) <= limit:
            best = sum(choice)
    assert 0 < chosen and chosen >= 0.8 * best


@pytest.mark.parametrize("bits", [5.5, 6.5, 9.2])
def test_bits_on_average(language, ids, tmp_path, bits):
    report = compress(language, tmp_path / "small.onnx", "--quantize", "int4,int8-weights", "--target-bpw", bits, "--calibrate", ids)
    assert bits - 1.5 < count_bits(report) <= bits
    schemes = {layer["node"]: layer["scheme"] for layer in report["layers"]}
    if bits == 6.5:
        assert set(schemes.values()) == {"int4", "int8-weights"}


def test_slower_layers_stay_plain(tmp_path):
    """Products too small to gain from bytes."""
    tensors = [numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["m"], "tiny"), helper.make_node("Sigmoid", ["m"], ["y"])], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "tiny.onnx")
    report = compress(tmp_path / "tiny.onnx", tmp_path / "small.onnx", "--quantize", "int8", "--calibrate", "random:6")
    forced = compress(tmp_path / "tiny.onnx", tmp_path / "forced.onnx", "--quantize", "int8", "--calibrate", "random:6", "--even-if-slower")
    assert forced["layers"][0]["scheme"] == "int8"
    assert report["layers"][0]["scheme"] == "int8" or "faster here" in report["layers"][0]["reason"] or "slower here" in report["layers"][0]["reason"]
    # Noise of the clock decides for a layer that gains nothing, but never for a model that loses.
    assert report["seconds"]["compressed"] < 1.5 * report["seconds"]["plain"]


class Outline(html.parser.HTMLParser):
    """Tags that are closed as they were opened, and texts."""

    def __init__(self):
        super().__init__()
        self.open, self.texts, self.tags = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert tag not in ("script", "link", "img", "iframe") and not any(name in ("src", "href") for name, _ in attributes), "a page of its own"
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_reports_are_pages(language, ids, tmp_path):
    page = tmp_path / "report.html"
    compress(language, tmp_path / "small.onnx", "--quantize", "int4,int8-weights", "--budget", "kl<=0.0015", "--calibrate", ids, "--report", page)
    outline = Outline()
    outline.feed(page.read_text())
    text = " ".join(outline.texts)
    assert not outline.open and outline.tags.count("circle") >= 2
    for part in ("embedding", "product3", "logits", "int4", "int8-weights", "budget kl<=0.0015", "12 calibration samples, 4 that judge the choice, 4 held out", "milliseconds of a run"):
        assert part in text, part


def find_browser() -> str:
    """Returns a browser that runs without a screen; skips the test where there is none."""
    for name in (os.environ.get("ONAGER_BROWSER"), "chromium-headless-shell", "chromium", "google-chrome"):
        if name and shutil.which(name):
            return name
    pytest.skip("NO BROWSER: apt-get install chromium-headless-shell, or name one in ONAGER_BROWSER, to see reports drawn")


def test_reports_are_drawn_by_a_browser(language, ids, tmp_path):
    browser, page, picture = find_browser(), tmp_path / "report.html", tmp_path / "page.png"
    compress(language, tmp_path / "small.onnx", "--quantize", "int4,int8-weights", "--budget", "kl<=0.0015", "--calibrate", ids, "--report", page)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,1600", f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run([browser, *options, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    outline = Outline()
    outline.feed(shown)
    rows = json.loads(run_command(ONAGER, "compress", language, "-o", tmp_path / "again.onnx", "--quantize", "int4", "--json"))["layers"]
    # What the browser made of the page has a row for each layer: no tag was mended or moved.
    assert outline.tags.count("tr") == 2 + 2 + 1 + len(rows) + 1 and outline.tags.count("circle") == page.read_text().count("<circle")
    subprocess.run([browser, *options, f"--screenshot={picture}", page.as_uri()], capture_output=True, timeout=120, check=True)
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    assert pixels.shape == (1600, 1280, 3)
    assert (np.abs(pixels - [0x00, 0xAA, 0x77]).sum(-1) < 12).sum() > 60, "the choice is drawn as a dot"
    inked = (pixels < 128).all(-1)
    assert inked.sum() > 3000 and not inked[:, :40].any() and not inked[:, -40:].any(), "text fits between the margins"


def test_what_cannot_be_searched_is_said(language, ids, tmp_path):
    for options, status, said in [(["--quantize", "int8,int4"], 2, "--budget or --target-bpw"), (["--quantize", "int4", "--budget", "kl>=1"], 2, "found 'kl>=1'"),
                                  (["--quantize", "int4", "--budget", "beauty>=1"], 2, "found 'beauty>=1'"), (["--quantize", "int4", "--budget", "cosine>=2"], 2, "no model is within"),
                                  (["--quantize", "int4", "--budget", "kl<=1"], 2, "needs data"), (["--quantize", "int4", "--target-bpw", "2", "--calibrate", ids], 3, "the smallest forms take"),
                                  (["--quantize", "int4,int8-weights", "--target-bpw", "5.2", "--budget", "kl<=1e-9", "--calibrate", ids], 3, "beyond kl<=1e-9"),
                                  (["--quantize", "int4", "--target-bpw", "99"], 2, "99")]:
        expect_error(run_onager("compress", language, "-o", tmp_path / "small.onnx", *options), status, said)
        assert not (tmp_path / "small.onnx").exists()


def make_tied_model() -> onnx.ModelProto:
    """A table that is the head as well."""
    table = (np.random.default_rng(3).standard_normal((120, 64)) / 8).astype(np.float32)
    nodes = [helper.make_node("Gather", ["table", "ids"], ["h"], "embedding"), helper.make_node("Tanh", ["h"], ["t"]),
             helper.make_node("Transpose", ["table"], ["columns"], "turn", perm=[1, 0]), helper.make_node("MatMul", ["t", "columns"], ["y"], "head")]
    graph = helper.make_graph(nodes, "tied", [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "length", 120])], [numpy_helper.from_array(table, "table")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(("options", "most", "least"), [(["--quantize", "int4"], 0.5, 14), (["--quantize", "int8-weights"], 0.8, 38), (["--quantize", "int8", "--calibrate", "random:6"], 0.8, 20),
                                                        (["--precision", "bf16"], 1.1, 40), (["--quantize", "int4", "--rounding", "gptq", "--calibrate", "random:6"], 0.5, 14)])
def test_heads_that_are_tables_are_layers(tmp_path, options, most, least):
    onnx.save(make_tied_model(), tmp_path / "tied.onnx")
    report = compress(tmp_path / "tied.onnx", tmp_path / "small.onnx", "--even-if-slower", "--dim", "batch=3", "--dim", "length=40", *options)
    assert [layer["node"] for layer in report["layers"]] == ["embedding", "head"] and all(layer["scheme"] != "keep" for layer in report["layers"])
    assert report["bytes_after"] < most * report["bytes_before"], "the table of f32 is gone"
    x = {"ids": np.random.default_rng(1).integers(0, 120, (2, 30))}
    plain, found = (onager.InferenceSession(path).run(None, x)[0] for path in (tmp_path / "tied.onnx", tmp_path / "small.onnx"))
    other = run_reference(str(tmp_path / "small.onnx"), x)[0]
    sqnr = 10 * np.log10((plain**2).sum() / ((found - plain) ** 2).sum())
    assert sqnr > least
    assert np.abs(found - other).max() < 0.02 * np.abs(plain).max()
