"""Shrinks a model that shows a difference: fewer outputs, then inner values become inputs and dead nodes go, as long as it still differs."""
import numpy as np
import onnx
from onnx import helper, numpy_helper

from fuzz.compare import compare, run_reference
from support.workers import run_tasks


def judge(task) -> tuple[str, str]:
    """Compares a candidate in a worker process."""
    return compare(task.data, dict(task.feeds), task.forms)


class Candidate:
    """A model with its inputs and the forms to compare; hashable, so that it can be a task."""

    def __init__(self, data: bytes, feeds: dict, forms: tuple):
        self.data, self.feeds, self.forms = data, feeds, forms


def verdict(data: bytes, feeds: dict, forms: tuple) -> tuple[str, str]:
    """Compares in a worker, so that a crash is a verdict, too."""
    (result,) = run_tasks(judge, [Candidate(data, feeds, forms)], seconds=60, workers=1, keep=True).values()
    return result


def prune(model: onnx.ModelProto) -> None:
    """Drops nodes, initialisers and inputs that no output depends on."""
    needed = {output.name for output in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(name for name in node.input if name)
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))
    for field in (model.graph.initializer, model.graph.input):
        used = [item for item in field if item.name in needed]
        del field[:]
        field.extend(used)


def _with_outputs(data: bytes, names: list[str]) -> onnx.ModelProto:
    model = onnx.ModelProto.FromString(data)
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, 0, None) for name in names)
    for output in model.graph.output:
        output.ClearField("type")
    return model


def _type_outputs(model: onnx.ModelProto, values: dict) -> None:
    for output in model.graph.output:
        output.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(values[output.name].dtype)


def _compute_all(data: bytes, feeds: dict) -> dict:
    """Every value of the model, by the reference."""
    names = [name for node in onnx.ModelProto.FromString(data).graph.node for name in node.output if name]
    return dict(zip(names, run_reference(_with_outputs(data, names).SerializeToString(), feeds)))


def _cut(data: bytes, feeds: dict, name: str, value: np.ndarray) -> tuple[bytes, dict]:
    """Makes an inner value an input."""
    model = onnx.ModelProto.FromString(data)
    for node in model.graph.node:
        for k, output in enumerate(node.output):
            if output == name:
                node.output[k] = name + "_unused"
    model.graph.input.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape))
    prune(model)
    given = {item.name for item in model.graph.input}
    return model.SerializeToString(), {key: array for key, array in (feeds | {name: value}).items() if key in given}


def shrink(data: bytes, feeds: dict, forms: tuple) -> tuple[bytes, dict, str]:
    """Returns a smaller model with its inputs, and how it differs."""
    kind, reason = verdict(data, feeds, forms)
    values = _compute_all(data, feeds)

    def attempt(smaller: bytes, given: dict) -> bool:
        nonlocal data, feeds, kind, reason
        found = verdict(smaller, given, forms)
        if found[0] != kind:
            return False
        data, feeds, reason = smaller, given, found[1]
        return True

    for output in [output.name for output in onnx.ModelProto.FromString(data).graph.output]:
        model = _with_outputs(data, [output])
        _type_outputs(model, values)
        prune(model)
        given = {item.name for item in model.graph.input}
        if attempt(model.SerializeToString(), {key: array for key, array in feeds.items() if key in given}):
            break
    # Cutting late values first takes away most nodes at once.
    progress = True
    while progress:
        progress = False
        nodes = onnx.ModelProto.FromString(data).graph.node
        outputs = {output.name for output in onnx.ModelProto.FromString(data).graph.output}
        for name in [name for node in reversed(nodes) for name in node.output if name in values and name not in outputs]:
            if any(name in node.output for node in onnx.ModelProto.FromString(data).graph.node):
                progress |= attempt(*_cut(data, feeds, name, values[name]))
    return data, feeds, reason


def describe(data: bytes, feeds: dict) -> str:
    """Prints a reduced model: its nodes, constants and inputs."""
    model = onnx.ModelProto.FromString(data)
    lines = [f"  {helper.printable_node(node)}" for node in model.graph.node]
    lines += [f"  {item.name} = {numpy_helper.to_array(item).tolist() if np.prod(item.dims) <= 16 else list(item.dims)}" for item in model.graph.initializer]
    lines += [f"  {name}: {array.dtype}{list(array.shape)}" for name, array in feeds.items()]
    return "\n".join(lines)
