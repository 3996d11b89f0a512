"""Sequences, optionals and maps whose contents are known only while running, against lists, dicts and ONNX's reference implementation."""
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from support.seeds import get_seed

OPSETS = [helper.make_opsetid("", 22), helper.make_opsetid("ai.onnx.ml", 3)]


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _value(name, kind=TensorProto.FLOAT, shape=None, form="sequence"):
    tensor = helper.make_tensor_type_proto(kind, shape)
    made = {"tensor": lambda: tensor, "sequence": lambda: helper.make_sequence_type_proto(tensor), "optional": lambda: helper.make_optional_type_proto(tensor),
            "optional sequence": lambda: helper.make_optional_type_proto(helper.make_sequence_type_proto(tensor))}[form]()
    return helper.make_value_info(name, made)


def _open(tmp_path, nodes, inputs, outputs, initializers=(), **options):
    import onager

    model = helper.make_model(helper.make_graph(nodes, "sequences", inputs, outputs, initializers), opset_imports=OPSETS, ir_version=9)
    return model, onager.InferenceSession(onager.compile(model.SerializeToString(), tmp_path / "model.so", **options), threads=2)


def _same(found, wanted):
    assert isinstance(found, list) and len(found) == len(wanted)
    for a, b in zip(found, wanted):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def _arrays(random, shapes, dtype=np.float32):
    return [(random.standard_normal(shape) * 10).astype(dtype) for shape in shapes]


def _node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, name=op, **attributes)


SHAPES = [[(2, 3), (1, 3), (2, 3), (0, 3)], [(4, 1)], [(1, 1), (3, 2)]]


@pytest.mark.parametrize("opt_level", [0, 3])
@pytest.mark.parametrize("shapes", SHAPES)
def test_changes(shapes, opt_level, random, tmp_path):
    """Elements are read, put in and taken out at positions that are known only while running."""
    at = _value("at", TensorProto.INT64, [], "tensor")
    nodes = [_node("SequenceAt", ["s", "at"], ["read"]), _node("SequenceInsert", ["s", "x", "at"], ["more"]), _node("SequenceErase", ["s", "at"], ["less"]),
             _node("SequenceLength", ["s"], ["length"]), _node("SequenceInsert", ["s", "x"], ["longer"]), _node("SequenceErase", ["s"], ["shorter"]), _node("Identity", ["s"], ["same"])]
    outputs = [_value("read", form="tensor")] + [_value(n) for n in ("more", "less", "longer", "shorter", "same")] + [_value("length", TensorProto.INT64, [], "tensor")]
    _, session = _open(tmp_path, nodes, [_value("s", shape=["a", "b"]), at, _value("x", shape=["c", "d"], form="tensor")], outputs, opt_level=opt_level)
    s, x = _arrays(random, shapes), random.standard_normal((2, 5)).astype(np.float32)
    for position in range(-len(s), len(s)):
        read, more, less, longer, shorter, same, length = session.run(None, {"s": s, "at": np.int64(position), "x": x})
        np.testing.assert_array_equal(read, s[position])
        wanted = list(s)
        wanted.insert(position, x)
        _same(more, wanted)
        _same(less, [a for k, a in enumerate(s) if k != position % len(s)])
        _same(longer, s + [x])
        _same(shorter, s[:-1])
        _same(same, s)
        assert length == len(s)
    for wrong in (len(s) + 1, -len(s) - 1):
        with pytest.raises(RuntimeError, match="Sequence"):
            session.run(None, {"s": s, "at": np.int64(wrong), "x": x})


def test_ranks_that_differ(random, tmp_path):
    _, session = _open(tmp_path, [_node("SequenceInsert", ["s", "x", "at"], ["y"]), _node("SequenceLength", ["y"], ["n"])],
                       [_value("s", TensorProto.INT32), _value("x", TensorProto.INT32, ["c"], "tensor"), _value("at", TensorProto.INT64, [], "tensor")],
                       [_value("y", TensorProto.INT32), _value("n", TensorProto.INT64, [], "tensor")])
    s, x = _arrays(random, [(2, 2), (), (3,), (0, 1, 2)], np.int32), np.arange(3, dtype=np.int32)
    y, n = session.run(None, {"s": s, "x": x, "at": np.int64(1)})
    _same(y, [s[0], x, *s[1:]])
    assert n == 5
    _same(session.run(["y"], {"s": [], "x": x, "at": np.int64(0)})[0], [x])


@pytest.mark.parametrize("axis, new", [(0, 0), (0, 1), (1, 1), (-1, 1), (1, 0), (-1, 0)])
def test_join(axis, new, random, tmp_path):
    _, session = _open(tmp_path, [_node("ConcatFromSequence", ["s"], ["y"], axis=axis, new_axis=new)], [_value("s", shape=["a", "b"])], [_value("y", form="tensor")])
    for shapes in ([(2, 3)] * 4, [(5, 1)]):
        s = _arrays(random, shapes)
        np.testing.assert_array_equal(session.run(None, {"s": s})[0], (np.stack if new else np.concatenate)(s, axis))
    uneven = _arrays(random, [(2, 3), (4, 3)])
    if axis == 0 and not new:
        np.testing.assert_array_equal(session.run(None, {"s": uneven})[0], np.concatenate(uneven))
    else:
        with pytest.raises(RuntimeError, match="ConcatFromSequence"):
            session.run(None, {"s": uneven})


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("size, keep", [(None, 0), (None, 1), (1, 1), (2, 1), (3, 1), (7, 1)])
def test_split(axis, size, keep, random, tmp_path):
    inputs = [_value("x", shape=["a", "b", "c"], form="tensor")] + ([] if size is None else [_value("size", TensorProto.INT64, [], "tensor")])
    _, session = _open(tmp_path, [_node("SplitToSequence", [v.name for v in inputs], ["y"], axis=axis, **({} if size else {"keepdims": keep}))], inputs, [_value("y")])
    for shape in ((4, 6, 3), (1, 7, 2), (3, 1, 1)):
        x = random.standard_normal(shape).astype(np.float32)
        parts = np.split(x, range(size or 1, shape[axis], size or 1), axis)
        feeds = {"x": x} if size is None else {"x": x, "size": np.int64(size)}
        _same(session.run(None, feeds)[0], parts if keep else [part.squeeze(axis) for part in parts])


def test_split_into_rows(random, tmp_path):
    inputs = [_value("x", shape=["a", 2], form="tensor"), _value("sizes", TensorProto.INT64, ["n"], "tensor")]
    _, session = _open(tmp_path, [_node("SplitToSequence", ["x", "sizes"], ["y"])], inputs, [_value("y")])
    x = random.standard_normal((9, 2)).astype(np.float32)
    _same(session.run(None, {"x": x, "sizes": np.array([2, 0, 4, 3])})[0], np.split(x, [2, 2, 6]))
    with pytest.raises(RuntimeError, match="the sizes of a split"):
        session.run(None, {"x": x, "sizes": np.array([2, 3])})


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("size", [1, 3])
def test_split_by_a_list_of_one_size(axis, size, random, tmp_path):
    """Sizes that are all the same are known though their number is not, so that a part can state a shape."""
    initializers = [helper.make_tensor("size", TensorProto.INT64, [1], [size]), helper.make_tensor("ones", TensorProto.INT64, [3], [1, 1, 1])]
    nodes = [_node("Expand", ["size", "n"], ["sizes"]), _node("SplitToSequence", ["x", "sizes"], ["parts"], axis=axis), _node("SequenceAt", ["parts", "at"], ["part"]),
             helper.make_node("Shape", ["part"], ["shape"]), _node("ConstantOfShape", ["shape"], ["y"]),
             _node("ConcatFromSequence", ["parts"], ["stacked"], axis=0, new_axis=1)]
    inputs = [_value("x", shape=["a", "b"], form="tensor"), _value("n", TensorProto.INT64, [1], "tensor"), _value("at", TensorProto.INT64, [], "tensor")]
    outputs = [_value("parts"), _value("y", form="tensor"), _value("stacked", form="tensor")]
    _, session = _open(tmp_path, nodes, inputs, outputs, initializers)
    for shape in ((3, 6), (9, 3), (6, 9)):
        x, count = random.standard_normal(shape).astype(np.float32), shape[axis] // size
        wanted = np.split(x, count, axis)
        parts, y, stacked = session.run(None, {"x": x, "n": np.array([count]), "at": np.int64(-1)})
        _same(parts, wanted)
        assert y.shape == wanted[-1].shape
        np.testing.assert_array_equal(stacked, np.stack(wanted))
        with pytest.raises(RuntimeError, match="the sizes of a split"):
            session.run(None, {"x": x, "n": np.array([count + 1]), "at": np.int64(0)})


def test_parts_state_a_shape(random, tmp_path):
    """The elements of a vector that was split into single ones are numbers that an operator takes as a shape."""
    initializers = [helper.make_tensor("one", TensorProto.INT64, [1], [1]), helper.make_tensor("two", TensorProto.INT64, [1], [2])]
    nodes = [_node("Shape", ["repeats"], ["n"]), _node("Expand", ["one", "n"], ["sizes"]), _node("SplitToSequence", ["repeats", "sizes"], ["parts"]),
             _node("SequenceAt", ["parts", "at"], ["part"]), _node("Concat", ["two", "part"], ["shape"], axis=0), helper.make_node("Expand", ["x", "shape"], ["y"], name="Spread")]
    inputs = [_value("repeats", TensorProto.INT64, ["m"], "tensor"), _value("x", shape=[1], form="tensor"), _value("at", TensorProto.INT64, [], "tensor")]
    _, session = _open(tmp_path, nodes, inputs, [_value("y", shape=[None, None], form="tensor")], initializers)
    x = random.standard_normal(1).astype(np.float32)
    for at, count in enumerate([3, 1, 7, 0]):
        np.testing.assert_array_equal(session.run(None, {"repeats": np.array([3, 1, 7, 0]), "x": x, "at": np.int64(at)})[0], np.broadcast_to(x, (2, count)))


@pytest.mark.parametrize("axis, size", [(2, 3), (3, 2), (0, 1)])
def test_parts_keep_known_channels(axis, size, random, tmp_path):
    """A convolution over a part needs the channels, which no part changes; parts that were joined with others of the same dims keep them."""
    inputs = [_value("x", shape=["n", 4, "h", "w"], form="tensor"), _value("at", TensorProto.INT64, [], "tensor"), _value("more", shape=["n", 4, "h", "w"], form="tensor")]
    weights = random.standard_normal((5, 4, 3, 3)).astype(np.float32)
    initializers = [helper.make_tensor("size", TensorProto.INT64, [], [size]), helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel())]
    nodes = [_node("SplitToSequence", ["x", "size"], ["parts"], axis=axis), _node("SequenceInsert", ["parts", "more"], ["longer"]), _node("SequenceErase", ["longer", "at"], ["less"]),
             _node("SequenceAt", ["less", "at"], ["part"]), _node("Conv", ["part", "w"], ["y"], pads=[1, 1, 1, 1])]
    _, session = _open(tmp_path, nodes, inputs, [_value("y", form="tensor")], initializers)
    x = random.standard_normal((2, 4, 7, 5)).astype(np.float32)
    parts = [*np.split(x, range(size, x.shape[axis], size), axis), 2 * x]
    plain = helper.make_model(helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])], "plain", [_value("x", shape=[None] * 4, form="tensor")],
                                                [_value("y", form="tensor")], initializers[1:]), opset_imports=OPSETS, ir_version=9)
    reference = onnxruntime.InferenceSession(plain.SerializeToString())
    for at in range(len(parts) - 1):
        found = session.run(None, {"x": x, "at": np.int64(at), "more": 2 * x})[0]
        np.testing.assert_allclose(found, reference.run(None, {"x": parts[at + 1]})[0], rtol=1e-4, atol=1e-4)


def test_map_over_elements(random, tmp_path):
    body = helper.make_graph([_node("Mul", ["e", "e"], ["square"]), _node("ReduceSum", ["e"], ["sum"], keepdims=0)], "body",
                             [helper.make_tensor_value_info("e", TensorProto.FLOAT, ["n"])],
                             [helper.make_tensor_value_info("square", TensorProto.FLOAT, ["n"]), helper.make_tensor_value_info("sum", TensorProto.FLOAT, [])])
    _, session = _open(tmp_path, [_node("SequenceMap", ["s"], ["squares", "sums"], body=body)], [_value("s", shape=["n"])], [_value("squares"), _value("sums")])
    for lengths in ([3, 1, 5], [], [2]):
        s = _arrays(random, [(n,) for n in lengths])
        squares, sums = session.run(None, {"s": s})
        _same(squares, [a * a for a in s])
        np.testing.assert_allclose(np.array(sums), np.array([a.sum() for a in s]), rtol=1e-5)


def test_loop_that_gathers(random, tmp_path):
    """A loop puts slices that grow into a sequence that begins empty, and reads the one before."""
    body = helper.make_graph([_node("Add", ["k", "one"], ["end"]), _node("Unsqueeze", ["end", "axis"], ["ends"]), _node("Slice", ["x", "axis", "ends"], ["head"]),
                              _node("SequenceInsert", ["s", "head"], ["t"]), _node("Identity", ["c"], ["d"])], "body",
                             [helper.make_tensor_value_info("k", TensorProto.INT64, []), helper.make_tensor_value_info("c", TensorProto.BOOL, []), _value("s")],
                             [helper.make_tensor_value_info("d", TensorProto.BOOL, []), _value("t")])
    initializers = [helper.make_tensor("one", TensorProto.INT64, [], [1]), helper.make_tensor("axis", TensorProto.INT64, [1], [0])]
    nodes = [_node("SequenceEmpty", [], ["none"], dtype=TensorProto.FLOAT), _node("Loop", ["n", "", "none"], ["y"], body=body), _node("SequenceAt", ["y", "last"], ["z"])]
    initializers.append(helper.make_tensor("last", TensorProto.INT64, [], [-1]))
    _, session = _open(tmp_path, nodes, [_value("x", shape=["m"], form="tensor"), _value("n", TensorProto.INT64, [], "tensor")], [_value("y"), _value("z", form="tensor")], initializers)
    x = random.standard_normal(8).astype(np.float32)
    for n in (1, 5, 8):
        y, z = session.run(None, {"x": x, "n": np.int64(n)})
        _same(y, [x[:k + 1] for k in range(n)])
        np.testing.assert_array_equal(z, x[:n])


def test_branches_of_sequences(random, tmp_path):
    full = helper.make_graph([_node("SequenceConstruct", ["x", "x", "x"], ["a"])], "full", [], [_value("a")])
    empty = helper.make_graph([_node("SequenceErase", ["s"], ["b"])], "less", [], [_value("b")])
    nodes = [_node("If", ["c"], ["y"], then_branch=full, else_branch=empty), _node("SequenceLength", ["y"], ["n"])]
    _, session = _open(tmp_path, nodes, [_value("c", TensorProto.BOOL, [], "tensor"), _value("x", shape=["m"], form="tensor"), _value("s", shape=["k"])],
                       [_value("y"), _value("n", TensorProto.INT64, [], "tensor")])
    x, s = random.standard_normal(3).astype(np.float32), _arrays(random, [(1,), (4,)])
    for condition, wanted in ((True, [x] * 3), (False, s[:-1])):
        y, n = session.run(None, {"c": np.array(condition), "x": x, "s": s})
        _same(y, wanted)
        assert n == len(wanted)


@pytest.mark.parametrize("form", ["optional", "optional sequence"])
def test_optionals(form, random, tmp_path):
    nodes = [_node("OptionalHasElement", ["o"], ["has"]), _node("Identity", ["o"], ["same"])]
    _, session = _open(tmp_path, nodes, [_value("o", shape=["n", 2], form=form)], [_value("has", TensorProto.BOOL, [], "tensor"), _value("same", form=form)])
    feed = random.standard_normal((3, 2)).astype(np.float32)
    feed = feed if form == "optional" else [feed, feed[:1]]
    has, same = session.run(None, {"o": feed})
    assert has
    _same(same if form != "optional" else [same], feed if form != "optional" else [feed])
    has, same = session.run(None, {"o": None})
    assert not has and same is None


def test_empty_optional_of_text(tmp_path):
    """What stands for the text that is not there was a number."""
    nodes = [_node("OptionalHasElement", ["o"], ["has"])]
    _, session = _open(tmp_path, nodes, [_value("o", TensorProto.STRING, [], form="optional")], [_value("has", TensorProto.BOOL, [], "tensor")])
    assert not session.run(None, {"o": None})[0] and session.run(None, {"o": "a"})[0]


def test_texts_that_a_map_lacks_are_zero(tmp_path):
    """A key that is missing was an empty text, which is no number."""
    nodes = [helper.make_node("CastMap", ["m"], ["y"], domain="ai.onnx.ml", cast_to="TO_INT64", map_form="SPARSE", max_map=4)]
    _, session = _open(tmp_path, nodes, [_map_type("m", TensorProto.INT64, TensorProto.STRING)], [helper.make_tensor_value_info("y", TensorProto.INT64, None)])
    assert session.run(None, {"m": {1: "7", 3: "-2"}})[0].tolist() == [[0, 7, 0, -2]]


def test_element_of_an_empty_optional(tmp_path):
    _, session = _open(tmp_path, [_node("OptionalGetElement", ["o"], ["y"])], [_value("o", shape=[2], form="optional")], [_value("y", form="tensor")])
    np.testing.assert_array_equal(session.run(None, {"o": np.array([1, 2], np.float32)})[0], [1, 2])
    with pytest.raises(RuntimeError, match="an optional that must be full"):
        session.run(None, {"o": None})


def _map_type(name, key, value, listed=False):
    info = helper.make_value_info(name, helper.make_map_type_proto(key, helper.make_tensor_type_proto(value, [])))
    return helper.make_value_info(name, helper.make_sequence_type_proto(info.type)) if listed else info


@pytest.mark.parametrize("key, vocabulary", [(TensorProto.STRING, {"string_vocabulary": ["b", "c", "a"]}), (TensorProto.INT64, {"int64_vocabulary": [5, -2, 9]})])
@pytest.mark.parametrize("value", [TensorProto.FLOAT, TensorProto.INT64])
def test_dict_vectorizer(key, vocabulary, value, tmp_path):
    words = next(iter(vocabulary.values()))
    model, session = _open(tmp_path, [helper.make_node("DictVectorizer", ["m"], ["y"], domain="ai.onnx.ml", **vocabulary)], [_map_type("m", key, value)],
                           [helper.make_tensor_value_info("y", value, None)])
    number = float if value == TensorProto.FLOAT else int
    for feed in ({words[2]: number(3), words[0]: number(4)}, {}, {"z" if key == TensorProto.STRING else 77: number(1), words[1]: number(2)}):
        found = session.run(None, {"m": feed})[0]
        assert found.tolist() == [[feed.get(word, 0) for word in words]]
        # ONNX Runtime takes floats from Python alone, and its map from integers to integers is missing.
        if feed and value == TensorProto.FLOAT:
            np.testing.assert_array_equal(found, onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"m": feed})[0])


@pytest.mark.parametrize("form", ["DENSE", "SPARSE"])
@pytest.mark.parametrize("to, element", [("TO_FLOAT", TensorProto.FLOAT), ("TO_INT64", TensorProto.INT64), ("TO_STRING", TensorProto.STRING)])
def test_cast_map(form, to, element, tmp_path):
    model, session = _open(tmp_path, [helper.make_node("CastMap", ["m"], ["y"], domain="ai.onnx.ml", cast_to=to, map_form=form, max_map=6)],
                           [_map_type("m", TensorProto.INT64, TensorProto.FLOAT)], [helper.make_tensor_value_info("y", element, None)])
    feed = {4: 2.0, 1: 3.0, 0: -7.0}
    found, values = session.run(None, {"m": feed})[0], [feed.get(k, 0.0) for k in (range(6) if form == "SPARSE" else sorted(feed))]
    assert found.tolist() == [[str(v) for v in values] if to == "TO_STRING" else values]


@pytest.mark.parametrize("labels", [{"classlabels_strings": ["x", "y"]}, {"classlabels_int64s": [10, -3]}])
def test_zip_map(labels, random, tmp_path):
    names = next(iter(labels.values()))
    key = TensorProto.STRING if isinstance(names[0], str) else TensorProto.INT64
    model, session = _open(tmp_path, [helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", **labels)], [_value("x", shape=["n", 2], form="tensor")],
                           [_map_type("y", key, TensorProto.FLOAT, listed=True)])
    assert session.get_outputs()[0].type == f"seq(map({'string' if key == TensorProto.STRING else 'int64'},tensor(float)))"
    for rows in (3, 1, 0):
        x = random.standard_normal((rows, 2)).astype(np.float32)
        assert session.run(None, {"x": x})[0] == [dict(zip(names, row)) for row in x.tolist()]


def test_wrong_feeds(tmp_path):
    _, session = _open(tmp_path, [_node("SequenceLength", ["s"], ["y"])], [_value("s")], [_value("y", TensorProto.INT64, [], "tensor")])
    assert session.get_inputs()[0].type == "seq(tensor(float))"
    with pytest.raises(TypeError, match="input 's': expected a list, found int"):
        session.run(None, {"s": 3})
    with pytest.raises(ValueError, match="'t' is not an output"):
        session.run(["t"], {"s": []})
    with pytest.raises(ValueError, match="input 's.ranks' is missing"):
        session.run(None, {})
    with pytest.raises(ValueError, match="input 's.data': expected type float32, found int64"):
        session.run(None, {"s": [np.array([1])]})
