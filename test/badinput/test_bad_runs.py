"""Wrong names, types, shapes and options: each is one error that names what was given and what was expected, before anything runs."""
import io
import resource
import struct
import zipfile

import numpy as np
import pytest

from badinput.mutate import damage
from support.samples import parse
from support.seeds import get_seed
from support.tool import expect_error, run_onager


@pytest.fixture(scope="module")
def session():
    import onager

    return onager.InferenceSession(parse("(float[N,3] x, float[N,M] z, int64[2] k) => (y, w) { y = Add(x, x)\n w = Mul(z, z)\n u = Neg(k) }").SerializeToString())


def _feeds(**changed):
    feeds = {"x": np.ones((2, 3), np.float32), "z": np.ones((2, 5), np.float32), "k": np.zeros(2, np.int64)}
    return {name: value for name, value in (feeds | changed).items() if value is not None}


WRONG = {
    "missing": (_feeds(x=None), ("x",)),
    "unknown": (_feeds(q=np.ones(2, np.float32)), ("q",)),
    "type": (_feeds(x=np.ones((2, 3), np.float64)), ("x", "float32", "float64")),
    "integer type": (_feeds(k=np.zeros(2, np.int32)), ("k", "int64", "int32")),
    "rank": (_feeds(x=np.ones((2, 3, 1), np.float32)), ("x", "2", "3")),
    "scalar": (_feeds(x=np.float32(1)), ("x",)),
    "fixed dim": (_feeds(x=np.ones((2, 4), np.float32)), ("x", "3", "4")),
    "shared symbol": (_feeds(z=np.ones((7, 5), np.float32)), ("z", "2", "7")),
    "text": (_feeds(x=np.array(["a"])), ("x",)),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_inputs(session, case):
    feeds, parts = WRONG[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        session.run(None, feeds)
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    # The session is as good as before.
    assert np.array_equal(session.run(["y"], _feeds())[0], np.full((2, 3), 2, np.float32))


def test_wrong_output_name(session):
    with pytest.raises(ValueError, match="nothing"):
        session.run(["nothing"], _feeds())


def test_sizes_that_overflow(session):
    huge = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (1 << 40, 3), (0, 0))
    with pytest.raises((ValueError, MemoryError, TypeError)):
        session.run(None, _feeds(x=huge))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "m.onnx"
    path.write_bytes(parse("(float[N,3] x) => (y) { y = Add(x, x) }").SerializeToString())
    assert run_onager("compile", path, "-o", path.with_suffix(".so")).returncode == 0
    return path.with_suffix(".so")


OPTIONS = [
    (["run", "{so}", "--input", "q=random"], 2, "names no input"), (["run", "{so}"], 2, "no value for input 'x'"),
    (["run", "{so}", "--nonsense"], 2, "nonsense"), (["run", "{so}", "--threads", "-1"], 2, "threads"), (["run", "{so}", "--threads", "many"], 2, "threads"),
    (["run", "{so}", "--input", "x=absent.npy"], 4, "absent.npy"), (["nonsense"], 2, ""), ([], 2, ""), (["compile"], 2, "model"),
    (["compile", "{onnx}"], 2, "output"), (["compile", "{onnx}", "-o", "{out}", "-O7"], 2, "opt-level"),
    (["compile", "{onnx}", "-o", "{out}", "--target=vax"], 2, "target"), (["compile", "{onnx}", "-o", "{out}", "--emit=jpeg"], 2, "emit"),
    (["compile", "{onnx}", "-o", "{out}", "--shape", "x"], 2, "shape"), (["compile", "{onnx}", "-o", "{out}", "--shape", "q=2x3"], 4, "'q'"),
    (["compile", "{onnx}", "-o", "{out}", "--shape", "x=2x3x4"], 4, "rank"), (["compile", "{onnx}", "-o", "{out}", "--stop-after=lunch"], 2, "lunch"),
    (["bench", "{so}", "--dim", "Q=3"], 2, "Q"),
]


@pytest.mark.parametrize("arguments, status, part", OPTIONS, ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_wrong_options(artifact, tmp_path, arguments, status, part):
    places = {"so": artifact, "onnx": artifact.with_suffix(".onnx"), "out": tmp_path / "out.so"}
    expect_error(run_onager(*(argument.format(**places) for argument in arguments)), status, part)
    assert not (tmp_path / "out.so").exists()


def _npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _npz(array) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, x=array)
    return stream.getvalue()


WRONG_FILES = {
    "type": (_npy(np.ones((2, 3), np.complex64)), "x.npy"), "rank": (_npy(np.ones(3, np.float32)), "x.npy"), "dim": (_npy(np.ones((2, 4), np.float32)), "x.npy"),
    "empty": (b"", "x.npy"), "header": (b"\x93NUMPY\x01\x00\xff\xff{", "x.npy"), "text": (b"hello", "x.npy"), "proto": (b"\x08\xff\xff", "x.pb"),
    "objects": (b"\x93NUMPY\x01\x00\x46\x00{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }" + b" " * 15 + b"\n", "x.npy"),
    "lines": (b"\x93NUMPY\x01\x00\x54\x00{'descr': '<f4\nonager: \x1b[31mfine', 'fortran_order': False, 'shape': (2, 3), }" + b" " * 7, "x.npy"),
    "zip": (b"PK\x05\x06" + bytes(18), "x.npz"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_wrong_input_files(artifact, tmp_path, case):
    data, name = WRONG_FILES[case]
    path = tmp_path / name
    path.write_bytes(data)
    found = run_onager("run", artifact, "--input", path if name.endswith(".npz") else f"x={path}")
    expect_error(found, 2 if case == "zip" else 4)
    assert len(found.stderr.splitlines()) == 1 and found.stderr.rstrip("\n").isprintable()


def test_damaged_input_files(artifact, tmp_path):
    seed, good = get_seed(), np.arange(12, dtype=np.float32).reshape(4, 3)
    assert run_onager("run", artifact, "--input", _write(tmp_path / "good.npz", _npz(good))).returncode == 0
    for kind, data in (("npy", _npy(good)), ("npz", _npz(good))):
        for number in range(40):
            path = _write(tmp_path / f"x.{kind}", damage(data, (seed, kind, number)))
            found = run_onager("run", artifact, "--input", path if kind == "npz" else f"x={path}")
            assert found.returncode in (0, 2, 4), (seed, kind, number, found.returncode, found.stderr)
            if found.returncode:
                expect_error(found, found.returncode)


def _write(path, data: bytes):
    path.write_bytes(data)
    return path


def test_bombs(artifact, tmp_path):
    """An archive that unpacks to far more than the input takes is refused or read, not a crash."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", _npy(np.zeros((2, 3), np.float32)) + bytes(1 << 26))
    found = run_onager("run", artifact, "--input", _write(tmp_path / "x.npz", stream.getvalue()))
    assert found.returncode in (0, 4), found.stderr


def test_files_of_an_archive_that_share_bytes(artifact, tmp_path):
    """Each of them unpacks by deflate's factor; together they would be as large as anybody likes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", _npy(np.zeros((1 << 16, 3), np.float32)))
    data = stream.getvalue()
    central, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = data[central:end] * 60000
    record = data[end:end + 8] + struct.pack("<HHII", 60000, 60000, len(entries), central) + data[end + 20:]
    found = run_onager("run", artifact, "--input", _write(tmp_path / "x.npz", data[:central] + entries + record), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30,) * 2))
    expect_error(found, 4, "damaged archive")


def test_values_that_the_model_cannot_take():
    """An index outside the data is an error of the run that names the node; the session goes on."""
    import onager

    session = onager.InferenceSession(parse("(float[3] x, int64[2] i) => (y) { [pick] y = Gather(x, i) }").SerializeToString())
    x = np.arange(3, dtype=np.float32)
    with pytest.raises(RuntimeError, match="pick"):
        session.run(None, {"x": x, "i": np.array([0, 3])})
    assert session.run(None, {"x": x, "i": np.array([-1, 0])})[0].tolist() == [2, 0]


