"""Operators that move elements, and those that compute shapes."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from .node import Node, get_list, operator, to_list


@operator("Reshape")
def reshape(node: Node, x, shape=None):
    dims = get_list(node, "shape", shape)
    if not node.get("allowzero", 0):
        dims = [x.shape[k] if dim == 0 else dim for k, dim in enumerate(dims)]
    return x.reshape(dims)


@operator("Flatten")
def flatten(node: Node, x):
    axis = node.get("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@operator("Transpose")
def transpose(node: Node, x):
    return x.permute(*node.get("perm", range(x.dim() - 1, -1, -1)))


@operator("Squeeze")
def squeeze(node: Node, x, axes=None):
    dims = get_list(node, "axes", axes)
    return x.squeeze() if dims is None else x.squeeze([dim % x.dim() for dim in dims])


@operator("Unsqueeze")
def unsqueeze(node: Node, x, axes=None):
    dims = get_list(node, "axes", axes)
    for dim in sorted(dim % (x.dim() + len(dims)) for dim in dims):
        x = x.unsqueeze(dim)
    return x


@operator("Slice")
def slice_dims(node: Node, x, starts=None, ends=None, axes=None, steps=None):
    starts, ends, axes, steps = (get_list(node, name, values) for name, values in (("starts", starts), ("ends", ends), ("axes", axes), ("steps", steps)))
    axes = axes or list(range(len(starts)))
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts), strict=True):
        indices = range(*slice(start, end, step).indices(x.shape[axis]))
        if step == 1:
            x = x.narrow(axis, indices.start if len(indices) else 0, len(indices))
        else:
            x = x.index_select(axis, torch.tensor(list(indices), dtype=torch.int64))
    return x


@operator("Split")
def split(node: Node, x, sizes=None):
    axis, count = node.get("axis", 0), len(node.outputs)
    sizes = get_list(node, "split", sizes)
    if sizes is None:
        part = -(-x.shape[axis] // count)
        sizes = [max(min(part, x.shape[axis] - k * part), 0) for k in range(count)]
    return torch.split(x, sizes, axis)


@operator("Concat")
def concat(node: Node, *values):
    return torch.cat(values, node.get("axis", 1))


@operator("Gather")
def gather(node: Node, x, indices):
    axis = node.get("axis", 0) % x.dim()
    wrapped = torch.where(indices < 0, indices + x.shape[axis], indices).reshape(-1).long()
    return x.index_select(axis, wrapped).reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1:])


@operator("GatherElements")
def gather_elements(node: Node, x, indices):
    axis = node.get("axis", 0)
    return torch.gather(x, axis, torch.where(indices < 0, indices + x.shape[axis], indices).long())


@operator("Expand")
def expand(node: Node, x, shape):
    return x.expand(torch.broadcast_shapes(x.shape, to_list(shape)))


@operator("Tile")
def tile(node: Node, x, repeats):
    return x.repeat(to_list(repeats))


@operator("Shape")
def get_shape(node: Node, x):
    return torch.tensor(list(x.shape)[node.get("start", 0):node.get("end")], dtype=torch.int64)


@operator("Size")
def get_size(node: Node, x):
    return torch.tensor(x.numel())


@operator("Constant")
def constant(node: Node):
    for name, value in node.attributes.items():
        if name == "value":
            return node.owner.to_tensor(value)
        if name in ("value_float", "value_floats"):
            return torch.tensor(value, dtype=torch.float32)
        if name in ("value_int", "value_ints"):
            return torch.tensor(value, dtype=torch.int64)
    raise node.refuse("expected a constant of numbers")


@operator("ConstantOfShape")
def constant_of_shape(node: Node, shape):
    value = node.get("value")
    filler = torch.zeros(1) if value is None else node.owner.to_tensor(value)
    return filler.reshape(()).expand(to_list(shape))


@operator("Range")
def make_range(node: Node, start, limit, delta):
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


@operator("Trilu")
def keep_triangle(node: Node, x, k=None):
    return (torch.triu if node.get("upper", 1) else torch.tril)(x, 0 if k is None else int(k))


@operator("DepthToSpace")
def depth_to_space(node: Node, x):
    n, c, h, w = x.shape
    size = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return x.reshape(n, c // size**2, size, size, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // size**2, h * size, w * size)
    return x.reshape(n, size, size, c // size**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // size**2, h * size, w * size)


@operator("SpaceToDepth")
def space_to_depth(node: Node, x):
    n, c, h, w = x.shape
    size = node.get("blocksize")
    return x.reshape(n, c, h // size, size, w // size, size).permute(0, 3, 5, 1, 2, 4).reshape(n, c * size**2, h // size, w // size)


@operator("Pad")
def pad(node: Node, x, pads=None, value=None, axes=None):
    """Negative pads cut. Each dim is a selection by index, but for constants."""
    amounts, mode = get_list(node, "pads", pads) or node.get("paddings"), node.get("mode", "constant")
    dims = [dim % x.dim() for dim in (to_list(axes) or range(x.dim()))]
    filler = node.get("value", 0.0) if value is None else value.item()
    if mode == "constant":
        flat = [0] * (2 * x.dim())
        for k, dim in enumerate(dims):
            flat[2 * (x.dim() - 1 - dim)], flat[2 * (x.dim() - 1 - dim) + 1] = amounts[k], amounts[k + len(dims)]
        return F.pad(x, flat, value=filler)
    for k, dim in enumerate(dims):
        size = x.shape[dim]
        at = torch.arange(-amounts[k], size + amounts[k + len(dims)])
        if mode == "reflect":
            at = size - 1 - ((at % max(2 * size - 2, 1)) - (size - 1)).abs()
        else:
            at = at.clamp(0, size - 1) if mode == "edge" else at % size
        x = x.index_select(dim, at)
    return x


def find_coordinates(node: Node, size: int, out: int, scale: float) -> torch.Tensor:
    """Returns where each element of a resized dim lies in the dim as it was."""
    mode, k = node.get("coordinate_transformation_mode", "half_pixel" if node.opset >= 11 else "asymmetric"), torch.arange(out, dtype=torch.float64)
    if mode == "half_pixel":
        return (k + 0.5) / scale - 0.5
    if mode == "pytorch_half_pixel":
        return (k + 0.5) / scale - 0.5 if out > 1 else torch.zeros(out, dtype=torch.float64)
    if mode == "align_corners":
        return k * (size - 1) / (scale * size - 1) if out > 1 else torch.zeros(out, dtype=torch.float64)
    if mode == "asymmetric":
        return k / scale
    if mode == "half_pixel_symmetric":
        adjustment = out / (scale * size)
        return size / 2 * (1 - adjustment) + (k + 0.5) / scale - 0.5
    raise node.refuse(f"coordinates '{mode}' cannot be trained")


ROUNDINGS = {"floor": torch.floor, "ceil": torch.ceil, "round_prefer_floor": lambda at: torch.ceil(at - 0.5), "round_prefer_ceil": lambda at: torch.floor(at + 0.5)}


@operator("Resize", "Upsample")
def resize(node: Node, x, *rest):
    """Nearest and linear, without antialiasing; dims one by one."""
    kind = node.get("mode", "nearest")
    if kind not in ("nearest", "linear") or node.get("antialias", 0) or node.get("exclude_outside", 0) or node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.refuse(f"resizing by '{kind}' with these attributes cannot be trained")
    scales, sizes = (rest[1], rest[2] if len(rest) > 2 else None) if len(rest) > 1 else (rest[0] if rest else None, None)
    scales, sizes = get_list(node, "scales", scales if scales is not None and scales.numel() else None), to_list(sizes if sizes is not None and sizes.numel() else None)
    dims = [dim % x.dim() for dim in node.get("axes", range(x.dim()))]
    for k, dim in enumerate(dims):
        size = x.shape[dim]
        out = int(sizes[k]) if sizes else math.floor(size * scales[k])
        scale = out / size if sizes else scales[k]
        if out == size and scale == 1:
            continue
        at = find_coordinates(node, size, out, scale)
        if kind == "nearest":
            rounding = ROUNDINGS[node.get("nearest_mode", "round_prefer_floor" if node.opset >= 11 else "floor")]
            x = x.index_select(dim, rounding(at).long().clamp(0, size - 1))
            continue
        low = at.floor()
        share = (at - low).to(x.dtype).reshape([-1] + [1] * (x.dim() - 1 - dim))
        x = x.index_select(dim, low.long().clamp(0, size - 1)) * (1 - share) + x.index_select(dim, (low.long() + 1).clamp(0, size - 1)) * share
    return x


@operator("OneHot")
def one_hot(node: Node, indices, depth, values):
    count, axis = int(depth), node.get("axis", -1)
    hot = torch.where(indices < 0, indices + count, indices).long().unsqueeze(axis if axis >= 0 else indices.dim() + 1 + axis)
    shape = [1] * hot.dim()
    shape[axis] = count
    return torch.where(hot == torch.arange(count).reshape(shape), values[1], values[0])
