"""Random well-typed graphs, grown node by node from a pool of values whose types and shapes are known.

Extents are numbers while a graph grows; at the end some dims of its inputs become symbols, equal numbers often the same one. A value is `exact`
where every implementation gives the same bits for it (inputs, integers, and what only moves them): what jumps (comparisons, rounding, indices
of the largest) reads exact values alone, so that differences of rounding never become differences of kind. `bound` is the largest
magnitude that a value may have; what grows too far is squashed.
"""
import dataclasses
import random

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET, IR_VERSION = 18, 8
LARGEST = 4096  # elements of a value


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor of the graph."""

    name: str
    dtype: np.dtype
    shape: tuple
    exact: bool = True
    bound: float = 4.0

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def is_float(self) -> bool:
        return self.dtype.kind == "f"


class Graph:
    """A graph while it grows."""

    def __init__(self, seed: int):
        self.seed = seed
        self.draw = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[Value] = []
        self.feeds: dict[str, np.ndarray] = {}
        self.initializers: list[onnx.TensorProto] = []
        self.pool: list[Value] = []
        self.read: set[str] = set()
        self.count = 0

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def random_array(self, dtype, shape, low: float = -4, high: float = 4) -> np.ndarray:
        if np.dtype(dtype).kind == "f":
            return self.numbers.uniform(low, high, shape).astype(dtype)
        if np.dtype(dtype).kind == "b":
            return self.numbers.integers(0, 2, shape).astype(bool)
        return self.numbers.integers(int(max(low, 0) if np.dtype(dtype).kind == "u" else low), int(high) + 1, shape).astype(dtype)

    def add_input(self, dtype, shape) -> Value:
        value = Value(self.fresh("x"), np.dtype(dtype), tuple(shape))
        self.inputs.append(value)
        self.pool.append(value)
        self.feeds[value.name] = self.random_array(dtype, shape)
        return value

    def constant(self, array) -> Value:
        """Adds an initialiser."""
        array = np.asarray(array)
        value = Value(self.fresh("c"), array.dtype, array.shape, True, float(np.abs(array.astype(float)).max(initial=0)))
        self.initializers.append(numpy_helper.from_array(array, value.name))
        return value

    def integers(self, *numbers) -> Value:
        return self.constant(np.array(numbers, np.int64))

    def node(self, op: str, inputs, *results: Value, **attributes) -> Value:
        """Adds a node with the given results (named here) and puts them into the pool; returns the first."""
        first, named = self._add(op, inputs, results, attributes)
        for value in named:
            self.pool.append(self.squash(value))
        return first

    def inner(self, op: str, inputs, result: Value, **attributes) -> Value:
        """Adds a node inside of a pattern: mostly, nobody else reads its result."""
        if self.draw.random() < 0.05:
            return self.node(op, inputs, result, **attributes)
        return self._add(op, inputs, [result], attributes)[0]

    def _add(self, op: str, inputs, results, attributes: dict) -> tuple[Value, list[Value]]:
        named = [dataclasses.replace(result, name=self.fresh("v")) for result in results]
        self.nodes.append(helper.make_node(op, [value.name if value else "" for value in inputs], [value.name for value in named],
                                           name=self.fresh(op.lower() + "_"), **attributes))
        self.read.update(value.name for value in inputs if value)
        return named[0], named

    def squash(self, value: Value) -> Value:
        """Brings a float that may be large back between -1 and 1."""
        if not value.is_float or value.bound <= 64:
            return value
        small = dataclasses.replace(value, name=self.fresh("v"), exact=False, bound=1.0)
        self.nodes.append(helper.make_node("Tanh", [value.name], [small.name], name=self.fresh("squash_")))
        self.read.add(value.name)
        return small

    def pick(self, condition=lambda value: True) -> Value | None:
        """Draws a value of the pool, younger ones more often."""
        fitting = [value for value in self.pool if condition(value)]
        return fitting[int(len(fitting) * self.draw.random() ** 0.6)] if fitting else None

    def finish(self) -> onnx.ModelProto:
        """Makes the model; its outputs are the values that nobody reads and a few others."""
        outputs = [value for value in self.pool if value.name not in self.read]
        outputs += self.draw.sample(self.pool, min(2, len(self.pool)))
        unique = list({value.name: value for value in outputs if all(value.name != given.name for given in self.inputs)}.values())
        symbols: dict[int, str] = {}

        fixed = self.draw.choice((0.3, 0.6, 0.6, 1))

        def dim(extent: int):
            if self.draw.random() < fixed:
                return extent
            return symbols.setdefault(extent, f"n{extent}") if self.draw.random() < 0.7 else self.fresh("s")

        kind = lambda value: helper.np_dtype_to_tensor_dtype(value.dtype)
        graph = helper.make_graph(self.nodes, f"seed{self.seed}", [helper.make_tensor_value_info(v.name, kind(v), [dim(extent) for extent in v.shape]) for v in self.inputs],
                                  [helper.make_tensor_value_info(v.name, kind(v), None) for v in unique], self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def random_shape(draw: random.Random, rank: int | None = None) -> tuple:
    """Draws a shape: small extents, now and then 1, rarely 0."""
    rank = draw.choice((0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4)) if rank is None else rank
    return tuple(draw.choice((1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 8, 16, 17)) if draw.random() > 0.02 else 0 for _ in range(rank))


def make_graph(seed: int) -> tuple[onnx.ModelProto, dict]:
    """Returns the model and the inputs of a seed."""
    from fuzz.operators import OPERATORS

    graph = Graph(seed)
    for _ in range(graph.draw.randint(2, 4)):
        graph.add_input(np.float32, random_shape(graph.draw))
    graph.add_input(np.float32, random_shape(graph.draw, 4))
    graph.add_input(graph.draw.choice((np.int64, np.int32, np.float64, np.float16, np.uint8, np.bool_)), random_shape(graph.draw))
    wanted = graph.draw.randint(10, 60)
    for _ in range(20 * wanted):
        if len(graph.nodes) >= wanted:
            break
        graph.draw.choice(OPERATORS)(graph)
    return graph.finish(), graph.feeds
