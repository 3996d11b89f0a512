"""Files that are missing, lead outside, are damaged, do not fit on the disk, or whose writer is killed: one error, and what was there stays."""
import os
import resource
import shutil
import signal
import subprocess
import time

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from badinput.mutate import damage
from support.places import ONAGER
from support.samples import make_samples
from support.seeds import get_seed
from support.tool import expect_error, run_onager


def _save(path, model_name: str = "network"):
    path.write_bytes(make_samples()[model_name])
    return path


def _compile(tmp_path, name: str = "network"):
    artifact = tmp_path / f"{name}.so"
    assert run_onager("compile", _save(tmp_path / f"{name}.onnx", name), "-o", artifact).returncode == 0
    return artifact


def _large_model(path, megabytes: int = 24) -> None:
    """A model whose weights take this many megabytes."""
    weights = np.random.default_rng(0).standard_normal((megabytes * 256, 1024)).astype(np.float32)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "large", [helper.make_tensor_value_info("x", 1, [1, weights.shape[0]])],
                              [helper.make_tensor_value_info("y", 1, [1, 1024])], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


# ---- reading -----------------------------------------------------------------------------------------------------

def test_missing_files(tmp_path):
    for command in ("compile", "run", "bench", "inspect", "verify"):
        output = ["-o", tmp_path / "m.so"] if command == "compile" else []
        expect_error(run_onager(command, tmp_path / "absent.onnx", *output), 4, "absent.onnx")
    assert not list(tmp_path.iterdir())


def test_folders_and_empty_files(tmp_path):
    (tmp_path / "empty.onnx").touch()
    expect_error(run_onager("compile", tmp_path, "-o", tmp_path / "m.so"), 4)
    expect_error(run_onager("compile", tmp_path / "empty.onnx", "-o", tmp_path / "m.so"), 4, "empty")
    expect_error(run_onager("compile", "-", "-o", tmp_path / "m.so"), 4, "empty")


def _external(tmp_path, location: str):
    model = onnx.ModelProto.FromString(make_samples()["network"])
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    (tmp_path / "inside").mkdir(exist_ok=True)
    (tmp_path / "inside" / "m.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "inside" / "m.onnx"


def test_external_data(tmp_path):
    size = 4 * 3 * 3 * 3 * 4
    (tmp_path / "secret.bin").write_bytes(bytes(size))
    output = tmp_path / "m.so"
    for location in ("absent.bin", "../secret.bin", str(tmp_path / "secret.bin"), "link.bin", "x/../../secret.bin", ""):
        model = _external(tmp_path, location)
        link = tmp_path / "inside" / "link.bin"
        link.is_symlink() or link.symlink_to(tmp_path / "secret.bin")
        expect_error(run_onager("compile", model, "-o", output), 4, "'w'")
        assert not output.exists()
    (tmp_path / "inside" / "short.bin").write_bytes(bytes(size - 1))
    expect_error(run_onager("compile", _external(tmp_path, "short.bin"), "-o", output), 4, "'w'", f"{size - 1} bytes", f"{size}")
    (tmp_path / "inside" / "good.bin").write_bytes(bytes(size))
    assert run_onager("compile", _external(tmp_path, "good.bin"), "-o", output).returncode == 0


def test_damaged_artifacts(tmp_path):
    artifact = _compile(tmp_path)
    data, seed = artifact.read_bytes(), get_seed()
    changed = tmp_path / "changed.so"
    verdicts = set()
    for number in range(60):
        changed.write_bytes(damage(data, (seed, number)))
        for command in (["inspect", changed], ["run", changed, "--input", "random"]):
            found = run_onager(*command)
            assert found.returncode in (0, 4), (seed, number, found.returncode, found.stderr)
            if found.returncode:
                expect_error(found, 4)
            verdicts.add(found.returncode)
    assert 4 in verdicts


def test_truncated_artifacts(tmp_path):
    artifact = _compile(tmp_path)
    data = artifact.read_bytes()
    for size in (0, 1, 63, 64, 4096, len(data) // 2, len(data) - 1):
        artifact.write_bytes(data[:size])
        expect_error(run_onager("run", artifact, "--input", "random"), 4)


# ---- writing -----------------------------------------------------------------------------------------------------

def _limit_files(megabytes: float):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(megabytes * (1 << 20)),) * 2)
    return limit


@pytest.mark.parametrize("megabytes", [0, 0.01, 8])
def test_full_disk(tmp_path, megabytes):
    """A limit on the size of files stands for a full disk: writes fail halfway."""
    _large_model(tmp_path / "m.onnx")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "m.so").write_bytes(b"as it was")
    found = run_onager("compile", tmp_path / "m.onnx", "-o", folder / "m.so", preexec_fn=_limit_files(megabytes), env=os.environ | {"TMPDIR": str(folder)})
    expect_error(found, 4)
    assert (folder / "m.so").read_bytes() == b"as it was"
    assert [path.name for path in folder.iterdir()] == ["m.so"]


def test_full_disk_for_text(tmp_path):
    (tmp_path / "t.mlir").write_bytes(b"as it was")
    found = run_onager("compile", _save(tmp_path / "m.onnx"), "--stop-after=import", "-o", tmp_path / "t.mlir", preexec_fn=_limit_files(0.0001))
    expect_error(found, 4, "t.mlir")
    assert (tmp_path / "t.mlir").read_bytes() == b"as it was"


def test_full_device(tmp_path):
    model = _save(tmp_path / "m.onnx")
    with open("/dev/full", "wb") as full:
        found = subprocess.run([ONAGER, "compile", model, "--stop-after=import"], stdout=full, stderr=subprocess.PIPE)
    assert found.returncode == 4 and b"standard output" in found.stderr, (found.returncode, found.stderr)


def test_places_that_cannot_be_written(tmp_path):
    model = _save(tmp_path / "m.onnx")
    for output in (tmp_path / "absent" / "m.so", tmp_path, tmp_path / "m.onnx" / "m.so"):
        expect_error(run_onager("compile", model, "-o", output), 4)
    artifact = _compile(tmp_path)
    expect_error(run_onager("run", artifact, "--input", "random", "--output-dir", tmp_path / "m.onnx"), 4, "m.onnx")


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_while_writing(tmp_path, kind):
    """Whenever the compiler dies, the artifact is the old one or the new one, whole."""
    _large_model(tmp_path / "m.onnx")
    output = tmp_path / "out" / "m.so"
    output.parent.mkdir()
    assert run_onager("compile", tmp_path / "m.onnx", "-o", output).returncode == 0
    whole = output.read_bytes()
    died = 0
    # On a busy machine a compilation may end before the signal reaches it: more are tried then.
    for number in range(64):
        if number >= 8 and died:
            break
        output.write_bytes(b"as it was")
        with subprocess.Popen([ONAGER, "compile", tmp_path / "m.onnx", "-o", output], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 30
            # Strikes from the moment that the new file appears.
            while process.poll() is None and time.monotonic() < deadline and len(list(output.parent.iterdir())) < 2:
                time.sleep(0.0005)
            time.sleep(0.002 * (number % 8))
            process.send_signal(kind)
            process.wait(30)
        died += process.returncode != 0
        assert output.read_bytes() in (b"as it was", whole)
        left = [path.name for path in output.parent.iterdir() if path.name != "m.so"]
        assert all(name.startswith("m.so.tmp-") for name in left) and (kind == signal.SIGKILL or not left), left
        for name in left:
            (output.parent / name).unlink()
    assert died, "every compilation ended before the signal"


def test_old_artifact_survives_a_refused_model(tmp_path):
    artifact = _compile(tmp_path)
    before = artifact.read_bytes()
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    expect_error(run_onager("compile", tmp_path / "bad.onnx", "-o", artifact), 4)
    assert artifact.read_bytes() == before
    shutil.copy(artifact, tmp_path / "copy.so")
    assert run_onager("run", tmp_path / "copy.so", "--input", "random").returncode == 0
