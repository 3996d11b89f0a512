"""What is measured: each case is a model, inputs at certain shapes, and the floating-point operations of a run where they can be counted."""
import dataclasses
import math
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from places import WORK, find_models, provide_topology
from topologies import make_feeds

# Network, name of the case, extents of the symbols.
TOPOLOGY_CASES = [
    ("mnist-mlp", "MLP 784-512-10, batch 1", {"batch": 1}),
    ("mnist-mlp", "MLP 784-512-10, batch 64", {"batch": 64}),
    ("mobilenetv2", "MobileNetV2, batch 1", {"batch": 1}),
    ("resnet50", "ResNet-50, batch 1", {"batch": 1}),
    ("resnet50", "ResNet-50, batch 8", {"batch": 8}),
    ("bert-base", "BERT-base, 128 tokens", {"batch": 1, "sequence": 128}),
    ("gpt2", "GPT-2, prompt of 128", {"batch": 1, "sequence": 128, "past": 0}),
    ("gpt2", "GPT-2, one token behind 128", {"batch": 1, "sequence": 1, "past": 128}),
]


@dataclasses.dataclass
class Case:
    """One row of the table."""

    name: str
    model: pathlib.Path
    feeds: dict[str, np.ndarray]
    flops: int | None

    def save_feeds(self) -> pathlib.Path:
        """Writes the inputs for the engines' processes; returns the file."""
        path = WORK / "inputs" / ("".join(c if c.isalnum() or c == "-" else "_" for c in self.name) + ".npz")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **self.feeds)
        return path


COUNTED = ("Conv", "MatMul", "Gemm")


def has_hidden_work(graph: onnx.GraphProto) -> bool:
    """Tells whether a branch or a loop's body holds counted operators: how often it runs is not known."""
    bodies = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    return any(has_hidden_work(body) or any(node.op_type in COUNTED for node in body.node) for body in bodies)


def measure_shapes(model: onnx.ModelProto, names: set[str], feeds: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of values, by running the model in ONNX Runtime with all of them as outputs. Changes the model."""
    shapes = {weight.name: tuple(weight.dims) for weight in model.graph.initializer} | {name: value.shape for name, value in feeds.items()}
    wanted = sorted(names - shapes.keys())
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.graph_optimization_level = 4, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return shapes | {name: value.shape for name, value in zip(wanted, session.run(wanted, feeds))}


def count_flops(path: pathlib.Path, feeds: dict[str, np.ndarray]) -> int | None:
    """Counts two operations for each multiply-add of convolutions and matrix products; None where there are none, or some run an unknown number of times."""
    model = onnx.load(path)
    nodes = [node for node in model.graph.node if node.op_type in COUNTED]
    if not nodes or has_hidden_work(model.graph):
        return None
    shapes = measure_shapes(model, {name for node in nodes for name in (*node.input[:2], node.output[0])}, feeds)
    total = 0
    for node in nodes:
        output, left, right = (shapes[name] for name in (node.output[0], node.input[0], node.input[1]))
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        depth = math.prod(right[1:]) if node.op_type == "Conv" else left[-2] if transposed else left[-1]
        total += 2 * math.prod(output) * depth
    return total


def read_recorded(folder: pathlib.Path, model: onnx.ModelProto) -> dict[str, np.ndarray] | None:
    """Returns the recorded inputs of a collected model; random floats where none were recorded, None where those would be no legal input."""
    stored = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    paths = sorted((folder / "ort_data_set_0").glob("input_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
    if len(paths) == len(inputs):
        return {value.name: numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes())) for value, path in zip(inputs, paths)}
    generator, feeds = np.random.default_rng(0), {}
    for value in inputs:
        if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            return None
        feeds[value.name] = generator.random([max(dim.dim_value, 1) for dim in value.type.tensor_type.shape.dim], dtype=np.float32)
    return feeds


def list_cases(wanted: list[str]) -> list[Case]:
    """Returns the cases whose names contain one of the words (all for none), networks of topologies.py first."""
    matches = lambda name: not wanted or any(word.lower() in name.lower() for word in wanted)
    cases = []
    for network, name, sizes in TOPOLOGY_CASES:
        if matches(name):
            path = provide_topology(network)
            feeds = make_feeds(onnx.load(path), sizes)
            cases.append(Case(name, path, feeds, count_flops(path, feeds)))
    collected = find_models()
    if collected is None:
        print("SKIPPED: the collected models are absent")
        return cases
    for path in sorted(collected.glob("*/model.onnx")):
        if matches(path.parent.name):
            feeds = read_recorded(path.parent, onnx.load(path))
            if feeds is None:
                print(f"SKIPPED: {path.parent.name} has no recorded inputs")
                continue
            cases.append(Case(path.parent.name, path, feeds, count_flops(path, feeds)))
    return cases
