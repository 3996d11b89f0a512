"""The result depends on the inputs alone: not on the number of threads, the place in the batch, or who else runs."""
import threading

import numpy as np
import pytest
from onnx import helper, numpy_helper

from determinism.networks import NETWORKS, make_inputs, make_network, take
from support.seeds import get_seed

BATCH = 8


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, tmp_path_factory):
    """The network's name and its artifact."""
    import onager

    path = tmp_path_factory.mktemp("determinism") / f"{request.param}.so"
    return request.param, onager.compile(make_network(request.param), path)


def _open(path, threads: int):
    import onager

    return onager.InferenceSession(path, threads=threads)


def _equal(found, expected) -> bool:
    return len(found) == len(expected) and all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(found, expected))


def test_threads(network):
    name, path = network
    feeds = make_inputs(name, BATCH, get_seed())
    expected = _open(path, 1).run(None, feeds)
    for threads in (2, 3):
        session = _open(path, threads)
        assert session.threads == threads
        for _ in range(3):
            assert _equal(session.run(None, feeds), expected), f"{threads} threads"


def test_single_rows_of_large_weights_over_threads():
    """Weights that caches do not hold are read in one stream, by each thread a share that begins and ends anywhere."""
    random = np.random.default_rng(3)
    weights = [numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name) for name, shape in (("w", (1024, 1003)), ("v", (1003, 1250)))]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["r"]), helper.make_node("MatMul", ["r", "v"], ["y"])], "rows",
                              [helper.make_tensor_value_info("x", 1, [1, 1024])], [helper.make_empty_tensor_value_info("y")], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
    feeds = {"x": random.standard_normal((1, 1024)).astype(np.float32)}
    expected = _open(model, 1).run(None, feeds)
    for threads in (2, 3, 4):
        for _ in range(5):
            assert _equal(_open(model, threads).run(None, feeds), expected), f"{threads} threads"


@pytest.mark.parametrize("columns", [160, 1000])  # weights that each thread reads whole, and those that threads share out
@pytest.mark.parametrize("fixed", [False, True])
def test_copied_rows_over_threads(columns, fixed):
    """Rows that share sets of the cache are copied once for the parts of a launch that a thread takes; the next launch and the next run copy their own."""
    random = np.random.default_rng(4)
    sizes, weights = [200] if fixed else [200, 9, 96, 97, 281], {"w": random.standard_normal((1024, 1024)) / 32, "v": random.standard_normal((1024, columns)) / 32}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Tanh", ["h"], ["t"]), helper.make_node("MatMul", ["t", "v"], ["y"])]
    graph = helper.make_graph(nodes, "copied", [helper.make_tensor_value_info("x", 1, [200 if fixed else "N", 1024])], [helper.make_empty_tensor_value_info("y")],
                              [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
    sessions = [_open(model, threads) for threads in (1, 2, 3, 4)]
    for size in 3 * sizes:
        x = random.standard_normal((size, 1024)).astype(np.float32)
        expected = sessions[0].run(None, {"x": x})
        np.testing.assert_allclose(expected[0], np.tanh(x @ weights["w"]) @ weights["v"], atol=1e-4)
        for session in sessions[1:]:
            assert _equal(session.run(None, {"x": x}), expected), f"{size} rows, {session.threads} threads"


def test_gathered_pixels_over_threads():
    """Pixels of bytes are gathered once for all filters that a thread takes of them; the next image, launch and run gather their own."""
    random = np.random.default_rng(6)
    image, groups = [3, 32, 14, 14], [1, 4]
    nodes, weights = [], {"s": np.float32(0.05), "t": np.float32(4), "z": np.uint8(128)}
    for k, group in enumerate(groups):
        weights |= {f"w{k}": random.integers(-127, 128, (160, 32 // group, 3, 3), np.int8)} if k else {f"w{k}": random.integers(-127, 128, (32, 32, 1, 1), np.int8)}
        nodes += [helper.make_node("QLinearConv", [f"x{k}", "s", "z", f"w{k}", "s", "n", "t", "z"], [f"x{k + 1}"], group=group, pads=[k] * 4)]
    weights["n"] = np.int8(0)
    graph = helper.make_graph(nodes, "gathered", [helper.make_tensor_value_info("x0", 2, image)], [helper.make_empty_tensor_value_info("x2")],
                              [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
    sessions = [_open(model, threads) for threads in (1, 2, 3, 4)]
    for _ in range(3):
        x = random.integers(0, 256, image, np.uint8)
        expected = sessions[0].run(None, {"x0": x})
        assert expected[0].std() > 5
        for session in sessions[1:]:
            assert _equal(session.run(None, {"x0": x}), expected), f"{session.threads} threads"
        for k in range(image[0]):
            alone = np.stack([x[k]] * image[0])
            assert _equal([sessions[2].run(None, {"x0": alone})[0][1:2]], [expected[0][k:k + 1]])


def test_batch(network):
    name, path = network
    feeds = make_inputs(name, BATCH, get_seed())
    for threads in (1, 2):
        session = _open(path, threads)
        whole = session.run(None, feeds)
        for place in range(BATCH):
            alone = session.run(None, {key: take(name, value, place) for key, value in feeds.items()})
            assert _equal(alone, [take(name, output, place) for output in whole]), f"entry {place}, {threads} threads"


def test_concurrent_callers(network):
    """Eight callers on a pool of two threads, each with inputs and a batch of its own."""
    name, path = network
    session, alone = _open(path, 2), _open(path, 1)
    feeds = [make_inputs(name, 1 + caller % 4, get_seed() + caller) for caller in range(8)]
    expected = [alone.run(None, feed) for feed in feeds]
    wrong, ready = [], threading.Barrier(len(feeds))

    def call(caller: int) -> None:
        ready.wait(30)
        for number in range(20):
            if not _equal(session.run(None, feeds[caller]), expected[caller]):
                wrong.append((caller, number))

    callers = [threading.Thread(target=call, args=(caller,)) for caller in range(len(feeds))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(120)
    assert not any(caller.is_alive() for caller in callers), "a caller hangs"
    assert not wrong


def test_changing_shapes(network):
    """What a session ran before leaves no trace in what it runs next."""
    name, path = network
    session, expected = _open(path, 2), {}
    for batch in (8, 1, 3, 8, 2, 1):
        feeds = make_inputs(name, batch, batch)
        found = session.run(None, feeds)
        assert _equal(found, expected.setdefault(batch, _open(path, 1).run(None, feeds))), f"batch {batch}"


def test_outputs_are_not_empty(network):
    name, path = network
    for output in _open(path, 1).run(None, make_inputs(name, 2, 3)):
        assert np.isfinite(output).all() and np.abs(output).max() > 0
