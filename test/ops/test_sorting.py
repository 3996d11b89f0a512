"""Selection and grouping at sizes around the blocks of their kernels, for every element type, on one thread and on two."""
import numpy as np
import pytest
from onnx import helper

from support.seeds import get_seed

TYPES = [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _open(op: str, ranks: dict, outputs: int, domain: str = "", **attributes):
    """Makes a model of one node over symbolic dims; `ranks` gives type and rank of each input, rank 1 of `k` being one element."""
    infos = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), [1] if name == "k" else [f"{name}{d}" for d in range(rank)]) for name, (dtype, rank) in ranks.items()]
    names = [f"y{k}" for k in range(outputs)]
    graph = helper.make_graph([helper.make_node(op, list(ranks), names, domain=domain, **attributes)], "g", infos, [helper.make_empty_tensor_value_info(name) for name in names])
    imports = [helper.make_opsetid("", 24), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString()


def _draw(random, dtype, shape) -> np.ndarray:
    """Few distinct numbers, and the extremes of the type."""
    x = random.integers(0, 20, shape).astype(dtype)
    if np.dtype(dtype).kind == "f":
        rare = [np.nan, -0.0, np.inf, -np.inf, -3.5]
    else:
        rare = [np.iinfo(dtype).min, np.iinfo(dtype).max]
    for number in rare:
        x[random.random(shape) < 0.05] = number
    return x


def _rank(line: np.ndarray, k: int, largest: bool) -> list[int]:
    """Returns the places of the k first: not a number is above all, equal ones are in order of their places."""
    numbers = [(value != value, 0 if value != value else value) for value in line.tolist()]
    return sorted(range(len(line)), key=lambda at: tuple(-part for part in numbers[at]) if largest else numbers[at])[:k]


SHAPES = [((3, 7), 1, 3), ((2, 700), 1, 700), ((2, 1100, 3), 1, 9), ((2, 530, 20), 1, 530), ((1600,), 0, 600), ((5, 40, 5), 0, 5), ((4, 48), 1, 48),
          ((4, 49), 1, 49), ((2, 512), 1, 512), ((2, 513), 1, 5), ((2, 544), 1, 1), ((3, 1), 1, 1), ((2, 3), 1, 0), ((0, 3), 1, 2)]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("largest", [0, 1])
def test_top_k(dtype, largest, random):
    import onager

    sessions = {}
    for shape, axis, k in SHAPES:
        key = len(shape), axis
        if key not in sessions:
            model = _open("TopK", {"x": (dtype, len(shape)), "k": (np.int64, 1)}, 2, axis=axis, largest=largest)
            sessions[key] = [onager.InferenceSession(model, threads=threads) for threads in (1, 2)]
        x = _draw(random, dtype, shape)
        lines = np.moveaxis(x, axis, -1)
        places = np.array([_rank(line, k, bool(largest)) for line in lines.reshape(-1, shape[axis])], np.int64).reshape(*lines.shape[:-1], k)
        values = np.moveaxis(np.take_along_axis(lines, places, -1), -1, axis)
        for session in sessions[key]:
            found = session.run(None, {"x": x, "k": np.array([k])})
            np.testing.assert_array_equal(found[1], np.moveaxis(places, -1, axis))
            assert found[0].tobytes() == np.ascontiguousarray(values).tobytes()


def _group(x: np.ndarray, axis: int | None, is_sorted: int) -> tuple:
    values, first, inverse, counts = np.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    order = np.arange(len(first)) if is_sorted else np.argsort(first)
    return np.take(values, order, axis=axis or 0), first[order], np.argsort(order)[inverse.reshape(-1)], counts[order]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("is_sorted", [0, 1])
@pytest.mark.parametrize("shape, axis, distinct", [((7,), None, 4), ((9000,), None, 4000), ((50, 60), None, 90), ((1100, 3), 0, 6), ((3, 300), 1, 4),
                                                   ((2, 257, 2), 1, 4), ((0,), None, 1), ((1,), None, 1)])
def test_unique(dtype, is_sorted, shape, axis, distinct, random):
    import onager

    x = random.integers(0, distinct, shape).astype(dtype)
    x = x * 1.5 - 40 if np.dtype(dtype).kind == "f" else x * np.int64(1 << 40) - np.int64(1 << 44) if dtype == np.int64 else x
    attributes = {} if axis is None else {"axis": axis}
    session = onager.InferenceSession(_open("Unique", {"x": (dtype, len(shape))}, 4, sorted=is_sorted, **attributes))
    for found, wanted in zip(session.run(None, {"x": x.astype(dtype)}), _group(x.astype(dtype), axis, is_sorted)):
        np.testing.assert_array_equal(found, wanted.reshape(found.shape))


def test_unique_takes_zeros_and_all_that_is_no_number_as_one():
    import onager

    x = np.array([np.nan, 0.0, -0.0, -np.nan, 1.0], np.float32)
    session = onager.InferenceSession(_open("Unique", {"x": (np.float32, 1)}, 4))
    values, first, inverse, counts = session.run(None, {"x": x})
    np.testing.assert_array_equal(values, [0, 1, np.nan])
    assert (first.tolist(), inverse.tolist(), counts.tolist()) == ([1, 4, 0], [2, 0, 0, 2, 1], [2, 1, 2])


@pytest.mark.parametrize("centered", [0, 1])
@pytest.mark.parametrize("boxes, most", [(5, 5), (70, 40), (300, 300)])
def test_suppression(centered, boxes, most, random):
    import onager
    import onnxruntime

    corners = random.uniform(0, 60, (2, boxes, 2))
    numbers = np.concatenate([corners, corners + random.uniform(0, 20, corners.shape)], -1).astype(np.float32)
    scores = random.integers(0, 50, (2, 3, boxes)).astype(np.float32)
    feeds = {"boxes": numbers, "scores": scores, "most": np.array([most]), "overlap": np.array([0.3], np.float32), "least": np.array([5], np.float32)}
    model = _open("NonMaxSuppression", {name: (value.dtype, value.ndim) for name, value in feeds.items()}, 1, center_point_box=centered)
    wanted = onnxruntime.InferenceSession(model).run(None, feeds)[0]
    np.testing.assert_array_equal(onager.InferenceSession(model).run(None, feeds)[0], wanted)


@pytest.mark.parametrize("op, domain, reference", [("Det", "", np.linalg.det), ("Inverse", "com.microsoft", np.linalg.inv)])
@pytest.mark.parametrize("dtype, rtol", [(np.float32, 1e-4), (np.float64, 1e-9)])
def test_elimination(op, domain, reference, dtype, rtol, random):
    import onager

    sessions = [onager.InferenceSession(_open(op, {"x": (dtype, 3)}, 1, domain), threads=threads) for threads in (1, 2)]
    for count, size in [(5, 1), (3, 2), (1, 3), (7, 17), (2, 64), (0, 4)]:
        x = (random.standard_normal((count, size, size)) / np.sqrt(size)).astype(dtype)
        found = [session.run(None, {"x": x})[0] for session in sessions]
        assert found[0].tobytes() == found[1].tobytes()
        wanted = reference(x.astype(np.float64))
        np.testing.assert_allclose(found[0], wanted, rtol=rtol, atol=rtol * max(1, np.abs(wanted).max(initial=0)))


@pytest.mark.parametrize("shape", [(1, 6), (4, 6), (7, 3), (0, 5)])
def test_compress_by_a_condition_of_the_datas_shape(shape, random):
    """Paddle's exporter writes masks so: without an axis both are flattened."""
    import onager

    session = onager.InferenceSession(_open("Compress", {"x": (np.float32, 2), "c": (np.bool_, 2)}, 1), threads=1)
    x, condition = random.standard_normal(shape).astype(np.float32), random.random(shape) < 0.5
    np.testing.assert_array_equal(session.run(None, {"x": x, "c": condition})[0], x[condition])
