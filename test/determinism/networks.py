"""Networks with a symbolic batch whose units are split over threads in every way: panels, rows, channels, reductions, sequences."""
import numpy as np
import onnx
from onnx import numpy_helper

from support.samples import parse

# name: (ONNX text, {weight: shape}, {input: shape without the batch}, axis of the batch)
NETWORKS = {
    "mlp": ("(float[N,64] x) => (y) { a = Gemm(x, w, b)\n c = Relu(a)\n y = MatMul(c, v) }", {"w": (64, 96), "b": (96,), "v": (96, 10)}, {"x": (64,)}, 0),
    "convolution": ("(float[N,3,17,19] x) => (y) { a = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, w, b)\n c = Relu(a)\n"
                    " d = Conv<group = 8, pads = [1, 1, 1, 1]>(c, u)\n e = MaxPool<kernel_shape = [2, 2]>(d)\n f = GlobalAveragePool(e)\n y = Flatten(f) }",
                    {"w": (8, 3, 3, 3), "b": (8,), "u": (8, 1, 3, 3)}, {"x": (3, 17, 19)}, 0),
    "attention": ("(float[N,7,32] x) => (y) { q = MatMul(x, wq)\n k = MatMul(x, wk)\n t = Transpose<perm = [0, 2, 1]>(k)\n s = MatMul(q, t)\n p = Softmax(s)\n"
                  " o = MatMul(p, x)\n r = Add(o, x)\n y = LayerNormalization(r, scale) }", {"wq": (32, 32), "wk": (32, 32), "scale": (32,)}, {"x": (7, 32)}, 0),
    "reductions": ("(float[N,33,21] x) => (y, z, m) { last = Constant<value_ints = [2]>()\n middle = Constant<value_ints = [1]>()\n both = Constant<value_ints = [1, 2]>()\n"
                   " y = ReduceSum(x, last)\n z = ReduceMean(x, middle)\n m = ReduceL2(x, both) }", {}, {"x": (33, 21)}, 0),
    "recurrent": ("(float[5,N,12] x) => (y) { y, h = GRU<hidden_size = 16>(x, w, r, b) }", {"w": (1, 48, 12), "r": (1, 48, 16), "b": (1, 96)}, {"x": (5, 12)}, 1),
    "short rows": ("(float[N,5,33,3] x) => (y, z, m) { y = Softmax(x)\n z = LogSoftmax<axis = 3>(y)\n m = LayerNormalization(x, scale) }",
                   {"scale": (3,)}, {"x": (5, 33, 3)}, 0),
    "elementwise": ("(float[N,1000] x) => (y, z) { a = Erf(x)\n b = Tanh(a)\n c = Exp(b)\n y = Mul(c, x)\n z = Sigmoid(y) }", {}, {"x": (1000,)}, 0),
}


def make_network(name: str) -> bytes:
    """Returns the network with seeded weights."""
    text, weights, _, _ = NETWORKS[name]
    model: onnx.ModelProto = parse(text)
    random = np.random.default_rng(7)
    for weight, shape in weights.items():
        model.graph.initializer.append(numpy_helper.from_array((random.standard_normal(shape) / 4).astype(np.float32), weight))
    for output in model.graph.output:
        output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return model.SerializeToString()


def make_inputs(name: str, batch: int, seed: int) -> dict:
    """Returns random inputs for a batch."""
    _, _, inputs, axis = NETWORKS[name]
    random = np.random.default_rng(seed)
    return {key: random.standard_normal(shape[:axis] + (batch,) + shape[axis:]).astype(np.float32) for key, shape in inputs.items()}


def take(name: str, array: np.ndarray, place: int) -> np.ndarray:
    """Returns one entry of a batch, as a batch of one. Outputs of GRU carry the directions before the batch."""
    axis = NETWORKS[name][3]
    return np.take(array, [place], axis + 1 if axis == 1 and array.ndim == 4 else axis)
