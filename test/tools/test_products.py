"""What `onager compile` can make besides a shared object: programs, objects, static libraries, files of weights."""
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from support.places import BUILD, ONAGER, ROOT

# Sorting comes from the library of operations that every model links a copy of; the weights are big enough to matter.
MODEL = """<ir_version: 10, opset_import: ["" : 21]>
ranks (float[N,4] pixels) => (float[N,2] best, int64[N,2] places)
<float[4] scale = {{{scale}}}, int64[1] two = {{2}}>
{{
  scaled = Mul(pixels, scale)
  best, places = TopK<axis=1>(scaled, two)
}}"""
OTHER = """<ir_version: 10, opset_import: ["" : 21]>
other (float[N,8] x) => (float[N,8] y) <float[8] w = {1, 2, 3, 4, 5, 6, 7, 8}> { y = Mul(x, w) }"""
PIXELS = np.array([[1, 5, 3, 2], [4, 0, 9, 1], [0, 0, 0, 7]], np.float32)


def onager(*arguments, status=0, **options):
    done = subprocess.run([ONAGER, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == status, done.stderr
    return done


def run(program, *arguments, status=0):
    """Runs a program with nothing in its environment."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60, env={})
    assert done.returncode == status, done.stderr
    return done


def write_model(folder: pathlib.Path, name="model", scale="1, 1, 1, 1") -> pathlib.Path:
    path = folder / f"{name}.onnx"
    path.write_text(MODEL.format(scale=scale))
    return path


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    onager("compile", write_model(folder), "--emit=exe", "-o", folder / "rank")
    return folder / "rank"


def test_program_takes_files_by_name_order_and_archive(program, tmp_path):
    np.save(tmp_path / "a.npy", PIXELS)
    np.savez(tmp_path / "b.npz", pixels=PIXELS)
    for argument in (tmp_path / "a.npy", f"pixels={tmp_path / 'a.npy'}", tmp_path / "b.npz"):
        out = run(program, argument).stdout
        assert out == "best: float32 [3, 2]\n 5 3 9 4 7 0\nplaces: int64 [3, 2]\n 1 2 2 0 3 0\n"


def test_program_writes_outputs(program, tmp_path):
    np.save(tmp_path / "a.npy", PIXELS)
    run(program, "--output-dir", tmp_path / "out", "--threads", 2, tmp_path / "a.npy")
    assert np.load(tmp_path / "out" / "best.npy").tolist() == [[5, 3], [9, 4], [7, 0]]
    assert np.load(tmp_path / "out" / "places.npy").tolist() == [[1, 2], [2, 0], [3, 0]]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["best.npy", "places.npy"]


def test_program_needs_libc_alone(program, tmp_path):
    needed = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
    names = {line.split("[")[1].rstrip("]") for line in needed.splitlines() if "(NEEDED)" in line}
    assert names <= {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "ld-linux-x86-64.so.2"}
    moved = shutil.copy(program, tmp_path / "moved")
    np.save(tmp_path / "a.npy", PIXELS)
    assert "best" in run(moved, tmp_path / "a.npy").stdout


def test_program_tells_what_is_wrong(program, tmp_path):
    np.save(tmp_path / "wide.npy", np.zeros((1, 5), np.float32))
    np.save(tmp_path / "typed.npy", np.zeros((1, 4), np.int32))
    np.save(tmp_path / "a.npy", PIXELS)
    (tmp_path / "junk.npy").write_bytes(b"junk")
    assert "no file for input 'pixels'" in run(program, status=2).stderr
    assert "unknown option '--speed'" in run(program, "--speed", status=2).stderr
    assert "expected 0 to 1024, found 'many'" in run(program, "--threads", "many", status=2).stderr
    assert "one file more" in run(program, tmp_path / "a.npy", tmp_path / "a.npy", status=2).stderr
    assert "expected 4, found 5" in run(program, tmp_path / "wide.npy", status=4).stderr
    assert "expected type float32, found int32" in run(program, tmp_path / "typed.npy", status=4).stderr
    assert "not a .npy file" in run(program, tmp_path / "junk.npy", status=4).stderr
    assert "cannot open" in run(program, tmp_path / "absent.npy", status=4).stderr
    help_text = run(program, "--help").stdout
    assert "pixels: float32 [N, 4]" in help_text and "best: float32 [N, 2]" in help_text


def test_program_is_an_artifact_too(program, tmp_path):
    assert "name: onager" in onager("inspect", program).stdout
    out = onager("run", program, "--input", "random", "--dim", "N=2").stdout
    assert "best: float32 [2, 2]" in out


def test_damaged_program(program, tmp_path):
    np.save(tmp_path / "a.npy", PIXELS)
    bytes_ = bytearray(program.read_bytes())
    for name, damage in {"short": bytes_[:-1], "padded": bytes_ + b"\0" * 8}.items():
        broken = tmp_path / name
        broken.write_bytes(damage)
        broken.chmod(0o755)
        assert "artifact" in run(broken, tmp_path / "a.npy", status=4).stderr


TWO_MODELS = """
#include "first.h"
#include "second.h"
#include <stdio.h>

static int show(onager_session *session) {
  onager_context *context = NULL;
  float data[4] = {1, 5, 3, 2};
  int64_t dims[2] = {1, 4};
  onager_tensor input = {sizeof input, ONAGER_F32, 2, 0, data, dims, sizeof data};
  onager_tensor outputs[2] = {{sizeof input}, {sizeof input}};
  if (onager_context_create(session, &context) || onager_context_run(context, &input, 1, outputs, 2))
    return 1;
  const float *best = outputs[0].data;
  printf("%g %g\\n", best[0], best[1]);
  onager_context_destroy(context);
  onager_session_close(session);
  return 0;
}

int main(void) {
  onager_session *a = NULL, *b = NULL;
  if (first_open(NULL, &a) || second_open(SECOND NULL, &b)) {
    fprintf(stderr, "%s\\n", onager_last_error());
    return 2;
  }
  return show(a) || show(b);
}
"""


def build_program(folder, objects, second=""):
    (folder / "main.c").write_text(TWO_MODELS.replace("SECOND", second))
    compiler = shutil.which("clang-22") or "cc"
    subprocess.run([compiler, "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Werror", "-I", ROOT / "include", "-I", folder, "main.c", *objects,
                    "-L", BUILD / "lib", f"-Wl,-rpath,{BUILD / 'lib'}", "-lonager-rt", "-o", folder / "two"], cwd=folder, check=True)
    return folder / "two"


@pytest.mark.parametrize("kinds", [("obj", "obj"), ("obj", "lib"), ("lib", "lib")])
def test_two_models_in_one_program(kinds, tmp_path):
    files = []
    for name, kind, scale in zip(("first", "second"), kinds, ("1, 1, 1, 1", "1, 0.5, 1, 4")):
        files.append({"obj": f"{name}.o", "lib": f"lib{name}.a"}[kind])
        onager("compile", write_model(tmp_path, name, scale), f"--emit={kind}", "--name", name, "-o", tmp_path / files[-1])
    symbols = subprocess.run(["nm", "-g", "--defined-only", tmp_path / files[0]], capture_output=True, text=True, check=True).stdout
    assert {line.split()[-1] for line in symbols.splitlines() if " " in line} == {"first_model", "first_weights"}
    done = run(build_program(tmp_path, files))
    assert done.stdout == "5 3\n8 3\n"


def test_separate_weights_of_an_object(tmp_path):
    onager("compile", write_model(tmp_path, "first"), "--emit=obj", "--name=first", "-o", tmp_path / "first.o")
    onager("compile", write_model(tmp_path, "second", "1, 1, 1, 10"), "--emit=obj", "--name=second", "--weights=separate", "-o", tmp_path / "second.o")
    done = run(build_program(tmp_path, ["first.o", "second.o"], f'"{tmp_path}/second.o.weights",'))
    assert done.stdout == "5 3\n20 5\n"


def test_separate_weights_of_an_artifact(tmp_path):
    np.save(tmp_path / "a.npy", PIXELS)
    for name, kind in (("model.so", "so"), ("program", "exe")):
        path = tmp_path / name
        weights = tmp_path / f"{name}.weights"
        onager("compile", write_model(tmp_path, scale="1, 1, 1, 10"), f"--emit={kind}", "--weights=separate", "-o", path)

        def answer(status=0):
            done = run(path, tmp_path / "a.npy", status=status) if kind == "exe" else onager("run", path, "--input", f"pixels={tmp_path / 'a.npy'}", status=status)
            return done.stdout if status == 0 else done.stderr

        assert "20 5" in answer()
        content = weights.read_bytes()
        weights.write_bytes(content[:-1])
        assert "was cut off" in answer(4)
        os.remove(weights)
        assert "cannot open the file of weights" in answer(4)
        (tmp_path / "other.onnx").write_text(OTHER)
        onager("compile", tmp_path / "other.onnx", "--weights=separate", "-o", tmp_path / "other.so")
        shutil.copy(tmp_path / "other.so.weights", weights)
        assert "belongs to another model" in answer(4)


def test_objects_need_a_regular_file(tmp_path):
    for flags in (["--emit=obj"], ["--emit=lib"], ["--weights=separate"]):
        assert "no regular file" in onager("compile", write_model(tmp_path), *flags, "-o", "-", status=2).stderr
