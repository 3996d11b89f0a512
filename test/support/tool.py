"""Runs the command line the way a user does."""
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from support.places import ONAGER
from support.single import run_reference


def run_onager(*arguments, input: bytes = b"", seconds: float = 60, **options) -> subprocess.CompletedProcess:
    """Runs onager and returns status, output and errors (as text)."""
    found = subprocess.run([str(ONAGER), *map(str, arguments)], input=input, capture_output=True, timeout=seconds, **options)
    found.stdout, found.stderr = found.stdout.decode(errors="replace"), found.stderr.decode(errors="replace")
    return found


def run_command(*command, **options) -> str:
    """Returns what a command printed; fails with it where the command fails."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert result.returncode == 0, f"{command[0]}: {result.stdout}\n{result.stderr}"
    return result.stdout


def compress(model, output, *options) -> dict:
    """Returns the report of `onager compress`, which runs on one thread."""
    return json.loads(run_command(ONAGER, "compress", model, "-o", output, "--threads", 1, "--json", *options))


def save_samples(folder: Path, draw: Callable[[int, int], np.ndarray], count: int) -> Path:
    """Fills a folder with ten samples of `count` rows that `draw` makes from a number and a seed; returns it."""
    for k in range(10):
        np.save(folder / f"{k}.npy", draw(count, k))
    return folder


def expect_error(found: subprocess.CompletedProcess, status: int, *parts: str) -> None:
    """Asserts a clean failure: the status, an error on every line, each of the parts."""
    assert found.returncode == status, (found.returncode, found.stderr, found.stdout)
    lines = found.stderr.rstrip("\n").split("\n")
    assert lines and all(line.startswith("onager: error: ") for line in lines), found.stderr
    for part in parts:
        assert part in found.stderr, found.stderr


def run_onnxruntime(model: Path, x: np.ndarray) -> np.ndarray:
    """Returns the first result of ONNX Runtime for the input `x`, without saturation in products of bytes."""
    return run_reference(str(model), {"x": x})[0]
