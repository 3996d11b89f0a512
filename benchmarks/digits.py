"""What compressing costs in accuracy on real data: a small convolutional network for scikit-learn's 1,797 handwritten digits, 10-fold cross-validation.

Usage: digits.py [--folds N] [--only VARIANT ...] [--output result.json] [--table result.json] [--write-docs]

For each fold the network is trained on the other nine, compressed with data of these alone, and both are asked about each digit of the fold. Every variant is a
function of VARIANTS, from a fold to the path of a model. Training needs PyTorch (scripts/requirements-train.txt).
"""
import argparse
import pathlib
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import onager
from answers import add_options, answer
from compare import describe_machine
from digits_table import make_table, write_docs
from places import WORK

CHANNELS = 16
EPOCHS, FINE_TUNING = 30, 15
TRAINING = {"batch": 32, "held_out": 0, "threads": 1, "weight_decay": 0.01}
SEED = 1


def load_digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns images [1797, 1, 8, 8] of 0 to 1, labels, and the fold of each: ten folds with as many of each digit as the others, up to one."""
    from sklearn.datasets import load_digits as load
    from sklearn.model_selection import StratifiedKFold

    images, labels = load(return_X_y=True)
    folds = np.zeros(len(labels), np.int64)
    for fold, (_, chosen) in enumerate(StratifiedKFold(10, shuffle=True, random_state=SEED).split(images, labels)):
        folds[chosen] = fold
    return (images / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels, folds


def draw_weights(channels: int, seed: int) -> dict[str, np.ndarray]:
    """Draws weights of two convolutions and two products, as He et al. (2015) say for ReLU."""
    random, shapes = np.random.default_rng(seed), {"w1": (channels, 1, 3, 3), "w2": (2 * channels, channels, 3, 3), "w3": (8 * channels, 32 * channels), "w4": (10, 8 * channels)}
    weights = {name: (random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32) for name, shape in shapes.items()}
    return weights | {name.replace("w", "b"): np.zeros(shape[0], np.float32) for name, shape in shapes.items()}


def make_network(weights: dict[str, np.ndarray]) -> bytes:
    nodes = [helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], "first", pads=[1] * 4), helper.make_node("Relu", ["c1"], ["r1"]),
             helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "second", pads=[1] * 4), helper.make_node("Relu", ["c2"], ["r2"]),
             helper.make_node("MaxPool", ["r2"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]), helper.make_node("Flatten", ["pooled"], ["flat"]),
             helper.make_node("Gemm", ["flat", "w3", "b3"], ["g"], "dense", transB=1), helper.make_node("Relu", ["g"], ["r3"]),
             helper.make_node("Gemm", ["r3", "w4", "b4"], ["digit"], "head", transB=1)]
    graph = helper.make_graph(nodes, "digits", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
                              [helper.make_tensor_value_info("digit", TensorProto.FLOAT, ["batch", 10])], [numpy_helper.from_array(array, name) for name, array in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


class Fold:
    """A fold's data, its plain network `plain`, and where its models go."""

    def __init__(self, number: int, folder: pathlib.Path, images: np.ndarray, labels: np.ndarray, folds: np.ndarray):
        self.number, self.folder = number, folder
        self.images, self.labels = images[folds != number], labels[folds != number]
        self.test_images, self.test_labels = images[folds == number], labels[folds == number]
        self.plain = folder / f"plain-{number}.onnx"
        onager.train(make_network(draw_weights(CHANNELS, SEED + number)), self.feeds, labels=[self.labels], output=self.plain, epochs=EPOCHS, learning_rate=2e-3, seed=SEED, **TRAINING)

    @property
    def feeds(self) -> list[dict[str, np.ndarray]]:
        return [{"image": self.images}]

    def name(self, variant: str) -> pathlib.Path:
        return self.folder / f"{variant}-{self.number}.onnx"

    def compress(self, variant: str, model: pathlib.Path | None = None, **options: object) -> pathlib.Path:
        """Compresses the plain network, or another, with batches of the training part; every layer, so that what is measured does not depend on the machine."""
        batches = [{"image": self.images[k:k + 32]} for k in range(0, len(self.images), 32)]
        onager.compress(model or self.plain, batches, self.name(variant), threads=1, even_if_slower=True, **options)
        return self.name(variant)

    def train(self, variant: str, student: bytes | pathlib.Path, epochs: int = FINE_TUNING, **options: object) -> pathlib.Path:
        """Trains a student by the plain network and labels."""
        onager.train(student, self.feeds, self.plain, labels=[self.labels], output=self.name(variant), epochs=epochs, seed=SEED, **TRAINING, **options)
        return self.name(variant)

    def halve(self) -> bytes:
        """Returns the plain network with half of each layer's outputs, those whose weights are largest."""
        weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(self.plain).graph.initializer}
        kept = {k: np.sort(np.argsort(-np.abs(weights[f"w{k}"]).reshape(len(weights[f"w{k}"]), -1).sum(1))[:len(weights[f"w{k}"]) // 2]) for k in (1, 2, 3)}
        for k, outputs in kept.items():
            weights[f"w{k}"], weights[f"b{k}"] = weights[f"w{k}"][outputs], weights[f"b{k}"][outputs]
        weights["w2"], weights["w4"] = weights["w2"][:, kept[1]], weights["w4"][:, kept[3]]
        planes = weights["w3"].reshape(len(kept[3]), -1, 16)[:, kept[2]]
        weights["w3"] = planes.reshape(len(planes), -1)
        return make_network({name: np.ascontiguousarray(array) for name, array in weights.items()})


# What a variant is called in tables, how many points it may lose (None: it is there to compare with), and how it is made.
VARIANTS: dict[str, tuple[str, float | None, Callable[[Fold], pathlib.Path]]] = {
    "int8": ("int8", 0.3, lambda fold: fold.compress("int8", quantize="int8")),
    "int4": ("int4, weights of products", 0.5, lambda fold: fold.compress("int4", quantize="int4", keep=["first", "second"])),
    "two-of-four": ("2:4 by magnitude, not trained", None, lambda fold: fold.train("two-of-four", fold.plain, 0, mask="2:4")),
    "two-of-four-trained": ("2:4, trained", 0.5, lambda fold: fold.train("two-of-four-trained", fold.plain, mask="2:4")),
    "two-of-four-int8": ("2:4, trained, then int8", 0.5, lambda fold: fold.compress("two-of-four-int8", fold.name("two-of-four-trained"), quantize="int8")),
    "half": ("half of the channels, not trained", None, lambda fold: fold.train("half", fold.halve(), 0)),
    "half-trained": ("half of the channels, trained", 0.3, lambda fold: fold.train("half-trained", fold.halve(), learning_rate=2e-3)),
    "pruned": ("half of the channels pruned, refitted", 1.0, lambda fold: fold.compress("pruned", prune="channels=0.5")),
    "pruned-trained": ("half of the channels pruned, refitted, trained", 0.3, lambda fold: fold.train("pruned-trained", fold.name("pruned"), learning_rate=1e-3)),
}


def predict(path: pathlib.Path, images: np.ndarray) -> np.ndarray:
    return onager.InferenceSession(path, threads=1).run(["digit"], {"image": images})[0].argmax(1)


def time_pair(paths: list[pathlib.Path], images: np.ndarray, rounds: int = 201) -> list[float]:
    """Returns the median seconds of a run of each model, in turns on one thread."""
    sessions, seconds = [onager.InferenceSession(path, threads=1) for path in paths], [[] for _ in paths]
    for _ in range(rounds):
        for session, spent in zip(sessions, seconds, strict=True):
            start = time.perf_counter()
            session.run(["digit"], {"image": images})
            spent.append(time.perf_counter() - start)
    return [statistics.median(spent) for spent in seconds]


def measure_fold(fold: Fold, names: list[str]) -> dict:
    """Returns, for each variant, how many digits of the fold both, one or no model names right, bytes, and seconds of 64 digits."""
    plain, results = predict(fold.plain, fold.test_images) == fold.test_labels, {}
    for name in names:
        start = time.monotonic()
        path = VARIANTS[name][2](fold)
        made = time.monotonic() - start
        right = predict(path, fold.test_images) == fold.test_labels
        seconds = time_pair([fold.plain, path], fold.images[:64])
        results[name] = {"both": int((plain & right).sum()), "only_plain": int((plain & ~right).sum()), "only_compressed": int((~plain & right).sum()),
                         "neither": int((~plain & ~right).sum()), "plain_bytes": fold.plain.stat().st_size, "bytes": path.stat().st_size,
                         "plain_seconds": seconds[0], "seconds": seconds[1], "making_seconds": made}
        print(f"fold {fold.number}, {name}: f32 {plain.mean():.2%}, compressed {right.mean():.2%}, {made:.1f} s", flush=True)
    return results


def measure(folds: int, names: list[str]) -> dict:
    folder = WORK / "digits"
    folder.mkdir(parents=True, exist_ok=True)
    images, labels, places = load_digits()
    return {"machine": describe_machine(), "channels": CHANNELS, "epochs": EPOCHS, "fine_tuning_epochs": FINE_TUNING, "seed": SEED,
            "variants": {name: {"title": VARIANTS[name][0], "most_lost": VARIANTS[name][1]} for name in names},
            "folds": [measure_fold(Fold(number, folder, images, labels, places), names) for number in range(folds)]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--folds", type=int, default=10, choices=range(1, 11), metavar="N", help="how many of the ten folds (default: all)")
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="VARIANT", help=f"of {', '.join(VARIANTS)}")
    add_options(parser, "docs/compression.md")
    arguments = parser.parse_args()
    answer(arguments, lambda: measure(arguments.folds, arguments.only), make_table, write_docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
