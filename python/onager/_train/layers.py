"""Products, convolutions, pooling, normalisation."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from .node import Node, operator

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


@operator("MatMul")
def matmul(node: Node, a, b):
    return torch.matmul(a, b)


@operator("Gemm")
def gemm(node: Node, a, b, c=None):
    a, b = a.t() if node.get("transA", 0) else a, b.t() if node.get("transB", 0) else b
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if c is not None and alpha == beta == 1 and c.dim() == 1:
        return torch.addmm(c, a, b)
    product = a @ b if alpha == 1 else alpha * (a @ b)
    return product if c is None else product + (c if beta == 1 else beta * c)


@operator("Einsum")
def einsum(node: Node, *values):
    return torch.einsum(node.get("equation"), *values)


def get_window(node: Node, kernel: list[int]) -> tuple[list[int], list[int]]:
    """Returns strides and dilations."""
    return list(node.get("strides", [1] * len(kernel))), list(node.get("dilations", [1] * len(kernel)))


def get_pads(node: Node, sizes: list[int], kernel: list[int]) -> list[tuple[int, int]]:
    """Returns what is added before and behind each spatial dim, with `auto_pad` worked out."""
    count, mode = len(kernel), node.get("auto_pad", "NOTSET")
    strides, dilations = get_window(node, kernel)
    if mode in ("NOTSET", ""):
        pads = node.get("pads", [0] * 2 * count)
        return list(zip(pads[:count], pads[count:], strict=True))
    if mode == "VALID":
        return [(0, 0)] * count
    pads = []
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        pads.append((total // 2, total - total // 2) if mode == "SAME_UPPER" else (total - total // 2, total // 2))
    return pads


def pad_dims(x: torch.Tensor, pads: list[tuple[int, int]], value: float = 0.0) -> torch.Tensor:
    return F.pad(x, [amount for pair in reversed(pads) for amount in pair], value=value) if any(any(pair) for pair in pads) else x


@operator("Conv")
def conv(node: Node, x, w, b=None):
    kernel = list(w.shape[2:])
    if len(kernel) not in CONV:
        raise node.refuse(f"expected 1 to 3 spatial dims, found {len(kernel)}")
    strides, dilations = get_window(node, kernel)
    pads = get_pads(node, list(x.shape[2:]), kernel)
    padding = [before for before, _ in pads]
    if any(before != behind for before, behind in pads):
        x, padding = pad_dims(x, pads), [0] * len(kernel)
    return CONV[len(kernel)](x, w, b, strides, padding, dilations, node.get("group", 1))


@operator("ConvTranspose")
def conv_transpose(node: Node, x, w, b=None):
    """All that the products reach is computed, then cut by the pads and filled up by the output padding."""
    kernel = list(w.shape[2:])
    if len(kernel) not in CONV_TRANSPOSE:
        raise node.refuse(f"expected 1 to 3 spatial dims, found {len(kernel)}")
    strides, dilations = get_window(node, kernel)
    extra = list(node.get("output_padding", [0] * len(kernel)))
    y = CONV_TRANSPOSE[len(kernel)](x, w, None, strides, 0, 0, node.get("group", 1), dilations)
    pads = [(0, more) for more in extra]
    wanted, mode = node.get("output_shape"), node.get("auto_pad", "NOTSET")
    if wanted is None and mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [size * stride for size, stride in zip(x.shape[2:], strides, strict=True)]
    for k in range(len(kernel)):
        if wanted is not None:
            total = y.shape[2 + k] + extra[k] - wanted[-len(kernel):][k]
            before = total // 2 if mode == "SAME_UPPER" else total - total // 2
            cut = (before, total - before) if total > 0 else (0, total)
        else:
            given = node.get("pads", [0] * 2 * len(kernel))
            cut = (given[k], given[k + len(kernel)]) if mode in ("NOTSET", "") else (0, 0)
        pads[k] = (-cut[0], extra[k] - cut[1])
    y = pad_dims(y, pads)
    return y if b is None else y + b.reshape([-1] + [1] * len(kernel))


def fill_up(node: Node, x: torch.Tensor, kernel: list[int], pads: list[tuple[int, int]]) -> list[int]:
    """Returns what `ceil_mode` adds behind each dim, so that the last window is whole. One that would begin behind the padded values is left out."""
    strides, dilations = get_window(node, kernel)
    extra = []
    for size, k, stride, dilation, (before, behind) in zip(x.shape[2:], kernel, strides, dilations, pads, strict=True):
        room = size + before + behind - (k - 1) * dilation - 1
        count = (-(-room // stride) if node.get("ceil_mode", 0) else room // stride) + 1
        if node.get("ceil_mode", 0) and (count - 1) * stride >= size + before:
            count -= 1
        extra.append(max((count - 1) * stride - room, 0))
    return extra


@operator("MaxPool")
def max_pool(node: Node, x):
    kernel = list(node.get("kernel_shape"))
    if len(node.outputs) > 1 or len(kernel) not in MAX_POOL:
        raise node.refuse("expected one output and 1 to 3 spatial dims")
    strides, dilations = get_window(node, kernel)
    pads = get_pads(node, list(x.shape[2:]), kernel)
    pads = [(before, behind + more) for (before, behind), more in zip(pads, fill_up(node, x, kernel, pads), strict=True)]
    return MAX_POOL[len(kernel)](pad_dims(x, pads, -math.inf), kernel, strides, 0, dilations)


@operator("AveragePool")
def average_pool(node: Node, x):
    """Sums of windows over the number of elements in each, both as convolutions with ones."""
    kernel = list(node.get("kernel_shape"))
    if len(kernel) not in CONV:
        raise node.refuse(f"expected 1 to 3 spatial dims, found {len(kernel)}")
    strides, dilations = get_window(node, kernel)
    pads, ones = get_pads(node, list(x.shape[2:]), kernel), torch.ones([1, 1, *kernel], dtype=x.dtype)
    ends = [(0, more) for more in fill_up(node, x, kernel, pads)]

    def sum_windows(values: torch.Tensor) -> torch.Tensor:
        return CONV[len(kernel)](pad_dims(values, ends), ones, None, strides, 0, dilations)

    planes = pad_dims(x.reshape(-1, 1, *x.shape[2:]), pads)
    counted = pad_dims(torch.ones([1, 1, *x.shape[2:]], dtype=x.dtype), pads, 1.0 if node.get("count_include_pad", 0) else 0.0)
    y = sum_windows(planes) / sum_windows(counted)
    return y.reshape(x.shape[:2] + y.shape[2:])


@operator("GlobalAveragePool")
def global_average_pool(node: Node, x):
    return x.mean(list(range(2, x.dim())), True)


@operator("GlobalMaxPool")
def global_max_pool(node: Node, x):
    return x.amax(list(range(2, x.dim())), True)


@operator("BatchNormalization")
def batch_normalization(node: Node, x, scale, bias, mean, variance):
    """With the module's `batch_norm` at "update", training takes the batch's own statistics, and moves the model's towards them."""
    if node.get("training_mode", 0):
        raise node.refuse("its training mode cannot be trained: the inference form is expected")
    epsilon = node.get("epsilon", 1e-5)
    if node.owner.training and node.owner.batch_norm == "update":
        return F.batch_norm(x, mean, variance, scale, bias, True, 1 - node.get("momentum", 0.9), epsilon)
    return F.batch_norm(x, mean, variance, scale, bias, False, 0, epsilon)


@operator("LayerNormalization")
def layer_normalization(node: Node, x, scale, bias=None):
    dims = list(range(node.get("axis", -1) % x.dim(), x.dim()))
    mean = x.mean(dims, True)
    inverse = torch.rsqrt((x - mean).square().mean(dims, True) + node.get("epsilon", 1e-5))
    y = (x - mean) * inverse * scale
    return (y if bias is None else y + bias, mean, inverse)[:len(node.outputs)]


@operator("RMSNormalization", "SimplifiedLayerNormalization")
def rms_normalization(node: Node, x, scale):
    dims = list(range(node.get("axis", -1) % x.dim(), x.dim()))
    return x * torch.rsqrt(x.square().mean(dims, True) + node.get("epsilon", 1e-5)) * scale


@operator("SkipLayerNormalization", domain="com.microsoft")
def skip_layer_normalization(node: Node, x, skip, scale, beta=None, bias=None):
    if len(node.outputs) > 1 and any(node.outputs[1:3]):
        raise node.refuse("mean and deviation as outputs cannot be trained")
    total = x + skip if bias is None else x + skip + bias
    y = F.layer_norm(total, total.shape[-1:], scale, beta, node.get("epsilon", 1e-12))
    return (y, None, None, total)[:len(node.outputs)]


@operator("InstanceNormalization")
def instance_normalization(node: Node, x, scale, bias):
    return F.instance_norm(x, weight=scale, bias=bias, eps=node.get("epsilon", 1e-5))


@operator("GroupNormalization")
def group_normalization(node: Node, x, scale, bias):
    """Before operator set 21, scale and bias are for groups, not for channels."""
    groups = node.get("num_groups")
    if node.opset < 21:
        scale, bias = (values.repeat_interleave(x.shape[1] // groups) for values in (scale, bias))
    return F.group_norm(x, groups, scale, bias, node.get("epsilon", 1e-5))


@operator("LRN")
def local_response_normalization(node: Node, x):
    size = node.get("size")
    squares = F.pad(x.square().reshape(x.shape[0], 1, x.shape[1], -1), [0, 0, (size - 1) // 2, size // 2])
    sums = F.avg_pool2d(squares, [size, 1], 1, divisor_override=1).reshape(x.shape)
    return x / (node.get("bias", 1.0) + node.get("alpha", 1e-4) / size * sums) ** node.get("beta", 0.75)
