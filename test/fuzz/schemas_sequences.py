"""Generators for sequences, optional values, constants and operators that hold a graph."""
import numpy as np
from onnx import TypeProto, helper

from fuzz.draw import Typed, to_onnx


def _tensor_type(element: str, rank: int | None = None) -> TypeProto:
    return helper.make_tensor_type_proto(to_onnx(element), None if rank is None else [None] * rank)


def _sequence_type(element: str, rank: int | None = None) -> TypeProto:
    return helper.make_sequence_type_proto(_tensor_type(element, rank))


def _type_of(text: str, element: str, rank: int | None = None) -> TypeProto:
    """The type that a binding names; compiled models need the ranks of elements that they take out."""
    made = _sequence_type(element, rank) if "seq(" in text else _tensor_type(element, rank)
    return helper.make_optional_type_proto(made) if text.startswith("optional(") else made


def _sequence(draw, place: int, shapes) -> Typed:
    element = draw.element(place)
    return Typed([draw.values(place, shape) for shape in shapes], _sequence_type(element, len(shapes[0]) if shapes else None))


def _shapes(draw, count: int | None = None) -> list:
    count = draw.whole(1, 4) if count is None else count
    rank = draw.whole(1, 3)
    return [draw.shape(rank, least=1) for _ in range(count)]


def _at(draw):
    draw.retype("I")
    shapes = _shapes(draw)
    return draw.node([_sequence(draw, 0, shapes), np.array(draw.whole(-len(shapes), len(shapes) - 1)).astype(draw.kind(1))])


def _construct(draw):
    return draw.node([draw.values(0, shape) for shape in _shapes(draw)])


def _empty(draw):
    return draw.node([], dtype=to_onnx(draw.element(0, output=True)))


def _erase(draw):
    draw.retype("I")
    shapes = _shapes(draw)
    at = [np.array(draw.whole(-len(shapes), len(shapes) - 1)).astype(draw.kind(1))]
    return draw.node([_sequence(draw, 0, shapes)] + (at if draw.often() else []))


def _insert(draw):
    draw.retype("I")
    shapes = _shapes(draw)
    at = [np.array(draw.whole(-len(shapes), len(shapes))).astype(draw.kind(2))]
    return draw.node([_sequence(draw, 0, shapes), draw.values(1, draw.shape(len(shapes[0]), least=1))] + (at if draw.often() else []))


def _length(draw):
    return draw.node([_sequence(draw, 0, _shapes(draw, draw.whole(0, 4)))])


def _concat(draw):
    shape, new = draw.shape(draw.whole(1, 3), least=1), draw.one(0, 1)
    axis = draw.whole(0, len(shape) - 1)
    return draw.node([_sequence(draw, 0, [shape] * draw.whole(1, 4))], axis=draw.one(axis, axis - len(shape)), new_axis=new)


def _split(draw):
    draw.retype("I")
    shape = draw.shape(draw.whole(1, 3), least=1)
    axis = draw.whole(0, len(shape) - 1)
    node = draw.node([draw.values(0, shape)], axis=draw.one(axis, axis - len(shape)))
    form = draw.one("none", "size", "sizes")
    if form == "none":
        node.attributes["keepdims"] = draw.one(0, 1)
    elif form == "size":
        node.inputs.append(np.array(draw.whole(1, shape[axis])).astype(draw.kind(1)))
    else:
        first = draw.whole(0, shape[axis])
        node.inputs.append(np.array([first, shape[axis] - first]).astype(draw.kind(1)))
    return node


def _value(draw, text: str, element: str):
    """A tensor, or a sequence where the type says so; as a Typed value where it is no plain tensor."""
    rank = draw.whole(0, 2)
    tensor = lambda: _fill(draw, element, draw.shape(rank, least=1))
    if "(" not in text:
        return tensor()
    value = [tensor() for _ in range(draw.whole(1, 3))] if "seq(" in text else tensor()
    return Typed(value, _type_of(text, element, rank))


def _fill(draw, element: str, shape) -> np.ndarray:
    from fuzz.draw import fill

    return fill(draw.numbers, element, tuple(shape), -6 if "uint" not in element else 0, 6)


def _optional(draw):
    text = draw.text(0)
    element = draw.element(0)
    if draw.often(0.3):
        node = draw.node([], type=_type_of(text, element, 1))
        node.wanted = [None]
        return node
    node = draw.node([_value(draw, text, element)])
    node.wanted = [node.inputs[0].value if isinstance(node.inputs[0], Typed) else node.inputs[0]]
    return node


def _get_element(draw):
    node = draw.node([_value(draw, draw.text(0), draw.element(0))])
    node.wanted = [node.inputs[0].value if isinstance(node.inputs[0], Typed) else node.inputs[0]]
    return node


def _has_element(draw):
    value = _value(draw, draw.text(0), draw.element(0))
    if isinstance(value, Typed) and draw.text(0).startswith("optional(") and draw.often():
        value.value = None
    node = draw.node([value])
    node.wanted = [np.array(not isinstance(value, Typed) or value.value is not None)]
    return node


def _constant(draw):
    element = draw.element(0, output=True)
    if draw.version >= 12 and draw.often(0.4):
        choices = {"float": [("value_float", 1.5), ("value_floats", [1.0, -2.5])], "int64": [("value_int", -7), ("value_ints", [3, 2, 1])],
                   "string": [("value_string", "déjà"), ("value_strings", ["a", "", "b"])]}
        if element in choices:
            label, value = draw.one(*choices[element])
            return draw.node([], **{label: value})
    from onnx import numpy_helper

    from fuzz.draw import fill
    value = fill(draw.random, element, draw.shape(), 0, 1 if element in ("int2", "uint2", "float4e2m1") else 6)
    return draw.node([], value=numpy_helper.from_array(value, "value"))


def _copies(names: list, results: list, nodes: list, inputs: list, outputs: list, initializers=()):
    return helper.make_graph([*nodes, *[helper.make_node("Identity", [name], [result]) for name, result in zip(names, results)]], "body", inputs, outputs, initializers)


def _info(name: str, text: str, element: str, shape=None):
    return helper.make_value_info(name, _type_of(text, element) if "(" in text else helper.make_tensor_type_proto(to_onnx(element), shape))


def _if(draw):
    """Branches that give a constant each; a sequence is made of it where the type is one."""
    from onnx import numpy_helper

    text = next(iter(value for label, value in draw.types.items() if label == "V"))
    element = draw.element(0, output=True)
    graphs, results, chosen = [], [], draw.often()
    for name in ("then", "else"):
        value = _random_fill(draw, element, draw.shape(2, least=1) if draw.often(0.3) else (2, 3))
        nodes = [helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(value, name))]
        last = "c"
        if "seq(" in text:
            nodes.append(helper.make_node("SequenceConstruct", ["c", "c"], ["s"]))
            last = "s"
        if text.startswith("optional("):
            nodes.append(helper.make_node("Optional", [last], ["p"]))
            last = "p"
        graphs.append(_copies([last], ["y"], nodes, [], [_info("y", text, element)]))
        results.append([value, value] if "seq(" in text else value)
    node = draw.node([np.array(chosen)], then_branch=graphs[0], else_branch=graphs[1])
    node.wanted = [results[0 if chosen else 1]]
    return node


def _random_fill(draw, element: str, shape) -> np.ndarray:
    from fuzz.draw import fill

    return fill(draw.random, element, tuple(shape), 0, 1 if element in ("int2", "uint2", "float4e2m1") else 6)


def _loop(draw):
    """A loop that carries a value on, exchanges two and gives a slice of each trip."""
    text, element = draw.types["V"], draw.element(2)
    trips, stop = draw.whole(1, 4), draw.whole(0, 3)  # the shape of slices that never were is not known where dims are exchanged
    if "(" in text:
        # A sequence that grows by its own first element in each trip.
        value = _value(draw, text, element)
        nodes = [helper.make_node("Identity", ["go"], ["more"])]
        body = _copies(["v"], ["w"], nodes, [_info("k", "int64", "int64", []), _info("go", "bool", "bool", []), _info("v", text, element)],
                       [_info("more", "bool", "bool", []), _info("w", text, element)])
        node = draw.node([np.array(trips), np.array(True), value], 1, body=body)
        node.wanted = [value.value]
        return node
    shape = draw.shape(draw.whole(0, 2), least=1)
    a, b = _fill(draw, element, shape), _fill(draw, element, shape)
    from onnx import numpy_helper

    nodes = [helper.make_node("Less", ["k", "limit"], ["more"])] if draw.version >= 11 and draw.often() else [helper.make_node("Identity", ["go"], ["more"])]
    if draw.version < 11:
        nodes = [helper.make_node("Identity", ["go"], ["more"])]
    body = _copies(["v", "u", "u"], ["w", "x", "y"], nodes,
                   [_info("k", "int64", "int64", []), _info("go", "bool", "bool", []), _info("u", element, element, shape), _info("v", element, element, shape)],
                   [_info("more", "bool", "bool", []), _info("w", element, element, shape), _info("x", element, element, shape), _info("y", element, element, shape)],
                   [numpy_helper.from_array(np.array(stop), "limit")])
    count = trips
    if nodes[0].op_type == "Less":
        count = min(trips, stop + 1)
    node = draw.node([np.array(trips), np.array(True), a, b], 3, body=body)
    carried, slices = [a, b], []
    for _ in range(count):
        slices.append(carried[0])
        carried = [carried[1], carried[0]]
    node.wanted = [*carried, np.stack(slices) if slices else np.zeros((0, *shape), a.dtype)]
    return node


def _scan(draw):
    """A scan that exchanges its state with each slice."""
    element = draw.element(0)
    batch, length, shape = draw.whole(1, 2), draw.whole(1, 4), draw.shape(draw.whole(0, 2), least=1)
    state, data = _fill(draw, element, shape), _fill(draw, element, (length, *shape))
    infos = lambda *names: [_info(name, element, element, shape) for name in names]
    body = _copies(["x", "s"], ["t", "y"], [], infos("s", "x"), infos("t", "y"))
    if draw.version == 8:
        state, data = _fill(draw, element, (batch, *shape)), _fill(draw, element, (batch, length, *shape))
        node = draw.node([None, state, data], 2, body=body, num_scan_inputs=1)
        node.wanted = [data[:, -1], np.concatenate([state[:, None], data[:, :-1]], 1)]
        return node
    backwards, into = draw.one(0, 1), draw.one(0, 1)
    node = draw.node([state, data], 2, body=body, num_scan_inputs=1, scan_input_directions=[backwards], scan_output_directions=[into])
    order = data[::-1] if backwards else data
    y = np.concatenate([state[None], order[:-1]])
    node.wanted = [order[-1], y[::-1] if into else y]
    return node


def _map(draw):
    """A map that gives each element and that of another input, a tensor or a sequence of the same length."""
    element, count = draw.element(0), draw.whole(0, 3)
    shape, second = draw.shape(draw.whole(1, 2), least=1), draw.types["V"]
    other = "int64" if "(" in second else second
    first = Typed([_fill(draw, element, shape) for _ in range(count)], _sequence_type(element, len(shape)))
    value = _fill(draw, element if "(" in second else other, shape)
    kind = element if "(" in second else other
    if "(" in second:
        value = Typed([_fill(draw, element, shape) for _ in range(count)], _sequence_type(element, len(shape)))
    body = _copies(["a", "b"], ["c", "d"], [], [_info("a", element, element), _info("b", kind, kind)], [_info("c", element, element), _info("d", kind, kind)])
    node = draw.node([first, value], 2, body=body)
    node.wanted = [first.value, value.value if isinstance(value, Typed) else [value] * count]
    return node


GENERATORS = {"ConcatFromSequence": _concat, "Constant": _constant, "If": _if, "Loop": _loop, "Optional": _optional, "OptionalGetElement": _get_element,
              "OptionalHasElement": _has_element, "Scan": _scan, "SequenceAt": _at, "SequenceConstruct": _construct, "SequenceEmpty": _empty, "SequenceErase": _erase,
              "SequenceInsert": _insert, "SequenceLength": _length, "SequenceMap": _map, "SplitToSequence": _split}
