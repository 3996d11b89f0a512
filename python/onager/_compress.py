"""Quantising models by the command line's `compress`."""
from __future__ import annotations

import json
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._errors import CompileError
from ._measures import Measure, MeasureServer, split_measure

Data = "str | os.PathLike[str] | Iterable[Mapping[str, ArrayLike]] | None"


def find_tool() -> str:
    """Returns the path of the command line: what ONAGER_COMPILER names, in the wheel, in the build tree, on PATH."""
    folder = pathlib.Path(__file__).resolve().parent
    built = pathlib.Path(os.path.abspath(__file__)).parent.parent.parent / "bin" / "onager"
    for path in (os.environ.get("ONAGER_COMPILER"), folder / "bin" / "onager", built):
        if path and os.access(path, os.X_OK):
            return str(path)
    return "onager"


def compress(model: str | os.PathLike[str] | bytes, data: Data = None, output: str | os.PathLike[str] | None = None, *, quantize: str | Sequence[str] | None = None,
             recipe: Mapping | str | os.PathLike[str] | None = None, metric: Callable | tuple[Callable, str] | None = None, threshold: str | None = None, **options: object) -> dict:
    """Quantises an ONNX model and returns the report: sizes, errors on held-out samples, seconds of a run; its `recipe` is what was decided for each layer.

    `data` is a folder of samples, `random:N`, `self:N` (texts that a language model draws itself), `batch-norm` (none, but BatchNormalization's statistics), or an iterable of feeds, of which each fifth is held out. `output` is where the model goes: ONNX where it ends in
    .onnx, else compiled. `quantize` is int8, int8-dynamic, int8-weights, int4, nf4 or fp4, or several of them to choose from by `budget` or `target_bpw`; a `recipe` of an earlier report, or
    its file, does the same again. `metric` is a budget of one's own: a function of (expected, found, sample), arrays of one output of one sample and the sample's number in `data`, from 0, that returns what is lost, with its
    bound as (function, "<=0.1") or as `threshold`; for a bound such as ">=0.9" it returns 1 where nothing is lost. Its mean over samples counts, of the worst output. Other options are those of the command line: precision, budget, target_bpw, minimize, even_if_slower, range, rounding, group,
    scaling ("smoothquant"), bias_correction, keep (a list), threads, prune ("flops=0.3"), mask ("2:4") and what belongs to them.

    Raises CompileError for models, data and options that cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="onager-") as folder:
        place = pathlib.Path(folder)
        words = [find_tool(), "compress", _provide_model(model, place), "--json", "--write-recipe", str(place / "recipe.json")]
        words += ["-o", os.fspath(output) if output is not None else str(place / "model.onnx")]
        if quantize:
            words += ["--quantize", quantize if isinstance(quantize, str) else ",".join(quantize)]
        if recipe is not None:
            words += ["--recipe", _provide_recipe(recipe, place)]
        if data is not None:
            words += ["--calibrate", _provide_data(data, place / "data")]
        for name, value in options.items():
            for one in value if isinstance(value, (list, tuple)) else [value]:
                words += _spell("--" + name.replace("_", "-"), one)
        output = _run_tool(words) if metric is None else _run_measured(words, *split_measure(metric, threshold)[:2])
        return json.loads(output) | {"recipe": json.loads((place / "recipe.json").read_text(encoding="utf-8"))}


def _run_tool(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileError(done.stderr.strip().removeprefix("onager: error: "), done.returncode)
    return done.stdout


def _run_measured(words: list[str], measure: Measure, bound: str) -> str:
    """Runs the command line, which asks this process for the metric."""
    server = MeasureServer(measure)
    words += ["--budget", "metric" + bound, "--metric-program", server.command]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(words, stdout=output, stderr=errors, pass_fds=server.inherited) as tool:
            server.serve()
        output.seek(0)
        errors.seek(0)
        if server.failure is not None:
            raise server.failure
        if tool.returncode:
            raise CompileError(errors.read().strip().removeprefix("onager: error: "), tool.returncode)
        return output.read()


def _spell(option: str, value: object) -> list[str]:
    """An option as words; True stands for one without a value, False and None for none."""
    if isinstance(value, bool) or value is None:
        return [option] if value else []
    return [option, str(value)]


def _provide_model(model: str | os.PathLike[str] | bytes, place: pathlib.Path) -> str:
    if not isinstance(model, bytes):
        return os.fspath(model)
    (place / "plain.onnx").write_bytes(model)
    return str(place / "plain.onnx")


def _provide_recipe(recipe: Mapping | str | os.PathLike[str], place: pathlib.Path) -> str:
    if not isinstance(recipe, Mapping):
        return os.fspath(recipe)
    (place / "given.json").write_text(json.dumps(recipe), encoding="utf-8")
    return str(place / "given.json")


def _provide_data(data: Data, place: pathlib.Path) -> str:
    if isinstance(data, (str, os.PathLike)):
        return os.fspath(data)
    place.mkdir()
    for k, feeds in enumerate(data):
        np.savez(place / f"{k:08}.npz", **{name: np.asarray(value) for name, value in feeds.items()})
    return str(place)
