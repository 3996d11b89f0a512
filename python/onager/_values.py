"""Sequences, maps and optionals as the tensors that stand for them in a compiled model, and back.

The forms are those of `onager_info` in the runtime's header: a sequence is its ranks, dims and data, a map its keys and values, an optional a flag and
what it holds. In Python they are lists, dicts and None.
"""
from collections.abc import Iterator
from typing import Any

import numpy as np

# (name, number of the element type, dims)
Leaf = tuple[str, int, list[int | str]]


class Value:
    """An input or output of the model: its name, its form ("" of a tensor) and its tensors."""

    def __init__(self, name: str, form: str, leaves: list[Leaf]):
        self.name, self.form, self.leaves = name, form, leaves


def group(entries: list[tuple[str, int, list[int | str], str, str]]) -> list[Value]:
    """Joins the tensors of a signature to values."""
    values: list[Value] = []
    for name, dtype, dims, value, form in entries:
        if value and values and values[-1].form and values[-1].name == value:
            values[-1].leaves.append((name, dtype, dims))
        else:
            values.append(Value(value or name, form, [(name, dtype, dims)]))
    return values


def split(value: Value, given: Any, dtypes: dict[int, np.dtype]) -> dict[str, np.ndarray]:
    """Returns the tensors of a value that is fed, by name."""
    try:
        parts = list(_split(value.form, given, iter(value.leaves), dtypes))
    except (TypeError, AttributeError, KeyError) as error:
        raise TypeError(f"input '{value.name}': expected {_EXPECTED[value.form.split('(')[0]]}, found {type(given).__name__}") from error
    return {leaf[0]: part for leaf, part in zip(value.leaves, parts, strict=True)}


_EXPECTED = {"sequence": "a list", "optional": "a value or None", "map": "a dict", "tensor": "an array"}


def _split(form: str, given: Any, leaves: Iterator[Leaf], dtypes: dict[int, np.dtype]) -> Iterator[Any]:
    if form.startswith("optional("):
        yield from _split_optional(form, given, leaves, dtypes)
    elif form == "sequence":
        arrays = [np.asarray(element) for element in given]
        next(leaves), next(leaves)
        dtype = dtypes[next(leaves)[1]]
        yield np.array([array.ndim for array in arrays], np.int64)
        yield np.array([extent for array in arrays for extent in array.shape], np.int64)
        yield np.concatenate([array.reshape(-1) for array in arrays]) if arrays else np.zeros(0, dtype)
    elif form == "map":
        keys, values = next(leaves), next(leaves)
        yield np.array(list(given.keys()), dtypes[keys[1]])
        yield np.array(list(given.values()), dtypes[values[1]])
    elif form == "sequence(map)":
        keys, values = next(leaves), next(leaves)
        names = list(given[0].keys()) if given else []
        yield np.array(names, dtypes[keys[1]])
        yield np.array([[row[name] for name in names] for row in given], dtypes[values[1]]).reshape(len(given), len(names))
    else:
        next(leaves)
        yield np.asarray(given)


def _split_optional(form: str, given: Any, leaves: Iterator[Leaf], dtypes: dict[int, np.dtype]) -> Iterator[Any]:
    next(leaves)
    yield np.array(given is not None)
    if given is not None:
        yield from _split(form[len("optional("):-1], given, leaves, dtypes)
        return
    for _, number, dims in leaves:
        kind = np.dtype(dtypes[number])
        shape = [extent if isinstance(extent, int) and extent >= 0 else 0 for extent in dims]
        yield np.full(shape, "" if kind == object else 0, kind)


def join(value: Value, parts: list[np.ndarray]) -> Any:
    """Returns the list, dict, array or None that tensors of a form stand for."""
    return _join(value.form, parts)


def _join(form: str, parts: list[np.ndarray]) -> Any:
    if form.startswith("optional("):
        return _join(form[len("optional("):-1], parts[1:]) if parts[0] and len(parts) > 1 else None
    if form == "sequence":
        ranks, dims, data = parts
        elements, dim, datum = [], 0, 0
        for rank in ranks:
            shape = dims[dim:dim + rank]
            size = int(np.prod(shape))
            elements.append(data[datum:datum + size].reshape(shape).copy())
            dim, datum = dim + rank, datum + size
        return elements
    if form == "map":
        return dict(zip(parts[0].tolist(), parts[1].tolist()))
    if form == "sequence(map)":
        keys = parts[0].tolist()
        return [dict(zip(keys, row)) for row in parts[1].tolist()]
    return parts[0]
