"""Models of single nodes that generators draw, and what they are run on."""
import dataclasses

import numpy as np
from onnx import helper, numpy_helper

from fuzz import schemas
from fuzz.draw import Draw, Fixed, Node, Sparse, Typed

COMPANION = 21  # the operator set of ai.onnx in models of other domains


@dataclasses.dataclass
class Part:
    """A node with what a model needs of it."""
    node: object
    infos: list
    initializers: list
    results: list
    sparse: list = dataclasses.field(default_factory=list)


def draw_node(case: tuple, turn: int = 0) -> Node:
    """Draws the node of a case with the inputs of a turn; only `numbers` of the source change with the turn."""
    schema = schemas.get_schemas()[case[:3]][0]
    draw = Draw(schema, schemas.get_bindings(case[:3])[case[3]], case[4], turn)
    return schemas.get_generator(case)(draw)


def make_feeds(drawn: Node, prefix: str = "") -> dict:
    feeds = {}
    for place, value in enumerate(drawn.inputs):
        if value is not None and not isinstance(value, Fixed):
            feeds[f"{prefix}i{place}"] = value.value if isinstance(value, Typed) else np.asarray(value)
    return feeds


def _make_info(label: str, value, open_dims: bool):
    if isinstance(value, Typed):
        return helper.make_value_info(label, value.type)
    # The length of a vector of indices may be a rank, which is never open.
    fixed = value.ndim - 1 if value.dtype in (np.int32, np.int64) else -1
    dims = [f"{label}_{axis}" if open_dims and axis != fixed else extent for axis, extent in enumerate(value.shape)]
    return helper.make_tensor_value_info(label, helper.np_dtype_to_tensor_dtype(value.dtype), dims)


def _make_sparse(label: str, value: np.ndarray):
    """Makes an initialiser of the elements that are not 0, by their places in row-major order."""
    places = np.flatnonzero(value)
    return helper.make_sparse_tensor(numpy_helper.from_array(value.reshape(-1)[places], label), numpy_helper.from_array(places.astype(np.int64)), list(value.shape))


def make_part(case: tuple, drawn: Node, prefix: str = "") -> Part:
    """Makes the node of a case; names start with the prefix. Half of all cases have dims that are known only while running."""
    domain, name, _, _, seed = case
    open_dims = drawn.is_open and np.random.default_rng([seed, 1]).random() < 0.5
    names = ["" if value is None else f"{prefix}i{place}" for place, value in enumerate(drawn.inputs)]
    results = [f"{prefix}o{place}" if present else "" for place, present in enumerate(drawn.get_outputs())]
    infos, initializers, sparse = [], [], []
    for label, value in zip(names, drawn.inputs):
        if isinstance(value, Sparse):
            sparse.append(_make_sparse(label, value.value))
        elif isinstance(value, Fixed):
            initializers.append(numpy_helper.from_array(np.asarray(value.value), label))
        elif value is not None:
            infos.append(_make_info(label, value if isinstance(value, Typed) else np.asarray(value), open_dims))
    node = helper.make_node(name, names, results, name=f"{prefix}node", domain=domain, **drawn.attributes)
    return Part(node, infos, initializers, [result for result in results if result], sparse)


def make_model(parts: list, opset: tuple):
    """Returns a model of one module with all parts, which have one operator set."""
    outputs = [helper.make_empty_tensor_value_info(result) for part in parts for result in part.results]
    graph = helper.make_graph([part.node for part in parts], "cases", sum((part.infos for part in parts), []), outputs, sum((part.initializers for part in parts), []),
                              sparse_initializer=sum((part.sparse for part in parts), []))
    opsets = [helper.make_opsetid(*opset)] + ([helper.make_opsetid("", COMPANION)] if opset[0] else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)
