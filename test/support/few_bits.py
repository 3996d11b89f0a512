"""Products with weights of few bits: com.microsoft's MatMulNBits over an open number of rows."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper


def pack(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Numbers [rows, n] in bytes, the first in the lowest bits, the last byte filled up."""
    per_byte = 8 // bits
    numbers = np.pad(numbers, [(0, 0), (0, -numbers.shape[1] % per_byte)])
    return sum(numbers[:, k::per_byte] << (bits * k) for k in range(per_byte)).astype(np.uint8)


def make_product(random, bits: int, block: int, inner: int, columns: int, zero: str = "bytes") -> tuple[bytes, np.ndarray]:
    """A model and its weight [inner, columns] in f64. Zero points are "bytes", "floats" between the numbers, or "none": in the middle."""
    blocks, middle = -(-inner // block), 1 << (bits - 1)
    numbers = random.integers(0, 1 << bits, (columns, blocks * block))
    zeros = {"bytes": lambda: random.integers(0, 1 << bits, (columns, blocks)), "none": lambda: np.full((columns, blocks), middle),
             "floats": lambda: (middle + random.standard_normal((columns, blocks))).astype(np.float32)}[zero]()
    scales = random.uniform(0.01, 0.1, (columns, blocks)).astype(np.float32)
    weight = ((numbers.reshape(columns, blocks, block) - zeros[..., None].astype(np.float64)) * scales[..., None]).reshape(columns, -1)[:, :inner].T
    constants = {"w": pack(numbers, bits).reshape(columns, blocks, -1), "s": scales} | ({} if zero == "none" else {"z": zeros if zero == "floats" else pack(zeros, bits)})
    node = helper.make_node("MatMulNBits", ["x", *constants], ["y"], domain="com.microsoft", K=inner, N=columns, bits=bits, block_size=block)
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", extent]) for name, extent in (("x", inner), ("y", columns))]
    graph = helper.make_graph([node], "product", tensors[:1], tensors[1:], [numpy_helper.from_array(value, name) for name, value in constants.items()])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString(), weight
