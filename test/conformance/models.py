"""Real models with recorded data: at their own shapes, and with each symbol of their inputs doubled."""
import json
import pathlib

import numpy as np
import onnx
from onnx import helper

from conformance.suite import find_inputs, load_sets
from support.compare import is_near


_MOST_ELEMENTS = 1 << 22


def _reference(path: str, feeds: dict) -> list:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, feeds)


def _find_symbols(inputs) -> list[str]:
    return sorted({dim.dim_param for value in inputs for dim in value.type.tensor_type.shape.dim if dim.dim_param})


def _double(feeds: dict, inputs, symbol: str) -> dict:
    doubled = dict(feeds)
    for value in inputs:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_param == symbol:
                doubled[value.name] = np.concatenate([doubled[value.name]] * 2, axis)
    return doubled


def _make_map(model: onnx.ModelProto, generator) -> dict:
    """Every second word that a DictVectorizer of the model looks for."""
    words = [word for node in model.graph.node if node.op_type == "DictVectorizer" for attribute in node.attribute for word in attribute.strings or attribute.ints]
    return {word.decode() if isinstance(word, bytes) else word: float(generator.random()) for word in words[::2]}


def _make_inputs(model: onnx.ModelProto, inputs, extent: int) -> dict:
    generator, feeds = np.random.default_rng(0), {}
    for value in inputs:
        if value.type.HasField("map_type"):
            feeds[value.name] = _make_map(model, generator)
            continue
        kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        shape = [dim.dim_value if dim.dim_value > 0 else extent for dim in value.type.tensor_type.shape.dim]
        feeds[value.name] = (generator.random(shape) if kind.kind == "f" else generator.integers(0, 2, shape)).astype(kind)
    return feeds


def _make_cases(folder: pathlib.Path, model: onnx.ModelProto, path: str):
    inputs = find_inputs(model)
    found = False
    for label, feeds, outputs in load_sets(folder, model):
        found = True
        yield label, feeds, outputs if any(output is not None for output in outputs) else _reference(path, feeds)
        for symbol in _find_symbols(inputs):
            doubled = _double(feeds, inputs, symbol)
            try:
                yield f"{label}, {symbol} doubled", doubled, _reference(path, doubled)
            except Exception:  # the reference itself refuses this shape
                continue
    for extent in () if found else (1, 2, 64, 96, 160):
        feeds = _make_inputs(model, inputs, extent)
        # A symbol that stands for the batch beside fixed pixels would ask for more memory than there is.
        if any(np.size(array) > _MOST_ELEMENTS for array in feeds.values()):
            continue
        try:
            yield f"seeded inputs, extent {extent}", feeds, _reference(path, feeds)
        except Exception:
            continue


def run_model(task) -> tuple[str, str]:
    """Runs (root, name): right, wrong or refused, and why."""
    import onager

    root, name = task
    folder = pathlib.Path(root) / name
    path = str(folder / "model.onnx")
    model = onnx.load(path, load_external_data=False)
    manifest = folder / "manifest.json"
    facts = json.loads(manifest.read_text()) if manifest.exists() else {}
    slack = 2 * float(facts.get("onnxruntime_1_30", {}).get("max_abs_diff_allopt_vs_noopt") or 0)
    try:
        session = onager.InferenceSession(path)
    except onager.CompileError as error:
        return "refused" if error.status == 3 else "error", str(error)[:400]
    count = 0
    for label, feeds, outputs in _make_cases(folder, model, path):
        for value, mine, wanted in zip(model.graph.output, session.run(None, feeds), outputs):
            if wanted is not None and not is_near(mine, wanted, slack):
                gap = np.abs(np.asarray(mine, np.float64) - wanted).max() if np.shape(mine) == np.shape(wanted) else f"shape {np.shape(mine)}"
                return "wrong", f"{label}, output '{value.name}': off by {gap}"
        count += 1
    return ("right", f"{count} cases") if count else ("error", "no usable inputs")
