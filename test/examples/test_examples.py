"""Builds every example against an installed tree, runs it and reads what it prints."""
import os
import subprocess
import sys

import numpy as np
import pytest

from support.places import BUILD, ROOT

EXAMPLES = ROOT / "examples"
IRIS = EXAMPLES / "iris.txt"
TOOLS = BUILD / "venv" / "bin"
FLOWERS = ["setosa", "versicolor", "virginica"]


def run(*command, expect: int = 0, **options) -> str:
    """Returns what a program printed; fails where it ends with another status."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert result.returncode == expect, f"{command[0]} ended with {result.returncode}: {result.stdout}\n{result.stderr}"
    return result.stdout if expect == 0 else result.stderr


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The folder of the built C and C++ examples."""
    folder = tmp_path_factory.mktemp("examples")
    run(TOOLS / "cmake", "--install", BUILD, "--prefix", folder / "prefix")
    run(TOOLS / "cmake", "-G", "Ninja", "-S", EXAMPLES, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={folder / 'prefix'}",
        f"-DCMAKE_MAKE_PROGRAM={TOOLS / 'ninja'}", "-DCMAKE_C_COMPILER=gcc", "-DCMAKE_CXX_COMPILER=g++",
        "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror", "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
    run(TOOLS / "cmake", "--build", folder / "build")
    return folder / "build"


@pytest.fixture(scope="module")
def artifact(programs):
    """The iris classifier, compiled by the example that does so."""
    path = programs / "iris.so"
    assert run(programs / "compile", IRIS, path) == f"wrote {path}\n"
    return path


def read_flowers(output: str) -> list[str]:
    return [word for word in output.replace("'", " ").split() if word in FLOWERS]


@pytest.mark.parametrize(("program", "error"), [
    ("classify", "a wrong shape: status 1, input 'measurements': dim 1 (4): expected 4, found 5"),
    ("classify_cpp", "a wrong type: status 1, input 'measurements': expected type float32, found float64"),
])
def test_classify(program, error, programs, artifact):
    output = run(programs / program, artifact)
    assert read_flowers(output) == FLOWERS[:1] + FLOWERS
    assert error in output


def test_describe(programs, artifact):
    assert run(programs / "describe", artifact) == "inputs\n  measurements: type 1, [flowers, 4]\noutputs\n  probabilities: type 1, [flowers, 3]\n"


def test_operators(programs, tmp_path):
    output = run(programs / "operators_cpp", tmp_path / "operators.so")
    assert output == "(3, 4): radius 5.000, angle 53.1\n(0, -2): radius 2.000, angle -90.0\n"


def test_operator_library(programs, tmp_path):
    """The library of operators gives the command line and programs of their own what a model needs."""
    model = tmp_path / "model.onnx"
    model.write_text('<ir_version: 10, opset_import: ["" : 21, "example" : 1]>\ng (float[n] x) => (float[k] y) { a = example.ScaledSum <scale = 2.0> (x, x) y = example.Positive (a) }')
    library = next(programs.glob("liboperators.*"))
    values = tmp_path / "x.npy"
    np.save(values, np.array([1, -2, 3], np.float32))
    run(BUILD / "bin" / "onager", "compile", model, f"--operators={library}", "--emit=exe", "-o", tmp_path / "model")
    assert run(tmp_path / "model", "--operators", library, values) == "y: float32 [2]\n 3 9\n"
    assert "node 'a': operator ScaledSum of domain example, version 1, is not registered" in run(tmp_path / "model", values, expect=4)
    run(BUILD / "bin" / "onager", "compile", model, f"--operators={library}", "-o", tmp_path / "model.so")
    assert "y: float32 [2]" in run(BUILD / "bin" / "onager", "run", tmp_path / "model.so", f"--operators={library}", "--input", f"x={values}")
    assert "custom operator: Positive of domain example, version 1, node y" in run(BUILD / "bin" / "onager", "inspect", tmp_path / "model.so")
    run(BUILD / "bin" / "onager", "verify", model, f"--operators={library}", "--against=O0")


def test_linked(programs):
    assert run(programs / "linked", "6.9", "3.2", "5.7", "2.3") == "setosa 0.000, versicolor 0.001, virginica 0.999\n"
    run(programs / "linked", expect=2)


def test_threads(programs, artifact):
    assert "0 results with other bits" in run(programs / "threads", artifact)


@pytest.mark.parametrize("program", ["classify", "describe", "classify_cpp", "threads"])
def test_missing_file_is_named(program, programs, tmp_path):
    assert "absent.so" in run(programs / program, tmp_path / "absent.so", expect=1)


def test_compile_names_what_it_refuses(programs, tmp_path):
    model = tmp_path / "model.txt"
    model.write_text('<ir_version: 8, opset_import: ["" : 17]>\ng (float[1] x) => (float[1] y) { y = Frobnicate(x) }')
    assert "Frobnicate" in run(programs / "compile", model, tmp_path / "model.so", expect=3)
    assert "unknown option 'colour'" in run(programs / "compile", IRIS, tmp_path / "iris.so", "colour=red", expect=2)
    assert os.listdir(tmp_path) == ["model.txt"]


def test_python_classify():
    output = run(sys.executable, EXAMPLES / "python" / "classify.py", IRIS)
    assert read_flowers(output) == FLOWERS[:1] + FLOWERS
    assert output.count("refused: ") == 3
    assert "not compiled, status 3: " in output and "Frobnicate" in output


def test_python_threads():
    assert "400 batches on 8 threads: 0 with other bits than alone" in run(sys.executable, EXAMPLES / "python" / "threads.py", IRIS)


def test_digits(tmp_path):
    run(sys.executable, EXAMPLES / "digits" / "train.py", tmp_path)
    output = run(sys.executable, EXAMPLES / "digits" / "evaluate.py", tmp_path)
    assert "Accuracy on 359 held-out digits" in output and "us" in output
    model = tmp_path / "digits.onnx"
    assert "largest difference to ONNX Runtime" in run(sys.executable, EXAMPLES / "digits" / "real_model.py", model, tmp_path / "again.so")
