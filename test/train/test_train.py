"""onager.train: what is learnt, what stays, what is written, what is refused."""
import os
import pty
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
from onnx import helper

import onager
from train.networks_of_training import draw_rows, draw_weights, load_digits, make_cnn, make_mlp, make_model, read_weights, strip_values

pytest.importorskip("torch", reason="PyTorch is absent: ONAGER_WITH_TORCH=1 scripts/setup.sh installs it")

TEACHER = make_mlp(32, seed=1)
ROWS = [{"x": draw_rows(400)}]


def train(student, *arguments, **options):
    return onager.train(student, *arguments, **{"epochs": 5, "batch": 32, "threads": 1, **options})


def run(model, x):
    return onager.InferenceSession(model, threads=1).run(None, {"x": x})[0]


def test_a_narrower_student_learns_from_its_teacher(tmp_path):
    report = train(make_mlp(16, seed=2), ROWS, TEACHER, output=tmp_path / "student.onnx", epochs=30, learning_rate=1e-2)
    assert report["loss"] == "mse" and report["training_samples"] == 320 and report["held_out_samples"] == 80
    assert report["after"]["relative_error"] < 0.5 * report["before"]["relative_error"] and report["losses"][-1] < 0.3 * report["losses"][0]
    assert report["difference"]["y"] < 1e-5, "PyTorch and the compiled student agree"
    x = draw_rows(200, seed=9)
    expected, found = run(TEACHER, x), run(tmp_path / "student.onnx", x)
    assert np.square(found - expected).mean() < 0.3 * np.square(run(make_mlp(16, seed=2), x) - expected).mean()


def test_only_values_change(tmp_path):
    student = make_cnn(4)
    images, labels, _, _ = load_digits()
    report = train(student, [{"x": images}], labels=[labels], output=tmp_path / "trained.onnx", epochs=3, learning_rate=5e-3)
    assert strip_values(tmp_path / "trained.onnx") == strip_values(student)
    before, after = read_weights(student), read_weights(tmp_path / "trained.onnx")
    assert set(report["trained"]) == set(before) and all(not np.array_equal(before[name], after[name]) for name in before)
    onnx.checker.check_model(onnx.load(tmp_path / "trained.onnx"), full_check=True)
    assert report["loss"] == "kl" and report["after"]["accuracy"] > report["before"]["accuracy"] + 0.3 and report["difference"]["y"] < 1e-5


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(make_mlp(16), ROWS, TEACHER, output=tmp_path / name / "m.onnx" if (tmp_path / name).mkdir() else tmp_path / name / "m.onnx", epochs=2, seed=seed)
    first, second, third = ((tmp_path / name / "m.onnx").read_bytes() for name in "abc")
    assert first == second != third


@pytest.mark.parametrize("batch", [None, 16])
def test_folders_and_named_labels(tmp_path, batch):
    for k in range(10):
        x = draw_rows(16, seed=k)
        np.savez(tmp_path / f"{k}.npz", x=x, wanted=run(TEACHER, x).argmax(1))
    report = train(make_mlp(16), tmp_path, labels="wanted", batch=batch, epochs=20, learning_rate=1e-2)
    assert report["training_samples"] == (8 if batch is None else 128)
    assert report["after"]["accuracy"] > max(report["before"]["accuracy"], 0.6)


def test_labels_of_floats_are_wanted_values():
    x = draw_rows(400)
    report = train(make_mlp(16), [{"x": x}], labels=[run(TEACHER, x)], epochs=20, learning_rate=1e-2)
    assert report["loss"] == "mse" and report["after"]["relative_error"] < 0.6 * report["before"]["relative_error"]


def test_probabilities_are_distilled_as_what_softmax_was_given():
    teacher, rows = make_mlp(32, seed=1, softmax=True), ROWS
    report = train(make_mlp(16, softmax=True), rows, teacher, epochs=20, learning_rate=1e-2)
    assert report["loss"] == "kl" and report["after"]["loss"] < 0.3 * report["before"]["loss"] and report["after"]["agreement"] > report["before"]["agreement"]


def test_lost_leads():
    """Of three positions one keeps its choice as clearly as a hundredth, one leads less than the teacher's, one has turned."""
    import torch

    from onager._train.losses import KEPT_LEAD, measure_lost_leads

    wanted = torch.tensor([[1.0, 0.0, -1.0], [1.0, 0.998, -1.0], [-1.0, 0.0, 1.0]])
    found = torch.tensor([[1.5, 1.0, -1.0], [1.0, 0.999, -1.0], [-1.0, 1.1, 1.0]])
    size = float(wanted.square().mean()) ** 0.5
    lost = [0.0, 0.001, KEPT_LEAD * size + 0.1]
    assert float(measure_lost_leads(found, wanted)) == pytest.approx(sum(lost) / 3 / size, rel=1e-3)
    assert float(measure_lost_leads(wanted, wanted)) == 0


def test_choices_stay_where_values_alone_would_turn_them(tmp_path):
    """A narrower student has no room for all values; close choices of rows that it learns from are more."""
    kept = {}
    for loss in ("mse", "choices"):
        report = train(make_mlp(12, seed=2), ROWS, TEACHER, output=tmp_path / "student.onnx", epochs=80, learning_rate=1e-2, loss=loss, held_out=0)
        assert report["loss"] == loss
        found, wanted = run(tmp_path / "student.onnx", ROWS[0]["x"]), run(TEACHER, ROWS[0]["x"])
        kept[loss] = float((found.argmax(1) == wanted.argmax(1)).mean())
    assert kept["choices"] > kept["mse"] + 0.01


@pytest.mark.parametrize(("mask", "share"), [("2:4", 0.5), ("1:4", 0.75), (0.75, 0.75)])
def test_masked_weights_stay_zero(tmp_path, mask, share):
    report = train(TEACHER, ROWS, mask=mask, output=tmp_path / "sparse.onnx", learning_rate=1e-2)
    assert report["masked"] == pytest.approx({"w1": share, "w2": share})
    assert report["after"]["relative_error"] < report["before"]["relative_error"]
    before, after = read_weights(TEACHER), read_weights(tmp_path / "sparse.onnx")
    assert [float((after[name] == 0).mean()) for name in ("w1", "w2")] == [share, share] and not (after["b1"] == 0).any()
    if mask == "2:4":
        for weights, plain in ((after["w1"], before["w1"]), (after["w2"].T, before["w2"].T)):
            fours, largest = (weights.reshape(-1, 4) != 0), np.argsort(-np.abs(plain.reshape(-1, 4)), -1)[:, :2]
            assert (fours.sum(1) == 2).all() and np.take_along_axis(fours, largest, 1).all(), "the two largest of each four terms of a sum"
    # Zeros that a model comes with stay as well.
    train(tmp_path / "sparse.onnx", ROWS, TEACHER, output=tmp_path / "again.onnx", learning_rate=1e-2)
    again = read_weights(tmp_path / "again.onnx")
    assert all(np.array_equal(after[name] == 0, again[name] == 0) and not np.array_equal(after[name], again[name]) for name in ("w1", "w2"))


def test_masks_by_name(tmp_path):
    mask = np.random.default_rng(0).random((32, 8)) > 0.4
    train(TEACHER, ROWS, mask={"w1": mask}, output=tmp_path / "sparse.onnx")
    assert np.array_equal(read_weights(tmp_path / "sparse.onnx")["w1"] != 0, mask)
    train(tmp_path / "sparse.onnx", ROWS, TEACHER, mask=None, output=tmp_path / "dense.onnx")
    assert (read_weights(tmp_path / "dense.onnx")["w1"] != 0).all(), "without a mask zeros are weights like others"


def test_frozen_initialisers_stay(tmp_path):
    report = train(make_mlp(16), ROWS, TEACHER, frozen=["w1"], output=tmp_path / "m.onnx", epochs=1)
    before, after = read_weights(make_mlp(16)), read_weights(tmp_path / "m.onnx")
    assert set(report["trained"]) == {"b1", "w2"} and np.array_equal(before["w1"], after["w1"]) and not np.array_equal(before["w2"], after["w2"])


@pytest.mark.parametrize("mode", ["frozen", "update"])
def test_statistics_of_batch_normalisation(tmp_path, mode):
    tensors = draw_weights(0, w=(16, 8), w2=(4, 16)) | {"s": np.ones(16, np.float32), "b": np.zeros(16, np.float32), "m": np.zeros(16, np.float32), "v": np.full(16, 9, np.float32)}
    nodes = [helper.make_node("Gemm", ["x", "w"], ["h"], "dense", transB=1), helper.make_node("BatchNormalization", ["h", "s", "b", "m", "v"], ["n"], "norm"), helper.make_node("Relu", ["n"], ["r"]),
             helper.make_node("Gemm", ["r", "w2"], ["y"], "head", transB=1)]
    report = train(make_model(nodes, tensors, ["n", 8], ["n", 4]), ROWS, TEACHER, batch_norm=mode, output=tmp_path / "m.onnx")
    after = read_weights(tmp_path / "m.onnx")
    assert set(report["trained"]) == {"w", "w2", "s", "b"} and report["difference"]["y"] < 1e-5
    assert np.array_equal(after["v"], tensors["v"]) == np.array_equal(after["m"], tensors["m"]) == (mode == "frozen")
    assert mode == "frozen" or (after["v"] < 5).all(), "what the layer gives has a variance of about 2"


def test_constants_that_are_settings_stay(tmp_path):
    tensors = draw_weights(0, w=(8, 4)) | {"least": np.float32(-2).reshape(()), "half": np.float32(0.5).reshape(()), "shape": np.array([-1, 4], np.int64)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Mul", ["h", "half"], ["g"]), helper.make_node("Clip", ["g", "least"], ["c"]), helper.make_node("Reshape", ["c", "shape"], ["y"])]
    report = train(make_model(nodes, tensors, ["n", 8], ["n", 4]), ROWS, TEACHER, output=tmp_path / "m.onnx", epochs=1)
    after = read_weights(tmp_path / "m.onnx")
    assert list(report["trained"]) == ["w"] and all(np.array_equal(after[name], tensors[name]) for name in ("least", "half", "shape"))


def test_weights_of_constant_nodes(tmp_path):
    tensors = draw_weights(0, w=(8, 4), b=(4,))
    nodes = [helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(array)) for name, array in tensors.items()]
    student = make_model([*nodes, helper.make_node("Gemm", ["x", "w", "b"], ["y"])], {}, ["n", 8], ["n", 4])
    report = train(student, ROWS, TEACHER, output=tmp_path / "m.onnx", learning_rate=1e-2)
    assert set(report["trained"]) == {"w", "b"} and report["after"]["loss"] < report["before"]["loss"] and report["difference"]["y"] < 1e-5
    before, after = ([onnx.numpy_helper.to_array(node.attribute[0].t) for node in model.graph.node[:2]] for model in (onnx.load_from_string(student), onnx.load(tmp_path / "m.onnx")))
    assert all(a.shape == b.shape and not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_compiled_result(tmp_path):
    report = train(make_mlp(16), ROWS, TEACHER, output=tmp_path / "student.so", epochs=1)
    assert run(tmp_path / "student.so", draw_rows(3)).shape == (3, 4) and report["seed"] == 0


SAMPLE = {"x": draw_rows(4)}
LABELS = np.zeros(4, np.int64)


@pytest.mark.parametrize(("student", "data", "options", "message"), [
    (make_mlp(4), [SAMPLE], {}, "there is nothing to learn from: expected a teacher or labels"),
    (make_mlp(4), [], {"labels": []}, "data: there are no samples"),
    (make_mlp(4), [{"z": draw_rows(4)}], {"labels": [LABELS]}, "sample 0: no array 'x', found z"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS, LABELS]}, "labels: expected 1, one for each sample, found 2"),
    (make_mlp(4), [SAMPLE], {"labels": [np.zeros((4, 3), np.float32)]}, r"labels: expected shape \[4, 4\] for output 'y', found \[4, 3\]"),
    (make_mlp(4), [SAMPLE], {"labels": [np.zeros((4, 1), np.int64)]}, r"labels: expected shape \[4\] for output 'y', found \[4, 1\]"),
    (make_mlp(4), [SAMPLE], {"labels": "wanted"}, "sample 0: no array 'wanted', found x"),
    (make_mlp(4), "nowhere", {"labels": [LABELS]}, "data: folder 'nowhere' has no .npz"),
    (make_mlp(4), [SAMPLE], {"teacher": make_cnn(4)}, r"teacher: input 'x': expected rank 4 \[\?, 1, 8, 8\], found rank 2"),
    (make_mlp(4), [SAMPLE], {"teacher": make_mlp(4).replace(b"x", b"q")}, "teacher: its inputs are q, the student's are x: 'q' has no counterpart"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "mask": "4:4"}, "mask: expected 'zeros', N:M with N below M, such as '2:4', a share between 0 and 1, arrays by name, or None; found '4:4'"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "mask": 1.5}, "mask: expected 'zeros', N:M .* found 1.5"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "mask": {"w9": np.ones(3)}}, "mask: the model has no trained initialiser 'w9'"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "mask": {"w1": np.ones(3)}}, r"mask of 'w1': expected shape \[4, 8\], found \[3\]"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "frozen": ["w9"]}, "the model has no initialiser 'w9' to freeze"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "frozen": ["w1", "b1", "w2"]}, "the model has no initialiser of float32 to train"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "loss": "l1"}, "loss: expected 'kl', 'mse' or 'choices', found 'l1'"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "target": "z"}, "target: the model has no output 'z', found y"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "temperature": 0}, "expected a temperature above 0"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "scales": "free"}, "scales: expected 'learned' or 'fixed', found 'free'"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "learning_rate": 0}, "expected epochs of 0 or more and a learning_rate above 0"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "rounding": "hqq"}, "option 'rounding' is for quantize"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "batch": 0}, "batch: expected at least 1, found 0"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "batch": None, "held_out": 1}, "data: all 1 samples are held out"),
    (make_mlp(4), [SAMPLE], {"labels": [np.zeros(3, np.int64)]}, "sample 0: with batch, expected arrays of as many rows as each other"),
    (make_mlp(4), [{"x": np.full((4, 8), np.inf, np.float32)}], {"labels": [LABELS]}, "the loss is not finite in epoch 1: try a smaller learning_rate"),
    (make_mlp(4), [SAMPLE], {"labels": [LABELS], "output": "no/such/folder/m.onnx"}, "no/such/folder/m.onnx: No such file or directory"),
    (b"nonsense", [SAMPLE], {"labels": [LABELS]}, "student: "),
    ("nowhere.onnx", [SAMPLE], {"labels": [LABELS]}, "student: .*nowhere.onnx"),
])
def test_what_is_refused(student, data, options, message):
    with pytest.raises(onager.CompileError, match=message) as caught:
        train(student, data, **options)
    assert caught.value.status in (2, 3, 4)


SCRIPT = """
import sys, onager
from train.networks_of_training import draw_rows, make_mlp
print('ready', flush=True)
onager.train(make_mlp(16), [{'x': draw_rows(200)}], make_mlp(32, seed=1), output=sys.argv[1], epochs=int(sys.argv[2]), batch=8, threads=1)
"""


def start(output, epochs: int, **options) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(output), str(epochs)], env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(__file__))}, **options)


def test_an_interrupt_leaves_what_was_there(tmp_path):
    (tmp_path / "student.onnx").write_bytes(b"as it was")
    process = start(tmp_path / "student.onnx", 1_000_000, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and b"KeyboardInterrupt" in errors
    assert os.listdir(tmp_path) == ["student.onnx"] and (tmp_path / "student.onnx").read_bytes() == b"as it was"


def test_progress_is_shown_on_terminals_alone(tmp_path):
    process = start(tmp_path / "student.onnx", 3, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and output == b"ready\n" and errors == b""
    leader, follower = pty.openpty()
    process = start(tmp_path / "student.onnx", 3, stdout=subprocess.DEVNULL, stderr=follower)
    assert process.wait(timeout=120) == 0
    os.close(follower)
    shown = os.read(leader, 65536)
    os.close(leader)
    assert b"\r\x1b[Kepoch 1 of 3, batch " in shown and shown.endswith(b"\r\x1b[K")
