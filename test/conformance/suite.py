"""One case of an ONNX backend suite in one of its forms, run in a worker process.

Forms: `as-is`; `symbolic`, where every dim of every input gets a name of its own and outputs forget their shapes (vectors of integers keep
their length, which is a rank elsewhere); `constant`, where tensor inputs become initialisers; `O0`, as it is at -O0.
"""
import pathlib

import numpy as np
import onnx
from onnx import numpy_helper

from support.compare import differs

FORMS = {"as-is": "a", "symbolic": "s", "constant": "c", "O0": "0"}
_RANDOM = {"Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial"}
_INTEGERS = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)


def load_value(path: pathlib.Path, kind: onnx.TypeProto):
    """Reads one .pb file as what the model says it holds."""
    readers = {"sequence_type": (onnx.SequenceProto, numpy_helper.to_list), "optional_type": (onnx.OptionalProto, numpy_helper.to_optional),
               "map_type": (onnx.MapProto, numpy_helper.to_dict)}
    message, convert = readers.get(kind.WhichOneof("value"), (onnx.TensorProto, numpy_helper.to_array))
    return convert(message.FromString(path.read_bytes()))


def find_inputs(model: onnx.ModelProto) -> list:
    """Returns the inputs that a caller feeds."""
    fixed = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in fixed]


def load_sets(folder: pathlib.Path, model: onnx.ModelProto):
    """Yields (name, feeds, expected outputs) for each data set; None for outputs without a file."""
    for path in sorted(folder.glob("*_data_set_*")):
        feeds = {value.name: load_value(path / f"input_{k}.pb", value.type)
                 for k, value in enumerate(find_inputs(model)) if (path / f"input_{k}.pb").exists()}
        outputs = [load_value(path / f"output_{k}.pb", value.type) if (path / f"output_{k}.pb").exists() else None
                   for k, value in enumerate(model.graph.output)]
        yield path.name, feeds, outputs


def _make_symbolic(model: onnx.ModelProto) -> None:
    for i, value in enumerate(model.graph.input):
        if not value.type.HasField("tensor_type"):
            continue
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 1 and value.type.tensor_type.elem_type in _INTEGERS:
            continue
        for k, dim in enumerate(dims):
            dim.dim_param = f"d{i}_{k}"
    for value in model.graph.output:
        for dim in value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ():
            dim.Clear()
    del model.graph.value_info[:]


def _make_constant(model: onnx.ModelProto, feeds: dict) -> None:
    kept = []
    for value in model.graph.input:
        array = feeds.get(value.name)
        if not isinstance(array, np.ndarray) or not value.type.HasField("tensor_type"):
            kept.append(value)
            continue
        tensor = numpy_helper.from_array(array, value.name)
        tensor.data_type = value.type.tensor_type.elem_type
        model.graph.initializer.append(tensor)
        del feeds[value.name]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.ir_version = max(model.ir_version, 4)  # before 4 an initialiser had to be an input, too


def _draws_numbers(model: onnx.ModelProto) -> bool:
    ops = {node.op_type for node in model.graph.node}
    return bool(ops & _RANDOM) or ("Dropout" in ops and len(find_inputs(model)) > 2)


def run_case(task, prepare=None, **more) -> tuple[str, str]:
    """Runs (root, name, form): right, wrong or refused, and why. `prepare` changes each array that is fed; `more` are options of the compiler."""
    import onager

    root, name, form = task
    folder = pathlib.Path(root) / name
    model = onnx.load(folder / "model.onnx")
    is_random = _draws_numbers(model)
    options = more | ({"opt_level": 0} if form == "O0" else {})
    session = None
    for label, feeds, outputs in load_sets(folder, model):
        try:
            if form in ("as-is", "O0"):
                session = session or onager.InferenceSession(str(folder / "model.onnx"), **options)
            else:
                changed = onnx.ModelProto()
                changed.CopyFrom(model)
                _make_symbolic(changed) if form == "symbolic" else _make_constant(changed, feeds)
                session = onager.InferenceSession(changed.SerializeToString(), **options)
        except onager.CompileError as error:
            # An internal error is a failure of the compiler, whatever the model.
            return "refused" if error.status == 3 else "error", str(error)[:400]
        if prepare:
            feeds = {name: prepare(value) if isinstance(value, np.ndarray) and value.dtype != object else value for name, value in feeds.items()}
        found = session.run(None, feeds)
        if len(found) != len(outputs):
            return "wrong", f"{len(found)} outputs instead of {len(outputs)}"
        for value, mine, wanted in zip(model.graph.output, found, outputs):
            reason = differs(mine, wanted, is_random) if wanted is not None else ""
            if reason:
                return "wrong", f"{label}, output '{value.name}': {reason}"
    return ("right", "") if session else ("error", "no data set")
