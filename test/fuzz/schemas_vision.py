"""Generators for resizing, sampling, regions and boxes."""
import io

import numpy as np

from fuzz.defects import REFERENCE
from PIL import Image


def _loose(node, rtol: float = 0.01, atol: float = 2e-3):
    node.loose = (rtol, atol)
    return node


def _image(draw, rank: int | None = None):
    shape = (draw.whole(1, 2), draw.whole(1, 3), *[draw.whole(2, 6) for _ in range((rank or draw.one(3, 4, 4, 5)) - 2)])
    # Interpolated integers are cut where a number lies near an integer: they take part by the nearest element alone.
    return draw.values(0, shape, -6 if "uint" not in draw.element(0) else 0, 6)


def _is_float(draw) -> bool:
    return "float" in draw.element(0) or draw.element(0) == "double"


def _sample(x, scales, mode: str):
    """Upsampling as it was before coordinates had modes: place i comes from i / scale, in f64."""
    y = x if mode == "nearest" else x.astype(np.float64)
    for axis, scale in enumerate(scales):
        scale, size = np.float32(scale), x.shape[axis]
        at = np.arange(int(np.floor(np.float32(size) * scale))) / np.float64(scale)
        low = np.minimum(np.floor(at).astype(int), size - 1)
        if mode == "nearest" or scale == 1:
            y = y.take(low, axis)
            continue
        weight = np.where(low >= size - 1, 0, at - low).reshape([-1 if place == axis else 1 for place in range(x.ndim)])
        y = y.take(low, axis) * (1 - weight) + y.take(np.minimum(low + 1, size - 1), axis) * weight
    return y.astype(x.dtype)


def _upsample(draw):
    x = _image(draw, 4)
    scales = [1.0, 1.0, draw.one(1.0, 2.0, 3.0), draw.one(1.0, 2.0, 1.5)]
    mode = "nearest" if not _is_float(draw) or draw.often() else "bilinear" if draw.version == 1 else "linear"
    if draw.version == 1:
        node = draw.node([x], mode=mode, height_scale=scales[2], width_scale=scales[3])
    elif draw.version == 7:
        node = draw.node([x], mode=mode, scales=scales)
    else:
        node = draw.node([x, np.array(scales, np.float32)], mode=mode)
    node.wanted = [_sample(x, scales, "linear" if mode == "bilinear" else mode)]
    return _loose(node)


def _resize(draw):
    x = _image(draw)
    rank = x.ndim
    mode = draw.one("nearest", "linear", "cubic") if _is_float(draw) and rank == 4 else draw.one("nearest", "linear") if _is_float(draw) else "nearest"
    if draw.version == 10:
        scales, mode = np.array([1, 1, *[draw.one(1, 2, 0.5, 3) for _ in x.shape[2:]]], np.float32), "nearest" if mode == "cubic" else mode
        node = draw.node([x, scales], mode=mode)
        node.wanted = [_sample(x, scales, mode)]
        return _loose(node)
    draw.types["T2"] = "float"
    attributes = {"mode": mode, "coordinate_transformation_mode": draw.one("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")}
    if mode == "nearest":
        attributes["nearest_mode"] = draw.one("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if mode == "cubic":
        attributes |= {"cubic_coeff_a": draw.one(-0.75, -0.5), "exclude_outside": draw.one(0, 1)}
    if draw.has("antialias") and mode != "nearest" and draw.often(0.4):
        attributes["antialias"] = 1
    roi = None if draw.version >= 13 else np.zeros(0, np.float32)
    places = list(range(rank))
    if draw.has("axes") and draw.often():
        attributes["axes"] = places = list(range(2, rank))
    # Sizes whose quotient is no short binary number make coordinates lie near a half.
    if draw.often():
        scales = np.array([1 if place < 2 else draw.one(1, 2, 0.5, 4, 1.5) for place in places], np.float32)
        node = draw.node([x, roi, scales], **attributes)
        resized = [float(scale) * x.shape[place] for place, scale in zip(places, scales)]
        if attributes["coordinate_transformation_mode"] == "pytorch_half_pixel" and any(1 < length < 2 for length in resized):
            node.unasked = REFERENCE
        return _loose(node)
    sizes = np.array([x.shape[place] * (1 if place < 2 else draw.one(1, 2, 4)) for place in places])
    return _loose(draw.node([x, roi, np.zeros(0, np.float32) if draw.version < 13 else None, sizes], **attributes))


def _grid_sample(draw):
    draw.types["T2"] = draw.one("float", "double") if draw.types["T1"] == "double" else "float"
    paddings = ("border", "reflection") if draw.types["T1"] == "string" else ("zeros", "border", "reflection")  # no text is zero
    rank = 4 if draw.version == 16 or draw.often(0.7) else 5
    x = _image(draw, rank)
    modes = ("nearest", "bilinear", "bicubic") if draw.version == 16 else ("nearest", "linear", "cubic") if rank == 4 else ("nearest", "linear")
    mode = draw.one(*modes) if _is_float(draw) else "nearest"
    extents = [draw.whole(1, 4) for _ in range(rank - 2)]
    grid = draw.values(1, (x.shape[0], *extents, rank - 2), -1.3, 1.3)
    return _loose(draw.node([x, grid], mode=mode, padding_mode=draw.one(*paddings), align_corners=draw.one(0, 1)), 0.02, 0.01)


def _affine_grid(draw):
    dims = draw.one(2, 3)
    batch = draw.whole(1, 2)
    size = [batch, draw.whole(1, 3), *[draw.whole(2, 5) for _ in range(dims)]]
    return _loose(draw.node([draw.values(0, (batch, dims, dims + 1), -1, 1), np.array(size)], align_corners=draw.one(0, 1)))


def _boxes(draw, count: int, limit: float) -> np.ndarray:
    corner, size = draw.random.uniform(0, limit / 2, (count, 2)), draw.random.uniform(1, limit / 2, (count, 2))
    return np.concatenate([corner, corner + size], 1)


def _roi_align(draw):
    x, count = _image(draw, 4), draw.whole(1, 3)
    attributes = {"output_height": draw.whole(1, 3), "output_width": draw.whole(1, 3), "sampling_ratio": draw.whole(0, 3), "spatial_scale": draw.one(1.0, 0.5), "mode": "avg"}
    if draw.has("coordinate_transformation_mode"):
        attributes["coordinate_transformation_mode"] = draw.one("half_pixel", "output_half_pixel")
    # Corners at eighths are the same in 16 bits.
    boxes = (np.round(_boxes(draw, count, 6) * 8) / 8).astype(draw.kind(1))
    return _loose(draw.node([x, boxes, draw.random.integers(0, x.shape[0], count)], **attributes), 0.02, 0.01)


def _roi_pool(draw):
    x, count = _image(draw, 4), draw.whole(1, 3)
    boxes = np.floor(_boxes(draw, count, 5))
    rois = np.concatenate([draw.random.integers(0, x.shape[0], (count, 1)), np.minimum(boxes, [x.shape[3] - 1, x.shape[2] - 1] * 2)], 1).astype(draw.kind(1))
    pooled = [draw.whole(1, 3), draw.whole(1, 3)]
    node = draw.node([x, rois], pooled_shape=pooled, spatial_scale=1.0)
    y = np.zeros((count, x.shape[1], *pooled), x.dtype)
    for number, (batch, left, top, right, bottom) in enumerate(rois.astype(int)):
        for i in range(pooled[0]):
            for j in range(pooled[1]):
                rows, columns = ((max(0, low + (k * (max(high - low + 1, 1))) // n), min(limit, low + -(-(k + 1) * max(high - low + 1, 1) // n)))
                                 for k, n, low, high, limit in ((i, pooled[0], top, bottom, x.shape[2]), (j, pooled[1], left, right, x.shape[3])))
                cell = x[batch, :, rows[0]:rows[1], columns[0]:columns[1]].reshape(x.shape[1], -1)
                y[number, :, i, j] = cell.max(1) if cell.size else 0
    node.wanted = [y]
    return node


def _suppression(draw):
    batch, classes, count = draw.whole(1, 2), draw.whole(1, 2), draw.whole(1, 7)
    boxes = np.stack([_boxes(draw, count, 6) for _ in range(batch)]).astype(np.float32)
    center = draw.one(0, 1)
    if center:
        boxes = np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], 2).astype(np.float32)
    inputs = [boxes, draw.values(1, (batch, classes, count), 0, 1), np.array(draw.whole(1, 5)), np.array(draw.one(0.3, 0.5), np.float32), np.array(0.2, np.float32)]
    return draw.node(inputs[:draw.one(3, 4, 5)], center_point_box=center)


def _decode(draw):
    """Formats that give images of one size streams of one length; test/ops/test_images.py has the others."""
    format, order = draw.one("PPM", "BMP", "TIFF"), draw.one("RGB", "BGR", "Grayscale")
    picture, stream = Image.fromarray(draw.numbers.integers(0, 256, (draw.whole(1, 9), draw.whole(1, 9), 3), dtype=np.uint8)), io.BytesIO()
    picture.save(stream, format)
    node = draw.node([np.frombuffer(stream.getvalue(), np.uint8)], pixel_format=order)
    node.wanted = [np.asarray(picture.convert("L"))[:, :, None] if order == "Grayscale" else np.asarray(picture)[:, :, :: -1 if order == "BGR" else 1]]
    return node


GENERATORS = {"AffineGrid": _affine_grid, "GridSample": _grid_sample, "ImageDecoder": _decode, "MaxRoiPool": _roi_pool, "NonMaxSuppression": _suppression, "Resize": _resize, "RoiAlign": _roi_align,
              "Upsample": _upsample}
