"""Small networks of three kinds, and faults in them: a wrong scale, a bad fold, an overflow of f16."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Nodes and weights of a model of one input and output."""

    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)
        self.tensors: list[onnx.TensorProto] = []
        self.nodes: list[onnx.NodeProto] = []

    def weights(self, name: str, *shape: int, fan: int | None = None) -> str:
        values = self.random.standard_normal(shape) / np.sqrt(fan or np.prod(shape[1:]))
        return self.constant(name, values.astype(np.float32))

    def constant(self, name: str, values: np.ndarray) -> str:
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], f"node_{output}", **attributes))
        return output

    def build(self, name: str, shape: list, result: list) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, result)], self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def make_convolutional() -> onnx.ModelProto:
    """Three convolutions, the second with a scale behind it, and a classifier."""
    net = Builder(1)
    net.add("Conv", ["x", net.weights("w1", 16, 3, 3, 3)], "c1", pads=[1] * 4)
    net.add("Relu", ["c1"], "r1")
    net.add("Conv", ["r1", net.weights("w2", 16, 16, 3, 3)], "c2", pads=[1] * 4)
    net.add("Mul", ["c2", net.constant("s2", net.random.uniform(0.5, 2, (16, 1, 1)).astype(np.float32))], "m2")
    net.add("Relu", ["m2"], "r2")
    net.add("Conv", ["r2", net.weights("w3", 32, 16, 3, 3)], "c3", pads=[1] * 4, strides=[2, 2])
    net.add("Relu", ["c3"], "r3")
    net.add("GlobalAveragePool", ["r3"], "pool")
    net.add("Flatten", ["pool"], "flat")
    net.add("Gemm", ["flat", net.weights("w4", 10, 32)], "y", transB=1)
    return net.build("convolutional", ["n", 3, 12, 12], ["n", 10])


def make_transformer(width: int = 32, heads: int = 4) -> onnx.ModelProto:
    """One block: attention and a wide layer, each with a sum around it."""
    net = Builder(2)
    split = net.constant("split", np.array([0, 0, heads, width // heads], np.int64))
    for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        net.add("MatMul", ["x", net.weights(f"w_{part}", width, width, fan=width)], part)
        net.add("Reshape", [part, split], f"{part}_split")
        net.add("Transpose", [f"{part}_split"], f"{part}_heads", perm=order)
    net.add("MatMul", ["q_heads", "k_heads"], "scores")
    net.add("Mul", ["scores", net.constant("scale", np.float32(1 / np.sqrt(width // heads)))], "scaled")
    net.add("Softmax", ["scaled"], "shares", axis=-1)
    net.add("MatMul", ["shares", "v_heads"], "mixed_heads")
    net.add("Transpose", ["mixed_heads"], "mixed_split", perm=[0, 2, 1, 3])
    net.add("Reshape", ["mixed_split", net.constant("join", np.array([0, 0, width], np.int64))], "mixed_rows")
    net.add("MatMul", ["mixed_rows", net.weights("w_out", width, width, fan=width)], "attended")
    net.add("Add", ["attended", "x"], "sum1")
    net.add("MatMul", ["sum1", net.weights("w_up", width, 4 * width, fan=width)], "up")
    net.add("Mul", ["up", net.constant("s_up", net.random.uniform(0.5, 2, 4 * width).astype(np.float32))], "scaled_up")
    net.add("Relu", ["scaled_up"], "wide")
    net.add("MatMul", ["wide", net.weights("w_down", 4 * width, width, fan=4 * width)], "down")
    net.add("Add", ["down", "sum1"], "y")
    return net.build("transformer", ["n", 6, width], ["n", 6, width])


def make_recurrent(width: int = 24) -> onnx.ModelProto:
    """A GRU behind a dense layer, and a perceptron behind it."""
    net = Builder(3)
    net.add("MatMul", ["x", net.weights("w_in", 16, width, fan=16)], "d1")
    net.add("Mul", ["d1", net.constant("s1", net.random.uniform(0.5, 2, width).astype(np.float32))], "m1")
    net.nodes.append(helper.make_node("GRU", ["m1", net.weights("w_gru", 1, 3 * width, width, fan=width), net.weights("r_gru", 1, 3 * width, width, fan=width)], ["states", "last"],
                                      "node_states", hidden_size=width))
    net.add("Squeeze", ["last", net.constant("axis", np.array([0], np.int64))], "state")
    net.add("MatMul", ["state", net.weights("w_mid", width, 64, fan=width)], "d2")
    net.add("Relu", ["d2"], "r2")
    net.add("MatMul", ["r2", net.weights("w_last", 64, 8, fan=64)], "y")
    return net.build("recurrent", ["t", "n", 16], ["n", 8])


MODELS = {"convolutional": make_convolutional, "transformer": make_transformer, "recurrent": make_recurrent}
# Sizes of the symbolic dims, the layer whose weights are folded or grow, the value behind its scale, and that of the scale.
DIMS = {"convolutional": ["n=2"], "transformer": ["n=2"], "recurrent": ["t=5", "n=2"]}
FOLDS = {"convolutional": ("c2", "w2", "m2", "s2"), "transformer": ("up", "w_up", "scaled_up", "s_up"), "recurrent": ("d1", "w_in", "m1", "s1")}
QUANTIZED = {"convolutional": "node_c3", "transformer": "node_down", "recurrent": "node_d2"}


def find_tensor(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def replace(model: onnx.ModelProto, name: str, values: np.ndarray) -> None:
    find_tensor(model, name).CopyFrom(numpy_helper.from_array(values, name))


def scale_wrongly(model: onnx.ModelProto, node_name: str) -> None:
    """Makes the scales of a quantised layer's weights four times what they are."""
    node = next(node for node in model.graph.node if node.name == node_name)
    producers = {output: node for node in model.graph.node for output in node.output}
    scale = producers[node.input[1]].input[1] if node.op_type != "MatMulNBits" else node.input[2]
    replace(model, scale, numpy_helper.to_array(find_tensor(model, scale)) * np.float32(4))


def fold_wrongly(model: onnx.ModelProto, kind: str) -> None:
    """Folds the scale behind a layer into its weights, as a compiler would, but for one of the output channels."""
    output, weights, scaled, scale = FOLDS[kind]
    values, factors = numpy_helper.to_array(find_tensor(model, weights)).copy(), numpy_helper.to_array(find_tensor(model, scale)).reshape(-1).copy()
    factors[3] = -factors[3]
    values *= factors.reshape(-1, 1, 1, 1) if values.ndim == 4 else factors
    replace(model, weights, values)
    node = next(node for node in model.graph.node if node.output[0] == output)
    node.output[0] = scaled
    model.graph.node.remove(next(node for node in model.graph.node if node.op_type == "Mul" and scaled in node.output))
    # The product was read between its own node and the scale's.
    assert not any(output in other.input for other in model.graph.node)


def grow(model: onnx.ModelProto, kind: str) -> None:
    """Gives a layer weights with which its values leave the range of f16, and its scale makes up for them."""
    _, weights, _, scale = FOLDS[kind]
    replace(model, weights, numpy_helper.to_array(find_tensor(model, weights)) * np.float32(60000))
    replace(model, scale, numpy_helper.to_array(find_tensor(model, scale)) / np.float32(60000))


def convert_to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Casts the input to f16, computes all in f16, and casts the output back, as converters do."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    for tensor in half.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for node in half.graph.node:
        node.input[:] = ["x_half" if name == "x" else name for name in node.input]
        node.output[:] = ["y_half" if name == "y" else name for name in node.output]
    nodes = [helper.make_node("Cast", ["x"], ["x_half"], "cast_in", to=TensorProto.FLOAT16), *half.graph.node,
             helper.make_node("Cast", ["y_half"], ["y"], "cast_out", to=TensorProto.FLOAT)]
    del half.graph.node[:]
    half.graph.node.extend(nodes)
    return half
