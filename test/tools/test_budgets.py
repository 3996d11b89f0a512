"""Budgets of onager compress: over random splits of the data, and by metrics of one's own."""
import sys

import numpy as np
import onnx
import pytest

import onager
from support.places import ONAGER
from support.tool import expect_error, run_command, run_onager
from tools.test_compress_search import draw_ids, make_language_model

SPLITS = 10


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("budgets") / "model.onnx"
    onnx.save(make_language_model(seed=5, layers=2), path)
    return path


def test_budgets_hold_in_ten_random_splits(model, tmp_path):
    """What chooses and what is held out are drawn anew each time; bytes are what becomes small, so that no time decides."""
    samples, random, chosen = [{"ids": draw_ids(k)} for k in range(20)], np.random.default_rng(11), set()
    for _ in range(SPLITS):
        report = onager.compress(model, [samples[k] for k in random.permutation(len(samples))], tmp_path / "small.onnx", quantize="int4,int8-weights", budget="sqnr>=24", threads=1)
        assert report["budgets"][0]["holds"], report["budgets"]
        chosen.add(tuple(layer["scheme"] for layer in report["layers"]))
    assert any("int4" in schemes for schemes in chosen), "a bound that is too careful would leave all as it is"


def test_functions_are_budgets(model, tmp_path):
    feeds, seen = [{"ids": draw_ids(k)} for k in range(20)], set()
    session = onager.InferenceSession(onager.compile(model, tmp_path / "plain.so"))
    plain = [session.run(None, feed)[0] for feed in feeds]

    def measure(expected: np.ndarray, found: np.ndarray, sample: int) -> float:
        assert np.allclose(expected, plain[sample], atol=1e-4), "the number is that of another sample"
        seen.add(sample)
        return float(np.abs(expected - found).mean())

    own = onager.compress(model, feeds, tmp_path / "own.onnx", quantize="int4,int8-weights", metric=(measure, "<=0.05"), threads=1)
    known = onager.compress(model, feeds, tmp_path / "known.onnx", quantize="int4,int8-weights", budget="mean_abs<=0.05", threads=1)
    assert seen == set(range(20)), "held-out samples have numbers among all"
    assert own["budgets"][0]["budget"] == "metric<=0.05" and own["budgets"][0]["holds"]
    assert own["budgets"][0]["held_out"] == pytest.approx(known["budgets"][0]["held_out"], rel=1e-5)
    assert [layer["scheme"] for layer in own["layers"]] == [layer["scheme"] for layer in known["layers"]]


@pytest.mark.parametrize("lost", [0.001, 1.0])
def test_samples_that_chose_nothing_judge(model, lost, tmp_path):
    """What the search sees of every change is little; samples 0, 5, 10 and 15 of twenty see it once the choice is made."""
    def measure(expected: np.ndarray, found: np.ndarray, sample: int) -> float:
        return 0.0 if np.array_equal(expected, found) else lost if sample in (0, 5, 10, 15) else 0.001

    report = onager.compress(model, [{"ids": draw_ids(k)} for k in range(20)], tmp_path / "small.onnx", quantize="int4,int8-weights", metric=(measure, "<=0.05"), threads=1)
    assert {layer["scheme"] for layer in report["layers"]} == ({"int4"} if lost < 0.05 else {"keep"})
    assert lost < 0.05 or {layer["reason"] for layer in report["layers"]} == {"the budget"}


def test_what_functions_raise_is_raised(model, tmp_path):
    def fail(expected: np.ndarray, found: np.ndarray, sample: int) -> float:
        raise ArithmeticError("no such number")

    with pytest.raises(ArithmeticError, match="no such number"):
        onager.compress(model, [{"ids": draw_ids(k)} for k in range(5)], tmp_path / "small.onnx", quantize="int4", metric=fail, threshold="<=0.05", threads=1)
    with pytest.raises(ValueError, match="expected the function's bound"):
        onager.compress(model, [], tmp_path / "small.onnx", quantize="int4", metric=fail)
    assert not (tmp_path / "small.onnx").exists()


def test_programs_are_budgets(model, tmp_path):
    (tmp_path / "data").mkdir()
    for k in range(10):
        np.save(tmp_path / "data" / f"{k}.npy", draw_ids(k))
    program, numbers = tmp_path / "share.py", tmp_path / "numbers"
    program.write_text("import sys\nimport numpy as np\nfor line in sys.stdin:\n    *paths, sample = line.rstrip('\\n').split('\\t')\n    expected, found = map(np.load, paths)\n"
                       f"    open({str(numbers)!r}, 'a').write(sample + ' ')\n"
                       "    print((expected.argmax(-1) == found.argmax(-1)).mean(), flush=True)\n", encoding="utf-8")
    options = ["compress", model, "-o", tmp_path / "small.onnx", "--quantize", "int4,int8-weights", "--calibrate", tmp_path / "data", "--budget", "metric>=0.8"]
    assert "budget metric>=0.8: 0." in run_command(ONAGER, *options, "--metric-program", f"{sys.executable} {program}")
    assert set(numbers.read_text().split()) == set(map(str, range(10)))
    for command, said in [("true", "the program ended"), ("while read -r line; do echo many; done", "expected a number, found 'many'"), (None, "needs --metric-program")]:
        expect_error(run_onager(*options, *(["--metric-program", command] if command else [])), 2, said)
