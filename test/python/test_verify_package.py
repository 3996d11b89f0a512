"""onager.verify: bounds of the command line, functions of a caller, data of every form."""
import numpy as np
import onnx
import pytest

import onager
from support import faults


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    onnx.save(faults.make_convolutional(), folder / "plain.onnx")
    broken = onnx.load(folder / "plain.onnx")
    faults.fold_wrongly(broken, "convolutional")
    onnx.save(broken, folder / "broken.onnx")
    return folder


def draw(count: int) -> list[dict]:
    return [{"x": np.random.default_rng(k).standard_normal((2, 3, 12, 12)).astype(np.float32)} for k in range(count)]


def count_agreeing(expected: np.ndarray, found: np.ndarray, sample: int) -> float:
    assert expected.shape == found.shape == (2, 10) and sample in range(3)
    return float(np.mean(expected.argmax(-1) == found.argmax(-1)))


def test_levels_and_bytes(models):
    report = onager.verify(models / "plain.onnx")
    assert report["ok"] and report["expected"].endswith("at -O0") and report["values"][0]["name"] == "y"
    plain = (models / "plain.onnx").read_bytes()
    assert onager.verify(plain, "O1", data=iter(draw(3)), metric="sqnr>=60")["samples"] == 3
    report = onager.verify((models / "broken.onnx").read_bytes(), plain, data="random:2", metric=["sqnr>=60", "cosine>=0"], dim=["n=2"])
    assert not report["ok"] and report["metrics"] == ["sqnr>=60", "cosine>=0"]


def test_functions_of_a_caller(models):
    plain, broken = models / "plain.onnx", models / "broken.onnx"
    largest = lambda expected, found, sample: np.abs(expected - found).max()
    numbers = lambda expected, found, sample: sample
    report = onager.verify(plain, "O0", data=draw(3), metric=count_agreeing, threshold=">=1")
    (measure,) = report["measures"]
    assert report["ok"] and measure == {"output": "y", "function": "count_agreeing", "threshold": ">=1", "least": 1, "mean": 1, "greatest": 1, "ok": True}
    report = onager.verify(broken, plain, data=draw(3), metric=[(largest, "<=1e-3"), "cosine>=-1"])
    (measure,) = report["measures"]
    assert not report["ok"] and not measure["ok"] and measure["greatest"] > 1e-3
    report = onager.verify(plain, "onnxruntime", data=draw(2), metric=(largest, "<1e-3"))
    assert report["ok"] and 0 <= report["measures"][0]["greatest"] < 1e-3
    (measure,) = onager.verify(plain, "O0", data=draw(3), metric=(numbers, "<=2"))["measures"]
    assert (measure["least"], measure["mean"], measure["greatest"]) == (0, 1, 2)
    # A function alone decides; bounds beside it decide as well.
    assert onager.verify(broken, plain, data=draw(1), metric=(largest, "<=1e9"))["ok"]
    assert not onager.verify(broken, plain, data=draw(1), metric=[(largest, "<=1e9"), "sqnr>=60"])["ok"]


def test_bisects(models):
    report = onager.verify(models / "broken.onnx", models / "plain.onnx", data=draw(2), metric="sqnr>=40", bisect=True)
    assert [layer["value"] for layer in report["bisect"]["layers"]] == ["m2"]
    assert len(onager.verify(models / "plain.onnx", per_node=True)["values"]) > 3


def test_what_cannot_be_used(models):
    plain = models / "plain.onnx"
    with pytest.raises(onager.CompileError, match="unknown metric 'psnr'") as error:
        onager.verify(plain, metric="psnr>=3")
    assert error.value.status == 2
    for arguments, said in [({"metric": count_agreeing, "data": draw(1)}, "expected the function's bound"), ({"metric": (count_agreeing, "=1"), "data": draw(1)}, "expected the function's bound"),
                            ({"metric": (count_agreeing, ">=1")}, "need data"), ({"metric": (count_agreeing, ">=1"), "data": "random:2"}, "need data"),
                            ({"metric": (count_agreeing, ">=1"), "data": draw(1), "bisect": True}, "not functions")]:
        with pytest.raises(ValueError, match=said):
            onager.verify(plain, **arguments)
    with pytest.raises(TypeError, match="expected a bound"):
        onager.verify(plain, metric=[3], data=draw(1))
