"""Generators for ensembles of trees, held against a walk over them in Python."""
import numpy as np
from onnx import numpy_helper

COMPARE = {"BRANCH_LEQ": np.less_equal, "BRANCH_LT": np.less, "BRANCH_GTE": np.greater_equal, "BRANCH_GT": np.greater, "BRANCH_EQ": np.equal, "BRANCH_NEQ": np.not_equal}


def _grow(draw, features: int, depth: int, mode: str, ids: int) -> list:
    """Returns nodes of a tree: (feature, split, mode, place where true, place where false), or weights of a leaf by target."""
    nodes = []

    def grow(level: int) -> int:
        place = len(nodes)
        nodes.append(None)
        if level == 0 or draw.often(0.2):
            nodes[place] = draw.floats(ids, -1, 1)
            return place
        split = float(draw.whole(-2, 2)) + draw.one(0, 0.5)
        nodes[place] = (draw.whole(0, features - 1), split, mode, grow(level - 1), grow(level - 1))
        return place

    grow(depth)
    return nodes


def _walk(nodes: list, row) -> list:
    place = 0
    while isinstance(nodes[place], tuple):
        feature, split, mode, holds, fails = nodes[place]
        place = holds if COMPARE[mode](row[feature], split) else fails
    return nodes[place]


def _lists(trees: list, prefix: str, ids: int) -> dict:
    names = ("nodes_treeids", "nodes_nodeids", "nodes_modes", "nodes_featureids", "nodes_values", "nodes_truenodeids", "nodes_falsenodeids")
    lists = {name: [] for name in (*names, f"{prefix}_treeids", f"{prefix}_nodeids", f"{prefix}_ids", f"{prefix}_weights")}
    for tree, nodes in enumerate(trees):
        for number, node in enumerate(nodes):
            inner = isinstance(node, tuple)
            feature, split, mode, holds, fails = node if inner else (0, 0.0, "LEAF", 0, 0)
            for name, value in zip(names, (tree, number, mode, feature, split, holds, fails)):
                lists[name].append(value)
            for target in range(0 if inner else ids):
                for name, value in zip(list(lists)[len(names):], (tree, number, target, node[target])):
                    lists[name].append(value)
    return lists


def _sums(trees: list, x) -> np.ndarray:
    """Returns the leaves of each row: [rows, trees, targets]."""
    return np.array([[_walk(nodes, row) for nodes in trees] for row in x.astype(np.float64)])


def _forest(draw, ids: int) -> tuple:
    x = draw.values(0, (draw.whole(1, 4), draw.whole(1, 3)), -3, 3)
    if "int" not in draw.element(0):
        x = (np.round(x.astype(np.float64) * 2) / 2).astype(x.dtype)  # splits are met exactly
    mode = draw.one(*COMPARE)
    return x, [_grow(draw, x.shape[1], draw.whole(1, 3), mode, ids) for _ in range(draw.whole(1, 4))]


def _typed(draw, lists: dict, names: tuple) -> dict:
    """From version 3 on lists of numbers may be tensors, which doubles must be."""
    if draw.version >= 3 and draw.element(0) == "double":
        for name in names:
            lists[f"{name}_as_tensor"] = numpy_helper.from_array(np.array(lists.pop(name), np.float64))
    return lists


def _regressor(draw):
    targets, form = draw.whole(1, 3), draw.one("SUM", "AVERAGE", "MIN", "MAX")
    x, trees = _forest(draw, targets)
    base = draw.floats(targets) if draw.often() and draw.version < 3 else None
    lists = _typed(draw, _lists(trees, "target", targets), ("nodes_values", "target_weights"))
    node = draw.node([x], n_targets=targets, aggregate_function=form, **lists, **({"base_values": base} if base else {}))
    leaves = _sums(trees, x)
    y = {"SUM": leaves.sum, "AVERAGE": leaves.mean, "MIN": leaves.min, "MAX": leaves.max}[form](1) + (base or 0)
    node.wanted, node.loose = [y.astype(np.float32)], (1e-3, 1e-4)
    return node


def _classifier(draw):
    draw.retype("T2")
    classes = draw.whole(3, 4)
    x, trees = _forest(draw, classes)
    text = draw.types["T2"] == "string"
    names = np.array([f"c{number}" for number in range(classes)], object) if text else np.arange(classes) * 3 + 1
    lists = _typed(draw, _lists(trees, "class", classes), ("nodes_values", "class_weights"))
    form = draw.one("NONE", "SOFTMAX")
    node = draw.node([x], 2, post_transform=form, **lists, **({"classlabels_strings": names.tolist()} if text else {"classlabels_int64s": names.tolist()}))
    scores = _sums(trees, x).sum(1)
    shown = np.exp(scores - scores.max(1, keepdims=True)) if form == "SOFTMAX" else scores
    shown = shown / shown.sum(1, keepdims=True) if form == "SOFTMAX" else shown
    node.wanted, node.loose = [names[scores.argmax(1)], shown.astype(np.float32)], (1e-3, 1e-4)
    return node


def _ensemble(draw):
    """TreeEnsemble: inner nodes and leaves have lists of their own."""
    targets, form = draw.whole(1, 2), draw.whole(0, 3)
    x = (np.round(draw.values(0, (draw.whole(1, 4), draw.whole(1, 3)), -3, 3).astype(np.float64) * 2) / 2).astype(draw.kind(0))
    mode = draw.one(*COMPARE)
    number = {"BRANCH_LEQ": 0, "BRANCH_LT": 1, "BRANCH_GTE": 2, "BRANCH_GT": 3, "BRANCH_EQ": 4, "BRANCH_NEQ": 5}[mode]
    lists = {name: [] for name in ("nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_trueleafs", "nodes_falseleafs")}
    splits, weights, ids, roots, results = [], [], [], [], np.zeros((len(x), draw.whole(1, 3)))
    for tree in range(results.shape[1]):
        feature, split, target = draw.whole(0, x.shape[1] - 1), float(draw.whole(-2, 2)), draw.whole(0, targets - 1)
        roots.append(len(splits))
        leaves = draw.floats(2, -1, 1)
        for name, value in zip(lists, (feature, len(weights), len(weights) + 1, 1, 1)):
            lists[name].append(value)
        splits.append(split)
        weights += leaves
        ids += [target, target]
        results[:, tree] = np.where(COMPARE[mode](x[:, feature].astype(np.float64), split), *leaves)
    kind = draw.kind(0)
    node = draw.node([x], n_targets=targets, aggregate_function=form, tree_roots=roots, leaf_targetids=ids, leaf_weights=numpy_helper.from_array(np.array(weights, kind)),
                     nodes_splits=numpy_helper.from_array(np.array(splits, kind)), nodes_modes=numpy_helper.from_array(np.full(len(splits), number, np.uint8)), **lists)
    y = np.zeros((len(x), targets))
    for target in range(targets):
        column = results[:, [tree for tree in range(results.shape[1]) if ids[2 * tree] == target]]
        # An average divides by all trees.
        y[:, target] = (column.mean(1) * column.shape[1] / results.shape[1], column.sum(1), column.min(1), column.max(1))[form] if column.size else 0
    node.wanted, node.loose = [y.astype(kind)], (0.01, 1e-3)
    return node


GENERATORS = {"TreeEnsemble": _ensemble, "TreeEnsembleClassifier": _classifier, "TreeEnsembleRegressor": _regressor}
