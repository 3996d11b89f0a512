#!/usr/bin/env python3
"""Prunes random networks and compares them with dense ones in which what was removed is not read.

Usage: test/fuzz/pruning.py [--seed N] [--count N]

Networks of images have residual additions, concatenations, splits, slices, shuffles, groups, depthwise convolutions and norms; those of tokens attention and feed-forward layers. Channels of the
pruned network are found in the dense one by their weights, which are all different; in the dense one the weights that read a removed channel become 0. ONNX Runtime runs both. Network N of a run
has the seed N of the start plus its number. Run it by the Python of build/venv.
"""
import argparse
import collections
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402  (the folder above is on the path now)
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from support.places import ONAGER  # noqa: E402

SIZE = 6


class Grower:
    """Nodes and weights of one random network."""

    def __init__(self, seed: int):
        self.random, self.nodes, self.tensors, self.count = np.random.default_rng(seed), [], [], 0
        self.values: list[tuple[str, int]] = []
        self.zeroed: dict[str, int] = {}  # weights that sum over an axis

    def draw(self, *options):
        return options[self.random.integers(len(options))]

    def weights(self, *shape: int, scale: float | None = None) -> str:
        fan = float(np.prod(shape[1:])) if len(shape) > 1 else 4.0
        values = self.random.standard_normal(shape) * (scale or 1 / np.sqrt(fan))
        self.tensors.append(numpy_helper.from_array(values.astype(np.float32), f"w{len(self.tensors)}"))
        return self.tensors[-1].name

    def positive(self, *shape: int) -> str:
        self.tensors.append(numpy_helper.from_array((0.5 + self.random.random(shape)).astype(np.float32), f"w{len(self.tensors)}"))
        return self.tensors[-1].name

    def integers(self, *values: int) -> str:
        self.tensors.append(numpy_helper.from_array(np.array(values, np.int64), f"i{len(self.tensors)}"))
        return self.tensors[-1].name

    def number(self, value: float) -> str:
        self.tensors.append(numpy_helper.from_array(np.array(value, np.float32), f"n{len(self.tensors)}"))
        return self.tensors[-1].name

    def node(self, op: str, inputs: list[str], outputs: int = 1, **attributes):
        self.count += 1
        names = [f"v{self.count}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, f"{op}{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x: str, ci: int, co: int, kernel: int = 1, groups: int = 1) -> str:
        w = self.weights(co, ci // groups, kernel, kernel)
        if groups == 1:
            self.zeroed[w] = 1
        bias = [self.weights(co)] if self.random.random() < 0.5 else []
        return self.node("Conv", [x, w, *bias], pads=[kernel // 2] * 4, group=groups)

    def linear(self, x: str, ci: int, co: int) -> str:
        w = self.weights(ci, co, scale=1 / np.sqrt(ci))
        self.zeroed[w] = 0
        y = self.node("MatMul", [x, w])
        return self.node("Add", [y, self.weights(co)]) if self.random.random() < 0.7 else y

    def norm(self, x: str, c: int) -> str:
        return self.node("LayerNormalization", [x, self.weights(c), self.weights(c)], axis=-1)

    # Steps of images: a value of [N, C, SIZE, SIZE] with its channels in, another out.

    def step_conv(self, x, c):
        co = int(self.draw(4, 8, 12, 16, c))
        return self.conv(x, c, co, self.draw(1, 3)), co

    def step_depthwise(self, x, c):
        factor = self.draw(1, 1, 2)
        return self.conv(x, c, c * factor, 3, c), c * factor

    def step_groups(self, x, c):
        groups = next(g for g in (4, 2, 1) if c % g == 0)
        co = groups * int(self.draw(2, 3, 4))
        return self.conv(x, c, co, self.draw(1, 3), groups), co

    def step_batch_norm(self, x, c):
        return self.node("BatchNormalization", [x, self.weights(c), self.weights(c), self.weights(c), self.positive(c)]), c

    def step_instance_norm(self, x, c):
        return self.node("InstanceNormalization", [x, self.weights(c), self.weights(c)]), c

    def step_group_norm(self, x, c):
        return self.node("GroupNormalization", [x, self.weights(c), self.weights(c)], num_groups=next(g for g in (4, 2, 1) if c % g == 0)), c

    def step_activation(self, x, c):
        return self.node(self.draw("Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus", "Neg", "Identity"), [x]), c

    def step_prelu(self, x, c):
        return self.node("PRelu", [x, self.weights(c, 1, 1)]), c

    def step_constant(self, x, c):
        shape = self.draw((c, 1, 1), (1, c, 1, 1), (1,), (c, 1, SIZE))
        return self.node(self.draw("Mul", "Add", "Sub"), [x, self.weights(*shape)]), c

    def step_combine(self, x, c):
        other = self.draw(*[value for value in self.values if value[1] == c])
        return self.node(self.draw("Add", "Mul", "Sub", "Max"), [x, other[0]]), c

    def step_concat(self, x, c):
        other = self.draw(*self.values)
        return self.node("Concat", [x, other[0]], axis=self.draw(1, -3)), c + other[1]

    def step_split(self, x, c):
        first = int(self.random.integers(1, c)) if c > 1 else 0
        if not first:
            return x, c
        a, b = self.node("Split", [x, self.integers(first, c - first)], 2, axis=1)
        self.values.append((b, c - first))
        return a, first

    def step_halves(self, x, c):
        if c % 2:
            return x, c
        a, b = self.node("Split", [x], 2, axis=1, num_outputs=2)
        return self.node("Mul", [a, self.node("Sigmoid", [b])]), c // 2

    def step_slice(self, x, c):
        start, end = sorted(int(k) for k in self.random.integers(0, c + 1, 2))
        if end - start < 1:
            return x, c
        begin = start - c if self.random.random() < 0.3 and start < c else start
        return self.node("Slice", [x, self.integers(begin), self.integers(end), self.integers(1)]), end - start

    def step_pool(self, x, c):
        return self.node(self.draw("MaxPool", "AveragePool"), [x], kernel_shape=[3, 3], pads=[1] * 4), c

    def step_pad(self, x, c):
        more = int(self.draw(0, 0, 1))
        y = self.node("Pad", [x, self.integers(0, more, 1, 0, 0, 0, 0, 0)])
        return self.node("Slice", [y, self.integers(0), self.integers(SIZE), self.integers(2)]), c + more

    def step_squeeze_excite(self, x, c):
        pooled = self.node("GlobalAveragePool", [x]) if self.random.random() < 0.5 else self.node("ReduceMean", [x, self.integers(2, 3)], keepdims=1)
        hidden = self.node("Relu", [self.conv(pooled, c, 4)])
        return self.node("Mul", [x, self.node("Sigmoid", [self.conv(hidden, 4, c)])]), c

    def step_spatial_gate(self, x, c):
        return self.node("Mul", [x, self.node("Sigmoid", [self.conv(x, c, 1)])]), c

    def step_channels_last(self, x, c):
        y, co = self.node("Transpose", [x], perm=[0, 2, 3, 1]), int(self.draw(c, 8))
        if self.random.random() < 0.3:
            y = self.norm(y, c)
        return self.node("Transpose", [self.linear(y, c, co)], perm=[0, 3, 1, 2]), co

    def step_shuffle(self, x, c):
        groups = next(g for g in (4, 2, 1) if c % g == 0)
        if groups == 1:
            return x, c
        y = self.node("Reshape", [x, self.integers(-1, groups, c // groups, SIZE, SIZE)])
        y = self.node("Transpose", [y], perm=[0, 2, 1, 3, 4])
        return self.node("Reshape", [y, self.integers(self.draw(0, -1), c, SIZE, SIZE)]), c

    def step_planes(self, x, c):
        y = self.node("Reshape", [x, self.integers(0, self.draw(0, c), -1)])
        y = self.node(self.draw("Softmax", "Relu"), [y])
        return self.node("Reshape", [y, self.integers(0, c, SIZE, SIZE)]), c

    def step_upsample(self, x, c):
        y = self.node("Resize", [x, "", "", self.integers(1, c, 2 * SIZE, 2 * SIZE)], mode="nearest")
        return self.node("MaxPool", [y], kernel_shape=[2, 2], strides=[2, 2]), c

    def step_transposed(self, x, c):
        co = int(self.draw(4, 8))
        w = self.weights(c, co, 3, 3)
        self.zeroed[w] = 0
        return self.node("ConvTranspose", [x, w], pads=[1] * 4), co

    def make_images(self, steps: int) -> onnx.ModelProto:
        names = [name for name in dir(self) if name.startswith("step_")]
        self.values = [(self.conv("x", 3, 8, 3), 8)]
        for _ in range(steps):
            x, c = self.values[-1] if self.random.random() < 0.8 else self.draw(*self.values)
            y, co = getattr(self, self.draw(*names))(x, c)
            if co <= 64:
                self.values.append((y, co))
        used = {name for node in self.nodes for name in node.input}
        ends = [value for value in self.values if value[0] not in used][-3:]
        parts, width = [], 0
        for x, c in ends:
            kind = self.draw("pool", "flat", "reshape")
            if kind == "pool":
                x, size = self.node("Flatten", [self.node("GlobalAveragePool", [x])]), c
            else:
                x, size = self.node("Flatten", [x]) if kind == "flat" else self.node("Reshape", [x, self.integers(self.draw(-1, 1), c * SIZE * SIZE)]), c * SIZE * SIZE
            w = self.weights(5, size)
            self.zeroed[w] = 1
            parts.append(self.node("Gemm", [x, w, self.weights(5)], transB=1))
            width += 5
        self.nodes.append(helper.make_node("Concat", parts, ["y"], "end", axis=1))
        return self.finish([("x", TensorProto.FLOAT, [1, 3, SIZE, SIZE])], [1, width])

    def attend(self, x: str, d: int) -> str:
        heads, groups, size = self.draw((4, 4, 4), (4, 2, 6), (8, 8, 2), (6, 3, 4))
        if heads == groups and self.random.random() < 0.4:
            packed = self.linear(x, d, 3 * heads * size)
            parts = self.node("Split", [packed, self.integers(*[heads * size] * 3)], 3, axis=2)
        else:
            parts = [self.linear(x, d, n * size) for n in (heads, groups, groups)]
        counts, shaped = (heads, groups, groups), []
        for k in range(3):
            y = self.node("Reshape", [parts[k], self.integers(0, 0, counts[k], self.draw(size, -1))])
            shaped.append(self.node("Transpose", [y], perm=[0, 2, 1, 3]))
        q, k, v = shaped
        if groups != heads:
            again = []
            for y in (k, v):
                y = self.node("Expand", [self.node("Unsqueeze", [y, self.integers(2)]), self.integers(1, groups, heads // groups, 5, size)])
                again.append(self.node("Reshape", [y, self.integers(1, heads, 5, size)]))
            k, v = again
        scores = self.node("Mul", [self.node("MatMul", [q, self.node("Transpose", [k], perm=[0, 1, 3, 2])]), self.number(0.5)])
        mixed = self.node("Transpose", [self.node("MatMul", [self.node("Softmax", [scores], axis=-1), v])], perm=[0, 2, 1, 3])
        return self.linear(self.node("Reshape", [mixed, self.integers(0, 0, heads * size)]), heads * size, d)

    def make_tokens(self, layers: int) -> onnx.ModelProto:
        d = 12
        x = self.linear("x", 7, d)
        for _ in range(layers):
            before = self.random.random() < 0.5
            x = self.node("Add", [x, self.attend(self.norm(x, d) if before else x, d)])
            if self.random.random() < 0.5:
                gate, up = self.linear(x, d, 24), self.linear(x, d, 24)
                hidden = self.node("Mul", [self.node("Sigmoid", [gate]), up])
            else:
                hidden = self.node(self.draw("Relu", "Erf", "Tanh"), [self.linear(x, d, 24)])
            x = self.node("Add", [x, self.linear(hidden, 24, d)])
            if not before:
                x = self.norm(x, d)
        self.nodes.append(helper.make_node("Identity", [x], ["y"], "end"))
        return self.finish([("x", TensorProto.FLOAT, [1, 5, 7])], [1, 5, d])

    def finish(self, inputs, dims) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "network", [helper.make_tensor_value_info(*own) for own in inputs], [helper.make_tensor_value_info("y", TensorProto.FLOAT, dims)], self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def find_kept(plain: np.ndarray, pruned: np.ndarray, axis: int) -> list[int]:
    """The indices of an axis that are left, by elements that occur once: two of many random numbers may be the same."""
    kept = []
    for index in range(pruned.shape[axis]):
        places = (np.argwhere(plain == element) for element in np.take(pruned, index, axis).flat)
        kept.append(next(int(found[0][axis]) for found in places if len(found) == 1))
    return kept


def zero_out(model: onnx.ModelProto, pruned: onnx.ModelProto, axes: dict[str, int]) -> tuple[onnx.ModelProto, int]:
    """The dense model whose weights do not read what the pruned one lacks, and how many constants differ."""
    small = {tensor.name: numpy_helper.to_array(tensor) for tensor in pruned.graph.initializer}
    dense, cut = onnx.ModelProto(), 0
    dense.CopyFrom(model)
    for tensor in dense.graph.initializer:
        plain = numpy_helper.to_array(tensor).copy()
        found = small.get(tensor.name)
        if found is None or found.shape == plain.shape or plain.dtype != np.float32:
            continue
        cut += 1
        if tensor.name in axes:
            axis = axes[tensor.name]
            removed = sorted(set(range(plain.shape[axis])) - set(find_kept(plain, found, axis)))
            np.moveaxis(plain, axis, 0)[removed] = 0
            tensor.CopyFrom(numpy_helper.from_array(plain, tensor.name))
    return dense, cut


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def try_seed(seed: int) -> tuple[str, str]:
    """Grows, prunes and compares one network: `same`, `whole` where nothing can be cut, or what is wrong."""
    grower = Grower(seed)
    model = grower.make_tokens(int(grower.draw(1, 2, 3))) if seed % 4 == 3 else grower.make_images(int(grower.random.integers(4, 30)))
    shares = grower.draw("channels=0.5", "channels=0.3,heads=0.5", "heads=0.4,channels=0.6", "flops=0.1", "channels=0.9")
    command = [str(ONAGER), "compress", "-", "-o", "-", "--prune", shares, "--prune-floor", str(grower.draw(0, 0.125, 0.3)), "--prune-scope", grower.draw("layer", "model")]
    done = subprocess.run(command, input=model.SerializeToString(), capture_output=True, timeout=120, check=False)
    if done.returncode:
        message = done.stderr.decode(errors="replace")
        return ("whole", "") if done.returncode == 3 and "option 'prune'" in message else ("failed", f"{' '.join(command)}: {message}")
    pruned = onnx.load_from_string(done.stdout)
    dense, cut = zero_out(model, pruned, grower.zeroed)
    feeds = {own.name: np.random.default_rng(seed).standard_normal([dim.dim_value for dim in own.type.tensor_type.shape.dim]).astype(np.float32) for own in model.graph.input}
    try:
        onnx.checker.check_model(pruned, full_check=True)
        found = run(pruned, feeds)
    except Exception as error:  # noqa: BLE001  (whatever a wrong model does is a finding)
        return "broken", str(error)
    expected = run(dense, feeds)
    if not cut:
        return "failed", "nothing was cut"
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=2e-4, atol=2e-4 * max(1e-3, float(np.abs(expected).max()))):
        return "different", f"by {np.abs(found - expected).max() if found.shape == expected.shape else found.shape} of {np.abs(expected).max()}"
    return "same", ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=time.time_ns() % (1 << 31))
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args()
    print(f"seeds from {arguments.seed}", flush=True)
    counts: collections.Counter = collections.Counter()
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        verdict, reason = try_seed(seed)
        counts[verdict] += 1
        if verdict not in ("same", "whole"):
            print(f"--seed {seed} --count 1: {verdict}: {reason}", flush=True)
    print(dict(counts))
    sys.exit(bool(set(counts) - {"same", "whole"}))


if __name__ == "__main__":
    main()
