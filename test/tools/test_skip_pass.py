"""Models can do without each optional pass, and without several."""
import re

import onnx
import pytest

from support import faults
from support.places import ONAGER
from support.tool import run_command, run_onager

PASSES = re.search("expected one of (.*)", run_onager("compile", "none.onnx", "--skip-pass", "none").stderr).group(1).split(", ") if ONAGER.exists() else []


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Products and convolutions of f32, of f16 and of bytes."""
    folder = tmp_path_factory.mktemp("models")
    found = []
    for kind in ("convolutional", "transformer"):
        path, half, small = (folder / f"{kind}_{name}.onnx" for name in ("plain", "half", "small"))
        onnx.save(faults.MODELS[kind](), path)
        onnx.save(faults.convert_to_half(faults.MODELS[kind]()), half)
        run_command(ONAGER, "compress", path, "-o", small, "--quantize", "int8", "--even-if-slower", "--calibrate", "random:4", "--dim", "n=2")
        found += [(path, "sqnr>=100"), (half, "sqnr>=45"), (small, "sqnr>=30")]
    return found


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
