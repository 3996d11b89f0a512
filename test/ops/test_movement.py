"""Transpositions, running sums, places of extremes, blocks added into images, norms of windows and keys: sizes around the blocks of their loops."""
import numpy as np
import pytest
from onnx import TensorProto, helper

from support.seeds import get_seed

TYPES = [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int16, np.int32, np.int64, np.bool_]


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _open(nodes: list, ranks: dict, outputs: list, tmp_path, target: str = "native", threads=(1, 2)) -> list:
    """Compiles nodes over inputs of symbolic dims; `ranks` gives type and rank of each. Returns a session for each number of threads."""
    import onager

    infos = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), [f"{name}{d}" for d in range(rank)]) for name, (dtype, rank) in ranks.items()]
    graph = helper.make_graph(nodes, "g", infos, [helper.make_empty_tensor_value_info(name) for name in outputs])
    imports = [helper.make_opsetid("", 22), helper.make_opsetid("ai.onnx.ml", 4), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString()
    path = onager.compile(model, tmp_path / f"{target}.so", target=target)
    return [onager.InferenceSession(path, threads=count) for count in threads]


def _draw(random, dtype, shape) -> np.ndarray:
    return random.integers(0, 2 if dtype == np.bool_ else 100, shape).astype(dtype)


SQUARES = [(16, 16), (15, 40), (40, 15), (17, 33), (64, 1), (1, 64), (50, 16), (64, 130), (0, 20), (20, 0)]


@pytest.mark.parametrize("target", ["native", "x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("dtype", TYPES)
def test_transpose(dtype, target, random, tmp_path):
    sessions = _open([helper.make_node("Transpose", ["x"], ["y"])], {"x": (dtype, 2)}, ["y"], tmp_path, target)
    for shape in SQUARES:
        x = _draw(random, dtype, shape)
        for session in sessions:
            np.testing.assert_array_equal(session.run(None, {"x": x})[0], x.T)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint8])
@pytest.mark.parametrize("shape", [(8, 100), (100, 9), (15, 15), (64, 64), (127, 63), (32, 200), (7, 40)])
def test_transpose_of_known_extents(dtype, shape, random, tmp_path):
    """Tiles are as long as cache lines where the extents are, and shorter where they must."""
    import onager

    infos = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape) for name in "xz"]
    nodes = [helper.make_node("Transpose", ["x"], ["y"]), helper.make_node("Add", ["x", "z"], ["a"]), helper.make_node("Transpose", ["a"], ["b"])]
    graph = helper.make_graph(nodes, "g", infos, [helper.make_empty_tensor_value_info(name) for name in "yb"])
    session = onager.InferenceSession(onager.compile(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10).SerializeToString(), tmp_path / "model.so"), threads=2)
    x, z = _draw(random, dtype, shape), _draw(random, dtype, shape)
    y, b = session.run(None, {"x": x, "z": z})
    np.testing.assert_array_equal(y, x.T)
    np.testing.assert_array_equal(b, (x + z).T)


@pytest.mark.parametrize("perm", [[0, 2, 1], [2, 0, 1], [2, 1, 0], [1, 2, 0], [3, 0, 2, 1], [0, 2, 3, 1], [1, 3, 0, 2]])
def test_transpose_of_more_dims(perm, random, tmp_path):
    sessions = _open([helper.make_node("Transpose", ["x"], ["y"], perm=perm)], {"x": (np.float32, len(perm))}, ["y"], tmp_path)
    for shape in [(3, 20, 17, 2), (18, 3, 35, 16), (16, 16, 16, 16), (2, 1, 5, 40)]:
        x = _draw(random, np.float32, shape[:len(perm)])
        for session in sessions:
            np.testing.assert_array_equal(session.run(None, {"x": x})[0], x.transpose(perm))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32])
def test_transpose_between_others(dtype, random, tmp_path):
    """What stands before the transposition, other operands behind it, and a second transposed one."""
    nodes = [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Transpose", ["a"], ["b"]), helper.make_node("Transpose", ["z"], ["c"]),
             helper.make_node("Add", ["b", "c"], ["d"]), helper.make_node("Mul", ["d", "line"], ["y"])]
    sessions = _open(nodes, {"x": (dtype, 2), "z": (dtype, 2), "line": (dtype, 1)}, ["y"], tmp_path)
    for shape in SQUARES:
        x, z, line = _draw(random, dtype, shape), _draw(random, dtype, shape), _draw(random, dtype, shape[:1]) % 7
        for session in sessions:
            np.testing.assert_array_equal(session.run(None, {"x": x, "z": z, "line": line})[0], ((-x).T + z.T) * line)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
def test_tiles(dtype, known, random, tmp_path):
    """Repeated last dims below and above a vector, of one dim and of more, followed by another operation."""
    for shape, repeats in [((3000,), [7]), ((5,), [700]), ((2000,), [1]), ((3, 40), [2, 3]), ((3, 6), [2, 9]), ((4, 5, 33), [1, 3, 7]), ((4, 1), [1, 50]), ((4, 0), [2, 3]), ((3, 20), [2, 0])]:
        nodes = [helper.make_node("Constant", [], ["r"], value_ints=repeats), helper.make_node("Tile", ["x", "r"], ["t"]), helper.make_node("Where", ["c", "t", "t"], ["y"])]
        x = _draw(random, dtype, shape)
        if known:
            nodes = [helper.make_node("Constant", [], ["s"], value_ints=list(shape)), helper.make_node("Reshape", ["z", "s"], ["x"], allowzero=1)] + nodes
        feeds = {"z" if known else "x": x.reshape(1, *shape) if known else x, "c": np.array(True)}
        for session in _open(nodes, {name: (feed.dtype, feed.ndim) for name, feed in feeds.items()}, ["y"], tmp_path):
            np.testing.assert_array_equal(session.run(None, feeds)[0], np.tile(x, repeats))


PAD_MODES = {"constant": {"constant_values": 7}, "edge": {}, "reflect": {}, "wrap": {}}


@pytest.mark.parametrize("mode", PAD_MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int64])
def test_pads(dtype, mode, random, tmp_path):
    """Elements before and behind each dim, cropped ones, and pads of several operands that lie elsewhere or have other sizes."""
    for shape, low, high in [((40,), [3], [18]), ((5, 33), [1, 2], [0, 17]), ((5, 33), [0, 0], [2, 3]), ((5, 33), [2, 4], [1, 0]), ((3, 4, 20), [0, 1, 5], [1, 0, 6]), ((2, 1), [1, 40], [0, 3])]:
        if mode == "reflect" and any(max(pads) >= size for size, *pads in zip(shape, low, high)):
            continue
        x, z = _draw(random, dtype, shape), _draw(random, dtype, [size + 1 for size in shape])
        nodes = [helper.make_node("Pad", ["x", "p", "v"], ["t"], mode=mode), helper.make_node("Pad", ["z", "q", "v"], ["s"], mode=mode), helper.make_node("Where", ["c", "t", "s"], ["y"])]
        feeds = {"x": x, "z": z, "p": np.array(low + high), "q": np.array([n + 1 for n in low] + [n - 2 for n in high]), "v": np.array(7, dtype), "c": _draw(random, np.bool_, [1] * len(shape))}
        pad = lambda value, low, high: np.pad(value, [(max(a, 0), max(b, 0)) for a, b in zip(low, high)], mode=mode, **PAD_MODES[mode])[tuple(slice(0, b if b < 0 else None) for b in high)]
        wanted = np.where(feeds["c"], pad(x, low, high), pad(z, [n + 1 for n in low], [n - 2 for n in high]))
        for session in _open(nodes, {name: (feed.dtype, feed.ndim) for name, feed in feeds.items()}, ["y"], tmp_path):
            np.testing.assert_array_equal(session.run(None, feeds)[0], wanted)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.int64])
def test_neighbours_apart(dtype, count, random, tmp_path):
    """Transpositions that put a few neighbours into another dim, alone and between operations; what follows spreads over dims."""
    for perm in [(0, 3, 1, 2), (3, 0, 1, 2), (1, 3, 0, 2), (0, 1, 3, 2)]:
        nodes = [helper.make_node("Constant", [], ["s"], value_ints=[0, 0, 0, count]), helper.make_node("Reshape", ["z", "s"], ["x"]),
                 helper.make_node("Transpose", ["x"], ["y"], perm=perm), helper.make_node("Where", ["c", "y", "y"], ["w"])]
        for shape in [(3, 5, 40), (1, 2, 7), (2, 0, 9)]:
            x = _draw(random, dtype, (*shape, count))
            feeds = {"z": x.reshape(*shape, count), "c": _draw(random, np.bool_, (1, 1, 1, x.shape[perm[-1]]))}
            for session in _open(nodes, {name: (feed.dtype, feed.ndim) for name, feed in feeds.items()}, ["y", "w"], tmp_path):
                for got in session.run(None, feeds):
                    np.testing.assert_array_equal(got, x.transpose(perm))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("exclusive, reverse", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_running_sums(dtype, exclusive, reverse, axis, random, tmp_path):
    node = [helper.make_node("Constant", [], ["axis"], value_int=axis), helper.make_node("CumSum", ["x", "axis"], ["y"], exclusive=exclusive, reverse=reverse)]
    sessions = _open(node, {"x": (dtype, 3)}, ["y"], tmp_path)
    for shape in [(3, 4, 5), (2, 7, 1030), (5, 33, 2), (1, 0, 3), (0, 2, 3), (3, 1, 1)]:
        x = _draw(random, dtype, shape)
        wanted = np.flip(x, axis) if reverse else x
        wanted = np.cumsum(wanted, axis, dtype=dtype) - (wanted if exclusive else 0)
        for session in sessions:
            np.testing.assert_array_equal(session.run(None, {"x": x})[0], np.flip(wanted, axis) if reverse else wanted)


def _find(line: np.ndarray, largest: bool, last: bool) -> int:
    """The first that is no number, else the first or last of the best."""
    missing = np.flatnonzero(line != line)
    if missing.size:
        return int(missing[0])
    places = np.flatnonzero(line == (line.max() if largest else line.min()))
    return int(places[-1 if last else 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("op, last", [("ArgMax", 0), ("ArgMax", 1), ("ArgMin", 0), ("ArgMin", 1)])
def test_places_of_extremes(dtype, op, last, random, tmp_path):
    for axis in range(3):
        sessions = _open([helper.make_node(op, ["x"], ["y"], axis=axis, keepdims=0, select_last_index=last)], {"x": (dtype, 3)}, ["y"], tmp_path)
        for shape in [(3, 4, 5), (2, 7, 1030), (5, 33, 17), (1, 1, 1), (40, 2, 1)]:
            x = _draw(random, dtype, shape) % 9
            if np.dtype(dtype).kind == "f":
                x[random.random(shape) < 0.02] = np.nan
                x[random.random(shape) < 0.1] = -np.inf
            wanted = np.apply_along_axis(_find, axis, x, op == "ArgMax", bool(last))
            for session in sessions:
                np.testing.assert_array_equal(session.run(None, {"x": x})[0], wanted)


@pytest.mark.parametrize("fill", [-np.inf, np.inf, np.nan, -0.0])
@pytest.mark.parametrize("axis", [0, 1])
def test_places_of_equals(fill, axis, tmp_path):
    """The first place of a line of one number, with what stands behind the search."""
    nodes = [helper.make_node("ArgMax", ["x"], ["at"], axis=axis), helper.make_node("Add", ["at", "at"], ["y"])]
    for session in _open(nodes, {"x": (np.float32, 2)}, ["at", "y"], tmp_path):
        for found in session.run(None, {"x": np.full((20, 50), fill, np.float32)}):
            np.testing.assert_array_equal(found, np.zeros((1, 50) if axis == 0 else (20, 1), np.int64))


def _add_blocks(x, image, block, strides, dilations, pads) -> np.ndarray:
    """Col2Im over two dims, one element at a time."""
    positions = [(image[k] + pads[k] + pads[k + 2] - dilations[k] * (block[k] - 1) - 1) // strides[k] + 1 for k in range(2)]
    columns = x.reshape(x.shape[0], -1, *block, *positions)
    wanted = np.zeros((x.shape[0], columns.shape[1], *image), np.float64)
    for k in np.ndindex(*block):
        for p in np.ndindex(*positions):
            at = [p[d] * strides[d] + k[d] * dilations[d] - pads[d] for d in range(2)]
            if 0 <= at[0] < image[0] and 0 <= at[1] < image[1]:
                wanted[:, :, at[0], at[1]] += columns[:, :, k[0], k[1], p[0], p[1]]
    return wanted


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
@pytest.mark.parametrize("block, strides, dilations, pads", [((3, 3), (1, 1), (1, 1), (0, 0, 0, 0)), ((2, 3), (2, 1), (1, 2), (1, 0, 2, 1)), ((1, 4), (1, 3), (1, 1), (0, 2, 0, 1))])
def test_blocks(dtype, block, strides, dilations, pads, random, tmp_path):
    node = helper.make_node("Col2Im", ["x", "image", "block"], ["y"], strides=strides, dilations=dilations, pads=pads)
    constants = [helper.make_node("Constant", [], ["block"], value_ints=block), helper.make_node("Constant", [], ["image"], value_ints=(9, 40))]
    count = int(np.prod([(size + pads[k] + pads[k + 2] - dilations[k] * (block[k] - 1) - 1) // strides[k] + 1 for k, size in enumerate((9, 40))]))
    x = _draw(random, dtype, (2, 3 * int(np.prod(block)), count))
    for session in _open([*constants, node], {"x": (dtype, 3)}, ["y"], tmp_path):
        np.testing.assert_array_equal(session.run(None, {"x": x})[0], _add_blocks(x, (9, 40), block, strides, dilations, pads))


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("kernel, strides, pads", [((3, 3), (1, 1), (1, 1, 1, 1)), ((2, 2), (2, 2), (0, 0, 0, 0)), ((5, 5), (1, 2), (2, 0, 2, 0)), ((4,), (1,), (1, 2))])
def test_norms_of_windows(p, kernel, strides, pads, random, tmp_path):
    rank = len(kernel)
    node = helper.make_node("LpPool", ["x"], ["y"], kernel_shape=kernel, strides=strides, pads=pads, p=p)
    x = random.standard_normal((2, 3, 19, 37)[:2 + rank]).astype(np.float32)
    padded = np.pad(np.abs(x.astype(np.float64)) ** p, [(0, 0), (0, 0), *((pads[k], pads[k + rank]) for k in range(rank))])
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, tuple(range(2, 2 + rank)))[(slice(None),) * 2 + tuple(slice(None, None, step) for step in strides)]
    wanted = windows.sum(tuple(range(-rank, 0))) ** (1 / p)
    for session in _open([node], {"x": (np.float32, 2 + rank)}, ["y"], tmp_path):
        np.testing.assert_allclose(session.run(None, {"x": x})[0], wanted, rtol=2e-5, atol=1e-6)


KEYS = {"dense": list(range(5, 300)), "far": [-(1 << 62), 7, 1 << 40, -3, 8], "repeated": [4, 2, 4, 9, 2], "one": [11]}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("value", [np.float32, np.int64])
def test_labels_of_integers(name, value, random, tmp_path):
    keys, values = np.array(KEYS[name], np.int64), np.arange(len(KEYS[name])).astype(value) * 2 + 1
    tensor = lambda array: helper.make_tensor("t", helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array)
    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", keys_tensor=tensor(keys), values_tensor=tensor(values), default_tensor=tensor(np.array([-5], value)))
    x = np.concatenate([keys, random.integers(-20, 320, 1500), keys]).reshape(-1, 1)
    wanted = [values[np.flatnonzero(keys == each)[0]] if each in keys else -5 for each in x[:, 0]]
    for session in _open([node], {"x": (np.int64, 2)}, ["y"], tmp_path):
        np.testing.assert_array_equal(session.run(None, {"x": x})[0][:, 0], np.array(wanted, value))


def test_labels_of_floats(random, tmp_path):
    """What is no number is a key as others are, and 0 is -0."""
    keys = [1.5, float("nan"), 0.0, float("inf"), -2.25, 1.5]
    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", keys_floats=keys, values_int64s=list(range(6)), default_int64=-1)
    x = np.array([-0.0, np.nan, -np.nan, 1.5, np.inf, -np.inf, -2.25, 1.25], np.float32)
    for session in _open([node], {"x": (np.float32, 1)}, ["y"], tmp_path):
        np.testing.assert_array_equal(session.run(None, {"x": x})[0], [2, 1, 1, 0, 3, -1, 4, -1])


def test_labels_of_texts(tmp_path):
    import onager

    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", keys_strings=["b", "", "ab", "b"], values_strings=["one", "two", "three", "four"], default_string="?")
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.STRING, ["N"])], [helper.make_empty_tensor_value_info("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22), helper.make_opsetid("ai.onnx.ml", 4)], ir_version=10)
    session = onager.InferenceSession(onager.compile(model.SerializeToString(), tmp_path / "model.so"))
    x = np.array(["ab", "", "c", "b", "b"], object)
    assert session.run(None, {"x": x})[0].tolist() == ["three", "two", "?", "one", "one"]


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int64])
@pytest.mark.parametrize("widths", [(1, 1), (2, 3, 1), (5, 4), (70, 1, 33), (0, 3), (16, 16)])
def test_operands_by_turns(dtype, widths, random, tmp_path):
    """Rows of several operands behind each other, which read one tensor as well as several."""
    import onager

    names = [f"x{k}" for k in range(len(widths))]
    nodes = [helper.make_node("Add", ["x0", "x0"], ["twice"]), helper.make_node("Concat", [*names, "twice"], ["y"], axis=-1)]
    infos = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), ["A", "B", width]) for name, width in zip(names, widths)]
    graph = helper.make_graph(nodes, "g", infos, [helper.make_empty_tensor_value_info("y")])
    path = onager.compile(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10).SerializeToString(), tmp_path / "model.so")
    for threads in (1, 2):
        session = onager.InferenceSession(path, threads=threads)
        for shape in [(3, 17), (1, 1), (0, 4), (40, 2)]:
            feeds = {name: _draw(random, dtype, (*shape, width)) for name, width in zip(names, widths)}
            wanted = np.concatenate([*feeds.values(), feeds["x0"] + feeds["x0"]], -1)
            np.testing.assert_array_equal(session.run(None, feeds)[0], wanted)


@pytest.mark.parametrize("steps", [1, 3, 4, 5, 257, 1030])
def test_sums_of_columns(steps, random, tmp_path):
    """Steps are taken by fours, in parts of 256 where their number is not known."""
    nodes = [helper.make_node("Constant", [], ["axes"], value_ints=[1]), helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)]
    for session in _open(nodes, {"x": (np.float32, 3)}, ["y"], tmp_path):
        for width in (1, 9, 128, 131):
            x = _draw(random, np.float32, (2, steps, width))
            np.testing.assert_array_equal(session.run(None, {"x": x})[0], x.sum(1))
