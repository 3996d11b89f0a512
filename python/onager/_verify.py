"""Comparing two forms of a model by the command line's `verify`, and by metrics that are Python functions."""
from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ._compile import Model, compile
from ._compress import Data, _provide_data, _provide_model, find_tool
from ._errors import CompileError
from ._measures import Measure, split_measure
from ._session import InferenceSession

Metric = "str | Measure | tuple[Measure, str]"

def verify(model: Model, against: str | os.PathLike[str] | bytes = "O0", data: Data = None, metric: Metric | Sequence[Metric] | None = None, *, threshold: str | None = None,
           bisect: bool = False, per_node: bool = False, **options: object) -> dict:
    """Compares a model with another form of it and returns what was found; `ok` tells whether it is near enough.

    `model` is an ONNX model or a compiled one. `against` is O0 (the reference form), O1, O2, O3, onnxruntime, or another model or compiled model. `data` is a folder
    of samples, `random:N` or an iterable of feeds; without it one set of random inputs is used. `metric` is a bound such as "sqnr>=30", or a function of
    (expected, found, sample), arrays of one output of one sample and the sample's number in `data`, from 0, that returns a number; or a list of them. A function is judged by its own bound, given with it as
    (function, "<=0.1") or as `threshold`, on each sample of `data`, which it needs; the report's `measures` have its least, mean and greatest value for each output. With `bisect` the
    report says what is to blame where the bounds of the command line are broken, with `per_node` it has the values inside the model. Other options are those of
    the command line: against_level, opt_level, rtol, atol, top_k, sample, threads, dim (a list), seed, skip_pass, pass_limit ...

    Raises CompileError for models, data and options that cannot be used.
    """
    metrics = [metric] if isinstance(metric, (str, tuple)) or callable(metric) else list(metric or [])
    bounds = [one for one in metrics if isinstance(one, str)]
    measures = [split_measure(one, threshold) for one in metrics if not isinstance(one, str)]
    if measures and (bisect or per_node):
        raise ValueError("bisect and per_node take metrics of the command line, not functions")
    if measures and (data is None or str(data).startswith("random:")):
        raise ValueError("metrics that are functions need data: a folder of .npz or .npy, or feeds")
    with tempfile.TemporaryDirectory(prefix="onager-") as folder:
        place = pathlib.Path(folder)
        source = _provide_model(bytes(model) if isinstance(model, (bytearray, memoryview)) else model, place)
        other = against
        if isinstance(against, bytes):
            other = place / "against.onnx"
            other.write_bytes(against)
        samples = _provide_data(data, place / "data") if data is not None else None
        words = [find_tool(), "verify", source, "--against", os.fspath(other), "--json"]
        words += ["--bisect"] * bisect + ["--per-node"] * per_node
        words += [word for bound in bounds for word in ("--metric", bound)]
        words += ["--samples", samples] if samples is not None else []
        for name, value in options.items():
            for one in value if isinstance(value, (list, tuple)) else [value]:
                words += ["--" + name.replace("_", "-"), str(one)]
        # ONNX Runtime is looked for where this runs, unless another Python is named.
        done = subprocess.run(words, capture_output=True, text=True, check=False, env={"ONAGER_PYTHON": sys.executable, **os.environ})
        if done.returncode not in (0, 1):
            raise CompileError(done.stderr.strip().removeprefix("onager: error: "), done.returncode)
        report = json.loads(done.stdout)
        if measures:
            _measure(report, measures, bool(bounds), _Sides(source, os.fspath(other), place, options), samples)
        return report


class _Sides:
    """Both sides as sessions that give outputs by name."""

    def __init__(self, source: str, against: str, place: pathlib.Path, options: dict[str, object]):
        compiling = {name: value for name, value in options.items() if name in ("opt_level", "target", "shape", "skip_pass", "pass_limit")}
        self._found = self._open(source, place / "found.so", compiling)
        self._reference = None
        if against == "onnxruntime":
            import onnxruntime

            self._reference = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
        elif against in ("O0", "O1", "O2", "O3"):
            self._expected = self._open(source, place / "expected.so", compiling | {"opt_level": against[1]})
        else:
            level = {"opt_level": options["against_level"]} if "against_level" in options else {}
            self._expected = self._open(against, place / "expected.so", compiling | level)

    @staticmethod
    def _open(path: str, artifact: pathlib.Path, compiling: dict[str, object]) -> InferenceSession:
        with open(path, "rb") as file:
            is_compiled = file.read(4) == b"\x7fELF"
        return InferenceSession(path if is_compiled else compile(path, artifact, **compiling))

    def get_inputs(self) -> list:
        """Returns the inputs of the side that is judged."""
        return self._found.get_inputs()

    def run(self, feeds: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yields each output's name, what is expected and what was found."""
        names = [node.name for node in self._found.get_outputs()]
        expected = (self._reference or self._expected).run(names, feeds)
        for name, wanted, found in zip(names, expected, self._found.run(names, feeds), strict=True):
            yield name, wanted, found


def _load_samples(samples: str, sides: _Sides) -> Iterator[dict[str, np.ndarray]]:
    inputs = sides.get_inputs()
    for path in sorted(pathlib.Path(samples).iterdir()):
        if path.suffix == ".npz":
            with np.load(path) as archive:
                yield {node.name: archive[node.name] for node in inputs}
        elif path.suffix == ".npy":
            yield {inputs[0].name: np.load(path)}
        else:
            raise CompileError(f"'{path}': functions take samples of .npz and .npy", 4)


def _measure(report: dict, measures: list, judges_bounds: bool, sides: _Sides, samples: str) -> None:
    """Adds what functions say; without other bounds they alone decide."""
    values: dict[tuple[str, int], list[float]] = {}
    for sample, feeds in enumerate(_load_samples(samples, sides)):
        for name, expected, found in sides.run(feeds):
            for k, (measure, *_) in enumerate(measures):
                values.setdefault((name, k), []).append(float(measure(expected, found, sample)))
    report["measures"] = []
    for (name, k), numbers in values.items():
        measure, bound, order, limit = measures[k]
        report["measures"].append({"output": name, "function": getattr(measure, "__name__", repr(measure)), "threshold": bound, "least": min(numbers),
                                   "mean": sum(numbers) / len(numbers), "greatest": max(numbers), "ok": all(order(number, limit) for number in numbers)})
    report["ok"] = (report["ok"] or not judges_bounds) and all(one["ok"] for one in report["measures"])
