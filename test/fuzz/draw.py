"""A source of legal nodes for one schema with chosen element types: what generators draw from, and what they return."""
import dataclasses
import math
import re
from collections.abc import Callable

import numpy as np
from onnx import TensorProto, TypeProto, helper


@dataclasses.dataclass
class Node:
    """What a generator draws: values (None: absent), attributes, the number of outputs or their presence, and what is expected where it knows.

    An input is an array, a Fixed or Sparse one or a Typed value. `wanted` are the results, computed by the generator; `check` says what is wrong with results
    that no implementation repeats; `loose` is a tolerance (rtol, atol) of float results in place of the usual one, `steps` one of integers.
    Inputs of a node that is not open have known dims: its operator reads the size of heads from them. `unasked` is a judge that has a defect here.
    """
    inputs: list
    attributes: dict = dataclasses.field(default_factory=dict)
    outputs: int | list = 1
    wanted: list | None = None
    check: Callable | None = None
    loose: tuple | None = None
    steps: int = 0
    is_open: bool = True
    unasked: str = ""

    def get_outputs(self) -> list:
        return [True] * self.outputs if isinstance(self.outputs, int) else self.outputs


@dataclasses.dataclass
class Fixed:
    """An input that is an initialiser of the model."""
    value: np.ndarray


@dataclasses.dataclass
class Sparse(Fixed):
    """A sparse initialiser, given as the dense array that it stands for."""


@dataclasses.dataclass
class Typed:
    """An input that is no tensor: a list, a dict, None or an array, with its type."""
    value: object
    type: TypeProto


class Draw:
    """A source of legal inputs; `random` decides what a node is, `numbers` what it is run on in a turn."""

    def __init__(self, schema, types: dict, seed: int, turn: int = 0):
        self.schema, self.types, self.random = schema, dict(types), np.random.default_rng(seed)
        self.numbers = np.random.default_rng([seed, turn])
        self.version, self.name = schema.since_version, schema.name

    def node(self, inputs: list, outputs: int | list = 1, **attributes) -> Node:
        return Node(inputs, attributes, outputs)

    def has(self, attribute: str) -> bool:
        return attribute in self.schema.attributes

    def retype(self, label: str, *among: str) -> None:
        """Draws the type of a constraint anew, so that it depends on no other's; from all that it allows, or from some."""
        allowed = next(one for one in self.schema.type_constraints if one.type_param_str == label).allowed_type_strs
        allowed = [text for text in get_types(allowed) if text not in UNSUPPORTED and (not among or text in among)]
        self.types[label] = self.one(*allowed)

    def text(self, place: int, output: bool = False) -> str:
        """The type of an input or output: an element type for tensors, e.g. "float16", or e.g. "seq(tensor(float16))"."""
        values = self.schema.outputs if output else self.schema.inputs
        text = values[min(place, len(values) - 1)].type_str
        return self.types.get(text) or get_types([text])[0]

    def element(self, place: int, output: bool = False) -> str:
        """The element type of an input or output, e.g. "float16"."""
        text = self.text(place, output)
        return text if "(" not in text else re.findall(r"tensor\((\w+)\)", text)[0]

    def kind(self, place: int, output: bool = False) -> np.dtype:
        return to_numpy(self.element(place, output))

    def one(self, *choices):
        return choices[self.random.integers(len(choices))]

    def often(self, chance: float = 0.5) -> bool:
        return bool(self.random.random() < chance)

    def whole(self, low: int, high: int) -> int:
        """A number from low to high, both included."""
        return int(self.random.integers(low, high + 1))

    def shape(self, rank: int | None = None, least: int = 0, most_rank: int = 4) -> tuple:
        rank = int(self.random.integers(0, most_rank + 1)) if rank is None else rank
        extents = self.random.choice([0, 1, 2, 3, 5, 9], rank, p=[0.04, 0.16, 0.3, 0.3, 0.15, 0.05])
        return tuple(int(max(least, extent)) for extent in extents)

    def broadcast(self, count: int) -> list:
        """Shapes that broadcast to one."""
        whole = self.shape()
        cut = lambda: tuple(1 if self.random.random() < 0.3 else extent for extent in whole[int(self.random.integers(0, len(whole) + 1)):])
        shapes = [whole] + [cut() for _ in range(count - 1)]
        self.random.shuffle(shapes)
        return [tuple(int(extent) for extent in shape) for shape in shapes]

    def axis(self, rank: int) -> int:
        negative = rank and self.version >= 11 and self.random.random() < 0.5
        return int(self.random.integers(0, max(rank, 1))) - (rank if negative else 0)

    def values(self, place: int, shape, low: float = -6, high: float = 6) -> np.ndarray:
        """Numbers between two bounds, of the type that the input at a place has."""
        return fill(self.numbers, self.element(place), tuple(shape), low, high)

    def fixed(self, place: int, shape, low: float = -6, high: float = 6) -> Fixed:
        """As values, but an initialiser of the model."""
        return Fixed(fill(self.random, self.element(place), tuple(shape), low, high))

    def floats(self, count: int, low: float = -2, high: float = 2) -> list:
        """Numbers of an attribute."""
        return [float(np.float32(number)) for number in self.random.uniform(low, high, count)]


# Element types that no tensor of a compiled model may have: their refusal is no difference.
UNSUPPORTED = ("complex64", "complex128", "float6e2m3", "float6e3m2")


def get_types(texts) -> list:
    """Returns types as bindings name them, sorted: tensors by their element type alone."""
    names = sorted(re.sub(r"^tensor\((\w+)\)$", r"\1", text.replace(" ", "")) for text in texts)
    return ["float" if name == "float32" else name for name in names]


def to_numpy(element: str) -> np.dtype:
    return helper.tensor_dtype_to_np_dtype(to_onnx(element))


def to_onnx(element: str) -> int:
    return TensorProto.DataType.Value(element.upper())


def fill(random, element: str, shape: tuple, low: float, high: float) -> np.ndarray:
    if element == "string":
        return random.choice(np.array(["", "a", "Bc", "déjà", "x y", "0.5"], object), shape)
    if element == "bool":
        return random.integers(0, 2, shape).astype(bool)
    if "complex" in element:
        return np.asarray(random.uniform(low, high, shape) + 1j * random.uniform(low, high, shape)).astype(to_numpy(element))
    if "int" in element:
        bits = int("".join(letter for letter in element if letter.isdigit()))
        least, most = (0, (1 << bits) - 1) if element.startswith("u") else (-(1 << bits - 1), (1 << bits - 1) - 1)
        first = max(least, math.ceil(low))
        return np.asarray(random.integers(first, max(first, min(most, math.floor(high))) + 1, shape)).astype(to_numpy(element))
    if element == "float8e8m0":
        return np.asarray(2.0 ** random.integers(-3, 4, shape)).astype(to_numpy(element))
    return np.asarray(random.uniform(low, high, shape)).astype(to_numpy(element))
