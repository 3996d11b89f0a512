"""Small students and teachers, and what they are asked."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def make_model(nodes: list, tensors: dict[str, np.ndarray], x: list, y: list, opset: int = 17) -> bytes:
    graph = helper.make_graph(nodes, "network", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
                              [numpy_helper.from_array(array, name) for name, array in tensors.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=13 if opset > 24 else 10).SerializeToString()


def draw_weights(seed: int, **shapes: tuple) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: (random.standard_normal(shape) * np.sqrt(2 / max(np.prod(shape[1:]), 1) if len(shape) > 1 else 0.01)).astype(np.float32) for name, shape in shapes.items()}


def make_mlp(hidden: int, seed: int = 0, softmax: bool = False) -> bytes:
    """8 -> hidden -> 4; the first product is a Gemm with its weights transposed, the second a MatMul."""
    nodes = [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], "dense", transB=1), helper.make_node("Relu", ["h"], ["r"]), helper.make_node("MatMul", ["r", "w2"], ["z" if softmax else "y"], "head")]
    nodes += [helper.make_node("Softmax", ["z"], ["y"], "softmax", axis=-1)] if softmax else []
    return make_model(nodes, draw_weights(seed, w1=(hidden, 8), b1=(hidden,), w2=(hidden, 4)), ["n", 8], ["n", 4])


def make_cnn(channels: int = 8, seed: int = 0, opset: int = 21) -> bytes:
    """Of 8 x 8 images to 10 classes."""
    nodes = [helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "first", pads=[1] * 4), helper.make_node("Relu", ["c1"], ["r1"]),
             helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "second", pads=[1] * 4, strides=[2, 2]), helper.make_node("Relu", ["c2"], ["r2"]),
             helper.make_node("Flatten", ["r2"], ["f"]), helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], "head", transB=1)]
    weights = draw_weights(seed, w1=(channels, 1, 3, 3), b1=(channels,), w2=(2 * channels, channels, 3, 3), b2=(2 * channels,), w3=(10, 32 * channels), b3=(10,))
    return make_model(nodes, weights, ["n", 1, 8, 8], ["n", 10], opset)


def draw_rows(count: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)


def load_digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns images and labels to train by, then those to judge by."""
    from sklearn.datasets import load_digits as load

    images, labels = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    images, labels = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)[order], labels[order]
    return images[:1200], labels[:1200], images[1200:], labels[1200:]


def read_weights(model: bytes | str) -> dict[str, np.ndarray]:
    loaded = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(model)
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in loaded.graph.initializer}


def strip_values(model: bytes | str) -> onnx.ModelProto:
    """Returns a model without the values of its initialisers: what training must not change."""
    loaded = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(model)
    for tensor in loaded.graph.initializer:
        for field in ("float_data", "int32_data", "int64_data", "raw_data"):
            tensor.ClearField(field)
    return loaded
