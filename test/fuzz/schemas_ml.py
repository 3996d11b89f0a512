"""Generators for ai.onnx.ml on tensors and maps: encoders, features, linear models and support vectors, with NumPy where a formula is short."""
import numpy as np
from onnx import TypeProto, helper, numpy_helper

from fuzz.draw import Typed, to_onnx

WORDS = ["a", "b", "cat", "déjà", ""]


def _rows(draw, low: float = -3, high: float = 3, features: int = 0) -> np.ndarray:
    return draw.values(0, (draw.whole(1, 4), features or draw.whole(1, 4)), low, high)


def _wanted(node, *results):
    node.wanted = list(results)
    return node


def _features(draw):
    shape = draw.shape(draw.whole(1, 3), least=1)
    x, places = draw.values(0, shape), draw.random.integers(0, shape[-1], draw.whole(1, 4))
    if len(shape) == 1:
        x = x.reshape(1, -1)
    return draw.node([x, places.reshape(1, -1)])


def _binarizer(draw):
    x = draw.values(0, draw.shape(draw.whole(1, 3), least=1), -3, 3)
    return _wanted(draw.node([x], threshold=0.5), (x > 0.5).astype(x.dtype))


def _map_type(key: str, value: str):
    result = TypeProto()
    result.map_type.key_type = to_onnx(key)
    result.map_type.value_type.CopyFrom(helper.make_tensor_type_proto(to_onnx(value), []))
    return result


def _cast_map(draw):
    value = "string" if "string" in draw.types["T1"] else "float"
    draw.types["T2"] = draw.one("float", "int64", "string")
    numbers = draw.numbers.permutation([1.0, 2.0, -7.0, 4.0])
    # The number of entries is a matter of the run alone where the form is dense.
    feed = {int(key): f"{int(number)}" if value == "string" else float(number) for key, number in zip(sorted(draw.numbers.permutation(6)[:4]), numbers)}
    sparse = draw.often()
    to = {"float": "TO_FLOAT", "int64": "TO_INT64", "string": "TO_STRING"}[draw.types["T2"]]
    node = draw.node([Typed(feed, _map_type("int64", value))], cast_to=to, map_form="SPARSE" if sparse else "DENSE", max_map=6)
    missing = "0" if value == "string" else 0.0
    values = [feed.get(key, missing) for key in range(6)] if sparse else list(feed.values())
    cast = {"float": np.float32, "int64": np.int64}.get(draw.types["T2"])
    if cast is not None:
        return _wanted(node, np.array([[cast(float(number)) for number in values]], cast))
    node.check = lambda found: "" if [float(text or 0) for text in found[0].reshape(-1)] == [float(number) for number in values] and found[0].shape == (1, len(values)) else f"{found[0]}"
    return node


def _dictionary(draw):
    key, value = draw.types["T1"][4:-1].split(",")
    vocabulary = ["a", "b", "c", "d"] if key == "string" else [3, -1, 7, 0]
    chosen = [vocabulary[place] for place in sorted(draw.numbers.permutation(4)[:draw.numbers.integers(1, 5)])]
    make = {"string": lambda: str(draw.numbers.choice(WORDS[:4])), "int64": lambda: int(draw.numbers.integers(-5, 6))}.get(value, lambda: float(np.float32(draw.numbers.uniform(-2, 2))))
    feed = {name: make() for name in chosen}
    node = draw.node([Typed(feed, _map_type(key, value))], **({"string_vocabulary": vocabulary} if key == "string" else {"int64_vocabulary": vocabulary}))
    missing, kind = ("", object) if value == "string" else (0, {"float": np.float32, "double": np.float64, "int64": np.int64}[value])
    return _wanted(node, np.array([[feed.get(name, missing) for name in vocabulary]], kind))


def _categories(draw):
    backwards = draw.types["T1"] == "int64"
    draw.types["T2"] = "string" if backwards else "int64"
    node = draw.node([], cats_strings=["a", "b", "cat"], cats_int64s=[3, 4, -2], default_string="?", default_int64=-9)
    table = dict(zip(["a", "b", "cat"], [3, 4, -2]))
    shape = draw.shape(draw.whole(1, 2), least=1)
    if backwards:
        x = draw.numbers.choice([3, 4, -2, 9], shape)
        other = {number: name for name, number in table.items()}
        node.inputs = [x]
        return _wanted(node, np.array([other.get(int(number), "?") for number in x.reshape(-1)], object).reshape(shape))
    node.inputs = [draw.numbers.choice(np.array(WORDS, object), shape)]
    return _wanted(node, np.array([table.get(text, -9) for text in node.inputs[0].reshape(-1)], np.int64).reshape(shape))


def _vectorizer(draw):
    rows, widths = draw.whole(1, 3), [draw.whole(1, 3) for _ in range(draw.whole(1, 3))]
    inputs = [draw.values(0, (rows, width)) for width in widths]
    return _wanted(draw.node(inputs, inputdimensions=widths), np.concatenate(inputs, 1).astype(np.float32))


def _imputer(draw):
    x = _rows(draw, -2, 2)
    integral = "int" in draw.element(0)
    count = draw.one(1, x.shape[1])
    if integral:
        values = [draw.whole(5, 9) for _ in range(count)]
        node = draw.node([x], imputed_value_int64s=values, replaced_value_int64=1)
        missing = x == 1
    else:
        values = draw.floats(count, 5, 9)
        x[draw.numbers.random(x.shape) < 0.3] = np.nan
        node = draw.node([x], imputed_value_floats=values, replaced_value_float=float("nan"))
        missing = np.isnan(x)
    return _wanted(node, np.where(missing, np.array(values, x.dtype), x).astype(x.dtype))


KINDS = {"string": ("strings", WORDS[:3], ["x", "yy", ""], "?"), "int64": ("int64s", [3, -1, 7], [10, 20, -5], -3), "float": ("floats", [1.0, 2.5, -3.0], [0.5, -1.5, 4.0], 9.5)}


def _labels(draw):
    shape = draw.shape(draw.whole(1, 2), least=1)
    if draw.version == 1:
        backwards = draw.types["T1"] == "int64"
        draw.types["T2"] = "string" if backwards else "int64"
        node = draw.node([draw.numbers.choice([0, 1, 2, 7], shape) if backwards else draw.numbers.choice(np.array(WORDS, object), shape)], classes_strings=WORDS[:3], default_string="?", default_int64=-9)
        table = dict(enumerate(WORDS[:3])) if backwards else {name: place for place, name in enumerate(WORDS[:3])}
        found = [table.get(value, "?" if backwards else -9) for value in node.inputs[0].reshape(-1).tolist()]
        return _wanted(node, np.array(found, object if backwards else np.int64).reshape(shape))
    draw.retype("T2", "float", "int64", "string") if draw.types["T1"] in KINDS else draw.retype("T2", draw.types["T1"])
    key, value = draw.types["T1"], draw.types["T2"]
    if key not in KINDS:
        # Other types are tensors of keys and values.
        keys, values = np.array([1, 2, -3]).astype(draw.kind(0)), np.array([4, -5, 6]).astype(draw.kind(0, output=True))
        x = draw.numbers.choice(np.array([1, 2, -3, 9]), shape).astype(draw.kind(0))
        attributes = {"keys_tensor": numpy_helper.from_array(keys), "values_tensor": numpy_helper.from_array(values), "default_tensor": numpy_helper.from_array(np.array([8], values.dtype))}
        table = dict(zip(keys.tolist(), values.tolist()))
        return _wanted(draw.node([x], **attributes), np.array([table.get(number, 8) for number in x.reshape(-1).tolist()], values.dtype).reshape(shape))
    (first, keys, _, other), (second, _, values, default) = KINDS[key], KINDS[value]
    x = draw.numbers.choice(np.array([*keys, other], draw.kind(0)), shape)
    table = dict(zip(keys, values))
    attributes = {f"keys_{first}": keys, f"values_{second}": values, f"default_{second[:-1]}": default}
    found = [table.get(one, default) for one in x.reshape(-1).tolist()]
    return _wanted(draw.node([x], **attributes), np.array(found, draw.kind(0, output=True)).reshape(shape))


def _post(scores: np.ndarray, form: str) -> np.ndarray:
    if form == "LOGISTIC":
        return 1 / (1 + np.exp(-scores))
    if form == "SOFTMAX":
        raised = np.exp(scores - scores.max(1, keepdims=True))
        return raised / raised.sum(1, keepdims=True)
    return scores


def _class_labels(draw, count: int) -> tuple:
    """Returns (attribute, labels of the classes as the output has them)."""
    if draw.types.get("T2") == "string":
        return {"classlabels_strings": [f"c{number}" for number in range(count)]}, np.array([f"c{number}" for number in range(count)], object)
    return {"classlabels_ints": [5 * number + 1 for number in range(count)]}, np.array([5 * number + 1 for number in range(count)])


def _linear_classifier(draw):
    draw.retype("T2")
    count, x = draw.whole(3, 4), _rows(draw)
    weights, shifts, form = draw.floats(count * x.shape[1]), draw.floats(count), draw.one("NONE", "SOFTMAX", "LOGISTIC")
    labels, names = _class_labels(draw, count)
    node = draw.node([x], 2, coefficients=weights, intercepts=shifts, post_transform=form, **labels)
    scores = x.astype(np.float64) @ np.array(weights).reshape(count, -1).T + shifts
    return _wanted(node, names[scores.argmax(1)], _post(scores, form).astype(np.float32))


def _linear_regressor(draw):
    count, x = draw.whole(1, 3), _rows(draw)
    weights, shifts = draw.floats(count * x.shape[1]), draw.floats(count)
    return _wanted(draw.node([x], coefficients=weights, intercepts=shifts, targets=count), (x.astype(np.float64) @ np.array(weights).reshape(count, -1).T + shifts).astype(np.float32))


def _normalizer(draw):
    x, form = _rows(draw, 1, 5), draw.one("MAX", "L1", "L2")
    wide = x.astype(np.float64)
    size = {"MAX": wide.max(1, keepdims=True), "L1": np.abs(wide).sum(1, keepdims=True), "L2": np.sqrt((wide ** 2).sum(1, keepdims=True))}[form]
    return _wanted(draw.node([x], norm=form), (wide / size).astype(np.float32))


def _one_hot(draw):
    shape = draw.shape(draw.whole(1, 2), least=1)
    text = draw.types["T"] == "string"
    categories = WORDS[:3] if text else [1, -2, 3]
    x = draw.numbers.choice(np.array(categories, object if text else None), shape)
    x = x if text else x.astype(draw.kind(0))
    node = draw.node([x], zeros=1, **({"cats_strings": categories} if text else {"cats_int64s": categories}))
    return _wanted(node, np.stack([(x == category) for category in categories], -1).astype(np.float32))


def _scaler(draw):
    x = _rows(draw)
    count = draw.one(1, x.shape[1])
    offset, scale = draw.floats(count), draw.floats(count)
    return _wanted(draw.node([x], offset=offset, scale=scale), ((x.astype(np.float64) - offset) * scale).astype(np.float32))


def _kernel(draw, x, vectors) -> tuple:
    """Returns (attributes, kernel of rows and support vectors)."""
    form, gamma, shift, degree = draw.one("LINEAR", "POLY", "RBF", "SIGMOID"), 0.3, 0.5, 2.0
    dots = x @ vectors.T
    distance = ((x[:, None] - vectors[None]) ** 2).sum(-1)
    values = {"LINEAR": dots, "POLY": (gamma * dots + shift) ** degree, "RBF": np.exp(-gamma * distance), "SIGMOID": np.tanh(gamma * dots + shift)}[form]
    return {"kernel_type": form, "kernel_params": [gamma, shift, degree]}, values


def _support_regressor(draw):
    x, count = _rows(draw), draw.whole(1, 4)
    vectors, weights, shift = np.array(draw.floats(count * x.shape[1])).reshape(count, -1), draw.floats(count), draw.floats(1)
    attributes, kernel = _kernel(draw, x.astype(np.float64), vectors)
    node = draw.node([x], support_vectors=vectors.reshape(-1).tolist(), coefficients=weights, rho=shift, n_supports=count, **attributes)
    node.loose = (0.01, 1e-3)
    return _wanted(node, (kernel @ np.array(weights)[:, None] + shift[0]).astype(np.float32))


def _support_classifier(draw):
    """Three classes without probabilities are judged by ONNX Runtime: one pair of classes votes after the other."""
    draw.retype("T2")
    x, each = _rows(draw), [draw.whole(1, 2) for _ in range(3)]
    vectors = np.array(draw.floats(sum(each) * x.shape[1])).reshape(sum(each), -1)
    attributes, _ = _kernel(draw, x.astype(np.float64), vectors)
    labels, _ = _class_labels(draw, 3)
    node = draw.node([x], 2, support_vectors=vectors.reshape(-1).tolist(), coefficients=draw.floats(2 * sum(each)), rho=draw.floats(3), vectors_per_class=each, **attributes, **labels)
    node.loose = (0.01, 1e-3)
    return node


def _zip(draw):
    text = "string" in draw.types["T"]
    count = draw.whole(1, 3)
    names = WORDS[:count] if text else [7, -3, 4][:count]
    x = draw.values(0, (draw.whole(1, 3), count))
    return _wanted(draw.node([x], **({"classlabels_strings": names} if text else {"classlabels_int64s": names})), [dict(zip(names, row)) for row in x.tolist()])


GENERATORS = {"ArrayFeatureExtractor": _features, "Binarizer": _binarizer, "CastMap": _cast_map, "CategoryMapper": _categories, "DictVectorizer": _dictionary,
              "FeatureVectorizer": _vectorizer, "Imputer": _imputer, "LabelEncoder": _labels, "LinearClassifier": _linear_classifier, "LinearRegressor": _linear_regressor,
              "Normalizer": _normalizer, "OneHotEncoder": _one_hot, "SVMClassifier": _support_classifier, "SVMRegressor": _support_regressor, "Scaler": _scaler, "ZipMap": _zip}
