"""Operators of ai.onnx.ml against ONNX Runtime."""
import random

import numpy as np
import pytest
from onnx import TensorProto, helper

FEATURES = 5
LESS = ["BRANCH_LEQ"]


def _grow(rng: random.Random, depth: int) -> list:
    """Returns nodes (is leaf, feature, split, true child, false child) of a random tree, the root first."""
    nodes = []

    def grow(level: int) -> int:
        place = len(nodes)
        nodes.append(None)
        if level == 0 or rng.random() < 0.15:
            nodes[place] = (True, 0, 0.0, 0, 0)
            return place
        feature, split, holds, fails = rng.randrange(FEATURES), round(rng.uniform(-1, 1), 2), grow(level - 1), grow(level - 1)
        nodes[place] = (False, feature, split, holds, fails)
        return place

    grow(depth)
    return nodes


def _make_forest(is_classifier: bool, targets: int, ids: list, is_positive: bool, modes: list, features=FEATURES, trees=6, depth=4, **attributes):
    rng, prefix = random.Random(3), "class" if is_classifier else "target"
    lists = {name: [] for name in ("nodes_treeids", "nodes_nodeids", "nodes_modes", "nodes_featureids", "nodes_values", "nodes_truenodeids", "nodes_falsenodeids",
                                   f"{prefix}_treeids", f"{prefix}_nodeids", f"{prefix}_ids", f"{prefix}_weights")}
    for tree in range(trees):
        for number, (is_leaf, feature, split, holds, fails) in enumerate(_grow(rng, depth)):
            values = (tree, number, "LEAF" if is_leaf else rng.choice(modes), feature, split, holds, fails)
            for name, value in zip(lists, values):
                lists[name].append(value)
            for target in ids if is_leaf else []:
                for name, value in zip(list(lists)[7:], (tree, number, target, round(rng.uniform(0 if is_positive else -1, 1), 3))):
                    lists[name].append(value)
    # Where both of two classes have leaves, ONNX Runtime answers 0 and 1 whatever the labels are.
    first = 0 if targets == 2 and len(ids) == 2 else 10
    lists |= {"classlabels_int64s": list(range(first, first + targets))} if is_classifier else {"n_targets": targets}
    node = helper.make_node("TreeEnsembleClassifier" if is_classifier else "TreeEnsembleRegressor", ["x"], ["label", "z"] if is_classifier else ["z"],
                            domain="ai.onnx.ml", **lists, **attributes)
    return _make_model(node, TensorProto.FLOAT, ["N", features], [(TensorProto.INT64, ["N"])] * is_classifier + [(TensorProto.FLOAT, ["N", targets])])


def _make_model(node, element: int, shape: list, outputs: list) -> bytes:
    values = [helper.make_tensor_value_info(name, kind, dims) for name, (kind, dims) in zip(node.output, outputs)]
    graph = helper.make_graph([node], "ml", [helper.make_tensor_value_info("x", element, shape)], values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def _compare(model: bytes, x: np.ndarray):
    import onager
    import onnxruntime

    wanted = onnxruntime.InferenceSession(model).run(None, {"x": x})
    for level in (0, 3):
        found = onager.InferenceSession(model, opt_level=level).run(None, {"x": x})
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("targets, aggregate, post, base, modes", [
    (1, "SUM", "NONE", [0.5], LESS), (3, "AVERAGE", "NONE", None, ["BRANCH_LT", "BRANCH_GTE"]), (2, "MIN", "SOFTMAX", None, LESS),
    (2, "MAX", "LOGISTIC", [1.0, 2.0], ["BRANCH_GT"]), (2, "SUM", "NONE", None, ["BRANCH_LT"]), (2, "SUM", "NONE", None, ["BRANCH_NEQ", "BRANCH_EQ"])])
def test_tree_regressor(targets, aggregate, post, base, modes):
    extra = {"base_values": base} if base else {}
    model = _make_forest(False, targets, list(range(targets)), False, modes, aggregate_function=aggregate, post_transform=post, **extra)
    x = np.random.default_rng(0).uniform(-1, 1, (64, FEATURES)).astype(np.float32).round(2)
    _compare(model, x)


@pytest.mark.parametrize("trees, depth", [(1, 0), (1, 2), (7, 7), (8, 8), (9, 9), (21, 12)])
@pytest.mark.parametrize("modes", [["BRANCH_LEQ"], ["BRANCH_LT"], LESS, ["BRANCH_LEQ", "BRANCH_GT"]])
def test_walks_side_by_side(modes, trees, depth):
    """Rows and trees around eight, walks around eight steps, numbers on the splits, without end and none."""
    import onager
    import onnxruntime

    model = _make_forest(False, 2, [0, 1], False, modes, trees=trees, depth=depth)
    rng = np.random.default_rng(4)
    sessions = onnxruntime.InferenceSession(model), onager.InferenceSession(model, threads=1)
    for rows in (1, 7, 8, 17, 40):
        for rare in ([], [np.inf, -np.inf], [np.nan]):
            x = rng.uniform(-1, 1, (rows, FEATURES)).astype(np.float32).round(2)
            for number in rare:
                x[rng.random(x.shape) < 0.1] = number
            wanted, found = (session.run(None, {"x": x})[0] for session in sessions)
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
def test_a_leaf_of_a_single_target_has_the_first_of_its_weights(aggregate):
    model = _make_forest(False, 1, [0, 0, 0], False, LESS, aggregate_function=aggregate)
    _compare(model, np.random.default_rng(1).uniform(-1, 1, (9, FEATURES)).astype(np.float32))


@pytest.mark.parametrize("classes, ids, post, base, is_positive", [
    (3, [0, 1, 2], "SOFTMAX", None, False), (3, [0, 1, 2], "SOFTMAX_ZERO", [0.1, 0.2, 0.3], False), (2, [0, 1], "LOGISTIC", None, False),
    (2, [0], "LOGISTIC", None, False), (2, [0], "NONE", None, True), (2, [0], "LOGISTIC", [0.3], False)])
def test_tree_classifier(classes, ids, post, base, is_positive):
    model = _make_forest(True, classes, ids, is_positive, LESS, post_transform=post, **({"base_values": base} if base else {}))
    _compare(model, np.random.default_rng(1).uniform(-1, 1, (64, FEATURES)).astype(np.float32))


def test_a_cycle_of_tree_nodes_is_refused():
    import onager

    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["z"], domain="ai.onnx.ml", n_targets=1, nodes_treeids=[0, 0], nodes_nodeids=[0, 1],
                            nodes_modes=["BRANCH_LEQ", "LEAF"], nodes_featureids=[0, 0], nodes_values=[0.0, 0.0], nodes_truenodeids=[0, 0],
                            nodes_falsenodeids=[1, 0], target_treeids=[0], target_nodeids=[1], target_ids=[0], target_weights=[1.0])
    with pytest.raises(onager.CompileError, match="tree node 0 is outside the tree or reached twice"):
        onager.InferenceSession(_make_model(node, TensorProto.FLOAT, ["N", 1], [(TensorProto.FLOAT, ["N", 1])]))


def test_a_feature_that_is_missing_stops_the_run():
    import onager

    session = onager.InferenceSession(_make_forest(False, 1, [0], False, LESS, features="F"))
    assert session.run(None, {"x": np.zeros((2, FEATURES), np.float32)})[0].shape == (2, 1)
    with pytest.raises(Exception, match="trees"):
        session.run(None, {"x": np.zeros((2, 1), np.float32)})


@pytest.mark.parametrize("op, attributes, element, width", [
    ("Scaler", {"offset": [1.0, 2.0, 3.0], "scale": [0.5, 2.0, 4.0]}, TensorProto.FLOAT, 3), ("Scaler", {"offset": [1.0], "scale": [3.0]}, TensorProto.INT64, 3),
    ("Imputer", {"imputed_value_floats": [1.0, 2.0, 3.0], "replaced_value_float": float("nan")}, TensorProto.FLOAT, 3),
    ("Imputer", {"imputed_value_int64s": [7], "replaced_value_int64": 2}, TensorProto.INT64, 3),
    ("Normalizer", {"norm": "L1"}, TensorProto.FLOAT, 3), ("Normalizer", {"norm": "L2"}, TensorProto.FLOAT, 3), ("Normalizer", {"norm": "MAX"}, TensorProto.FLOAT, 3),
    ("LinearRegressor", {"targets": 2, "coefficients": [1.0, 2.0, 3.0, -1.0, 0.0, 1.0], "intercepts": [0.5, -0.5]}, TensorProto.FLOAT, 2)])
def test_features(op, attributes, element, width):
    x = np.array([[1, 2, -3], [0, 0, 0], [2, -2, 5]])
    x = x.astype(helper.tensor_dtype_to_np_dtype(element))
    if op == "Imputer" and element == TensorProto.FLOAT:
        x[1, 1] = np.nan
    result = TensorProto.INT64 if op == "Imputer" and element == TensorProto.INT64 else TensorProto.FLOAT
    _compare(_make_model(helper.make_node(op, ["x"], ["y"], domain="ai.onnx.ml", **attributes), element, ["N", 3], [(result, ["N", width])]), x)


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC"])
def test_linear_classifier(post):
    node = helper.make_node("LinearClassifier", ["x"], ["label", "z"], domain="ai.onnx.ml", classlabels_ints=[3, 5, 9], post_transform=post, multi_class=0,
                            coefficients=[1.0, 2.0, 3.0, -1.0, 0.0, 1.0, 0.5, 0.5, -2.0], intercepts=[0.5, -0.5, 0.0])
    x = np.random.default_rng(2).uniform(-1, 1, (16, 3)).astype(np.float32)
    _compare(_make_model(node, TensorProto.FLOAT, ["N", 3], [(TensorProto.INT64, ["N"]), (TensorProto.FLOAT, ["N", 3])]), x)


def test_label_encoder():
    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", keys_floats=[1.0, 2.5, 3.0], values_int64s=[10, 20, 30], default_int64=-7)
    _compare(_make_model(node, TensorProto.FLOAT, ["N"], [(TensorProto.INT64, ["N"])]), np.array([3, 2.5, 2, 1], np.float32))
