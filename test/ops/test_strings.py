"""Operators on strings, against Python's own and ONNX Runtime's."""
import re

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from support.seeds import get_seed

ML = [helper.make_opsetid("", 22), helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("com.microsoft", 1)]
WORDS = ["", "a", "b", "ab", "Straße", "ÄÖ", "the", "The", " the  end ", "-x-", "x--y", "naïve-ß", "日本-語", "a b\tc", "-"]


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _compile(tmp_path, nodes, inputs, outputs, opsets=ML, initializers=()):
    import onager

    graph = helper.make_graph(nodes, "strings", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return model, onager.InferenceSession(onager.compile(model.SerializeToString(), tmp_path / "model.so"), threads=2)


def _tensor(name, element, rank):
    return helper.make_tensor_value_info(name, element, [f"{name}{k}" for k in range(rank)])


def _run(tmp_path, op, feeds, outputs, domain="", **attributes):
    """Runs one node on arrays of str; `outputs` are element types."""
    inputs = [_tensor(name, TensorProto.STRING if value.dtype == object else helper.np_dtype_to_tensor_dtype(value.dtype), value.ndim) for name, value in feeds.items()]
    names = [f"y{k}" for k in range(len(outputs))]
    results = [helper.make_tensor_value_info(name, element, None) for name, element in zip(names, outputs)]
    model, session = _compile(tmp_path, [helper.make_node(op, list(feeds), names, domain=domain, **attributes)], inputs, results)
    return model, session.run(None, feeds)


def _words(random, *shape):
    return random.choice(np.array(WORDS, object), shape)


PATTERNS = ["a*b", "(a|b)+", "[^-]*", r"\w+", r"\W*", r".*\bend\b.*", r"^the$|x--?y", "日本.語", r"[a-zß]{2,6}.*", r"(\S+|\s)*", "", "(?:na|ÄÖ).*", r"\x{df}|[[:alpha:]]+", r"a\.b|-+", "[日-本]+.*", "(ab?){1,3}", "(|){3}a*(()*|){2}b{0}"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_full_match(pattern, random, tmp_path):
    alphabet = ["a", "b", "-", ".", "日", "本", "語", "ß", "x", " ", "the", "end", "\n", "ÄÖ", "na"]
    x = np.array(WORDS + ["".join(random.choice(alphabet, random.integers(0, 8))) for _ in range(300)], object)
    _, (found,) = _run(tmp_path, "RegexFullMatch", {"x": x}, [TensorProto.BOOL], pattern=pattern)
    # Python's classes are of Unicode unless told otherwise, and it writes two things in another way.
    known = re.compile(pattern.replace(r"\x{df}", "ß").replace("[[:alpha:]]", "[A-Za-z]"), re.ASCII)
    assert found.tolist() == [known.fullmatch(text) is not None for text in x]


def test_repetitions_of_nothing_are_nothing(tmp_path):
    x = np.array(["", "a", "aa", "ab"], object)
    _, (found,) = _run(tmp_path, "RegexFullMatch", {"x": x}, [TensorProto.BOOL], pattern="(((){1000}){1000}){1000}a*(|)*b{0}")
    assert found.tolist() == [True, True, True, False]


def test_concat_broadcasts(random, tmp_path):
    a, b = _words(random, 3, 1, 4), _words(random, 2, 1)
    _, (found,) = _run(tmp_path, "StringConcat", {"a": a, "b": b}, [TensorProto.STRING])
    np.testing.assert_array_equal(found, a + b)


@pytest.mark.parametrize("delimiter, most", [("", None), ("", 1), ("-", None), ("--", None), ("-", 1), ("-", 0), (" ", 2), ("語", None)])
def test_split(delimiter, most, random, tmp_path):
    x = _words(random, 4, 5)
    attributes = {"delimiter": delimiter, **({} if most is None else {"maxsplit": most})}
    _, (parts, counts) = _run(tmp_path, "StringSplit", {"x": x}, [TensorProto.STRING, TensorProto.INT64], **attributes)
    wanted = [text.split(delimiter or None, -1 if most is None else most) for text in x.reshape(-1)]
    width = max(map(len, wanted))
    assert counts.tolist() == np.array([len(w) for w in wanted]).reshape(x.shape).tolist()
    assert parts.shape == (*x.shape, width)
    assert parts.reshape(-1, width).tolist() == [w + [""] * (width - len(w)) for w in wanted]


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("change", ["NONE", "LOWER", "UPPER"])
@pytest.mark.parametrize("sensitive", [0, 1])
def test_normalizer(rank, change, sensitive, random, tmp_path):
    x = _words(random, *([1] * (rank - 1)), 30)
    stops = ["the", "ÄÖ", "b"]
    _, (found,) = _run(tmp_path, "StringNormalizer", {"x": x}, [TensorProto.STRING], case_change_action=change, is_case_sensitive=sensitive, stopwords=stops)
    stopped = stops if sensitive else [s.lower() for s in stops]
    kept = [w for w in x.reshape(-1) if (w if sensitive else w.lower()) not in stopped]
    # Letter by letter: a letter whose other case is two letters stays.
    changed = {"NONE": str, "LOWER": str.lower, "UPPER": lambda w: "".join(c.upper() if len(c.upper()) == 1 else c for c in w)}[change]
    assert found.reshape(-1).tolist() == [changed(w) for w in kept] and found.ndim == rank


def test_normalizer_without_words(tmp_path):
    _, (found,) = _run(tmp_path, "StringNormalizer", {"x": np.array(["a", "a"], object)}, [TensorProto.STRING], stopwords=["a"])
    assert found.tolist() == [""]


@pytest.mark.parametrize("sorted_", [0, 1])
def test_unique(sorted_, random, tmp_path):
    x = _words(random, 40)
    _, (values, first, inverse, counts) = _run(tmp_path, "Unique", {"x": x}, [TensorProto.STRING] + [TensorProto.INT64] * 3, sorted=sorted_)
    wanted = sorted(set(x), key=lambda w: w.encode()) if sorted_ else list(dict.fromkeys(x))
    assert values.tolist() == wanted
    assert first.tolist() == [x.tolist().index(w) for w in wanted]
    assert values[inverse].tolist() == x.tolist() and counts.tolist() == [x.tolist().count(w) for w in wanted]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32, np.uint64, np.int8, np.bool_])
def test_cast_to_text_and_back(dtype, random, tmp_path):
    numbers = random.standard_normal(200) * 10.0 ** random.integers(-9, 19 if dtype != np.float16 else 4, 200)
    if np.dtype(dtype).kind in "iub":
        numbers = random.integers(0 if np.dtype(dtype).kind == "u" else -100, 2 if dtype == np.bool_ else 100, 200)
    x = numbers.astype(dtype)
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [helper.make_node("Cast", ["x"], ["text"], to=TensorProto.STRING), helper.make_node("Cast", ["text"], ["back"], to=element)]
    nodes = nodes[:1] if dtype == np.bool_ else nodes
    outputs = [helper.make_tensor_value_info(n, t, None) for n, t in [("text", TensorProto.STRING), ("back", element)][:len(nodes)]]
    _, session = _compile(tmp_path, nodes, [_tensor("x", element, 1)], outputs)
    found = session.run(None, {"x": x})
    wide = x.astype(np.float32) if dtype == np.float16 else x
    if wide.dtype.kind == "f":
        # The fewest digits that stand for the number; where an exponent begins is NumPy's own affair.
        digits = lambda text: text.split("e")[0].lstrip("-0.").replace(".", "").rstrip("0")
        assert [digits(text) for text in found[0]] == [digits(np.format_float_scientific(value, unique=True)) for value in wide]
        np.testing.assert_array_equal(np.array([float(text) for text in found[0]]).astype(wide.dtype), wide)
    else:
        assert found[0].tolist() == [str(value) for value in wide]
    if len(found) > 1:
        np.testing.assert_array_equal(found[1], x)


def test_cast_of_no_number(tmp_path):
    _, session = _compile(tmp_path, [helper.make_node("Cast", ["x"], ["y"], name="read", to=TensorProto.FLOAT)], [_tensor("x", TensorProto.STRING, 1)],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    np.testing.assert_array_equal(session.run(None, {"x": ["1.5", "-2e3", "inf", "NaN"]})[0], np.array([1.5, -2000, np.inf, np.nan], np.float32))
    with pytest.raises(RuntimeError, match="read"):
        session.run(None, {"x": ["1.5 m"]})


def test_movement(random, tmp_path):
    """Strings go through slices, transposes, concatenations, choices and loops as any element does."""
    x = _words(random, 3, 5)
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]), helper.make_node("Gather", ["t", "i"], ["g"], axis=0),
             helper.make_node("Concat", ["g", "t"], ["c"], axis=0), helper.make_node("Equal", ["c", "the"], ["is"]), helper.make_node("Where", ["is", "none", "c"], ["w"]),
             helper.make_node("Reshape", ["w", "flat"], ["f"]), helper.make_node("Expand", ["f", "twice"], ["e"]), helper.make_node("Pad", ["e", "pads", "end"], ["y"])]
    text = lambda name, values, shape=None: helper.make_tensor(name, TensorProto.STRING, shape if shape is not None else [len(values)], [v.encode() for v in values])
    initializers = [text("the", ["the"], []), text("none", ["none"], []), text("end", ["."], []), helper.make_tensor("i", TensorProto.INT64, [2], [4, 0]),
                    helper.make_tensor("flat", TensorProto.INT64, [1], [-1]), helper.make_tensor("twice", TensorProto.INT64, [2], [2, 1]),
                    helper.make_tensor("pads", TensorProto.INT64, [4], [0, 0, 0, 1])]
    _, session = _compile(tmp_path, nodes, [_tensor("x", TensorProto.STRING, 2)], [helper.make_tensor_value_info("y", TensorProto.STRING, None)], initializers=initializers)
    t = x.T
    c = np.concatenate([t[[4, 0]], t])
    wanted = np.tile(np.where(c == "the", "none", c).reshape(-1), (2, 1))
    for _ in range(2):  # the second run begins with the table as the first did
        np.testing.assert_array_equal(session.run(None, {"x": x})[0], np.pad(wanted, ((0, 0), (0, 1)), constant_values="."))


MAPPINGS = [
    ("LabelEncoder", {"keys_strings": ["a", "the"], "values_int64s": [7, 8], "default_int64": -5}, TensorProto.INT64),
    ("LabelEncoder", {"keys_strings": ["a", "ÄÖ"], "values_strings": ["x", ""], "default_string": "?"}, TensorProto.STRING),
    ("LabelEncoder", {"keys_strings": ["b", ""], "values_floats": [0.5, 2.0]}, TensorProto.FLOAT),
    ("OneHotEncoder", {"cats_strings": ["a", "b", "the"]}, TensorProto.FLOAT),
    ("CategoryMapper", {"cats_strings": ["a", "b"], "cats_int64s": [3, 4], "default_int64": -1}, TensorProto.INT64),
    ("TfIdfVectorizer", {"mode": "TF", "min_gram_length": 1, "max_gram_length": 2, "max_skip_count": 1, "ngram_counts": [0, 3], "ngram_indexes": [1, 0, 2, 3],
                         "pool_strings": ["a", "b", "the", "a", "b"]}, TensorProto.FLOAT)]


@pytest.mark.parametrize("op, attributes, element", MAPPINGS, ids=[f"{k}-{op}" for k, (op, _, _) in enumerate(MAPPINGS)])
def test_mapping(op, attributes, element, random, tmp_path):
    x = _words(random, 12)
    model, (found,) = _run(tmp_path, op, {"x": x}, [element], domain="" if op == "TfIdfVectorizer" else "ai.onnx.ml", **attributes)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    np.testing.assert_array_equal(found, expected)


def test_names_of_categories(tmp_path):
    x = np.array([4, 3, 9, 4], np.int64)
    model, (found,) = _run(tmp_path, "CategoryMapper", {"x": x}, [TensorProto.STRING], domain="ai.onnx.ml", cats_strings=["a", "b"], cats_int64s=[3, 4], default_string="?")
    assert found.tolist() == onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0].tolist() == ["b", "a", "?", "b"]


def test_labels_of_a_classifier(random, tmp_path):
    x = random.standard_normal((9, 2)).astype(np.float32)
    model, (label, scores) = _run(tmp_path, "LinearClassifier", {"x": x}, [TensorProto.STRING, TensorProto.FLOAT], domain="ai.onnx.ml", classlabels_strings=["p", "q", "r"],
                                  coefficients=[1.0, -1.0, 0.5, 0.5, -1.0, 0.2], intercepts=[0.1, 0.0, -0.1], post_transform="SOFTMAX", multi_class=1)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    assert label.tolist() == expected[0].tolist()
    np.testing.assert_allclose(scores, expected[1], rtol=1e-5)


def test_feeds(tmp_path):
    """str, bytes, fixed-width arrays and lists are texts; others name the element."""
    _, session = _compile(tmp_path, [helper.make_node("Identity", ["x"], ["y"])], [_tensor("x", TensorProto.STRING, 1)], [helper.make_tensor_value_info("y", TensorProto.STRING, None)])
    assert session.get_inputs()[0].type == "tensor(string)"
    for feed in (["é", "b"], np.array(["é", "b"]), np.array(["é".encode(), b"b"], object)):
        assert session.run(None, {"x": feed})[0].tolist() == ["é", "b"]
    with pytest.raises(TypeError, match="input 'x': expected str or bytes at element 1"):
        session.run(None, {"x": np.array(["a", 1], object)})
    with pytest.raises(ValueError, match="input 'x': expected type string, found float32"):
        session.run(None, {"x": np.zeros(2, np.float32)})


def test_reference_agrees_on_split(tmp_path):
    x = np.array([["a.b", "c"], ["", "d..e"]], object)
    model, found = _run(tmp_path, "StringSplit", {"x": x}, [TensorProto.STRING, TensorProto.INT64], delimiter=".")
    expected = ReferenceEvaluator(model).run(None, {"x": x})
    assert found[0].tolist() == expected[0].tolist() and found[1].tolist() == expected[1].tolist()


TEXTS = ["abab hello", "aabb", "日本 語a", "", "a", " a ", "-x--y-", "naïve ß日", "a\nb", "ab  ba"]
TOKENS = [{"separators": [" "]}, {"separators": [""]}, {"tokenexp": "."}, {"separators": ["a|ab"]}, {"separators": ["b*"]}, {"separators": [" ", "l+"]}, {"separators": ["l", "^.", "$"]},
          {"separators": [r"\b"]}, {"tokenexp": "a|ab"}, {"tokenexp": "(a|b)*?"}, {"tokenexp": "b*"}, {"tokenexp": r"\w+\b"}, {"tokenexp": "^.|.$"}, {"tokenexp": ".+"},
          {"separators": ["-"], "tokenexp": "a"}, {"separators": [r"\W"], "mincharnum": 2}, {"tokenexp": r"[^\s]+", "mincharnum": 3}]


@pytest.mark.parametrize("how", TOKENS, ids=str)
@pytest.mark.parametrize("mark", [0, 1])
@pytest.mark.parametrize("shape", [(-1,), (2, -1)])
def test_tokens(how, mark, shape, tmp_path):
    x = np.array(TEXTS, object).reshape(shape)
    model, (found,) = _run(tmp_path, "Tokenizer", {"x": x}, [TensorProto.STRING], domain="com.microsoft", **{"mincharnum": 1, "mark": mark, "pad_value": "#"} | how)
    wanted = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    assert found.shape == wanted.shape and found.tolist() == wanted.tolist()


@pytest.mark.parametrize("pattern, count", [(r"\w+-", 0), ("a|a*b", 1000000)])
def test_a_long_text_costs_its_length(pattern, count, tmp_path):
    """Each place where a match might begin would look at all that is left."""
    _, (found,) = _run(tmp_path, "Tokenizer", {"x": np.array(["a" * 1000000], object)}, [TensorProto.STRING], domain="com.microsoft", mark=0, mincharnum=1, pad_value="#", tokenexp=pattern)
    assert found.shape == (1, count)


def test_no_tokens(tmp_path):
    """Where there are none the marks are left out; of no text there are none."""
    for x in ([" ", ""], []):
        _, (found,) = _run(tmp_path, "Tokenizer", {"x": np.array(x, object)}, [TensorProto.STRING], domain="com.microsoft", mark=1, mincharnum=1, pad_value="#", separators=[" "])
        assert found.shape == (len(x), 0)


@pytest.mark.parametrize("attributes, reason", [({}, "separators or tokenexp is missing"), ({"tokenexp": ".", "mincharnum": 2}, "mincharnum is 2, expected 1 for tokens of one character"),
                                                ({"tokenexp": "a", "mincharnum": 0}, "mincharnum is 0, expected 1 or more"), ({"separators": ["a", "("]}, "pattern '[(]'")])
def test_tokenizer_refusals(attributes, reason, tmp_path):
    import onager

    with pytest.raises(onager.CompileError, match=reason):
        _run(tmp_path, "Tokenizer", {"x": np.array(["a"], object)}, [TensorProto.STRING], domain="com.microsoft", **attributes)


def test_tokens_of_what_is_no_utf8(tmp_path):
    """A text may hold any bytes; ONNX Runtime refuses these, too."""
    import onager

    node = helper.make_node("Tokenizer", ["t"], ["y"], name="words", domain="com.microsoft", mark=0, pad_value="#", mincharnum=1, separators=[" "])
    texts = helper.make_tensor("t", TensorProto.STRING, [1], [b"a\xffb"])
    _, session = _compile(tmp_path, [node], [], [helper.make_tensor_value_info("y", TensorProto.STRING, None)], initializers=[texts])
    with pytest.raises(RuntimeError, match="node 'words': values that 'tokenize_count' cannot work with"):
        session.run(None, {})
