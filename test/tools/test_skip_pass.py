"""Models can do without each optional pass, and without several."""
import re

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from support import faults
from support.places import ONAGER, ROOT
from support.tool import run_command, run_onager

PASSES = re.search("expected one of (.*)", run_onager("compile", "none.onnx", "--skip-pass", "none").stderr).group(1).split(", ") if ONAGER.exists() else []

# Passes that every compilation needs, that check what others made, or that mark what optional ones read.
NEEDED = {"graph-number-strings", "graph-expose-values", "graph-find-deciding-inputs", "graph-specialize-symbols", "graph-mark-sparse", "convert-graph-to-kernel", "kernel-plan-buffers",
          "kernel-annotate-work", "convert-kernel-to-vector", "verify-graph", "verify-kernel", "verify-plan", "verify-vector", "verify-llvm", "name-nodes", "expand-math",
          "convert-loops-to-branches", "convert-arithmetic-to-llvm"}
# What passes for single patterns take: pads and slices around convolutions, windows that do not move or meet padding alone, pools of volumes, reductions of dims apart, products of bf16
# and of few columns.
PATTERNS = """<ir_version: 10, opset_import: ["" : 21]>
patterns (float[n,4,9,9] x) => (float[n,4,9,9] padded, float[n,4,9,9] sliced, float[n,4,1,1] gate, float[n,4,9,9] far, float[n,2,1,4,4] pooled, float[1,4,9,1] summed, float[2,64] narrow, float[2,1] column) {
  pads = Constant<value_ints = [0, 0, 1, 1, 0, 0, 1, 1]>()
  wide = Pad(x, pads)
  padded = Conv(wide, w3)
  more = Conv<pads = [0, 0, 2, 2]>(x, w3)
  first = Constant<value_ints = [0, 0]>()
  last = Constant<value_ints = [9, 9]>()
  dims = Constant<value_ints = [2, 3]>()
  sliced = Slice(more, first, last, dims)
  mean = GlobalAveragePool(x)
  gate = Conv(mean, w1)
  far = Conv<pads = [12, 12, 12, 12], dilations = [12, 12]>(x, w3)
  volume_dims = Constant<value_ints = [-1, 2, 2, 9, 9]>()
  volume = Reshape(x, volume_dims)
  pooled = MaxPool<kernel_shape = [2, 3, 3], strides = [2, 2, 2]>(volume)
  apart = Constant<value_ints = [0, 3]>()
  summed = ReduceSum(x, apart)
  two = Constant<value_ints = [2, 18]>()
  rows = Reshape(summed, two)
  half = Cast<to = 16>(rows)
  row = Cast<to = 1>(half)
  narrow = MatMul(row, w18)
  column = MatMul(narrow, w64)
}"""


def make_patterns() -> onnx.ModelProto:
    model, random = parser.parse_model(PATTERNS), np.random.default_rng(3)
    for name, shape in (("w1", (4, 4, 1, 1)), ("w3", (4, 4, 3, 3)), ("w18", (18, 64)), ("w64", (64, 1))):
        weights = random.integers(-8, 9, shape) / np.float32(8)  # bf16 holds them
        model.graph.initializer.append(numpy_helper.from_array(weights.astype(np.float32), name))
    return model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Products and convolutions of f32, of f16 and of bytes, and single patterns."""
    folder = tmp_path_factory.mktemp("models")
    onnx.save(make_patterns(), folder / "patterns.onnx")
    found = [(folder / "patterns.onnx", "sqnr>=100")]
    for kind in ("convolutional", "transformer"):
        path, half, small = (folder / f"{kind}_{name}.onnx" for name in ("plain", "half", "small"))
        onnx.save(faults.MODELS[kind](), path)
        onnx.save(faults.convert_to_half(faults.MODELS[kind]()), half)
        run_command(ONAGER, "compress", path, "-o", small, "--quantize", "int8", "--even-if-slower", "--calibrate", "random:4", "--dim", "n=2")
        found += [(path, "sqnr>=100"), (half, "sqnr>=45"), (small, "sqnr>=30")]
    return found


def test_every_pass_is_optional_or_needed():
    documented = re.findall(r"^### `--(.+)`$", (ROOT / "docs" / "passes.md").read_text(encoding="utf-8"), re.M)
    assert set(documented) == NEEDED | (set(PASSES) - {"cse", "fuse-units"})


@pytest.mark.parametrize("name", PASSES)
def test_models_do_without(models, name):
    for path, bound in models:
        run_command(ONAGER, "verify", path, "-O", 1, "--skip-pass", name, "--metric", bound, "--dim", "n=2")


@pytest.mark.parametrize("limit", [0, 3, 9, 15, 21])
def test_models_do_with_the_first_passes(models, limit):
    for path, bound in models:
        run_command(ONAGER, "verify", path, "-O", 1, "--pass-limit", limit, "--metric", bound, "--dim", "n=2")


def test_artifacts_of_fewer_passes_make_no_code_while_they_run(tmp_path):
    onnx.save(faults.make_convolutional(), tmp_path / "net.onnx")
    sizes = []
    for options in ([], ["--skip-pass", "cse"]):
        run_command(ONAGER, "compile", tmp_path / "net.onnx", "-o", tmp_path / "net.so", "--report", tmp_path / "report.json", *options)
        sizes.append("generic_form_bytes" in (tmp_path / "report.json").read_text())
    assert sizes == [True, False]
