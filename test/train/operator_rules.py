"""Nodes for each of training's rules: what is compared with ONNX's reference implementation, and differentiated."""
import dataclasses

import numpy as np
import onnx
from onnx import helper


@dataclasses.dataclass
class Case:
    """A node: arrays of floats are inputs with gradients, those of integers are not; None is an input left out."""
    op: str
    inputs: list
    attributes: dict
    opset: int = 22
    outputs: int = 1
    domain: str = ""
    is_smooth: bool = True
    judge: str = "onnx"    # "onager" where onnx's reference implementation lacks the case or is wrong
    fixed: tuple = ()      # inputs of floats without gradients

    def __str__(self) -> str:
        shown = [f"{name}={value}".replace(" ", "") for name, value in self.attributes.items() if not isinstance(value, onnx.TensorProto)]
        return "-".join([self.op, f"{self.opset}", *("x".join(map(str, np.shape(array))) or "s" for array in self.inputs[:1] if array is not None), *shown])

    def make_model(self, dtype: type) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
        """Returns the model and its feeds, floats of a type."""
        feeds = {f"x{k}": array.astype(dtype) if array.dtype == np.float64 else array for k, array in enumerate(self.inputs) if array is not None}
        names = [f"x{k}" if array is not None else "" for k, array in enumerate(self.inputs)]
        node = helper.make_node(self.op, names, [f"y{k}" for k in range(self.outputs)], "node", domain=self.domain, **self.attributes)
        inputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape) for name, array in feeds.items()]
        graph = helper.make_graph([node], "graph", inputs, [onnx.ValueInfoProto(name=f"y{k}") for k in range(self.outputs)])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)], ir_version=10), feeds


RANDOM = np.random.default_rng(3)


def draw(*shape: int) -> np.ndarray:
    """Draws numbers with gaps between them and around 0, so that comparisons have no ties within a step of differentiation."""
    count = int(np.prod(shape))
    return ((RANDOM.permutation(count) + 0.4 - count / 2) * (3.0 / max(count, 4))).reshape(shape)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def case(op: str, *inputs, opset: int = 22, outputs: int = 1, domain: str = "", is_smooth: bool = True, judge: str = "onnx", fixed: tuple = (),
         **attributes) -> Case:
    return Case(op, list(inputs), attributes, opset, outputs, domain, is_smooth, judge, fixed)


def list_elementwise() -> list[Case]:
    positive, unit = np.abs(draw(3, 4)) + 0.2, draw(3, 4) / 2
    cases = [case(op, draw(3, 4)) for op in ("Abs", "Atan", "Asinh", "Cos", "Erf", "Exp", "HardSwish", "Identity", "Mish", "Neg", "Relu", "Sigmoid", "Sin", "Sinh", "Cosh", "Softplus",
                                             "Softsign", "Tanh", "LeakyRelu", "Elu", "Celu", "Selu", "ThresholdedRelu", "HardSigmoid", "Gelu", "Shrink", "Dropout")]
    cases += [case(op, positive) for op in ("Log", "Sqrt", "Reciprocal")] + [case(op, unit) for op in ("Acos", "Asin", "Atanh", "Tan")] + [case("Acosh", positive + 1)]
    cases += [case(op, draw(3, 4), is_smooth=False) for op in ("Ceil", "Floor", "Round", "Sign", "IsNaN")]
    cases += [case("Gelu", draw(5), approximate="tanh"), case("LeakyRelu", draw(5), alpha=0.3), case("Elu", draw(5), alpha=2.0), case("Celu", draw(5), alpha=0.5),
              case("Selu", draw(5), alpha=1.2, gamma=2.0), case("HardSigmoid", draw(5), alpha=0.5, beta=0.6), case("Shrink", draw(6), lambd=0.4, bias=0.3),
              case("Swish", draw(5), opset=24, alpha=0.7), case("PRelu", draw(2, 3, 4), draw(3, 1)), case("Clip", draw(3, 4), np.array(-0.6), np.array(0.7)),
              case("Clip", draw(3, 4), None, np.array(0.7)), case("Clip", draw(3, 4), opset=6, min=-0.5, max=0.5), case("Clip", draw(4))]
    cases += [case(op, draw(3, 4), draw(4)) for op in ("Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean")] + [case("Div", draw(3, 4), positive), case("Pow", positive, draw(3, 1))]
    cases += [case("Pow", draw(3, 4), ints(2)), case("Max", draw(6), draw(6), draw(6)), case("Mean", draw(6), draw(6), draw(6)), case("Mod", draw(3, 4), positive, fmod=1, is_smooth=False),
              case("Div", ints(7, -7), ints(2, 2), is_smooth=False), case("Mod", ints(7, -7), ints(3, 3), is_smooth=False)]
    cases += [case(op, draw(3, 4), draw(4), is_smooth=False) for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")]
    cases += [case(op, draw(3, 4) > 0, draw(4) > 0, is_smooth=False) for op in ("And", "Or", "Xor")] + [case("Not", draw(3, 4) > 0, is_smooth=False)]
    cases += [case("Where", draw(3, 4) > 0, draw(4), draw(3, 1)), case("Cast", draw(3, 4), to=1), case("Cast", draw(3, 4), to=7, is_smooth=False),
              case("CastLike", draw(3, 4), ints(1), is_smooth=False), case("Swish", draw(3), opset=24)]
    return cases


def list_reductions() -> list[Case]:
    positive = np.abs(draw(2, 3, 4)) + 0.2
    cases = [case(op, positive, ints(1), keepdims=0) for op in ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
                                                                "ReduceSumSquare")]
    cases += [case("ReduceMean", positive, opset=13, axes=[0, -1]), case("ReduceSum", positive), case("ReduceSum", positive, noop_with_empty_axes=1), case("ReduceProd", positive, ints(0, 2))]
    cases += [case(op, draw(2, 3, 4), axis=axis) for op in ("Softmax", "LogSoftmax") for axis in (-1, 1)] + [case("Softmax", draw(2, 3, 4), opset=11, judge="onager"), case("LogSoftmax", draw(2, 3, 4), opset=11, axis=2)]
    cases += [case(op, draw(3, 4), axis=1, keepdims=0, is_smooth=False) for op in ("ArgMax", "ArgMin")] + [case("ArgMax", draw(3, 4).round(), select_last_index=1, is_smooth=False)]
    return cases + [case("CumSum", draw(3, 4), np.array(1)), case("CumSum", draw(3, 4), np.array(0), exclusive=1, reverse=1)]


def list_movement() -> list[Case]:
    x = draw(2, 3, 4)
    value = helper.make_tensor("", 1, [2], [1.5, -2.0])
    cases = [case("Reshape", x, ints(0, -1)), case("Reshape", draw(0, 3), ints(3, 0), allowzero=1, is_smooth=False), case("Flatten", x), case("Flatten", x, axis=-1), case("Flatten", x, axis=0),
             case("Transpose", x), case("Transpose", x, perm=[1, 0, 2]), case("Squeeze", draw(1, 3, 1)), case("Squeeze", draw(1, 3, 1), ints(-1)), case("Squeeze", draw(1, 3, 1), opset=11, axes=[0]),
             case("Unsqueeze", x, ints(0, -1)), case("Unsqueeze", x, opset=11, axes=[1]), case("Concat", x, draw(2, 1, 4), axis=1), case("Expand", draw(3, 1), ints(2, 1, 4)), case("Tile", x, ints(2, 1, 3)),
             case("Slice", x, ints(1), ints(100), ints(2)), case("Slice", x, ints(-1, 0), ints(-100, 2), ints(2, 1), ints(-2, 1)), case("Slice", x, opset=9, starts=[0, 1], ends=[1, 3], axes=[0, 2]),
             case("Split", x, ints(1, 3), axis=2, outputs=2), case("Split", x, axis=2, num_outputs=3, outputs=3, opset=18), case("Split", x, opset=11, axis=1, split=[2, 1], outputs=2),
             case("Gather", x, np.array([[0, -1], [1, 1]]), axis=1), case("Gather", draw(5), np.array(-2)), case("GatherElements", x, np.array([[[0, -1, 1, 2]], [[2, 1, 0, 0]]]), axis=1),
             case("Trilu", draw(3, 4), ints(1).reshape(())), case("Trilu", draw(3, 4), upper=0), case("DepthToSpace", draw(1, 8, 2, 3), blocksize=2), case("DepthToSpace", draw(1, 8, 2, 3), blocksize=2, mode="CRD"),
             case("SpaceToDepth", draw(1, 2, 4, 6), blocksize=2), case("OneHot", ints(1, -1, 2), np.array(3), draw(2))]
    cases += [case("Shape", x, is_smooth=False), case("Shape", x, start=1, end=-1, is_smooth=False), case("Size", x, is_smooth=False), case("Constant", value=value, is_smooth=False),
              case("Constant", value_float=2.5, is_smooth=False), case("Constant", value_ints=[1, 2], is_smooth=False), case("ConstantOfShape", ints(2, 3), is_smooth=False),
              case("ConstantOfShape", ints(2, 3), value=helper.make_tensor("", 7, [1], [4]), is_smooth=False), case("Range", ints(1).reshape(()), ints(9).reshape(()), ints(3).reshape(()), is_smooth=False)]
    cases += [case("Pad", x, ints(0, 1, 2, 1, 0, -1), np.array(0.5), judge="onager", fixed=(2,)), case("Pad", x, ints(1, 2), None, ints(-1), mode="edge"), case("Pad", x, ints(0, 0, 2, 0, 0, 3), mode="reflect"),
              case("Pad", x, ints(0, 0, 2, 0, 0, 3), mode="wrap", opset=21), case("Pad", x, opset=2, pads=[0, 0, 1, 0, 0, 1], value=1.0)]
    image = draw(1, 2, 4, 5)
    cases += [case("Resize", image, None, np.array([1, 1, 2, 1.5], np.float32), mode=mode, coordinate_transformation_mode=place) for mode in ("nearest", "linear")
              for place in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric")]
    cases += [case("Resize", image, None, None, ints(1, 2, 7, 3), nearest_mode=mode) for mode in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")]
    return cases + [case("Resize", image, None, None, ints(8, 3), axes=[2, 3], mode="linear"), case("Upsample", image, np.array([1, 1, 2, 2], np.float32), opset=9)]


def list_layers() -> list[Case]:
    x, line = draw(2, 4, 7, 6), draw(2, 4, 9)
    w, column = draw(6, 2, 3, 2), draw(4, 3, 2, 3)
    cases = [case("MatMul", draw(2, 3, 4), draw(4, 5)), case("Gemm", draw(3, 4), draw(4, 5), draw(5)), case("Gemm", draw(4, 3), draw(5, 4), draw(3, 1), alpha=0.5, beta=2.0, transA=1, transB=1),
             case("Gemm", draw(3, 4), draw(4, 5)), case("Einsum", draw(3, 4), draw(4, 5), equation="ij,jk->ki"), case("Conv", line, draw(3, 4, 3), draw(3), pads=[1, 2], strides=[2]),
             case("Conv", draw(1, 2, 3, 4, 3), draw(2, 2, 2, 2, 2), pads=[0, 1, 0, 1, 0, 1]), case("Conv", x, w, draw(6), group=2, pads=[1, 1, 1, 1]), case("Conv", x, w, group=2, dilations=[2, 1], strides=[1, 2])]
    cases += [case("Conv", x, w, group=2, strides=[2, 3], auto_pad=mode) for mode in ("SAME_UPPER", "SAME_LOWER", "VALID")]
    cases += [case("ConvTranspose", x, column, draw(6), group=2, strides=[2, 2], pads=[0, 1, 1, 0], output_padding=[1, 0], judge="onager"), case("ConvTranspose", line, draw(4, 3, 3), strides=[3], dilations=[2]),
              case("ConvTranspose", x, draw(4, 3, 3, 3), strides=[2, 2], output_shape=[14, 12], judge="onager"), case("ConvTranspose", x, draw(4, 3, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER")]
    cases += [case(op, x, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], ceil_mode=ceil) for op in ("MaxPool", "AveragePool") for ceil in (0, 1)]
    cases += [case("MaxPool", x, kernel_shape=[2, 2], dilations=[2, 2]), case("MaxPool", line, kernel_shape=[3], strides=[2], auto_pad="SAME_LOWER", judge="onager"),
              case("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1), case("AveragePool", x, kernel_shape=[2, 2], dilations=[2, 1]),
              case("AveragePool", line, kernel_shape=[2], strides=[2]), case("GlobalAveragePool", x), case("GlobalMaxPool", x)]
    cases += [case("BatchNormalization", x, draw(4), draw(4), draw(4), np.abs(draw(4)) + 0.3, fixed=(3, 4)), case("InstanceNormalization", x, draw(4), draw(4)), case("LayerNormalization", draw(2, 3, 4), draw(4), draw(4)),
              case("LayerNormalization", draw(2, 3, 4), draw(3, 4), axis=1, epsilon=1e-2), case("LRN", x, size=3, alpha=0.3, beta=0.6, bias=1.5, judge="onager"), case("GroupNormalization", x, draw(4), draw(4), num_groups=2),
              case("GroupNormalization", x, draw(2), draw(2), num_groups=2, opset=18), case("RMSNormalization", draw(2, 3, 4), draw(4), opset=23)]
    return cases


CASES = list_elementwise() + list_reductions() + list_movement() + list_layers()
