"""Generators for convolutions, held against NumPy's windows."""
import numpy as np

from fuzz.draw import Fixed
from fuzz.numpy_windows import convolve, gather, get_extents, get_pads, transpose_convolve


def draw_window(draw, spatial, kernel, dilated: bool = True) -> tuple:
    """Returns (attributes, strides, pads, dilations) of windows that fit."""
    rank = len(kernel)
    strides = [draw.one(1, 1, 2, 3) for _ in range(rank)] if draw.often() else [1] * rank
    dilations = [draw.one(1, 1, 2) if (size > 1 and (size - 1) * 2 < extent) else 1 for size, extent in zip(kernel, spatial)] if dilated and draw.often(0.3) else [1] * rank
    attributes = {"strides": strides} | ({"dilations": dilations} if dilated else {})
    if draw.has("auto_pad") and draw.often(0.25):
        form = draw.one("SAME_UPPER", "SAME_LOWER", "VALID")
        return attributes | {"auto_pad": form}, strides, get_pads(form, spatial, kernel, strides, dilations), dilations
    pads = [draw.whole(0, kernel[k % rank] - 1) for k in range(2 * rank)] if draw.often(0.6) else [0] * (2 * rank)
    return attributes | {"pads": pads}, strides, pads, dilations


def draw_sizes(draw) -> tuple:
    """Returns spatial dims and a kernel that fits in them."""
    spatial = [draw.whole(1, 9) for _ in range(draw.one(1, 2, 2, 3))]
    return spatial, [draw.whole(1, min(3, extent)) for extent in spatial]


def draw_filter(draw) -> tuple:
    """Returns (image's shape, filter's shape, group)."""
    group = draw.one(1, 1, 2, 3)
    spatial, kernel = draw_sizes(draw)
    inner = group * draw.whole(1, 3)
    return (draw.whole(1, 2), inner, *spatial), (group * draw.whole(1, 4), inner // group, *kernel), group


def _weigh(draw, place: int, shape, low: float = -2, high: float = 2):
    """Half of all filters are initialisers, which are packed at compile time."""
    return draw.fixed(place, shape, low, high) if draw.often() else draw.values(place, shape, low, high)


def take(value) -> np.ndarray:
    return value.value if isinstance(value, Fixed) else value


def _conv(draw):
    image, kernel, group = draw_filter(draw)
    attributes, strides, pads, dilations = draw_window(draw, image[2:], kernel[2:])
    x, w, b = draw.values(0, image, -2, 2), _weigh(draw, 1, kernel), _weigh(draw, 2, kernel[:1]) if draw.often() else None
    node = draw.node([x, w, b][:2 + (b is not None)], group=group, **attributes)
    node.wanted, node.loose = [convolve(x, take(w), None if b is None else take(b), strides, pads, dilations, group).astype(x.dtype)], (0.01, 1e-4)
    return node


def _conv_integer(draw):
    image, kernel, group = draw_filter(draw)
    attributes, strides, pads, dilations = draw_window(draw, image[2:], kernel[2:])
    x, w = draw.values(0, image, -128, 255), draw.values(1, kernel, -128, 255)
    a, b = draw.values(2, (), -100, 200), draw.values(3, (), -100, 200)
    inputs = draw.one([x, w], [x, w, a], [x, w, a, b])
    y = convolve(x.astype(int) - int(a if len(inputs) > 2 else 0), w.astype(int) - int(b if len(inputs) > 3 else 0), None, strides, pads, dilations, group)
    node = draw.node(inputs, group=group, **attributes)
    node.wanted = [np.round(y).astype(np.int32)]
    return node


def _conv_transpose(draw):
    group, (spatial, kernel) = draw.one(1, 1, 2), draw_sizes(draw)
    image, shape = (draw.whole(1, 2), group * draw.whole(1, 3), *spatial), [group * draw.whole(1, 3), draw.whole(1, 3), *kernel]
    shape[0], rank = image[1], len(kernel)
    strides, dilations = [draw.one(1, 2, 3) for _ in kernel], [draw.one(1, 1, 2) for _ in kernel]
    more = [draw.whole(0, max(0, max(strides[k], dilations[k]) - 1)) if draw.often(0.3) else 0 for k in range(rank)]
    pads = [draw.whole(0, (kernel[k % rank] - 1) * dilations[k % rank] // 2) for k in range(2 * rank)]
    x, w, b = draw.values(0, image, -2, 2), _weigh(draw, 1, shape), _weigh(draw, 2, (shape[1] * group,)) if draw.often() else None
    node = draw.node([x, w, b][:2 + (b is not None)], group=group, strides=strides, dilations=dilations, output_padding=more, pads=pads)
    node.wanted = [transpose_convolve(x, take(w), None if b is None else take(b), strides, pads, dilations, group, more).astype(x.dtype)]
    node.loose = (0.01, 1e-4)
    return node


def _deform_conv(draw):
    group, spatial, kernel = draw.one(1, 2), [draw.whole(2, 7) for _ in range(2)], [draw.whole(1, 2) for _ in range(2)]
    parts, inner = draw.one(1, 2), 2 * group * draw.whole(1, 2)
    strides, pads = [draw.one(1, 2) for _ in kernel], [draw.whole(0, 1) for _ in range(4)]
    batch, extents = draw.whole(1, 2), get_extents(spatial, kernel, strides, pads, [1, 1])
    x, w = draw.values(0, (batch, inner, *spatial), -2, 2), draw.values(1, (2 * group, inner // group, *kernel), -2, 2)
    size = kernel[0] * kernel[1]
    inputs = [x, w, draw.values(2, (batch, parts * size * 2, *extents), -1.5, 1.5), draw.values(3, (2 * group,)) if draw.often() else None,
              draw.values(4, (batch, parts * size, *extents), 0, 1) if draw.often() else None]
    while inputs[-1] is None:
        inputs.pop()
    node = draw.node(inputs, group=group, offset_group=parts, strides=strides, pads=pads, kernel_shape=kernel)
    node.loose = (0.01, 1e-3)
    return node


def _pool(draw):
    spatial, kernel = draw_sizes(draw)
    dilated, ceil = draw.has("dilations"), draw.has("ceil_mode") and draw.often(0.3)
    attributes, strides, pads, dilations = draw_window(draw, spatial, kernel, dilated)
    ceil = ceil and "auto_pad" not in attributes
    x = draw.values(0, (draw.whole(1, 2), draw.whole(1, 3), *spatial), -100, 100 if draw.element(0) == "int8" else 200) if "int" in draw.element(0) else \
        draw.values(0, (draw.whole(1, 2), draw.whole(1, 3), *spatial), -4, 4)
    extents = get_extents(spatial, kernel, strides, pads, dilations, ceil)
    window = lambda image, fill: gather(image, kernel, strides, pads, dilations, extents, fill).reshape(*x.shape[:2], *extents, -1)
    node = draw.node([x], kernel_shape=kernel, **attributes, **({"ceil_mode": 1} if ceil else {}))
    node.loose = (0.01, 1e-4)
    POOLS[draw.name](draw, node, x, window, (spatial, pads))
    return node


def _average(draw, node, x, window, frame) -> None:
    spatial, pads = frame
    counted, rank = draw.has("count_include_pad") and draw.often(), len(spatial)
    ones = np.ones((1, 1, *spatial))
    if counted:
        # Pads count, what ceil_mode adds behind them does not.
        node.attributes["count_include_pad"] = 1
        ones = np.pad(ones, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:])], constant_values=1)
        shift = lambda image: gather(image, node.attributes["kernel_shape"], node.attributes["strides"], [0] * (2 * rank), node.attributes.get("dilations", [1] * rank),
                                     window(x, 0).shape[2:-1], 0).reshape(1, 1, *window(x, 0).shape[2:])
        counts = shift(ones).sum(-1)
    else:
        counts = gather(ones, node.attributes["kernel_shape"], node.attributes["strides"], pads, node.attributes.get("dilations", [1] * rank),
                        window(x, 0).shape[2:-1], 0).reshape(1, 1, *window(x, 0).shape[2:]).sum(-1)
    node.wanted = [(window(x, 0).sum(-1) / counts).astype(x.dtype)]


def _largest(draw, node, x, window, frame) -> None:
    spatial = frame[0]
    values = window(x, -np.inf)
    node.wanted = [values.max(-1).astype(x.dtype)]
    if draw.version >= 8 and draw.often():
        order = draw.one(0, 1)
        places = np.arange(x.size).reshape(x.shape) if not order else \
            (np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *[1] * len(spatial)) * int(np.prod(spatial)) + np.arange(int(np.prod(spatial))).reshape(spatial, order="F"))
        chosen = np.take_along_axis(window(places, -1), values.argmax(-1)[..., None], -1)[..., 0]
        node.attributes["storage_order"], node.outputs = order, 2
        node.wanted.append(chosen.astype(np.int64))


def _norm(draw, node, x, window, frame) -> None:
    p = draw.one(1, 2, 3)
    node.attributes["p"] = float(p) if draw.version == 1 else p
    node.wanted = [((np.abs(window(x, 0)) ** p).sum(-1) ** (1 / p)).astype(x.dtype)]


POOLS = {"AveragePool": _average, "MaxPool": _largest, "LpPool": _norm}


def _global(draw):
    x = draw.values(0, (draw.whole(1, 2), draw.whole(1, 3), *draw_sizes(draw)[0]), -4, 4)
    wide, axes = x.astype(np.float64), tuple(range(2, x.ndim))
    node = draw.node([x])
    if draw.name == "GlobalLpPool":
        p = draw.one(1, 2, 3)
        node.attributes["p"] = float(p) if draw.version == 1 else p
        y = (np.abs(wide) ** p).sum(axes, keepdims=True) ** (1 / p)
    else:
        y = (wide.max if draw.name == "GlobalMaxPool" else wide.mean)(axes, keepdims=True)
    node.wanted, node.loose = [y.astype(x.dtype)], (0.01, 1e-4)
    return node


def _max_unpool(draw):
    spatial, kernel = [draw.whole(1, 4) for _ in range(draw.one(1, 2))], []
    kernel = [draw.one(1, 2, 3) for _ in spatial]
    whole = [extent * size for extent, size in zip(spatial, kernel)]
    shape = (draw.whole(1, 2), draw.whole(1, 2))
    x = draw.values(0, (*shape, *spatial))
    # Each window's number has its place in the window, counted over the whole tensor.
    corner = np.indices(spatial).reshape(len(spatial), -1).T * kernel + draw.random.integers(0, kernel, (int(np.prod(spatial)), len(kernel)))
    flat = np.ravel_multi_index(corner.T, whole).reshape(spatial)
    places = np.arange(shape[0] * shape[1]).reshape(*shape, *[1] * len(spatial)) * int(np.prod(whole)) + flat
    y = np.zeros((*shape, *whole), x.dtype)
    y.reshape(-1)[places.reshape(-1)] = x.reshape(-1)
    node = draw.node([x, places.astype(np.int64)] + ([np.array(y.shape)] if draw.often() else []), kernel_shape=kernel, strides=kernel)
    node.wanted = [y]
    return node


def _col_to_im(draw):
    image, block = [draw.whole(2, 6) for _ in range(draw.one(1, 2, 2))], []
    block = [draw.whole(1, min(3, extent)) for extent in image]
    strides, pads, dilations = [draw.one(1, 2) for _ in image], [draw.whole(0, 1) for _ in range(2 * len(image))], [1] * len(image)
    extents = get_extents(image, block, strides, pads, dilations)
    low, high = (-1, 1) if "int" in draw.element(0) else (-4, 4)
    x = draw.values(0, (draw.whole(1, 2), draw.whole(1, 2) * int(np.prod(block)), int(np.prod(extents))), low, high)
    return draw.node([x, np.array(image), np.array(block)], strides=strides, pads=pads, dilations=dilations)


GENERATORS = {"AveragePool": _pool, "Col2Im": _col_to_im, "Conv": _conv, "ConvInteger": _conv_integer, "ConvTranspose": _conv_transpose, "DeformConv": _deform_conv,
              "GlobalAveragePool": _global, "GlobalLpPool": _global, "GlobalMaxPool": _global, "LpPool": _pool, "MaxPool": _pool, "MaxUnpool": _max_unpool}
