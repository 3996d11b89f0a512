"""Custom operators: kernels of the application for nodes that the compiler does not know."""
import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np

from . import _runtime
from ._types import DTYPES, find_number


@dataclasses.dataclass(frozen=True)
class Node:
    """A node of the model. `attributes`: int, float, str, lists of them, arrays; `version` is that of the domain's operator set."""

    domain: str
    type: str
    name: str
    version: int
    attributes: dict[str, object]


@dataclasses.dataclass(frozen=True)
class TensorType:
    """An input as `infer` sees it.

    While compiling, extents that are not fixed are negative, equal numbers for equal extents, and `value` is None but for integers that are
    known. Before a run, where `infer` is asked again for what was not known then, both are there.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    value: np.ndarray | None


Infer = Callable[[Node, list[TensorType | None]], Sequence[tuple[np.dtype, Sequence[int]]]]
Run = Callable[[Node, list[np.ndarray | None]], "np.ndarray | Sequence[np.ndarray]"]


def _make_array(tensor: tuple | None) -> np.ndarray | None:
    """Returns a view of a tensor's memory; an array of str for texts."""
    if tensor is None or tensor[2] is None:
        return None
    number, dims, data = tensor
    if number != 8:
        return np.ndarray(dims, DTYPES[number], data)
    array = np.empty(len(data), object)
    array[:] = [text.decode("utf-8", "surrogateescape") for text in data]
    return array.reshape(dims)


def _make_attribute(value: object) -> object:
    if isinstance(value, tuple):
        return _make_array(value)
    if isinstance(value, list):
        return [_make_attribute(one) for one in value]
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _make_node(node: tuple) -> Node:
    return Node(*node[:4], {name: _make_attribute(value) for name, value in node[4].items()})


def _check_count(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise ValueError(f"expected {expected} {what}, found {found}")


def _wrap_infer(infer: Infer):
    def _ask(node: tuple, inputs: list, count: int, is_compiling: bool) -> list[tuple[int, list[int]]]:
        types = [tensor and TensorType(DTYPES[tensor[0]], tensor[1], _make_array(tensor)) for tensor in inputs]
        results = [(find_number(np.dtype(dtype)), [int(extent) for extent in shape]) for dtype, shape in infer(_make_node(node), types)]
        _check_count("outputs from infer", len(results), count)
        for _, shape in results:
            if len(shape) > 16:
                raise ValueError(f"expected rank 16 at most, found {len(shape)}")
        return results

    return _ask


def _write_output(index: int, array: object, output: tuple) -> list[bytes] | None:
    """Copies an array into an output's memory; texts are returned."""
    number, dims, data = output
    given = np.asarray(array)
    if given.shape != dims:
        raise ValueError(f"output {index}: expected shape {dims}, found {given.shape}")
    if number == 8:
        return [text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogateescape") for text in given.ravel().tolist()]
    if given.dtype != DTYPES[number]:
        raise TypeError(f"output {index}: expected {DTYPES[number]}, found {given.dtype}")
    if given.size:
        np.ndarray(dims, DTYPES[number], data)[...] = given
    return None


def _wrap_run(run: Run):
    def _compute(node: tuple, inputs: list, outputs: list) -> list[list[bytes] | None]:
        arrays = [_make_array(tensor) for tensor in inputs]
        for array in arrays:
            if array is not None:
                array.flags.writeable = False
        results = run(_make_node(node), arrays)
        if isinstance(results, np.ndarray):
            results = [results]
        _check_count("outputs from run", len(results), len(outputs))
        return [_write_output(k, array, output) for k, (array, output) in enumerate(zip(results, outputs))]

    return _compute


def register_operator(domain: str, type: str, infer: Infer, run: Run, since: int = 1) -> None:
    """Makes an operator known to this process, for nodes of its domain's operator set from version `since` on.

    `infer(node, inputs)` tells dtype and shape of each output of a node; while compiling, an extent may be -1, which only a run tells, or one of
    the negative ones of the inputs. `run(node, arrays)` computes them; absent inputs are None, and arrays are valid during the call alone.
    Registering an operator again replaces it for sessions opened later. What the functions raise ends the compilation or the run.
    """
    _runtime.register_operator(domain, type, since, _wrap_infer(infer), _wrap_run(run))


def load_operators(path: str | os.PathLike) -> None:
    """Registers the operators of a shared library, which exports the C function `onager_operators`.

    Raises RuntimeError for a file that cannot be loaded or exports no such function.
    """
    _runtime.load_operators(os.path.abspath(path))
