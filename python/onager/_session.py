"""Sessions shaped like ONNX Runtime's."""
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from typing import NamedTuple

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


class VariantEvent(NamedTuple):
    """What happened to a variant, code for certain shapes: `kind` is compiled, loaded (from the cache), failed or evicted."""

    kind: str
    guard: str
    """What the variant is for, as batch=1,seq=128."""
    message: str
    """Why it failed or went; empty otherwise."""
    seconds: float
    """That making or loading it took."""


class InferenceSession:
    """A compiled model ready to run. Thread-safe.

    `model` is the path or the bytes of an artifact; an ONNX model is compiled first, with `options` of onager.compile. `threads` is how many a run may use (all
    cores that the process may use by default).

    The others say how code for certain shapes, a variant, is made while the model runs; None is the default:

    - `recompile`: what happens to shapes that are met often: off, lazy, eager or frozen; by default what the variable ONAGER_RECOMPILE says, else lazy.
    - `check_variants`: a new variant must give what the general code gives on inputs that are drawn for it, before it runs.
    - `max_variants`, `max_variant_bytes`: how many are kept beside those of the artifact, and how many bytes they may take; 8 and 256 MiB.
    - `max_compile_seconds`: that all compilations may take together; 600.
    - `compiler`: path of the program `onager`; by default ONAGER_COMPILER, beside the runtime, PATH.
    - `compiler_library`: the compiler's shared library, which then compiles in this process rather than in a child; "" stands for the one beside the runtime.
    - `cache`: folder of variants of earlier sessions; by default the user's; "": none.
    - `on_variant`: called with a VariantEvent for each variant that comes, fails or goes, mostly by a thread of the session's own. It must not wait for the session; what it
      raises goes to sys.unraisablehook.
    """

    def __init__(self, model: Model, threads: int | None = None, recompile: str | None = None, compiler_library: str | None = None, *, check_variants: bool = False,
                 max_variants: int | None = None, max_variant_bytes: int | None = None, max_compile_seconds: float | None = None, compiler: str | os.PathLike | None = None,
                 cache: str | os.PathLike | None = None, on_variant: Callable[[VariantEvent], object] | None = None, **options: object):
        settings = {
            "check": _read_flag("check_variants", check_variants),
            "max_variants": _read_limit("max_variants", max_variants, Integral, (1 << 31) - 1),
            "max_bytes": _read_limit("max_variant_bytes", max_variant_bytes, Integral, (1 << 63) - 1),
            "max_seconds": float(_read_limit("max_compile_seconds", max_compile_seconds, Real, 1e9)),
            "compiler": _read_path("compiler", compiler),
            "cache": _read_path("cache", cache),
            "event": _wrap_listener(on_variant),
        }
        path, data = split_model(model)
        if not _is_artifact(path, data):
            path, data = compile(data or path, **options), b""
        self._session = _runtime.Session(path, data, threads or 0, recompile or "", compiler_library, **settings)
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

    def warm_up(self, feeds: dict[str, ArrayLike] | None = None, wait: bool = True, *, shapes: dict[str, Sequence[int]] | None = None) -> None:
        """Gets ready for inputs of these shapes, and these values where an input's values decide shapes or branches: has code made for them, if the session does so.

        Inputs come by `feeds`, or by `shapes` alone ({"x": (1, 128)}), each in one of them; those whose shape is fixed may be left out where there are shapes. With feeds for all, the
        model also runs once, so that memory is there and threads are started.
        Without `wait` the code is made while other runs go on. Where none can be made a warning says why.
        """
        if feeds is None and shapes is None:
            raise ValueError("warm_up: expected feeds or shapes")
        shapes, whole = self._read_shapes(shapes or {}, feeds or {}), shapes is None
        if self.stats()["mode"] in ("lazy", "eager"):
            try:
                self._session.warm_up(self._split(feeds or {}), shapes, wait)
            except RuntimeError as error:
                warnings.warn(str(error), RuntimeWarning, stacklevel=2)
        if whole:
            self.run(None, feeds)

    def _read_shapes(self, shapes: dict[str, Sequence[int]], feeds: dict[str, ArrayLike]) -> dict[str, list[int]]:
        """Checks shapes, whatever the session does about them."""
        forms = {value.name: value.form for value in self._inputs}
        for name, shape in shapes.items():
            if name not in forms:
                raise ValueError(f"'{name}' is not an input")
            if name in feeds:
                raise ValueError(f"input '{name}': expected a feed or a shape, found both")
            if forms[name]:
                raise ValueError(f"input '{name}': a {forms[name].split('(')[0]} has no shape; give it in feeds")
            if not isinstance(shape, Sequence) or not all(isinstance(extent, Integral) and not isinstance(extent, bool) and extent >= 0 for extent in shape):
                raise TypeError(f"input '{name}': expected a shape, a sequence of whole numbers from 0 on, found {shape!r}")
        return {name: [int(extent) for extent in shape] for name, shape in shapes.items()}

    def freeze(self) -> None:
        """Keeps to the code that is there now: equal inputs give equal bits from here on."""
        self._session.freeze()

    def pin(self, on: bool = True) -> None:
        """Makes later runs of this session keep to the code of the moment, whatever else is made meanwhile: equal inputs give equal bits, on all threads, until pin(False).

        Unlike freeze it can be taken back, and variants go on being made and kept for sessions to come. Runs that have begun are not affected.
        """
        self._session.pin(_read_flag("pin", on))

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


def _read_flag(name: str, given: object) -> bool:
    if not isinstance(given, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, found {given!r}")
    return bool(given)


def _read_limit(name: str, given: object, kind: type, most: float) -> Real:
    """Returns a limit, 0 for None."""
    if given is None:
        return 0
    if isinstance(given, bool) or not isinstance(given, kind):
        raise TypeError(f"{name}: expected a {'whole number' if kind is Integral else 'number'}, found {given!r}")
    if not 0 < given <= most:
        raise ValueError(f"{name}: expected a number above 0, up to {most:g}, found {given!r}")
    return given


def _read_path(name: str, given: object) -> str | None:
    try:
        return None if given is None else os.fsdecode(given)
    except TypeError:
        raise TypeError(f"{name}: expected a path, found {given!r}") from None


def _wrap_listener(listener: object) -> Callable[[str, str, str, float], None] | None:
    if listener is not None and not callable(listener):
        raise TypeError(f"on_variant: expected a function, found {listener!r}")
    return None if listener is None else lambda *event: listener(VariantEvent(*event))
