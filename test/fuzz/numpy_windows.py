"""Convolutions and pooling in NumPy, after ONNX's text: windows are gathered and reduced in f64."""
import itertools

import numpy as np


def gather(x: np.ndarray, kernel, strides, pads, dilations, extents, fill: float) -> np.ndarray:
    """Returns windows [..., *extents, *kernel] of an image [n, c, *spatial]; what lies outside is `fill`."""
    rank = len(kernel)
    reach = [(extents[k] - 1) * strides[k] + (kernel[k] - 1) * dilations[k] + 1 for k in range(rank)]
    behind = [max(0, reach[k] - pads[k] - x.shape[2 + k]) for k in range(rank)]
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *zip(pads[:rank], behind)], constant_values=fill)
    result = np.empty((*x.shape[:2], *extents, *kernel))
    for place in itertools.product(*map(range, kernel)):
        cut = tuple(slice(place[k] * dilations[k], place[k] * dilations[k] + (extents[k] - 1) * strides[k] + 1, strides[k]) for k in range(rank))
        result[(Ellipsis, *place)] = padded[(slice(None), slice(None), *cut)]
    return result


def get_pads(auto_pad: str, spatial, kernel, strides, dilations) -> list:
    """Returns pads of SAME_UPPER, SAME_LOWER or VALID: begins, then ends."""
    if auto_pad == "VALID":
        return [0] * (2 * len(kernel))
    begins, ends = [], []
    for size, window, stride, dilation in zip(spatial, kernel, strides, dilations):
        whole = max(0, (-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size)
        begins.append(whole // 2 if auto_pad == "SAME_UPPER" else whole - whole // 2)
        ends.append(whole - begins[-1])
    return begins + ends


def get_extents(spatial, kernel, strides, pads, dilations, ceil: bool = False) -> list:
    """Returns the output's spatial dims; with `ceil`, no window starts in the pads behind."""
    extents = []
    for k, (size, window, stride, dilation) in enumerate(zip(spatial, kernel, strides, dilations)):
        room = size + pads[k] + pads[k + len(kernel)] - (window - 1) * dilation - 1
        extent = (-(-room // stride) if ceil else room // stride) + 1
        if ceil and (extent - 1) * stride >= size + pads[k]:
            extent -= 1
        extents.append(extent)
    return extents


def convolve(x, w, b, strides, pads, dilations, group: int) -> np.ndarray:
    kernel, count = w.shape[2:], w.shape[0] // group
    extents = get_extents(x.shape[2:], kernel, strides, pads, dilations)
    parts = []
    for number in range(group):
        window = gather(x[:, number * w.shape[1]:(number + 1) * w.shape[1]], kernel, strides, pads, dilations, extents, 0)
        flat = np.moveaxis(window, 1, 1 + len(kernel)).reshape(x.shape[0], *extents, -1)
        parts.append(np.moveaxis(flat @ w[number * count:(number + 1) * count].astype(np.float64).reshape(count, -1).T, -1, 1))
    y = np.concatenate(parts, 1)
    return y if b is None else y + b.astype(np.float64).reshape(1, -1, *[1] * len(kernel))


def transpose_convolve(x, w, b, strides, pads, dilations, group: int, more) -> np.ndarray:
    """Scatters each pixel times the filter; `more` is output_padding."""
    kernel, rank = w.shape[2:], w.ndim - 2
    whole = [(x.shape[2 + k] - 1) * strides[k] + (kernel[k] - 1) * dilations[k] + 1 + more[k] for k in range(rank)]
    y = np.zeros((x.shape[0], w.shape[1] * group, *whole))
    for number in range(group):
        inner, outer = slice(number * (x.shape[1] // group), (number + 1) * (x.shape[1] // group)), slice(number * w.shape[1], (number + 1) * w.shape[1])
        for place in itertools.product(*map(range, kernel)):
            cut = tuple(slice(place[k] * dilations[k], place[k] * dilations[k] + (x.shape[2 + k] - 1) * strides[k] + 1, strides[k]) for k in range(rank))
            step = np.einsum("nc...,cm->nm...", x[:, inner].astype(np.float64), w[(inner, slice(None), *place)].astype(np.float64))
            y[(slice(None), outer, *cut)] += step
    y = y[(slice(None), slice(None), *(slice(pads[k], whole[k] - pads[k + rank]) for k in range(rank)))]
    return y if b is None else y + b.astype(np.float64).reshape(1, -1, *[1] * rank)
