"""Sessions over the runtime's C API. Use onager.InferenceSession."""
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike

def set_type(number: int, dtype: np.dtype) -> None:
    """Says which NumPy type stands for an ONNX element type."""

def version() -> str:
    """Returns the runtime's version."""

def register_operator(domain: str, type: str, since: int, infer: Callable, run: Callable) -> None:
    """Registers functions over raw memory. Use onager.register_operator."""

def load_operators(path: str) -> None:
    """Registers the operators of a shared library. Raises RuntimeError where it is none."""

def operators() -> list[int]:
    """Returns the addresses of the registered operators, for the compiler."""

class Session:
    """A loaded artifact. Thread-safe; the GIL is released while it is opened and while it runs."""

    def __init__(self, path: str, data: bytes, threads: int, recompile: str = "", compiler_library: str | None = None, check: bool = False, max_variants: int = 0, max_bytes: int = 0,
                 max_seconds: float = 0.0, compiler: str | None = None, cache: str | None = None, event: Callable[[str, str, str, float], object] | None = None) -> None:
        """Opens `data`, or the file at `path` where it is empty; `threads` of a run, 0 for as many as the process may use; `recompile` off, lazy, eager, frozen or ""; `compiler_library`
        compiles in this process, None by a child. The others are fields of onager_recompilation; `event` is called with kind, guard, message and seconds.

        Raises RuntimeError for a file that is no artifact or damaged, or a processor that lacks a feature.
        """

    def describe(self, inputs: bool) -> list[tuple[str, int, list[int | str], str, str]]:
        """Returns name, ONNX element type and dims of the inputs' or the outputs' tensors; dims that are not fixed are text.

        The last two are the name and form of the sequence, map or optional that the tensor is part of, "" for others.
        """

    def run(self, names: Iterable[str] | None, feeds: dict[str, ArrayLike]) -> list[np.ndarray]:
        """Runs the model and returns the named outputs, or all.

        Raises ValueError for a wrong name, type or shape, TypeError for what is no array, RuntimeError where the run fails.
        """

    def warm_up(self, feeds: dict[str, ArrayLike], shapes: dict[str, list[int]], wait: bool) -> None:
        """Has a variant made for the shapes of these arrays, or these shapes; with `wait`, returns when it runs. Raises RuntimeError or ValueError where there will be none."""

    def freeze(self) -> None:
        """Neither makes nor gives up variants from here on."""

    def pin(self, on: bool) -> None:
        """Makes runs keep to the variants of the moment, or to those that are there when they begin."""

    def export(self, path: str) -> None:
        """Writes an artifact that has the session's variants of the moment. Raises RuntimeError or ValueError where that cannot be."""

    def stats(self) -> dict[str, int | float | str]:
        """Returns what the session counts."""

    @property
    def threads(self) -> int:
        """How many threads a run may use."""
