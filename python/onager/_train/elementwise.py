"""Operators that work element by element, reductions, softmax."""
from __future__ import annotations

import functools
import math

import onnx
import torch
import torch.nn.functional as F

from .node import Node, RULES, get_list, operator

KINDS = onnx.TensorProto
TYPES = {KINDS.FLOAT: torch.float32, KINDS.DOUBLE: torch.float64, KINDS.FLOAT16: torch.float16, KINDS.BFLOAT16: torch.bfloat16, KINDS.BOOL: torch.bool, KINDS.INT8: torch.int8, KINDS.INT16: torch.int16,
         KINDS.INT32: torch.int32, KINDS.INT64: torch.int64, KINDS.UINT8: torch.uint8}
"""Element types that constants and casts may have."""
UNARY = {"Abs": torch.abs, "Acos": torch.acos, "Acosh": torch.acosh, "Asin": torch.asin, "Asinh": torch.asinh, "Atan": torch.atan, "Atanh": torch.atanh, "Ceil": torch.ceil,
         "Cos": torch.cos, "Cosh": torch.cosh, "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor, "HardSwish": F.hardswish, "IsNaN": torch.isnan, "Log": torch.log,
         "Mish": F.mish, "Neg": torch.neg, "Not": torch.logical_not, "Reciprocal": torch.reciprocal, "Relu": torch.relu, "Round": torch.round, "Sigmoid": torch.sigmoid,
         "Sign": torch.sign, "Sin": torch.sin, "Sinh": torch.sinh, "Softplus": F.softplus, "Softsign": F.softsign, "Sqrt": torch.sqrt, "Tan": torch.tan, "Tanh": torch.tanh}
BINARY = {"Add": torch.add, "And": torch.logical_and, "Equal": torch.eq, "Greater": torch.gt, "GreaterOrEqual": torch.ge, "Less": torch.lt, "LessOrEqual": torch.le, "Mul": torch.mul,
          "Or": torch.logical_or, "Sub": torch.sub, "Xor": torch.logical_xor}
VARIADIC = {"Max": torch.maximum, "Min": torch.minimum, "Sum": torch.add}

for name, function in UNARY.items():
    RULES["", name] = lambda node, x, function=function: function(x)
for name, function in BINARY.items():
    RULES["", name] = lambda node, a, b, function=function: function(a, align(node, a, b))
for name, function in VARIADIC.items():
    RULES["", name] = lambda node, *values, function=function: functools.reduce(function, values)


def align(node: Node, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Brings the second operand to where operator sets below 7 put it: its dims lie at `axis` of the first."""
    if node.opset >= 7 or not node.get("broadcast", 0):
        return b
    axis = node.get("axis", a.dim() - b.dim()) % max(a.dim(), 1)
    return b.reshape(b.shape + (1,) * (a.dim() - axis - b.dim()))


@operator("Div")
def divide(node: Node, a, b):
    return torch.div(a, align(node, a, b), rounding_mode=None if a.is_floating_point() else "trunc")


@operator("Mod")
def take_remainder(node: Node, a, b):
    return torch.fmod(a, b) if node.get("fmod", 0) else torch.remainder(a, b)


@operator("Pow")
def raise_power(node: Node, a, b):
    return torch.pow(a, align(node, a, b)).to(a.dtype)


@operator("Mean")
def average(node: Node, *values):
    return functools.reduce(torch.add, values) / len(values)


@operator("Identity")
def keep(node: Node, x):
    return x


@operator("Dropout")
def dropout(node: Node, x, ratio=None, is_training=None):
    """Nothing: what is trained is inference."""
    if is_training is not None and bool(is_training):
        raise node.refuse("its training mode cannot be trained: the inference form is expected")
    return (x, torch.ones_like(x, dtype=torch.bool)) if len(node.outputs) > 1 else x


@operator("LeakyRelu")
def leaky_relu(node: Node, x):
    return F.leaky_relu(x, node.get("alpha", 0.01))


@operator("Elu")
def elu(node: Node, x):
    return F.elu(x, node.get("alpha", 1.0))


@operator("Celu")
def celu(node: Node, x):
    return F.celu(x, node.get("alpha", 1.0))


@operator("Selu")
def selu(node: Node, x):
    alpha, gamma = node.get("alpha", 1.6732632), node.get("gamma", 1.0507010)
    return gamma * F.elu(x, alpha)


@operator("ThresholdedRelu")
def thresholded_relu(node: Node, x):
    return torch.where(x > node.get("alpha", 1.0), x, torch.zeros_like(x))


@operator("HardSigmoid")
def hard_sigmoid(node: Node, x):
    return torch.clamp(node.get("alpha", 0.2) * x + node.get("beta", 0.5), 0, 1)


@operator("PRelu")
def prelu(node: Node, x, slope):
    return torch.where(x < 0, x * slope, x)


@operator("Gelu")
@operator("Gelu", domain="com.microsoft")
def gelu(node: Node, x):
    return F.gelu(x, approximate=node.get("approximate", "none"))


@operator("FastGelu", domain="com.microsoft")
def fast_gelu(node: Node, x, bias=None):
    return F.gelu(x if bias is None else x + bias, approximate="tanh")


@operator("Swish")
@operator("QuickGelu", domain="com.microsoft")
def swish(node: Node, x):
    return x * torch.sigmoid(node.get("alpha", 1.702 if node.domain else 1.0) * x)


@operator("Shrink")
def shrink(node: Node, x):
    bias, lambd = node.get("bias", 0.0), node.get("lambd", 0.5)
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, torch.zeros_like(x)))


@operator("Clip")
def clip(node: Node, x, least=None, most=None):
    least = node.get("min") if least is None else least
    most = node.get("max") if most is None else most
    for bound, function in ((least, torch.maximum), (most, torch.minimum)):
        if bound is not None:
            x = function(x, torch.as_tensor(bound, dtype=x.dtype))
    return x


@operator("Where")
def select(node: Node, condition, a, b):
    return torch.where(condition, a, b)


@operator("Cast", "CastLike")
def cast(node: Node, x, like=None):
    kind = node.get("to") if like is None else node.owner.kinds.get(node.inputs[1])
    if kind not in TYPES and (like is None or kind is not None):
        raise node.refuse(f"casts to {onnx.TensorProto.DataType.Name(kind)} cannot be trained")
    return x.to(like.dtype if kind is None else TYPES[kind])


def _flatten_axis(node: Node, x: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Operator sets below 13 take all dims from the axis on as one."""
    if node.opset >= 13:
        return x, node.get("axis", -1)
    return x.reshape(math.prod(x.shape[:node.get("axis", 1) % max(x.dim(), 1)]), -1), 1


@operator("Softmax", "LogSoftmax")
def softmax(node: Node, x):
    flat, axis = _flatten_axis(node, x)
    return (F.softmax if node.op == "Softmax" else F.log_softmax)(flat, axis).reshape(x.shape)


REDUCTIONS = {
    "L1": lambda x, axes, keep: x.abs().sum(axes, keep), "L2": lambda x, axes, keep: x.square().sum(axes, keep).sqrt(), "LogSum": lambda x, axes, keep: x.sum(axes, keep).log(),
    "LogSumExp": torch.logsumexp, "Max": torch.amax, "Mean": torch.mean, "Min": torch.amin, "Sum": torch.sum, "SumSquare": lambda x, axes, keep: x.square().sum(axes, keep)}


@operator(*("Reduce" + name for name in (*REDUCTIONS, "Prod")))
def reduce_dims(node: Node, x, axes=None):
    dims, keep = get_list(node, "axes", axes), bool(node.get("keepdims", 1))
    if not dims:
        if node.get("noop_with_empty_axes", 0):
            return x
        dims = list(range(x.dim()))
    if not dims:
        return x
    kind = node.op.removeprefix("Reduce")
    if kind != "Prod":
        return REDUCTIONS[kind](x, dims, keep)
    for dim in sorted((dim % x.dim() for dim in dims), reverse=True):
        x = torch.prod(x, dim, keep)
    return x


@operator("ArgMax", "ArgMin")
def find_index(node: Node, x):
    axis, keep, function = node.get("axis", 0), bool(node.get("keepdims", 1)), torch.argmax if node.op == "ArgMax" else torch.argmin
    if node.get("select_last_index", 0):
        return x.shape[axis] - 1 - function(x.flip(axis), axis, keep)
    return function(x, axis, keep)


@operator("CumSum")
def sum_up(node: Node, x, axis):
    dim, is_reversed = int(axis), node.get("reverse", 0)
    x = x.flip(dim) if is_reversed else x
    total = x.cumsum(dim) - x if node.get("exclusive", 0) else x.cumsum(dim)
    return total.flip(dim) if is_reversed else total
