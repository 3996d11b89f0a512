"""Sessions shaped like ONNX Runtime's."""
import os
import warnings
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from . import _runtime
from ._compile import Model, compile, split_model
from ._types import DTYPES, NAMES
from ._values import Value, group, join, split


def _write_type(form: str, types: list[str]) -> str:
    """Writes the type of a value as ONNX Runtime does."""
    if form.startswith("optional("):
        return f"optional({_write_type(form[len('optional('):-1], types[1:])})"
    if form in ("map", "sequence(map)"):
        pair = f"map({types[0][len('tensor('):-1]},{types[1]})"
        return f"seq({pair})" if form == "sequence(map)" else pair
    return f"seq({types[2]})" if form == "sequence" else types[0]


class NodeArg:
    """An input or output: `name`, `type` as ONNX Runtime writes it, `shape` with names or expressions for dims that are not fixed; [] of no tensor."""

    def __init__(self, value: Value):
        types = [f"tensor({NAMES.get(dtype, dtype)})" for _, dtype, _ in value.leaves]
        self.name, self.type = value.name, _write_type(value.form, types)
        self.shape = value.leaves[0][2] if not value.form else []

    def __repr__(self) -> str:
        return f"NodeArg(name={self.name!r}, type={self.type!r}, shape={self.shape})"


class InferenceSession:
    """A compiled model ready to run. Thread-safe.

    `model` is the path or the bytes of an artifact; an ONNX model is compiled first. `threads` is how many a run may use (all
    cores that the process may use by default). `recompile` says what happens to shapes that are met often: off, lazy, eager or frozen; by default
    what the variable ONAGER_RECOMPILE says, else lazy. `compiler_library` names the compiler's shared library, which then compiles in this process rather than in a
    child; "" stands for the one beside the runtime.
    """

    def __init__(self, model: Model, threads: int | None = None, recompile: str | None = None, compiler_library: str | None = None, **options: object):
        path, data = split_model(model)
        if not _is_artifact(path, data):
            path, data = compile(data or path, **options), b""
        self._session = _runtime.Session(path, data, threads or 0, recompile or "", compiler_library)
        self._inputs, self._outputs = group(self._session.describe(True)), group(self._session.describe(False))
        # Without a layer of Python between where all are tensors: small models run for microseconds.
        if not any(value.form for value in self._inputs + self._outputs):
            self.run = self._session.run

    def get_inputs(self) -> list[NodeArg]:
        """Returns the inputs in the model's order."""
        return [NodeArg(value) for value in self._inputs]

    def get_outputs(self) -> list[NodeArg]:
        """Returns the outputs in the model's order."""
        return [NodeArg(value) for value in self._outputs]

    def run(self, names: Iterable[str] | None, feeds: dict[str, ArrayLike]) -> list[np.ndarray]:
        """Runs the model on a dict of arrays and returns the named outputs (all for None).

        Arrays that are dense go in without a copy, as do other libraries' tensors through DLPack. Outputs are arrays of their own. A sequence is a list,
        a map a dict, an empty optional None; strings are arrays of str.

        Raises ValueError for a wrong name, type or shape, RuntimeError where a check inside the model fails.
        """
        tensors = self._split(feeds)
        wanted = [value.name for value in self._outputs] if names is None else list(names)
        known = {value.name: value for value in self._outputs}
        for name in wanted:
            if name not in known:
                raise ValueError(f"'{name}' is not an output")
        values = [known[name] for name in wanted]
        parts = iter(self._session.run([leaf[0] for value in values for leaf in value.leaves], tensors))
        return [join(value, [next(parts) for _ in value.leaves]) if value.form else next(parts) for value in values]

    def _split(self, feeds: dict[str, ArrayLike]) -> dict[str, ArrayLike]:
        """Replaces sequences, maps and optionals by the tensors that stand for them."""
        rest, tensors = dict(feeds), {}
        for value in self._inputs:
            if value.form and value.name in rest:
                tensors.update(split(value, rest.pop(value.name), DTYPES))
        return {**rest, **tensors}

    def warm_up(self, feeds: dict[str, ArrayLike], wait: bool = True) -> None:
        """Gets ready for inputs of these shapes, and these values where an input's values decide shapes or branches: has code made for them, if the session does so, and runs once, so that memory is there and threads are started.

        Without `wait` the code is made while other runs go on. Where none can be made a warning says why.
        """
        if self.stats()["mode"] in ("lazy", "eager"):
            try:
                self._session.warm_up(self._split(feeds), wait)
            except RuntimeError as error:
                warnings.warn(str(error), RuntimeWarning, stacklevel=2)
        self.run(None, feeds)

    def freeze(self) -> None:
        """Keeps to the code that is there now: equal inputs give equal bits from here on."""
        self._session.freeze()

    def export(self, path: str | os.PathLike) -> None:
        """Writes an artifact that also has the code which this session had made for certain shapes; sessions of it begin with that code.

        The compiler makes it again, which takes seconds for each shape.
        """
        self._session.export(os.fspath(path))

    def stats(self) -> dict[str, int | float | str]:
        """Returns counts: runs of code for certain shapes (`hits`) and of the general one (`misses`), what was compiled, loaded, failed, evicted."""
        return self._session.stats()

    @property
    def threads(self) -> int:
        """How many threads a run may use."""
        return self._session.threads


def _is_artifact(path: str, data: bytes) -> bool:
    if not path:
        return data[:4] == b"\x7fELF"
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"
