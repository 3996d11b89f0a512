"""Single kernels at the shapes of common networks, as one-node models, with what they cannot be faster than."""
import dataclasses
import math

import numpy as np
from onnx import TensorProto, helper, numpy_helper

ROWS, MATRICES = (1, 8, 32, 128, 384, 1024), ((768, 768), (768, 3072), (3072, 768), (4096, 4096))
CONVOLUTIONS = [(64, 64, 56, 3, 1), (128, 128, 28, 3, 1), (256, 256, 14, 3, 1), (512, 512, 7, 3, 1), (128, 128, 56, 3, 2), (256, 256, 28, 3, 2), (64, 256, 56, 1, 1), (256, 64, 56, 1, 1),
                (512, 128, 28, 1, 1), (1024, 256, 14, 1, 1), (2048, 512, 7, 1, 1), (512, 2048, 7, 1, 1), (96, 32, 56, 1, 1), (192, 64, 14, 1, 1), (960, 160, 7, 1, 1)]
DEPTHWISE = [(32, 112, 1), (96, 112, 2), (144, 56, 1), (192, 28, 1), (384, 14, 1), (960, 7, 1)]


@dataclasses.dataclass
class KernelCase:
    name: str             #: KIND:NUMBERS, as onednn.cpp takes it
    model: bytes
    operations: int       #: multiplications and additions of a run
    speedup: float        #: of the peak of its element type over that of f32
    moved: int            #: bytes that a run must read and write, where memory is the limit; 0 elsewhere


def _make(nodes: list, inputs: list, constants: dict, version: int = 22) -> bytes:
    initializers = [value if isinstance(value, TensorProto) else numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "kernel", inputs, [helper.make_empty_tensor_value_info("y")], initializers)
    opsets = [helper.make_opsetid("", version), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def _make_gemm(kind: str, rows: int, depth: int, columns: int) -> bytes:
    random = np.random.default_rng(1)
    if kind == "gemm_u8s8":
        x, weights = helper.make_tensor_value_info("x", TensorProto.UINT8, [rows, depth]), random.integers(-60, 60, (depth, columns), np.int8)
        return _make([helper.make_node("MatMulInteger", ["x", "w"], ["y"])], [x], {"w": weights})
    weights = (random.standard_normal((depth, columns)) / math.sqrt(depth)).astype(np.float32)
    number = TensorProto.FLOAT if kind == "gemm_f32" else TensorProto.BFLOAT16
    if number == TensorProto.BFLOAT16:
        weights = helper.make_tensor("w", number, weights.shape, (weights.view(np.uint32) >> 16).astype(np.uint16).tobytes(), raw=True)
    return _make([helper.make_node("MatMul", ["x", "w"], ["y"])], [helper.make_tensor_value_info("x", number, [rows, depth])], {"w": weights})


def _list_gemms():
    for kind, speedup, size in (("gemm_f32", 1, 4), ("gemm_bf16", 2, 2), ("gemm_u8s8", 4, 1)):
        for depth, columns in MATRICES:
            for rows in ROWS:
                # A row meets each weight once; few rows of a matrix beyond the caches, too.
                is_read = rows == 1 or (rows == 8 and depth * columns > 1 << 23)
                yield KernelCase(f"{kind}:{rows},{depth},{columns}", _make_gemm(kind, rows, depth, columns), 2 * rows * depth * columns, speedup, depth * columns * size * is_read)


def _list_convolutions():
    random = np.random.default_rng(1)
    shapes = [("conv", *shape) for shape in CONVOLUTIONS] + [("depthwise", channels, channels, extent, 3, stride) for channels, extent, stride in DEPTHWISE]
    for kind, channels, out_channels, extent, window, stride in shapes:
        depth, out = 1 if kind == "depthwise" else channels, (extent + 2 * (window // 2) - window) // stride + 1
        constants = {"w": (random.standard_normal((out_channels, depth, window, window)) / math.sqrt(depth * window**2)).astype(np.float32), "b": np.zeros(out_channels, np.float32)}
        node = helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=[stride] * 2, pads=[window // 2] * 4, group=channels // depth)
        model = _make([node], [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, extent, extent])], constants)
        yield KernelCase(f"{kind}:{channels},{out_channels},{extent},{window},{stride}", model, 2 * out_channels * out**2 * depth * window**2, 1, 0)


def _list_rows():
    for kind, widths in (("softmax", (128, 384, 1024)), ("layernorm", (768, 1024, 4096))):
        for columns in widths:
            x, constants = helper.make_tensor_value_info("x", TensorProto.FLOAT, [384, columns]), {}
            node = helper.make_node("Softmax", ["x"], ["y"])
            if kind == "layernorm":
                node, constants = helper.make_node("LayerNormalization", ["x", "s", "b"], ["y"]), {"s": np.ones(columns, np.float32), "b": np.zeros(columns, np.float32)}
            yield KernelCase(f"{kind}:384,{columns}", _make([node], [x], constants), 0, 1, 0)


def _list_int4():
    depth, columns = 4096, 32768  # weights beyond the caches
    for block in (32, 128):
        random = np.random.default_rng(1)
        constants = {"w": random.integers(0, 255, (columns, depth // block, block // 2), np.uint8), "s": random.random((columns * depth // block), np.float32)}
        node = helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=depth, N=columns, bits=4, block_size=block)
        model = _make([node], [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, depth])], constants)
        yield KernelCase(f"int4:{block},{depth},{columns}", model, 2 * depth * columns, 1, depth * columns // 2 + 4 * columns * depth // block)


def list_kernel_cases(words: list[str]):
    """Yields the cases whose name has one of the words, or all."""
    for cases in (_list_gemms, _list_convolutions, _list_rows, _list_int4):
        for case in cases():
            if not words or any(word in case.name for word in words):
                yield case
