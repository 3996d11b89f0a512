"""Compiling the same model gives the same bytes: twice in a process, in several processes, from and to other folders."""
import os
import pathlib

import pytest

from determinism.networks import NETWORKS, make_network
from support.samples import make_samples
from support.tool import run_onager


def _models() -> dict:
    return make_samples() | {name: make_network(name) for name in NETWORKS}


def _compile(folder: pathlib.Path, data: bytes, *options, name: str = "m") -> bytes:
    folder.mkdir(parents=True)
    (folder / f"{name}.onnx").write_bytes(data)
    found = run_onager("compile", folder / f"{name}.onnx", "-o", folder / f"{name}.so", *options, cwd=folder)
    assert found.returncode == 0, found.stderr
    return (folder / f"{name}.so").read_bytes()


@pytest.mark.parametrize("model", _models())
def test_two_folders_and_processes(tmp_path, model):
    data = _models()[model]
    for number, options in enumerate(([], ["-O0"])):
        first = _compile(tmp_path / f"a{number}", data, *options)
        second = _compile(tmp_path / f"much/longer/path{number}", data, *options, name="other_name")
        assert first == second
        assert str(tmp_path).encode() not in first


@pytest.mark.parametrize("model", ["network", "control", "attention"])
def test_one_process_and_others(tmp_path, model):
    import onager

    data = _models()[model]
    alone = _compile(tmp_path / "alone", data)
    paths = [onager.compile(data, tmp_path / f"{number}.so") for number in range(3)]
    assert all(pathlib.Path(path).read_bytes() == alone for path in paths)


def test_environment(tmp_path):
    """Neither the language, the time zone nor the hash seed of a process shows in the bytes."""
    data = _models()["network"]
    expected = _compile(tmp_path / "a", data)
    folder = tmp_path / "b"
    folder.mkdir()
    environment = os.environ | {"LC_ALL": "C", "TZ": "Asia/Tokyo", "TMPDIR": str(folder), "HOME": str(folder), "LLD_REPRODUCE": str(folder / "r.tar")}
    found = run_onager("compile", tmp_path / "a" / "m.onnx", "-o", folder / "m.so", env=environment)
    assert found.returncode == 0, found.stderr
    assert (folder / "m.so").read_bytes() == expected
    assert [path.name for path in folder.iterdir()] == ["m.so"]
