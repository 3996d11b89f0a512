"""Attention over keys and values that a model takes and returns with new rows behind them, as decoders do: the optimised form against -O0."""
import re

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import onager
from support.places import ONAGER
from support.seeds import get_seed
from support.tool import run_command

HEADS, DEPTH, SIZES = 3, 32, [(0, 0), (0, 5), (1, 0), (1, 1), (1, 255), (1, 256), (1, 257), (3, 600), (2, 5), (5, 40), (192, 3), (300, 40)]
LARGE = 33 << 20
"""Bytes of weights that no cache holds: copies of the past go past the caches."""


def make_step(weight_bytes: int, heads: int = HEADS, rows: int | str = "S", computed: bool = False) -> bytes:
    """q [B, heads, S, D] over past and new keys and values [B, 3, ., D], or sums of these with themselves; a table of so many bytes is looked up besides."""
    table = np.random.default_rng(1).standard_normal((weight_bytes // 4 // DEPTH, DEPTH)).astype(np.float32)
    nodes = [helper.make_node("Add", [f"new_{name}", f"new_{name}"], [f"sum_{name}"]) for name in ("k", "v") if computed]
    nodes += [helper.make_node("Concat", [f"past_{name}", f"sum_{name}" if computed else f"new_{name}"], [name], name=f"append_{name}", axis=2) for name in ("k", "v")]
    nodes += [
        helper.make_node("Attention", ["q", "k", "v", "bias"], ["attended"], name="attention"),
        helper.make_node("Gather", ["table", "id"], ["row"], name="look_up"),
        helper.make_node("Add", ["attended", "row"], ["y"], name="add"),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in [
        ("q", ["B", heads, rows, DEPTH]), ("past_k", ["B", HEADS, "P", DEPTH]), ("past_v", ["B", HEADS, "P", DEPTH]), ("new_k", ["B", HEADS, rows, DEPTH]),
        ("new_v", ["B", HEADS, rows, DEPTH]), ("bias", ["B", 1, rows, f"P + {rows}"])]] + [helper.make_tensor_value_info("id", TensorProto.INT64, [1])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "k", "v")]
    graph = helper.make_graph(nodes, "step", inputs, outputs, [numpy_helper.from_array(table, "table")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10).SerializeToString()


def draw(random, batch: int, rows: int, past: int, heads: int = HEADS) -> dict[str, np.ndarray]:
    feeds = {name: random.standard_normal((batch, HEADS, count, DEPTH)).astype(np.float32) for name, count in [("past_k", past), ("past_v", past), ("new_k", rows), ("new_v", rows)]}
    bias = random.standard_normal((batch, 1, rows, past + rows)).astype(np.float32)
    return feeds | {"q": random.standard_normal((batch, heads, rows, DEPTH)).astype(np.float32), "bias": bias, "id": random.integers(0, 8, 1)}


def double(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return feeds | {name: 2 * feeds[name] for name in ("new_k", "new_v")}


def check(found: list[np.ndarray], feeds: dict[str, np.ndarray], wanted: list[np.ndarray], where: str) -> None:
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-4, atol=1e-5, err_msg=where)
    for place, name in [(1, "k"), (2, "v")]:
        np.testing.assert_array_equal(found[place], np.concatenate([feeds[f"past_{name}"], feeds[f"new_{name}"]], axis=2), err_msg=f"{name}, {where}")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("heads", [HEADS, 2 * HEADS])
@pytest.mark.parametrize("weight_bytes", [4096, LARGE])
def test_sizes(weight_bytes, heads, threads, tmp_path):
    model, random = make_step(weight_bytes, heads), np.random.default_rng(get_seed())
    fast = onager.InferenceSession(onager.compile(model, tmp_path / "fast.so"), threads=threads, recompile="off")
    exact = onager.InferenceSession(onager.compile(model, tmp_path / "exact.so", opt_level=0), threads=threads)
    for rows, past in SIZES:
        for batch in (1, 2):
            feeds = draw(random, batch, rows, past, heads)
            check(fast.run(None, feeds), feeds, exact.run(None, feeds), f"{rows} rows, {past} before, {batch} texts")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [1, 2, "S"])
@pytest.mark.parametrize("weight_bytes", [4096, LARGE])
def test_new_rows_that_are_computed(weight_bytes, rows, threads, tmp_path):
    """A step for one query writes the caches as it reads them; others find new rows in memory first."""
    model, random = make_step(weight_bytes, rows=rows, computed=True), np.random.default_rng(get_seed())
    fast = onager.InferenceSession(onager.compile(model, tmp_path / "fast.so"), threads=threads, recompile="off")
    exact = onager.InferenceSession(onager.compile(model, tmp_path / "exact.so", opt_level=0), threads=threads)
    for past in (0, 1, 31, 256, 300):
        feeds = draw(random, 2, 1 if rows == "S" else rows, past)
        check(fast.run(None, feeds), double(feeds), exact.run(None, feeds), f"{past} before")


@pytest.mark.parametrize("rows", [1, "S"])
def test_queries_without_keys(rows, tmp_path):
    """Masks of minus infinity: what the softmax makes of no score is kept, also where caches are written besides."""
    model, random = make_step(LARGE, rows=rows), np.random.default_rng(get_seed())
    fast = onager.InferenceSession(onager.compile(model, tmp_path / "fast.so"), recompile="off")
    exact = onager.InferenceSession(onager.compile(model, tmp_path / "exact.so", opt_level=0))
    for count in (1,) if rows == 1 else (1, 5):
        feeds = draw(random, 1, count, 40)
        feeds["bias"][:, :, :1] = -np.inf
        feeds["past_v"][0, 0, 3, 2] = np.inf
        check(fast.run(None, feeds), feeds, exact.run(None, feeds), f"{count} rows")


def test_results_that_do_not_begin_with_a_line(tmp_path):
    """Small results lie where NumPy puts them."""
    model, random = make_step(LARGE), np.random.default_rng(get_seed())
    fast = onager.InferenceSession(onager.compile(model, tmp_path / "fast.so"), recompile="off")
    exact = onager.InferenceSession(onager.compile(model, tmp_path / "exact.so", opt_level=0))
    kept, places = [], set()
    for past in range(1, 120):
        feeds = draw(random, 1, 1, past)
        kept.append(fast.run(None, feeds))
        check(kept[-1], feeds, exact.run(None, feeds), f"{past} before")
        places |= {output.ctypes.data % 64 for output in kept[-1][1:]}
    assert 0 in places and len(places) > 1


def test_steps_follow_each_other(tmp_path):
    """What a step returns is the next one's past."""
    model, random = make_step(LARGE), np.random.default_rng(get_seed())
    fast = onager.InferenceSession(onager.compile(model, tmp_path / "fast.so"), threads=2, recompile="off")
    exact = onager.InferenceSession(onager.compile(model, tmp_path / "exact.so", opt_level=0))
    past = [np.zeros((1, HEADS, 0, DEPTH), np.float32)] * 2
    for step in range(40):
        feeds = draw(random, 1, 1, step) | {"past_k": past[0], "past_v": past[1]}
        found = fast.run(None, feeds)
        check(found, feeds, exact.run(None, feeds), f"step {step}")
        past = found[1:]


@pytest.mark.parametrize("heads", [HEADS, 2 * HEADS])
@pytest.mark.parametrize("weight_bytes", [4096, LARGE])
def test_what_is_marked(weight_bytes, heads, tmp_path):
    (tmp_path / "step.onnx").write_bytes(make_step(weight_bytes, heads))
    text = run_command(ONAGER, "compile", tmp_path / "step.onnx", "--stop-after", "kernel")
    assert re.findall(r"graph.attention .*operandSegmentSizes = array<i32: .*, (\d, \d)>", text) == ["1, 1"]
    assert ("nontemporal" in text) == (weight_bytes == LARGE)


@pytest.mark.parametrize("rows, computed, heads, written", [("S", False, HEADS, True), ("S", True, HEADS, False), ("S", False, 2 * HEADS, False), (1, True, HEADS, True), (1, False, HEADS, True),
                                                            (2, False, HEADS, False)])
def test_what_writes_caches(rows, computed, heads, written, tmp_path):
    (tmp_path / "step.onnx").write_bytes(make_step(4096, heads, rows, computed))
    text = run_command(ONAGER, "compile", tmp_path / "step.onnx", "--stop-after", "kernel")
    assert ("<concat>" in text) != written
