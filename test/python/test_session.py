"""onager.InferenceSession: signatures, feeds of every kind, outputs, and errors that name what is wrong."""
import ml_dtypes
import numpy as np
import pytest

import onager
from python.models import SUM, make_text

LEFT = np.arange(6, dtype=np.float32).reshape(2, 3)
RIGHT = np.full((2, 3), 10, np.float32)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return onager.compile(SUM, tmp_path_factory.mktemp("sum") / "sum.so")


@pytest.fixture(scope="module")
def session(artifact):
    return onager.InferenceSession(artifact, threads=2)


def test_signature(session):
    assert [(node.name, node.type, node.shape) for node in session.get_inputs()] == [("left", "tensor(float)", ["n", 3]), ("right", "tensor(float)", ["n", 3])]
    assert [node.name for node in session.get_outputs()] == ["total", "gap"]
    assert "total" in repr(session.get_outputs()[0])
    assert session.threads == 2


def test_opens_paths_bytes_and_models(artifact):
    with open(artifact, "rb") as file:
        data = file.read()
    for model in (artifact, data, bytearray(data), SUM):
        assert np.array_equal(onager.InferenceSession(model).run(["total"], {"left": LEFT, "right": RIGHT})[0], LEFT + RIGHT)


def test_outputs_by_name(session):
    feeds = {"left": LEFT, "right": RIGHT}
    assert [value.tolist() for value in session.run(None, feeds)] == [(LEFT + RIGHT).tolist(), (LEFT - RIGHT).tolist()]
    gap, total, again = session.run(["gap", "total", "gap"], feeds)
    assert np.array_equal(gap, LEFT - RIGHT) and np.array_equal(total, LEFT + RIGHT) and np.array_equal(again, gap)
    assert session.run([], feeds) == []


def test_outputs_stay_when_the_session_runs_again(session):
    first, = session.run(["total"], {"left": LEFT, "right": RIGHT})
    session.run(["total"], {"left": RIGHT, "right": RIGHT})
    assert np.array_equal(first, LEFT + RIGHT) and first.flags.writeable


@pytest.mark.parametrize("rows", [0, 1, 2, 257])
def test_symbolic_dims(session, rows):
    left = np.random.default_rng(rows).random((rows, 3), dtype=np.float32)
    total, gap = session.run(None, {"left": left, "right": left})
    assert np.array_equal(total, left + left) and gap.shape == (rows, 3) and not gap.any()


def test_outputs_whose_shapes_depend_on_values():
    session = onager.InferenceSession(make_text("(float[n] x) => (int64[1, k] places, float[n] twice)", "places = NonZero(x)\ntwice = Add(x, x)"))
    for x in ([0, 3, 0, 5], [0, 0], [], [1]):
        places, twice = session.run(None, {"x": np.array(x, np.float32)})
        assert places.tolist() == [[k for k, value in enumerate(x) if value]] and twice.tolist() == [2 * value for value in x]
        assert np.array_equal(session.run(["places"], {"x": np.array(x, np.float32)})[0], places)


def test_arrays_of_open_shapes_are_their_own():
    """Outputs of many bytes go into memory that the next run, of another size, leaves alone."""
    session = onager.InferenceSession(make_text("(float[n] x, int64[1] k) => (float[m] y, int64[1, h] places)", "y = Expand(x, k)\nplaces = NonZero(y)"))
    kept = []
    for count in (100_000, 100_000, 99_990, 300_000, 20_000, 100_000, 0, 5):
        feeds = {"x": np.array([count + 1], np.float32), "k": np.array([count])}
        y, places = session.run(None, feeds)
        assert np.array_equal(session.run(["y"], feeds)[0], y)
        kept.append((count, y, places))
    for count, y, places in kept:
        assert y.shape == (count,) and (y == count + 1).all() and y.flags.writeable
        assert places.shape == (1, count) and np.array_equal(places[0], np.arange(count))


def test_outputs_that_grow_with_a_loop():
    """What a loop has written moves with its memory where an array of the last run's size turns out too small."""
    body = "body (int64 i, bool go, float[n] state) => (bool again, float[n] next, float[n] line) {\n again = Identity(go)\n one = Constant<value_float = 1.0>()\n next = Add(state, one)\n line = Identity(next)\n}"
    session = onager.InferenceSession(make_text("(int64 trips, bool go, float[n] x) => (float[n] last, float[t, n] lines)", f"last, lines = Loop<body = {body}>(trips, go, x)"))
    x, kept = np.arange(10_000, dtype=np.float32), []
    for trips in (5, 5, 9, 2, 9):
        last, lines = session.run(None, {"trips": np.array(trips), "go": np.array(True), "x": x})
        kept.append((trips, last, lines))
    for trips, last, lines in kept:
        assert np.array_equal(last, x + trips) and np.array_equal(lines, x + np.arange(1, trips + 1)[:, None])


@pytest.mark.parametrize("columns", [1, 3, 7, 10, 16])
def test_place_in_the_batch_does_not_change_bits(columns):
    """Products too narrow for panels are left to LLVM's loops, with vector bodies and remainders."""
    generator = np.random.default_rng(columns)
    session = onager.InferenceSession(make_text(f"(float[n, 4] x, float[4, {columns}] w, float[{columns}] b) => (float[n, {columns}] y)", "y = Gemm(x, w, b)"))
    x, w, b = (generator.standard_normal(shape, dtype=np.float32) for shape in ((37, 4), (4, columns), (columns,)))
    alone = np.concatenate([session.run(None, {"x": row[None], "w": w, "b": b})[0] for row in x])
    for rows in range(1, 38):
        assert np.array_equal(session.run(None, {"x": x[:rows], "w": w, "b": b})[0], alone[:rows])


class Foreign:
    """A tensor of another library: DLPack and nothing else."""

    def __init__(self, array: np.ndarray):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("feed", [
    LEFT.tolist,
    lambda: np.asfortranarray(LEFT),
    lambda: LEFT.astype(">f4"),
    lambda: np.repeat(LEFT, 2, axis=1)[:, ::2],
    lambda: Foreign(LEFT),
    lambda: memoryview(LEFT),
], ids=["list", "columns first", "other byte order", "strided", "DLPack", "buffer"])
def test_feeds_of_every_kind(session, feed):
    value = feed()
    if isinstance(value, list):
        value = np.array(value, np.float32).tolist()
        with pytest.raises(ValueError, match="input 'left': expected type float32, found float64"):
            session.run(None, {"left": value, "right": RIGHT})
        return
    assert np.array_equal(session.run(["total"], {"left": value, "right": RIGHT})[0], LEFT + RIGHT)


def test_outputs_go_out_through_dlpack_without_a_copy(session):
    total, = session.run(["total"], {"left": LEFT, "right": RIGHT})
    view = np.from_dlpack(total)
    assert view.ctypes.data == total.ctypes.data and np.array_equal(view, LEFT + RIGHT)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "bfloat16", "float8_e4m3fn", "int4"])
def test_element_types(dtype):
    numpy_type = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    name = {"float16": "float16", "float64": "double", "float8_e4m3fn": "float8e4m3fn"}.get(dtype, dtype)
    session = onager.InferenceSession(make_text(f"({name}[n] x) => ({name}[n] y)", "y = Identity(x)", opset=23))
    value = np.array([0, 1, 1, 0, 1], numpy_type)
    result, = session.run(None, {"x": value})
    assert result.dtype == numpy_type and np.array_equal(result, value)


@pytest.mark.parametrize(("feeds", "message"), [
    ({"left": LEFT}, "input 'right' is missing"),
    ({"left": LEFT, "right": RIGHT, "centre": LEFT}, "'centre' is not an input"),
    ({"left": LEFT, "right": RIGHT.astype(np.int64)}, "input 'right': expected type float32, found int64"),
    ({"left": LEFT[0], "right": RIGHT}, r"input 'left': expected rank 2 \[\?, 3\], found rank 1"),
    ({"left": LEFT[:, :2], "right": RIGHT}, r"input 'left': dim 1 \(3\): expected 3, found 2"),
    ({"left": LEFT, "right": RIGHT[:1]}, r"input 'right': dim 0 \(n\): expected 2, found 1"),
])
def test_wrong_feeds_are_named(session, feeds, message):
    with pytest.raises(ValueError, match=message):
        session.run(None, feeds)
    assert np.array_equal(session.run(["total"], {"left": LEFT, "right": RIGHT})[0], LEFT + RIGHT)


def test_what_is_no_array_is_named(session):
    with pytest.raises((TypeError, ValueError), match="input 'left'"):
        session.run(None, {"left": object(), "right": RIGHT})


def test_unknown_output_is_named(session):
    with pytest.raises(ValueError, match="'ratio' is not an output"):
        session.run(["ratio"], {"left": LEFT, "right": RIGHT})


def test_failed_check_inside_the_model_names_the_node():
    session = onager.InferenceSession(make_text("(float[n] x, int64[k] at) => (float[k] y)", "[picker] y = Gather(x, at)"))
    x = np.arange(3, dtype=np.float32)
    with pytest.raises(RuntimeError, match="picker"):
        session.run(None, {"x": x, "at": np.array([0, 3])})
    assert session.run(None, {"x": x, "at": np.array([2, -3])})[0].tolist() == [2, 0]


def test_damaged_artifacts_are_refused(artifact, tmp_path):
    with open(artifact, "rb") as file:
        data = bytearray(file.read())
    with pytest.raises(RuntimeError, match="cut off|length|artifact"):
        onager.InferenceSession(bytes(data[:-100]))
    data[1000] ^= 1  # in the code
    with pytest.raises(RuntimeError, match="checksum"):
        onager.InferenceSession(bytes(data))
    with pytest.raises(FileNotFoundError):
        onager.InferenceSession(tmp_path / "absent.so")
