"""A small convolutional network in NumPy: its layers, their gradients, and how they are written as ONNX.

    image [N, 1, 8, 8] -> conv 3x3, 16 -> relu -> conv 3x3 stride 2, 32 -> relu -> dense, 10 -> probabilities [N, 10]

A convolution is a matrix product over patches: `unfold` lays each 3x3 neighbourhood out as a row, `fold` adds gradients of rows back into the image.
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = (1, 16, 32)
STRIDES = (1, 2)
CLASSES = 10


def make_weights(generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns random weights, scaled so that activations keep their variance (He)."""
    weights = {}
    for layer in (1, 2):
        fan_in = CHANNELS[layer - 1] * 9
        weights[f"conv{layer}.weight"] = generator.normal(0, np.sqrt(2 / fan_in), (CHANNELS[layer], CHANNELS[layer - 1], 3, 3))
        weights[f"conv{layer}.bias"] = np.zeros(CHANNELS[layer])
    features = CHANNELS[2] * 4 * 4
    weights["dense.weight"] = generator.normal(0, np.sqrt(1 / features), (features, CLASSES))
    weights["dense.bias"] = np.zeros(CLASSES)
    return {name: value.astype(np.float32) for name, value in weights.items()}


def unfold(image: np.ndarray, stride: int) -> np.ndarray:
    """[N, C, H, W], padded by one -> [N, H / stride, W / stride, C * 9]."""
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::stride, ::stride]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(*windows.shape[0:1], *windows.shape[2:4], -1)


def fold(rows: np.ndarray, channels: int, size: int, stride: int) -> np.ndarray:
    """The transpose of unfold: sums what each pixel contributed to."""
    count, height, width, _ = rows.shape
    rows = rows.reshape(count, height, width, channels, 3, 3).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((count, channels, size + 2, size + 2), rows.dtype)
    for y in range(3):
        for x in range(3):
            padded[:, :, y:y + stride * height:stride, x:x + stride * width:stride] += rows[:, :, y, x]
    return padded[:, :, 1:-1, 1:-1]


def forward(weights: dict, images: np.ndarray) -> tuple[np.ndarray, list]:
    """Returns the scores before softmax, and what `backward` needs of each layer."""
    kept, current = [], images
    for layer, stride in enumerate(STRIDES, 1):
        rows = unfold(current, stride)
        filters = weights[f"conv{layer}.weight"].reshape(CHANNELS[layer], -1)
        output = np.maximum(rows @ filters.T + weights[f"conv{layer}.bias"], 0).transpose(0, 3, 1, 2)
        kept.append((rows, output, current.shape[2]))
        current = output
    flat = current.reshape(len(images), -1)
    kept.append(flat)
    return flat @ weights["dense.weight"] + weights["dense.bias"], kept


def backward(weights: dict, kept: list, gradient: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the gradient of each weight from that of the scores."""
    flat = kept[-1]
    found = {"dense.weight": flat.T @ gradient, "dense.bias": gradient.sum(0)}
    gradient = (gradient @ weights["dense.weight"].T).reshape(kept[1][1].shape)
    for layer in (2, 1):
        rows, output, size = kept[layer - 1]
        gradient = (gradient * (output > 0)).transpose(0, 2, 3, 1)
        found[f"conv{layer}.weight"] = np.tensordot(gradient, rows, ((0, 1, 2), (0, 1, 2))).reshape(weights[f"conv{layer}.weight"].shape)
        found[f"conv{layer}.bias"] = gradient.sum((0, 1, 2))
        if layer == 2:
            gradient = fold(gradient @ weights["conv2.weight"].reshape(CHANNELS[2], -1), CHANNELS[1], size, STRIDES[1])
    return found


def to_onnx(weights: dict) -> onnx.ModelProto:
    """Writes the network as an ONNX model with any number of images per run."""
    conv = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["image", "conv1.weight", "conv1.bias"], ["c1"], "conv1", strides=[STRIDES[0]] * 2, **conv),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "conv2.weight", "conv2.bias"], ["c2"], "conv2", strides=[STRIDES[1]] * 2, **conv),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("Flatten", ["r2"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "dense.weight", "dense.bias"], ["scores"], "dense"),
        helper.make_node("Softmax", ["scores"], ["probabilities"], "softmax", axis=1),
    ]
    graph = helper.make_graph(nodes, "digits", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
                              [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", CLASSES])],
                              [numpy_helper.from_array(value, name) for name, value in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], producer_name="digits example")
    onnx.checker.check_model(model, full_check=True)
    return model
