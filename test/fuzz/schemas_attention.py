"""Generators for attention, its linear form, caches and rotations, held against ONNX's reference implementation."""
import numpy as np


def _loose(node, rtol: float = 0.01, atol: float = 2e-3):
    node.loose = (rtol, atol)
    return node


def _mask(draw, element: str, shape):
    """True or 0 where a key is seen: each row sees one at least."""
    seen = draw.random.random(shape) < 0.7
    seen[..., 0] = True
    return seen if element == "bool" else np.where(seen, 0, -3).astype(np.float64 if element == "double" else draw.kind(3))


def _attention(draw):
    # The product of two types is one of both: they are one here.
    draw.types["T2"] = draw.types["T1"]
    draw.types["U"] = draw.one("bool", draw.types["T1"])
    batch, groups, rows, keys, past = draw.whole(1, 2), draw.whole(1, 2), draw.whole(1, 5), draw.whole(1, 6), draw.one(0, 0, 3)
    heads, depth, width = groups * draw.whole(1, 2), 2 * draw.whole(1, 4), draw.whole(1, 6)
    causal = draw.one(0, 0, 1)
    attributes = {"is_causal": causal}
    packed = draw.often()
    if packed:
        attributes |= {"q_num_heads": heads, "kv_num_heads": groups}
        shapes = [(batch, rows, heads * depth), (batch, keys, groups * depth), (batch, keys, groups * width)]
    else:
        shapes = [(batch, heads, rows, depth), (batch, groups, keys, depth), (batch, groups, keys, width)]
    inputs = [draw.values(place, shape, -2, 2) for place, shape in enumerate(shapes)]
    inputs.append(_mask(draw, draw.element(3), draw.one((rows, keys + past), (batch, 1, rows, keys + past), (1, heads, rows, keys + past))) if draw.often() else None)
    inputs += [draw.values(4, (batch, groups, past, depth), -2, 2), draw.values(5, (batch, groups, past, width), -2, 2)] if past else [None, None]
    if draw.often(0.3):
        attributes["softcap"] = 1.5
    if draw.often(0.3):
        attributes["scale"] = 0.4
    if draw.has("left_window_size") and draw.often(0.3) and not past and rows == keys:
        attributes["left_window_size"] = draw.whole(0, 3)
    while inputs[-1] is None:
        inputs.pop()
    outputs = 3 if past else 1
    if outputs == 3 and draw.often(0.4):
        attributes["qk_matmul_output_mode"], outputs = draw.one(0, 1, 2, 3), 4
    return _loose(draw.node(inputs, outputs, **attributes), 0.02, 0.01)


def _linear(draw):
    draw.types["S"] = draw.one(draw.types["T"], "float")
    rule, batch, steps = draw.one("linear", "gated", "delta", "gated_delta"), draw.whole(1, 2), draw.whole(1, 5)
    groups, depth, width = draw.whole(1, 2), draw.whole(1, 4), draw.whole(1, 4)
    heads = groups * draw.whole(1, 2)
    inputs = [draw.values(0, (batch, steps, heads * depth), -1, 1), draw.values(1, (batch, steps, groups * depth), -0.7, 0.7), draw.values(2, (batch, steps, groups * width), -1, 1)]
    # Without a state that comes in nothing names the type of the one that goes out: the reference takes that of the query.
    inputs.append(draw.values(3, (batch, groups, depth, width), -1, 1))
    inputs.append(draw.values(4, (batch, steps, draw.one(groups, groups * depth)), -1, 0) if "gated" in rule else None)
    inputs.append(draw.values(5, (batch, steps, draw.one(groups, 1)), 0, 1) if "delta" in rule else None)
    while inputs[-1] is None:
        inputs.pop()
    return _loose(draw.node(inputs, 2, update_rule=rule, q_num_heads=heads, kv_num_heads=groups, scale=draw.one(0.0, 0.5)), 0.02, 0.01)


def _causal_convolution(draw):
    batch, channels, length, size = draw.whole(1, 2), draw.whole(1, 4), draw.whole(1, 6), draw.whole(2, 4)
    inputs = [draw.values(0, (batch, channels, length), -2, 2), draw.values(1, (channels, 1, size), -2, 2), draw.values(2, (channels,)) if draw.often() else None,
              draw.values(3, (batch, channels, size - 1), -2, 2) if draw.often() else None]
    while inputs[-1] is None:
        inputs.pop()
    return _loose(draw.node(inputs, 2, activation=draw.one("none", "silu", "swish")))


def _swiglu(draw):
    shape = draw.shape()
    return _loose(draw.node([draw.values(0, shape), draw.values(1, shape)], alpha=draw.one(1.0, 0.5, 1.702)))


def _tensor_scatter(draw):
    shape = [draw.whole(1, 3), *[draw.whole(1, 4) for _ in range(draw.whole(1, 3))]]
    axis = draw.whole(1, len(shape) - 1)
    circular = draw.often()
    room = shape[axis]
    count = draw.whole(1, room)
    update = [count if place == axis else extent for place, extent in enumerate(shape)]
    inputs = [draw.values(0, shape), draw.values(1, update)]
    if draw.often(0.7):
        inputs.append(draw.random.integers(0, room if circular else room - count + 1, shape[0]))
    return draw.node(inputs, axis=draw.one(axis, axis - len(shape)), mode="circular" if circular else "linear")


def _rotary(draw):
    batch, heads, length, size = draw.whole(1, 2), draw.whole(1, 3), draw.whole(1, 4), 2 * draw.whole(1, 4)
    part = draw.one(0, 0, 2 * draw.whole(1, size // 2))
    half, packed = (part or size) // 2, draw.often()
    attributes = {"interleaved": draw.one(0, 1), "rotary_embedding_dim": part} | ({"num_heads": heads} if packed or part else {})
    x = draw.values(0, (batch, length, heads * size) if packed else (batch, heads, length, size), -2, 2)
    if draw.often():
        return _loose(draw.node([x, draw.values(1, (9, half), -1, 1), draw.values(2, (9, half), -1, 1), draw.random.integers(0, 9, (batch, length))], **attributes))
    return _loose(draw.node([x, draw.values(1, (batch, length, half), -1, 1), draw.values(2, (batch, length, half), -1, 1)], **attributes))


GENERATORS = {"Attention": _attention, "CausalConvWithState": _causal_convolution, "LinearAttention": _linear, "RotaryEmbedding": _rotary, "SwiGLU": _swiglu,
              "TensorScatter": _tensor_scatter}
