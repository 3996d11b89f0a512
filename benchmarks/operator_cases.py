"""One-node models over about a million elements, one for each way an operator is used, for operators.py."""
import dataclasses
from collections.abc import Callable

import numpy as np
from onnx import TensorProto, helper, numpy_helper

MILLION = 1 << 20
OPSETS = [helper.make_opsetid("", 22), helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("com.microsoft", 1)]


@dataclasses.dataclass
class OperatorCase:
    """A node with its inputs (None: absent); those whose positions are in `fixed` are initialisers."""

    name: str
    model: bytes
    feeds: dict[str, np.ndarray]


def make_case(title: str, inputs: list, outputs: int = 1, fixed: tuple = (), domain: str = "", op: str = "", **attributes) -> OperatorCase:
    """Makes the case named by its title, whose first word is the operator unless `op` says another."""
    names = ["" if value is None else f"i{k}" for k, value in enumerate(inputs)]
    given = {name: value for k, (name, value) in enumerate(zip(names, inputs)) if name and k not in fixed}
    weights = [numpy_helper.from_array(inputs[k], names[k]) for k in fixed]
    infos = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape) for name, value in given.items()]
    results = [f"o{k}" for k in range(outputs)]
    node = helper.make_node(op or title.split()[0], names, results, domain=domain, **attributes)
    graph = helper.make_graph([node], "operator", infos, [helper.make_empty_tensor_value_info(name) for name in results], weights)
    return OperatorCase(title, helper.make_model(graph, opset_imports=OPSETS, ir_version=10).SerializeToString(), given)


class Maker:
    """Draws inputs and collects cases."""

    def __init__(self):
        self.random, self.cases = np.random.default_rng(1), []

    def add(self, title: str, *inputs, **keywords) -> None:
        self.cases.append(make_case(title, list(inputs), **keywords))

    def f32(self, *shape, low: float = -2, high: float = 2) -> np.ndarray:
        return self.random.uniform(low, high, shape).astype(np.float32)

    def whole(self, low: int, high: int, *shape, dtype=np.int64) -> np.ndarray:
        return self.random.integers(low, high, shape).astype(dtype)

    def flags(self, *shape) -> np.ndarray:
        return self.random.random(shape) < 0.5


UNARY = ["Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid",
         "HardSwish", "LeakyRelu", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus",
         "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu", "IsNaN", "IsInf", "Identity"]
LIMITS = {"Acos": (-1, 1), "Asin": (-1, 1), "Atanh": (-0.9, 0.9), "Acosh": (1, 4), "Log": (0.01, 4), "Sqrt": (0, 4), "Reciprocal": (0.1, 4)}


def add_elementwise(make: Maker) -> None:
    for op in UNARY:
        low, high = LIMITS.get(op, (-2, 2))
        make.add(op, make.f32(MILLION, low=low, high=high))
    for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum", "PRelu", "Equal", "Greater", "LessOrEqual"):
        make.add(op, make.f32(1024, 1024), make.f32(1024, 1024, low=0.5))
        make.add(f"{op} by rows", make.f32(1024, 1024), make.f32(1024, low=0.5))
    make.add("Add by columns", make.f32(1024, 1024), make.f32(1024, 1))
    make.add("Mul of both broadcast", make.f32(1024, 1), make.f32(1, 1024))
    make.add("Pow", make.f32(MILLION, low=0.1), make.f32(MILLION))
    make.add("Pow by 2", make.f32(MILLION), np.array(2, np.float32), fixed=(1,))
    make.add("Mod of floats by rows", make.f32(1024, 1024), make.f32(1024, low=0.5), fmod=1)
    make.add("Mod of floats", make.f32(MILLION), make.f32(MILLION, low=0.5), fmod=1)
    for op in ("Add", "Mul", "Div", "Mod"):
        make.add(f"{op} of int64", make.whole(1, 1000, MILLION), make.whole(1, 100, MILLION))
    for op in ("And", "Or", "Xor"):
        make.add(op, make.flags(MILLION), make.flags(MILLION))
    make.add("Not", make.flags(MILLION))
    for op in ("BitwiseAnd", "BitwiseXor"):
        make.add(op, make.whole(0, 1000, MILLION, dtype=np.int32), make.whole(0, 1000, MILLION, dtype=np.int32))
    make.add("BitwiseNot", make.whole(0, 1000, MILLION, dtype=np.int32))
    make.add("BitShift", make.whole(0, 1000, MILLION, dtype=np.uint32), make.whole(0, 8, MILLION, dtype=np.uint32), direction="LEFT")
    make.add("Where", make.flags(MILLION), make.f32(MILLION), make.f32(MILLION))
    make.add("Clip", make.f32(MILLION), np.array(-1, np.float32), np.array(1, np.float32), fixed=(1, 2))
    for name, dtype in (("float16", np.float16), ("int8", np.int8), ("int64", np.int64), ("bool", np.bool_), ("double", np.float64)):
        make.add(f"Cast to {name}", make.f32(MILLION), to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
        if dtype != np.bool_:
            make.add(f"Cast from {name}", make.f32(MILLION).astype(dtype), to=TensorProto.FLOAT)
    for op in ("Exp", "Tanh"):
        make.add(f"{op} of double", make.f32(MILLION).astype(np.float64))
    make.add("Add of double", make.f32(MILLION).astype(np.float64), make.f32(MILLION).astype(np.float64))
    make.add("QuantizeLinear", make.f32(MILLION), np.array(0.02, np.float32), np.array(3, np.uint8), fixed=(1, 2))
    make.add("QuantizeLinear by channel", make.f32(64, 128, 128), make.f32(128, low=0.01, high=0.1), make.whole(0, 9, 128, dtype=np.uint8), fixed=(1, 2), axis=1)
    make.add("DequantizeLinear", make.whole(0, 255, MILLION, dtype=np.uint8), np.array(0.02, np.float32), np.array(3, np.uint8), fixed=(1, 2))
    make.add("DynamicQuantizeLinear", make.f32(MILLION), outputs=3)
    make.add("Dropout", make.f32(MILLION))


def add_reductions(make: Maker) -> None:
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"):
        for where, axes in (("rows", [1]), ("columns", [0]), ("all", [0, 1])):
            make.add(f"{op} of {where}", make.f32(1024, 1024, low=0.9, high=1.1), np.array(axes, np.int64), fixed=(1,))
    make.add("ReduceMean of planes", make.f32(16, 64, 32, 32), np.array([2, 3], np.int64), fixed=(1,))
    for op in ("ReduceSum", "ReduceMax", "ReduceL2"):
        make.add(f"{op} of short rows", make.f32(MILLION // 16, 16), np.array([1], np.int64), fixed=(1,))
        make.add(f"{op} of two dims apart", make.f32(32, 32, 32, 32), np.array([1, 3], np.int64), fixed=(1,))
    make.add("GlobalAveragePool of small planes", make.f32(32, 640, 7, 7))
    make.add("ReduceSum of the middle", make.f32(64, 128, 128), np.array([1], np.int64), fixed=(1,))
    make.add("ReduceSum of int64", make.whole(0, 9, 1024, 1024), np.array([1], np.int64), fixed=(1,))
    for op in ("ArgMax", "ArgMin"):
        make.add(f"{op} of rows", make.f32(1024, 1024), axis=1)
        make.add(f"{op} of columns", make.f32(1024, 1024), axis=0)
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        make.add(f"{op} of rows", make.f32(1024, 1024), axis=1)
        make.add(f"{op} of columns", make.f32(1024, 1024), axis=0)
    for width in (10, 16, 20, 49, 197):
        make.add(f"Softmax of rows of {width}", make.f32(MILLION // width, width), axis=1)
        make.add(f"LogSoftmax of rows of {width}", make.f32(MILLION // width, width), axis=1)
    make.add("CumSum of rows", make.f32(1024, 1024), np.array(1, np.int64), fixed=(1,))
    make.add("CumSum of columns", make.f32(1024, 1024), np.array(0, np.int64), fixed=(1,))
    scale, bias = make.f32(1024), make.f32(1024)
    make.add("LayerNormalization", make.f32(1024, 1024), scale, bias, fixed=(1, 2))
    make.add("LayerNormalization of short rows", make.f32(MILLION // 64, 64), scale[:64], bias[:64], fixed=(1, 2))
    make.add("InstanceNormalization", make.f32(4, 64, 64, 64), scale[:64], bias[:64], fixed=(1, 2))
    make.add("GroupNormalization", make.f32(4, 64, 64, 64), scale[:64], bias[:64], fixed=(1, 2), num_groups=8)
    make.add("BatchNormalization", make.f32(4, 64, 64, 64), scale[:64], bias[:64], scale[64:128], make.f32(64, low=0.5), fixed=(1, 2, 3, 4))
    make.add("LRN", make.f32(4, 64, 64, 64), size=5)
    make.add("LpNormalization", make.f32(1024, 1024), axis=1)
    make.add("MeanVarianceNormalization", make.f32(4, 64, 64, 64))
    make.add("SimplifiedLayerNormalization", make.f32(1024, 1024), scale, fixed=(1,), axis=-1)


def add_movement(make: Maker) -> None:
    axes = lambda *values: np.array(values, np.int64)
    make.add("Transpose", make.f32(1024, 1024), perm=[1, 0])
    make.add("Transpose to channels last", make.f32(16, 64, 32, 32), perm=[0, 2, 3, 1])
    make.add("Transpose of heads", make.f32(8, 128, 16, 64), perm=[0, 2, 1, 3])
    make.add("Transpose of bytes", make.whole(0, 255, 1024, 1024, dtype=np.uint8), perm=[1, 0])
    make.add("Transpose of int64", make.whole(0, 255, 1024, 1024), perm=[1, 0])
    make.add("Slice", make.f32(1024, 2048), axes(0, 512), axes(1024, 1536), fixed=(1, 2))
    make.add("Slice by 2", make.f32(1024, 2048), axes(0, 0), axes(1024, 2048), axes(0, 1), axes(1, 2), fixed=(1, 2, 3, 4))
    make.add("Slice backwards", make.f32(1024, 1024), axes(1023), axes(-5000), axes(1), axes(-1), fixed=(1, 2, 3, 4))
    make.add("Concat of columns", make.f32(1024, 512), make.f32(1024, 512), axis=1)
    make.add("Concat of rows", make.f32(512, 1024), make.f32(512, 1024), axis=0)
    make.add("Split", make.f32(1024, 1024), outputs=4, axis=1, num_outputs=4)
    for mode in ("constant", "reflect", "edge", "wrap"):
        make.add(f"Pad {mode}", make.f32(16, 64, 32, 32), axes(0, 0, 2, 2, 0, 0, 2, 2), fixed=(1,), mode=mode)
    make.add("Gather of rows", make.f32(4096, 256), make.whole(0, 4096, 4096))
    make.add("Gather of columns", make.f32(1024, 1024), make.whole(0, 1024, 1024), axis=1)
    make.add("GatherElements", make.f32(1024, 1024), make.whole(0, 1024, 1024, 1024), axis=1)
    make.add("GatherND", make.f32(1024, 1024), np.stack([make.whole(0, 1024, MILLION), make.whole(0, 1024, MILLION)], 1))
    make.add("ScatterElements", make.f32(1024, 1024), np.argsort(make.f32(1024, 1024), 1), make.f32(1024, 1024), axis=1)
    make.add("ScatterElements adding", make.f32(1024, 1024), make.whole(0, 1024, 1024, 1024), make.f32(1024, 1024), axis=1, reduction="add")
    make.add("ScatterND", make.f32(1024, 1024), make.random.permutation(1024)[:, None].astype(np.int64), make.f32(1024, 1024))
    make.add("Tile", make.f32(256, 1024), axes(2, 2), fixed=(1,))
    make.add("Expand", make.f32(1024, 1), axes(1024, 1024), fixed=(1,))
    make.add("OneHot", make.whole(0, 1024, 1024), np.array(1024, np.int64), np.array([0, 1], np.float32), fixed=(1, 2))
    make.add("DepthToSpace", make.f32(4, 64, 64, 64), blocksize=2)
    make.add("Concat of float16", make.f32(1024, 300).astype(np.float16), make.f32(1024, 700).astype(np.float16), axis=1)
    make.add("Transpose of float16", make.f32(1024, 1024).astype(np.float16), perm=[1, 0])
    make.add("Tile of a line", make.f32(1024), axes(1024), fixed=(1,))
    make.add("SpaceToDepth by 4", make.f32(4, 16, 128, 128), blocksize=4)
    make.add("SpaceToDepth", make.f32(4, 16, 128, 128), blocksize=2)
    make.add("Trilu", make.f32(1024, 1024))
    make.add("EyeLike", make.f32(1024, 1024))
    make.add("ReverseSequence", make.f32(128, 128, 64), np.full(128, 128, np.int64), batch_axis=1, time_axis=0)
    make.add("Compress", make.f32(1024, 1024), make.flags(1024), axis=0)
    make.add("NonZero", (make.f32(1024, 1024) > 0).astype(np.float32))
    make.add("Range", np.array(0, np.float32), np.array(MILLION, np.float32), np.array(1, np.float32))
    make.add("ConstantOfShape", axes(1024, 1024))
    make.add("Unique", make.whole(0, 1000, MILLION), outputs=4)
    make.add("TopK of rows", make.f32(1024, 1024), axes(10), fixed=(1,), outputs=2)
    make.add("TopK of one row", make.f32(MILLION), axes(1000), fixed=(1,), outputs=2)
    make.add("TopK as a sort", make.f32(1024, 1024), axes(1024), fixed=(1,), outputs=2)
    make.add("TopK of columns", make.f32(1024, 1024), axes(10), fixed=(1,), outputs=2, axis=0)
    corners = make.f32(1, 2000, 2, low=0, high=100)
    boxes = np.concatenate([corners, corners + make.f32(1, 2000, 2, low=1, high=30)], -1)
    make.add("NonMaxSuppression", boxes, make.f32(1, 20, 2000, low=0), axes(100), np.array(0.5, np.float32), np.array(0.2, np.float32), fixed=(2, 3, 4))
    make.add("Col2Im", make.f32(1, 64 * 9, 900), axes(32, 32), axes(3, 3), fixed=(1, 2))
    make.add("CenterCropPad", make.f32(1024, 1024), axes(900, 1100), fixed=(1,), axes=[0, 1])


def add_windows(make: Maker) -> None:
    image = make.f32(4, 64, 64, 64)
    for op in ("MaxPool", "AveragePool", "LpPool"):
        make.add(f"{op} 2x2", image, kernel_shape=[2, 2], strides=[2, 2])
        make.add(f"{op} 3x3", image, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        make.add(op, image)
    make.add("MaxPool with indices", image, outputs=2, kernel_shape=[2, 2], strides=[2, 2])
    make.add("MaxPool 1-D", make.f32(16, 64, 1024), kernel_shape=[3], strides=[2])
    make.add("MaxPool with indices 5x5", image, outputs=2, kernel_shape=[5, 5], pads=[2] * 4)
    make.add("MaxPool 3-D", make.f32(2, 16, 32, 32, 32), kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    make.add("MaxPool 3-D padded", make.f32(2, 16, 32, 32, 32), kernel_shape=[3, 3, 3], pads=[1] * 6)
    make.add("AveragePool 3-D padded", make.f32(2, 16, 32, 32, 32), kernel_shape=[3, 3, 3], pads=[1] * 6)
    make.add("MaxPool 5x5 of double", image.astype(np.float64), kernel_shape=[5, 5], pads=[2] * 4)
    values, places = make.f32(4, 64, 32, 32), np.arange(4 * 64 * 32 * 32, dtype=np.int64).reshape(4, 64, 32, 32) * 4
    make.add("MaxUnpool", values, places, kernel_shape=[2, 2], strides=[2, 2])
    weights = lambda *shape: make.f32(*shape, low=-0.1, high=0.1)
    make.add("Conv 3x3", make.f32(1, 64, 64, 64), weights(64, 64, 3, 3), fixed=(1,), pads=[1, 1, 1, 1])
    make.add("Conv 1x1", make.f32(1, 128, 64, 64), weights(128, 128, 1, 1), fixed=(1,))
    make.add("Conv by 2", make.f32(1, 64, 64, 64), weights(64, 64, 3, 3), fixed=(1,), pads=[1, 1, 1, 1], strides=[2, 2])
    make.add("Conv depthwise", image, weights(64, 1, 3, 3), fixed=(1,), pads=[1, 1, 1, 1], group=64)
    make.add("Conv depthwise 5x5 by 2", image, weights(64, 1, 5, 5), fixed=(1,), pads=[2, 2, 2, 2], strides=[2, 2], group=64)
    make.add("Conv grouped", make.f32(1, 64, 64, 64), weights(64, 8, 3, 3), fixed=(1,), pads=[1, 1, 1, 1], group=8)
    make.add("Conv dilated", make.f32(1, 64, 64, 64), weights(64, 64, 3, 3), fixed=(1,), pads=[2, 2, 2, 2], dilations=[2, 2])
    make.add("Conv of an image", make.f32(1, 3, 224, 224), weights(64, 3, 7, 7), fixed=(1,), pads=[3, 3, 3, 3], strides=[2, 2])
    make.add("Conv 1-D", make.f32(1, 64, 4096), weights(64, 64, 3), fixed=(1,), pads=[1, 1])
    make.add("Conv 3-D", make.f32(1, 16, 16, 32, 32), weights(16, 16, 3, 3, 3), fixed=(1,), pads=[1] * 6)
    make.add("Conv with a computed filter", make.f32(1, 64, 64, 64), weights(64, 64, 3, 3), pads=[1, 1, 1, 1])
    make.add("ConvTranspose 2x2 by 2", make.f32(1, 64, 64, 64), weights(64, 32, 2, 2), fixed=(1,), strides=[2, 2])
    make.add("ConvTranspose 3x3 by 2", make.f32(1, 64, 64, 64), weights(64, 32, 3, 3), fixed=(1,), strides=[2, 2], pads=[1, 1, 1, 1])
    make.add("ConvTranspose depthwise", make.f32(1, 128, 56, 56), weights(128, 1, 3, 3), fixed=(1,), strides=[2, 2], pads=[1, 1, 1, 1], group=128)
    make.add("ConvTranspose 4x4 by 2", make.f32(1, 64, 64, 64), weights(64, 32, 4, 4), fixed=(1,), strides=[2, 2], pads=[1, 1, 1, 1])
    make.add("DeformConv", make.f32(1, 32, 48, 48), weights(32, 32, 3, 3), make.f32(1, 18, 46, 46), fixed=(1,))
    make.add("ConvInteger", make.whole(0, 255, 1, 64, 64, 64, dtype=np.uint8), make.whole(0, 255, 64, 64, 3, 3, dtype=np.uint8), fixed=(1,), pads=[1, 1, 1, 1])
    scales = np.array([1, 1, 2, 2], np.float32)
    for mode, how in (("nearest", "asymmetric"), ("linear", "half_pixel"), ("linear", "align_corners"), ("cubic", "half_pixel")):
        make.add(f"Resize {mode} {how}", make.f32(1, 64, 64, 64), None, scales, fixed=(2,), mode=mode, coordinate_transformation_mode=how)
    make.add("Resize of small planes", make.f32(1, 512, 14, 14), None, np.array([1, 1, 2, 2], np.float32), fixed=(2,), mode="linear")
    make.add("Resize of small planes down", make.f32(1, 512, 14, 14), None, np.array([1, 1, 0.5, 0.5], np.float32), fixed=(2,), mode="linear")
    make.add("Resize down", make.f32(1, 64, 128, 128), None, np.array([1, 1, 0.5, 0.5], np.float32), fixed=(2,), mode="linear")
    grid = make.f32(1, 128, 128, 2, low=-1, high=1)
    for mode in ("nearest", "linear", "cubic"):
        make.add(f"GridSample {mode}", make.f32(1, 64, 64, 64), grid, mode=mode)
    regions = np.concatenate([make.f32(100, 2, low=0, high=30), make.f32(100, 2, low=32, high=60)], 1)
    make.add("RoiAlign", make.f32(1, 64, 64, 64), regions, np.zeros(100, np.int64), output_height=7, output_width=7, sampling_ratio=2)
    make.add("MaxRoiPool", make.f32(1, 64, 64, 64), np.concatenate([np.zeros((100, 1), np.float32), regions], 1), pooled_shape=[7, 7])
    make.add("AffineGrid", make.f32(4, 2, 3), np.array([4, 3, 256, 256], np.int64), fixed=(1,))


def add_products(make: Maker) -> None:
    weights = lambda *shape: make.f32(*shape, low=-0.1, high=0.1)
    make.add("MatMul of 512", make.f32(512, 512), weights(512, 512), fixed=(1,))
    make.add("MatMul of computed operands", make.f32(512, 512), weights(512, 512))
    make.add("MatMul of a row", make.f32(1, 1024), weights(1024, 1024), fixed=(1,))
    make.add("MatMul of a row with a computed operand", make.f32(1, 1024), weights(1024, 1024))
    make.add("MatMul of four rows with a computed operand", make.f32(4, 1024), weights(1024, 1024))
    make.add("MatMul of four columns", make.f32(1024, 1024), weights(1024, 4), fixed=(1,))
    make.add("Gemm of a row with a transposed operand", make.f32(1, 1024), weights(1024, 1024), transB=1)
    make.add("MatMul in batches", make.f32(16, 128, 64), make.f32(16, 64, 128))
    make.add("MatMul of double", make.f32(256, 256).astype(np.float64), make.f32(256, 256).astype(np.float64))
    make.add("Gemm", make.f32(256, 512), weights(512, 512), make.f32(512), fixed=(1, 2))
    make.add("Gemm transposed", make.f32(512, 256), weights(512, 512), make.f32(512), fixed=(1, 2), transA=1, transB=1)
    make.add("MatMulInteger", make.whole(0, 255, 256, 512, dtype=np.uint8), make.whole(-127, 127, 512, 512, dtype=np.int8), fixed=(1,))
    for equation, shapes in (("bhqd,bhkd->bhqk", ((1, 8, 128, 64), (1, 8, 128, 64))), ("ij,jk->ik", ((256, 256), (256, 256))), ("bij->bji", ((64, 128, 128),)), ("bij,bij->b", ((64, 128, 128),) * 2)):
        make.add(f"Einsum {equation}", *(make.f32(*shape) for shape in shapes), equation=equation)
    make.add("Det", make.f32(64, 64, 64))
    for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        make.add(op, make.f32(64, 1, 128), weights(1, gates * 128, 128), weights(1, gates * 128, 128), weights(1, 2 * gates * 128), fixed=(1, 2, 3), hidden_size=128)
        make.add(f"{op} both ways in batches", make.f32(32, 16, 64), weights(2, gates * 64, 64), weights(2, gates * 64, 64), weights(2, 2 * gates * 64),
                 fixed=(1, 2, 3), hidden_size=64, direction="bidirectional")
    make.add("DFT of 1024", make.f32(512, 1024, 1), None, np.array(1, np.int64), fixed=(2,))
    make.add("DFT of 1000", make.f32(512, 1000, 1), None, np.array(1, np.int64), fixed=(2,))
    make.add("DFT of a prime", make.f32(64, 1009, 1), None, np.array(1, np.int64), fixed=(2,))
    make.add("STFT", make.f32(1, 65536, 1), np.array(256, np.int64), make.f32(512), np.array(512, np.int64), fixed=(1, 2, 3))
    make.add("SoftmaxCrossEntropyLoss", make.f32(1024, 1024), make.whole(0, 1024, 1024))
    make.add("NegativeLogLikelihoodLoss", make.f32(1024, 1024), make.whole(0, 1024, 1024))
    for op in ("RandomNormal", "RandomUniform"):
        make.add(op, shape=[1024, 1024], seed=1.0)
    make.add("Bernoulli", make.f32(MILLION, low=0, high=1), seed=1.0)
    make.add("Multinomial", make.f32(64, 1024), sample_size=1000, seed=1.0)


def add_contributed(make: Maker) -> None:
    add = lambda *inputs, **keywords: make.add(*inputs, domain="com.microsoft", **keywords)
    weights = lambda *shape: make.f32(*shape, low=-0.1, high=0.1)
    for op in ("Gelu", "QuickGelu", "FastGelu"):
        add(f"{op} contributed", make.f32(MILLION))
    add("BiasGelu", make.f32(1024, 1024), make.f32(1024), fixed=(1,))
    scale, bias = make.f32(1024), make.f32(1024)
    add("SkipLayerNormalization", make.f32(1, 1024, 1024), make.f32(1, 1024, 1024), scale, bias, fixed=(2, 3))
    add("SkipSimplifiedLayerNormalization", make.f32(1, 1024, 1024), make.f32(1, 1024, 1024), scale, fixed=(2,))
    add("FusedMatMul", make.f32(256, 512), weights(512, 512), fixed=(1,), transB=1, alpha=0.5)
    add("FusedGemm", make.f32(256, 512), weights(512, 512), make.f32(512), fixed=(1, 2), activation="Relu")
    add("FusedConv", make.f32(1, 64, 64, 64), weights(64, 64, 3, 3), fixed=(1,), pads=[1, 1, 1, 1], activation="Relu")
    packed, steps = make.whole(0, 255, 1024, 32, 16, dtype=np.uint8), make.f32(1024 * 32, low=0.01, high=0.1)
    for rows in (1, 64):
        add(f"MatMulNBits of {rows} rows", make.f32(rows, 1024), packed, steps, fixed=(1, 2), K=1024, N=1024, bits=4, block_size=32)
    byte, one = lambda *shape: make.whole(0, 255, *shape, dtype=np.uint8), lambda value: np.array(value, np.float32)
    zero = np.array(3, np.uint8)
    signed = make.whole(-127, 127, 512, 512, dtype=np.int8)
    add("DynamicQuantizeMatMul", make.f32(256, 512), signed, one(0.02), fixed=(1, 2))
    add("MatMulIntegerToFloat", byte(256, 512), signed, one(0.02), one(0.03), fixed=(1, 2, 3))
    for op in ("QLinearAdd", "QLinearMul"):
        add(op, byte(MILLION), one(0.02), zero, byte(MILLION), one(0.03), zero, one(0.05), zero, fixed=(1, 2, 4, 5, 6, 7))
    for op in ("QLinearSigmoid", "QLinearLeakyRelu"):
        add(op, byte(MILLION), one(0.02), zero, one(0.05), zero, fixed=(1, 2, 3, 4))
    add("QLinearGlobalAveragePool", byte(4, 64, 64, 64), one(0.02), zero, one(0.05), zero, fixed=(1, 2, 3, 4))
    add("QLinearSoftmax", byte(1024, 1024), one(0.02), zero, one(0.004), np.array(0, np.uint8), fixed=(1, 2, 3, 4), opset=13)
    make.add("QLinearMatMul", byte(256, 512), one(0.02), zero, signed, one(0.01), np.array(0, np.int8), one(0.5), zero, fixed=(1, 2, 3, 4, 5, 6, 7))
    make.add("QLinearConv", byte(1, 64, 64, 64), one(0.02), zero, make.whole(-127, 127, 64, 64, 3, 3, dtype=np.int8), one(0.01), np.array(0, np.int8), one(0.5), zero,
             fixed=(1, 2, 3, 4, 5, 6, 7), pads=[1, 1, 1, 1])
    add("Attention of 512", make.f32(1, 128, 512), weights(512, 1536), make.f32(1536), fixed=(1, 2), num_heads=8)
    add("MultiHeadAttention", *(make.f32(1, 256, 512) for _ in range(3)), num_heads=8)
    lengths = np.array([255], np.int32)
    add("GroupQueryAttention", make.f32(1, 1, 512), make.f32(1, 1, 128), make.f32(1, 1, 128), make.f32(1, 2, 256, 64), make.f32(1, 2, 256, 64), lengths,
        np.array(256, np.int32), outputs=3, num_heads=8, kv_num_heads=2)
    angles = make.f32(128, 32)
    add("RotaryEmbedding contributed", make.f32(8, 128, 1024), np.tile(np.arange(128), (8, 1)), angles, angles, fixed=(2, 3), num_heads=16)
    add("CDist", make.f32(512, 64), make.f32(512, 64), metric="euclidean")
    add("Inverse", make.f32(16, 64, 64))
    add("Trilu contributed", make.f32(1024, 1024))
    add("ExpandDims", make.f32(1024, 1024), np.array(0, np.int32), fixed=(1,))
    add("Rfft", make.f32(512, 1024), normalized=0, onesided=1, signal_ndim=1)


def add_learned(make: Maker) -> None:
    add = lambda *inputs, **keywords: make.add(*inputs, domain="ai.onnx.ml", **keywords)
    table = make.f32(4096, 256)
    add("Scaler", table, offset=make.f32(256), scale=make.f32(256))
    add("Normalizer", table, norm="L2")
    add("Binarizer", table, threshold=0.5)
    add("Imputer", table, imputed_value_floats=make.f32(256), replaced_value_float=0.0)
    add("LinearRegressor", table, coefficients=make.f32(8 * 256), intercepts=make.f32(8), targets=8)
    add("LinearClassifier", table, outputs=2, coefficients=make.f32(8 * 256), intercepts=make.f32(8), classlabels_ints=list(range(8)))
    add("LabelEncoder", make.whole(0, 100, MILLION), keys_int64s=list(range(100)), values_floats=make.f32(100))
    add("OneHotEncoder", make.whole(0, 64, MILLION // 64), cats_int64s=list(range(64)))
    add("ArrayFeatureExtractor", table, make.whole(0, 256, 128))
    add("FeatureVectorizer", table, table, inputdimensions=[256, 256])
    add("SVMRegressor", table, coefficients=make.f32(64), support_vectors=make.f32(64 * 256), rho=[0.1], kernel_type="RBF", kernel_params=[0.01, 0, 0], n_supports=64)
    for rows in (1, 4096):
        add(f"TreeEnsembleRegressor of {rows} rows", table[:rows], **make_forest(make, 100, 6, 256))


def make_forest(make: Maker, trees: int, depth: int, features: int) -> dict:
    """Returns the attributes of full trees that compare random features."""
    inner, total = (1 << depth) - 1, (1 << (depth + 1)) - 1
    nodes = np.tile(np.arange(total), trees)
    leaf = nodes >= inner
    count = len(nodes)
    return dict(n_targets=1, nodes_treeids=np.repeat(np.arange(trees), total), nodes_nodeids=nodes, nodes_featureids=np.where(leaf, 0, make.whole(0, features, count)),
                nodes_values=np.where(leaf, 0, make.f32(count)).astype(np.float32), nodes_modes=["LEAF" if end else "BRANCH_LEQ" for end in leaf],
                nodes_truenodeids=np.where(leaf, 0, 2 * nodes + 1), nodes_falsenodeids=np.where(leaf, 0, 2 * nodes + 2), target_treeids=np.repeat(np.arange(trees), total)[leaf],
                target_nodeids=nodes[leaf], target_ids=np.zeros(leaf.sum(), np.int64), target_weights=make.f32(int(leaf.sum())))


FAMILIES: list[Callable[[Maker], None]] = [add_elementwise, add_reductions, add_movement, add_windows, add_products, add_contributed, add_learned]


def list_operator_cases(wanted: list[str]) -> list[OperatorCase]:
    """Returns the cases whose names contain one of the words; all for none."""
    make = Maker()
    for add in FAMILIES:
        add(make)
    return [case for case in make.cases if not wanted or any(word.lower() in case.name.lower() for word in wanted)]
