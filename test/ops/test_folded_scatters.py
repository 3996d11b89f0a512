"""Assignments to parts of tensors whose places are known, alone and in chains, with slices of what came out: the optimised form against -O0, bit for bit."""
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import onager
from support.places import ONAGER
from support.seeds import get_seed
from support.tool import run_command

SHAPE = (3, 6, 5)


class Chain:
    """Nodes that assign to a tensor and slice it again."""

    def __init__(self, random):
        self.random, self.nodes, self.weights, self.inputs, self.feeds = random, [], [], [], {}
        self.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE))
        self.feeds["x"] = random.standard_normal(SHAPE).astype(np.float32)

    def constant(self, values) -> str:
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def assign(self, x: str, places: np.ndarray) -> str:
        """Places [..., k] of the first k dims get new values."""
        shape = places.shape[:-1] + SHAPE[places.shape[-1] :]
        update, y = f"u{len(self.nodes)}", f"y{len(self.nodes)}"
        self.inputs.append(helper.make_tensor_value_info(update, TensorProto.FLOAT, shape))
        self.feeds[update] = self.random.standard_normal(shape).astype(np.float32)
        self.nodes.append(helper.make_node("ScatterND", [x, self.constant(places), update], [y], name=f"scatter{len(self.nodes)}"))
        return y

    def assign_box(self, x: str, starts, counts, fromEnd: bool = False) -> str:
        grids = np.meshgrid(*[np.arange(start, start + count) - (SHAPE[k] if fromEnd else 0) for k, (start, count) in enumerate(zip(starts, counts, strict=True))], indexing="ij")
        return self.assign(x, np.stack(grids, axis=-1))

    def slice(self, x: str, axis: int, start: int, end: int, step: int) -> str:
        y = f"s{len(self.nodes)}"
        self.nodes.append(helper.make_node("Slice", [x, *(self.constant([number]) for number in (start, end, axis, step))], [y], name=f"slice{len(self.nodes)}"))
        return y

    def check(self, outputs: list[str], tmp_path) -> list[str]:
        graph = helper.make_graph(self.nodes, "chain", self.inputs, [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()
        fast, exact = (onager.compile(model, tmp_path / f"chain{level}.so", opt_level=level) for level in (3, 0))
        for found, wanted in zip(onager.InferenceSession(fast).run(None, self.feeds), onager.InferenceSession(exact).run(None, self.feeds), strict=True):
            np.testing.assert_array_equal(found, wanted)
        return [launch["hero"] for launch in json.loads(run_command(ONAGER, "inspect", "--json", fast))["launches"]]


@pytest.mark.parametrize("starts, counts", [([0], [1]), ([2], [1]), ([1], [2]), ([0], [3]), ([0, 2], [3, 2]), ([1, 0], [1, 6]), ([0, 0, 3], [3, 6, 2]), ([0, 0, 0], [3, 6, 5])])
@pytest.mark.parametrize("fromEnd", [False, True])
def test_boxes(starts, counts, fromEnd, tmp_path):
    chain = Chain(np.random.default_rng(get_seed()))
    assert "scatter" not in chain.check([chain.assign_box("x", starts, counts, fromEnd)], tmp_path)


@pytest.mark.parametrize("places", [[[1], [0]], [[1], [1]], [[0, 1]], [[0, 0], [1, 1]], [[0, 1], [0, 3]]])
def test_what_is_no_box(places, tmp_path):
    chain = Chain(np.random.default_rng(get_seed()))
    assert "scatter" in chain.check([chain.assign("x", np.array(places))], tmp_path)


def test_a_tensor_that_is_assigned_whole_is_not_copied(tmp_path):
    """Row by row, as loops that an exporter unrolled do; reading a row reads what was assigned."""
    chain = Chain(np.random.default_rng(get_seed()))
    x = "x"
    for row in range(SHAPE[0]):
        x = chain.assign_box(x, [row], [1])
    heroes = chain.check([x, chain.slice(x, 0, 1, 2, 1)], tmp_path)
    assert heroes.count("concat") == 1


@pytest.mark.parametrize("round", range(24))
def test_random_chains(round, tmp_path):
    random = np.random.default_rng([get_seed(), round])
    chain, x, outputs = Chain(random), "x", []
    for _ in range(int(random.integers(1, 6))):
        depth, narrow = int(random.integers(1, 4)), int(random.integers(0, 3))
        starts, counts = [0] * depth, list(SHAPE[:depth])
        if narrow < depth:
            starts[narrow] = int(random.integers(0, SHAPE[narrow]))
            counts[narrow] = int(random.integers(1, SHAPE[narrow] - starts[narrow] + 1))
        x = chain.assign_box(x, starts, counts, bool(random.integers(2)))
        axis = int(random.integers(0, 3))
        start, step = int(random.integers(0, SHAPE[axis])), int(random.choice([1, 1, 2, -1, -2]))
        outputs.append(chain.slice(x, axis, start, SHAPE[axis] if step > 0 else -SHAPE[axis] - 1, step))
        if random.random() < 0.5:
            outputs[-1] = chain.slice(outputs[-1], axis, 0, 9, int(random.choice([1, 2])))
    chain.check([*outputs, x], tmp_path)
