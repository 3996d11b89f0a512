"""Writes well-known networks at full size with seeded random weights, as a training framework would export them.

Usage: topologies.py FOLDER [--small] [NAME ...]

FOLDER gets NAME.onnx for each of: resnet50, mobilenetv2, bert-base, gpt2, mnist-mlp. Batch, sequence and past lengths are symbols. --small writes
the same structures with fewer and narrower layers, for quick tests. A name's weights are the same in every run.
"""
import argparse
import dataclasses
import pathlib
import sys
import zlib
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class Graph:
    """Collects nodes and weights; operations return the name of their first output."""

    def __init__(self, name: str):
        self.name, self.nodes, self.weights, self.inputs, self.outputs, self.scopes = name, [], [], [], [], []
        self.generator = np.random.default_rng(zlib.crc32(name.encode()))

    def scoped(self, name: str) -> "Graph":
        """Names what follows, inside a `with`, NAME/..."""
        self.scopes.append(name)
        return self

    def __enter__(self) -> "Graph":
        return self

    def __exit__(self, *_) -> None:
        self.scopes.pop()

    def label(self, name: str) -> str:
        return "/".join([*self.scopes, name])

    def input(self, name: str, dims: list, dtype: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, dims))
        return name

    def output(self, value: str, name: str, dims: list) -> None:
        self.nodes.append(helper.make_node("Identity", [value], [name], f"output/{name}"))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))

    def constant(self, value, name: str) -> str:
        label = self.label(name)
        self.weights.append(numpy_helper.from_array(np.asarray(value), label))
        return label

    def normal(self, name: str, shape: tuple, deviation: float, mean: float = 0.0) -> str:
        values = self.generator.standard_normal(shape, dtype=np.float32)
        return self.constant(values * np.float32(deviation) + np.float32(mean), name)

    def op(self, kind: str, *inputs: str, name: str = "", outputs: int = 1, **attributes):
        label = self.label(name or kind.lower())
        label += f".{len(self.nodes)}" if not name else ""
        results = [label if outputs == 1 else f"{label}:{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), results, label, **attributes))
        return results[0] if outputs == 1 else results

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64), f"ints.{len(self.weights)}")

    def scalar(self, value: float) -> str:
        return self.constant(np.float32(value), f"scalar.{len(self.weights)}")

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="topologies")


# ---- convolutional networks --------------------------------------------------------------------------------------

def conv_norm(g: Graph, x: str, channels: tuple[int, int], kernel: int, stride: int = 1, group: int = 1) -> str:
    """Convolution without bias, then batch normalisation."""
    fan_in = channels[0] // group * kernel * kernel
    weight = g.normal("weight", (channels[1], channels[0] // group, kernel, kernel), np.sqrt(2 / fan_in))
    x = g.op("Conv", x, weight, name="conv", kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4, group=group)
    variance = g.constant(g.generator.uniform(0.7, 1.3, channels[1]).astype(np.float32), "variance")
    parameters = [g.normal("scale", (channels[1],), 0.1, 1.0), g.normal("shift", (channels[1],), 0.1), g.normal("mean", (channels[1],), 0.1), variance]
    return g.op("BatchNormalization", x, *parameters, name="norm", epsilon=1e-5)


def classify(g: Graph, x: str, channels: int, classes: int) -> None:
    """Pools over the image and scores the classes."""
    x = g.op("Flatten", g.op("GlobalAveragePool", x, name="pool"), name="flatten", axis=1)
    weight = g.normal("classifier/weight", (classes, channels), np.sqrt(1 / channels))
    x = g.op("Gemm", x, weight, g.normal("classifier/bias", (classes,), 0.01), name="classifier", transB=1)
    g.output(x, "scores", ["batch", classes])


def resnet50(g: Graph, blocks=(3, 4, 6, 3), width: int = 64, size: int = 224, classes: int = 1000) -> None:
    """He et al. 2015: bottleneck blocks; the stride lies on the 3x3 convolution."""
    x = g.input("image", ["batch", 3, size, size])
    with g.scoped("stem"):
        x = g.op("Relu", conv_norm(g, x, (3, width), 7, 2), name="relu")
        x = g.op("MaxPool", x, name="pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = width
    for stage, count in enumerate(blocks):
        inner = width << stage
        for block in range(count):
            stride, shortcut = (2 if stage and not block else 1), x
            with g.scoped(f"stage{stage + 1}/block{block + 1}"):
                for part, (widths, kernel, step) in enumerate([((channels, inner), 1, 1), ((inner, inner), 3, stride), ((inner, 4 * inner), 1, 1)]):
                    with g.scoped(f"part{part + 1}"):
                        x = conv_norm(g, x, widths, kernel, step)
                        x = x if part == 2 else g.op("Relu", x, name="relu")
                if not block:
                    with g.scoped("shortcut"):
                        shortcut = conv_norm(g, shortcut, (channels, 4 * inner), 1, stride)
                x = g.op("Relu", g.op("Add", x, shortcut, name="add"), name="relu")
            channels = 4 * inner
    classify(g, x, channels, classes)


MOBILENET = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def mobilenetv2(g: Graph, plan=MOBILENET, last: int = 1280, size: int = 224, classes: int = 1000) -> None:
    """Sandler et al. 2018: inverted residuals; plan rows are expansion, channels, repeats, first stride."""
    low, high = g.constant(np.float32(0), "zero"), g.constant(np.float32(6), "six")
    x = g.input("image", ["batch", 3, size, size])
    with g.scoped("stem"):
        x = g.op("Clip", conv_norm(g, x, (3, 32), 3, 2), low, high, name="clip")
    channels = 32
    for row, (expansion, width, repeats, first) in enumerate(plan):
        for block in range(repeats):
            stride, entry, inner = (first if not block else 1), x, channels * expansion
            with g.scoped(f"stage{row + 1}/block{block + 1}"):
                if expansion > 1:
                    with g.scoped("expand"):
                        x = g.op("Clip", conv_norm(g, x, (channels, inner), 1), low, high, name="clip")
                with g.scoped("depthwise"):
                    x = g.op("Clip", conv_norm(g, x, (inner, inner), 3, stride, inner), low, high, name="clip")
                with g.scoped("project"):
                    x = conv_norm(g, x, (inner, width), 1)
                if stride == 1 and channels == width:
                    x = g.op("Add", x, entry, name="add")
            channels = width
    with g.scoped("head"):
        x = g.op("Clip", conv_norm(g, x, (channels, last), 1), low, high, name="clip")
    classify(g, x, last, classes)


def mnist_mlp(g: Graph, widths=(784, 512, 10)) -> None:
    """Dense layers with ReLU between them."""
    x = g.input("image", ["batch", widths[0]])
    for layer, (wide, narrow) in enumerate(zip(widths, widths[1:]), 1):
        with g.scoped(f"dense{layer}"):
            weight = g.normal("weight", (wide, narrow), np.sqrt(2 / wide))
            x = g.op("Gemm", x, weight, g.normal("bias", (narrow,), 0.1), name="gemm")
            x = x if layer == len(widths) - 1 else g.op("Relu", x, name="relu")
    g.output(x, "scores", ["batch", widths[-1]])


# ---- transformers ------------------------------------------------------------------------------------------------

def dense(g: Graph, x: str, name: str, wide: int, narrow: int) -> str:
    with g.scoped(name):
        return g.op("Add", g.op("MatMul", x, g.normal("weight", (wide, narrow), 0.02), name="matmul"), g.normal("bias", (narrow,), 0.02), name="add")


def norm(g: Graph, x: str, name: str, width: int) -> str:
    with g.scoped(name):
        return g.op("LayerNormalization", x, g.normal("scale", (width,), 0.02, 1.0), g.normal("bias", (width,), 0.02), name="norm", axis=-1, epsilon=1e-5)


def split_heads(g: Graph, x: str, heads: int, size: int) -> str:
    """[batch, sequence, heads * size] -> [batch, heads, sequence, size]."""
    return g.op("Transpose", g.op("Reshape", x, g.ints(0, 0, heads, size)), perm=[0, 2, 1, 3])


def attend(g: Graph, query: str, key: str, value: str, mask: str, width: int, size: int) -> str:
    """softmax(q k' / sqrt(size) + mask) v, with heads joined again."""
    scores = g.op("MatMul", query, g.op("Transpose", key, perm=[0, 1, 3, 2]), name="scores")
    scores = g.op("Add", g.op("Div", scores, g.scalar(np.sqrt(size))), mask)
    context = g.op("MatMul", g.op("Softmax", scores, axis=-1), value, name="context")
    return g.op("Reshape", g.op("Transpose", context, perm=[0, 2, 1, 3]), g.ints(0, 0, width), name="joined")


def gelu_erf(g: Graph, x: str) -> str:
    """x / 2 * (1 + erf(x / sqrt 2)), as exporters decompose it."""
    erf = g.op("Erf", g.op("Div", x, g.scalar(np.sqrt(2))))
    return g.op("Mul", g.op("Mul", x, g.op("Add", erf, g.scalar(1))), g.scalar(0.5), name="gelu")


def gelu_tanh(g: Graph, x: str) -> str:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))."""
    cubic = g.op("Add", x, g.op("Mul", g.op("Pow", x, g.scalar(3)), g.scalar(0.044715)))
    tanh = g.op("Tanh", g.op("Mul", cubic, g.scalar(np.sqrt(2 / np.pi))))
    return g.op("Mul", g.op("Mul", x, g.scalar(0.5)), g.op("Add", tanh, g.scalar(1)), name="gelu")


def bert_base(g: Graph, layers: int = 12, heads: int = 12, size: int = 64, words: int = 30522, positions: int = 512) -> None:
    """Devlin et al. 2018: encoder with a padding mask, and the pooled first token."""
    width = heads * size
    ids, kinds, mask = (g.input(name, ["batch", "sequence"], TensorProto.INT64) for name in ("input_ids", "token_type_ids", "attention_mask"))
    with g.scoped("embeddings"):
        length = g.op("Unsqueeze", g.op("Gather", g.op("Shape", ids), g.constant(np.int64(1), "one"), axis=0), g.ints(0))
        places = g.op("Slice", g.normal("position", (positions, width), 0.02), g.ints(0), length, g.ints(0))
        x = g.op("Gather", g.normal("word", (words, width), 0.02), ids)
        x = g.op("Add", g.op("Add", x, g.op("Gather", g.normal("kind", (2, width), 0.02), kinds)), places)
        x = norm(g, x, "norm", width)
        open_places = g.op("Cast", g.op("Unsqueeze", mask, g.ints(1, 2)), to=TensorProto.FLOAT)
        bias = g.op("Mul", g.op("Sub", g.scalar(1), open_places), g.scalar(-10000), name="mask")
    for layer in range(layers):
        with g.scoped(f"layer{layer + 1}"):
            query, key, value = (split_heads(g, dense(g, x, part, width, width), heads, size) for part in ("query", "key", "value"))
            x = norm(g, g.op("Add", dense(g, attend(g, query, key, value, bias, width, size), "output", width, width), x), "norm1", width)
            x = norm(g, g.op("Add", dense(g, gelu_erf(g, dense(g, x, "up", width, 4 * width)), "down", 4 * width, width), x), "norm2", width)
    g.output(x, "last_hidden_state", ["batch", "sequence", width])
    first = g.op("Gather", x, g.constant(np.int64(0), "first"), axis=1)
    g.output(g.op("Tanh", dense(g, first, "pooler", width, width)), "pooled", ["batch", width])


def gpt2(g: Graph, layers: int = 12, heads: int = 12, size: int = 64, words: int = 50257, positions: int = 1024) -> None:
    """Radford et al. 2019: decoder with keys and values of the past; the output layer shares the word embedding."""
    width = heads * size
    ids = g.input("input_ids", ["batch", "sequence"], TensorProto.INT64)
    pasts = [tuple(g.input(f"past_{part}.{layer}", ["batch", heads, "past", size]) for part in ("key", "value")) for layer in range(layers)]
    word = g.normal("word", (words, width), 0.02)
    with g.scoped("positions"):
        pick = [g.constant(np.int64(axis), f"axis{axis}") for axis in range(3)]
        length = g.op("Gather", g.op("Shape", ids), pick[1])
        past = g.op("Gather", g.op("Shape", pasts[0][0]), pick[2])
        total = g.op("Add", past, length)
        rows, columns = g.op("Range", past, total, pick[1]), g.op("Range", pick[0], total, pick[1])
        seen = g.op("LessOrEqual", columns, g.op("Unsqueeze", rows, g.ints(1)))
        mask = g.op("Where", seen, g.scalar(0), g.scalar(-1e9), name="causal")
        x = g.op("Add", g.op("Gather", word, ids), g.op("Gather", g.normal("table", (positions, width), 0.01), rows))
    for layer in range(layers):
        with g.scoped(f"layer{layer + 1}"):
            joined = dense(g, norm(g, x, "norm1", width), "attention", width, 3 * width)
            query, key, value = (split_heads(g, part, heads, size) for part in g.op("Split", joined, g.ints(width, width, width), outputs=3, axis=2))
            key, value = g.op("Concat", pasts[layer][0], key, axis=2), g.op("Concat", pasts[layer][1], value, axis=2)
            x = g.op("Add", x, dense(g, attend(g, query, key, value, mask, width, size), "projection", width, width))
            x = g.op("Add", x, dense(g, gelu_tanh(g, dense(g, norm(g, x, "norm2", width), "up", width, 4 * width)), "down", 4 * width, width))
        for name, present in (("key", key), ("value", value)):
            g.output(present, f"present_{name}.{layer}", ["batch", heads, "past + sequence", size])
    scores = g.op("MatMul", norm(g, x, "norm", width), g.op("Transpose", word, perm=[1, 0]), name="words")
    g.output(scores, "logits", ["batch", "sequence", words])


# ---- the list ----------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Topology:
    """How a network is built, and what makes it small."""

    build: Callable
    small: dict

    def model(self, name: str, is_small: bool = False) -> onnx.ModelProto:
        graph = Graph(name)
        self.build(graph, **(self.small if is_small else {}))
        return graph.model()


TOPOLOGIES = {
    "resnet50": Topology(resnet50, {"blocks": (1, 2, 1, 1), "width": 16, "size": 64, "classes": 20}),
    "mobilenetv2": Topology(mobilenetv2, {"plan": ((1, 16, 1, 1), (6, 24, 2, 2), (6, 40, 1, 2)), "last": 96, "size": 64, "classes": 20}),
    "bert-base": Topology(bert_base, {"layers": 2, "heads": 4, "size": 16, "words": 200}),
    "gpt2": Topology(gpt2, {"layers": 2, "heads": 4, "size": 16, "words": 200}),
    "mnist-mlp": Topology(mnist_mlp, {"widths": (784, 48, 10)}),
}


def make_feeds(model: onnx.ModelProto, sizes: dict[str, int], seed: int = 0) -> dict[str, np.ndarray]:
    """Returns random inputs for a model of this script with these extents of its symbols; token ids stay inside the vocabulary."""
    generator = np.random.default_rng(seed)
    words = next((weight.dims[0] for weight in model.graph.initializer if weight.name.endswith("word")), 0)
    feeds = {}
    for value in model.graph.input:
        shape = [sizes[dim.dim_param] if dim.dim_param else dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if value.name == "input_ids":
            feeds[value.name] = generator.integers(0, words, shape)
        elif value.name == "token_type_ids":
            feeds[value.name] = generator.integers(0, 2, shape)
        elif value.name == "attention_mask":
            # The last place of every row but the first is padding.
            mask = np.ones(shape, np.int64)
            mask[1:, -1] = 0
            feeds[value.name] = mask
        else:
            feeds[value.name] = generator.standard_normal(shape, dtype=np.float32)
    return feeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME", default=[])
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(TOPOLOGIES):
        sys.exit(f"unknown network: {', '.join(sorted(unknown))}; expected some of {', '.join(TOPOLOGIES)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or TOPOLOGIES:
        path = arguments.folder / f"{name}.onnx"
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(TOPOLOGIES[name].model(name, arguments.small).SerializeToString())
        temporary.replace(path)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
