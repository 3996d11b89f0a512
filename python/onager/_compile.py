"""Compiling models, and the folder where artifacts without a given name go."""
import hashlib
import os
import pathlib
import tempfile
from collections.abc import Mapping

from ._compress import compress as compress_model
from ._errors import CompileError

Model = str | os.PathLike | bytes | bytearray | memoryview
"""A path, or the bytes of a model."""


def cache_folder() -> pathlib.Path:
    """Returns the per-user folder of compiled models, made on first use: ONAGER_CACHE_DIR, else the platform's cache folder."""
    named = os.environ.get("ONAGER_CACHE_DIR")
    base = pathlib.Path(named) if named else pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "onager"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    return base


def _pairs(options: dict[str, object]) -> list[tuple[str, str]]:
    pairs = []
    for key, value in options.items():
        if key == "shapes" or (key == "shape" and isinstance(value, dict)):
            pairs += [("shape", f"{name}={'x'.join(map(str, dims))}") for name, dims in value.items()]
        else:
            pairs += [(key, str(one)) for one in (value if isinstance(value, (list, tuple)) else [value])]
    return pairs


def split_model(model: Model) -> tuple[str, bytes]:
    """Returns (path, bytes) of what a caller gives as a model; one of them is empty."""
    if isinstance(model, (bytes, bytearray, memoryview)):
        return "", bytes(model)
    return os.fspath(model), b""


def compile(model: Model, output: str | os.PathLike | None = None, *, report: list[str] | None = None, compress: Mapping[str, object] | None = None, **options: object) -> str:
    """Compiles a model (a path or its bytes) and returns the path of the artifact.

    Options are the command line's flags with underscores: target, opt_level, shape={"x": [1, 3, 224, 224]}, emit, name ...; one that may be repeated takes a list.
    `compress` are arguments of onager.compress, such as {"data": feeds, "quantize": "int8"}: the model is compressed first. Without `output` the file goes to the cache folder. `report`, a list, gets the compile report (JSON text) appended.
    Raises CompileError where the model is refused or an option is bad. Releases the GIL.
    """
    from . import _compiler, _runtime

    if compress is not None:
        with tempfile.TemporaryDirectory(prefix="onager-") as folder:
            small = os.path.join(folder, "small.onnx")
            compress_model(bytes(model) if isinstance(model, (bytearray, memoryview)) else model, output=small, **compress)
            with open(small, "rb") as file:
                return compile(file.read(), output, report=report, **options)
    path, data = split_model(model)
    pairs = _pairs(options)
    if output is None:
        digest = hashlib.sha256(data or os.path.abspath(path).encode())
        digest.update(repr(sorted(pairs)).encode())
        output = cache_folder() / f"{digest.hexdigest()[:32]}.so"
    status, error, text, _ = _compiler.compile(path, data, os.fspath(output), pairs, _runtime.operators())
    if status:
        raise CompileError(error, status)
    if report is not None:
        report.append(text)
    return os.fspath(output)
