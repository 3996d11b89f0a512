"""Generators for com.microsoft's attention, recurrences and mixtures of experts, against ONNX Runtime."""
import numpy as np

from fuzz.draw import Fixed
from fuzz.schemas_microsoft import close, loose, maybe, trim


def _attention(draw):
    heads, size, inner, batch, length = draw.whole(1, 3), draw.whole(1, 4) * 2, draw.whole(1, 8), draw.whole(1, 2), draw.whole(1, 5)
    wide = 3 * heads * size
    mask = None
    if draw.often():
        mask = draw.one(np.ones((batch, length), np.int32), np.full(batch, length, np.int32))
        if mask.ndim == 2:
            mask = (draw.random.random(mask.shape) < 0.7).astype(np.int32)
            mask[:, 0] = 1
    past = draw.values(4, (2, batch, heads, draw.whole(1, 3), size), -1, 1) if mask is None and draw.often() else None
    inputs = [draw.values(0, (batch, length, inner), -1, 1), draw.fixed(1, (inner, wide), -1, 1), draw.fixed(2, (wide,), -1, 1), mask, past]
    return loose(draw.node(trim(inputs), 2 if past is not None else 1, num_heads=heads, unidirectional=draw.one(0, 1)))


def _quantised_attention(draw):
    heads, size, inner, batch, length = draw.whole(1, 3), draw.whole(1, 4) * 2, 8, draw.whole(1, 2), draw.whole(1, 5)
    wide = 3 * heads * size
    columns = (wide,) if draw.often() else ()
    scale = Fixed(draw.random.uniform(0.001, 0.01, columns).astype(np.float32))
    inputs = [draw.values(0, (batch, length, inner), 0, 255), draw.fixed(1, (inner, wide), -64, 63), draw.fixed(2, (wide,), -1, 1), Fixed(np.float32(0.02)), scale,
              None, Fixed(np.uint8(120)), Fixed(np.zeros(columns, draw.kind(1)))]
    return loose(draw.node(inputs, num_heads=heads, unidirectional=draw.one(0, 1)))


def _heads(draw):
    draw.types["QK"] = "float"
    heads, size, batch, rows, keys = draw.whole(1, 3), 2 * draw.whole(1, 4), draw.whole(1, 2), draw.whole(1, 5), draw.whole(1, 5)
    wide = heads * size
    inputs = [draw.values(0, (batch, rows, wide), -1, 1), draw.values(1, (batch, keys, wide), -1, 1), draw.values(2, (batch, keys, wide), -1, 1), maybe(draw, 3, (3 * wide,), -1, 1)]
    form = draw.one("plain", "padding", "bias", "past")
    if form == "padding":
        mask = (draw.random.random((batch, keys)) < 0.7).astype(np.int32)
        mask[:, 0] = 1
        inputs += [mask]
    elif form == "bias":
        inputs += [None, draw.values(5, (draw.one(1, batch), heads, rows, keys), -1, 1)]
    elif form == "past":
        inputs[3] = None
        inputs += [None, None, draw.values(6, (batch, heads, 3, size), -1, 1), draw.values(7, (batch, heads, 3, size), -1, 1)]
    causal = draw.one(0, 1) if rows == keys and form == "plain" else 0
    return loose(draw.node(trim(inputs), 3 if form == "past" else 1, num_heads=heads, unidirectional=causal))


def _grouped(draw):
    draw.types["T_CACHE"] = draw.types["T"]
    groups, batch, rotary = draw.whole(1, 2), draw.whole(1, 2), draw.often()
    heads, prompt, size = groups * draw.whole(1, 2), draw.often(), 16 if rotary else draw.one(8, 16)
    length, past = (draw.whole(1, 5), 0) if prompt else (1, draw.whole(1, 6))
    total = length + past
    query, keys = draw.values(0, (batch, length, heads * size), -1, 1), [draw.values(place, (batch, length, groups * size), -1, 1) for place in (1, 2)]
    inputs = [np.concatenate([query, *keys], 2), None, None] if draw.often(0.3) else [query, *keys]
    inputs += [draw.values(place, (batch, groups, past, size), -1, 1) for place in (3, 4)]
    inputs += [np.full(batch, total - 1, np.int32), np.array(total, np.int32)]
    attributes = draw.one({}, {"local_window_size": 3}, {"softcap": 1.5}, {"scale": 0.4}, {"smooth_softmax": 1})
    if rotary:
        inputs += [draw.values(7, (16, size // 2), -1, 1), draw.values(8, (16, size // 2), -1, 1)]
        attributes = attributes | {"do_rotary": 1, "rotary_interleaved": draw.one(0, 1)}
    return loose(draw.node(inputs, 3, num_heads=heads, kv_num_heads=groups, **attributes), 0.02, 0.01)


def _grouped_over_bytes(draw):
    """One token of one text over caches of 8 or 4 bits."""
    bits, groups, size, past = draw.one(8, 4), draw.whole(1, 2), 16, draw.whole(1, 6)
    heads, total, wide = groups * draw.whole(1, 2), past + 1, groups * size
    draw.types["T"], draw.types["T_CACHE"] = "float", "int8" if bits == 8 else "uint8"
    cache = lambda: draw.random.integers(-100 if bits == 8 else 0, 100, (1, groups, past, size * bits // 8)).astype(np.int8 if bits == 8 else np.uint8)
    kind = draw.one("PER_TENSOR", "PER_CHANNEL")
    scales = [draw.random.uniform(0.05, 0.1, (1,) if kind == "PER_TENSOR" else (1, groups, 1, size)).astype(np.float32) for _ in range(2)]
    inputs = [draw.values(0, (1, 1, heads * size), -1, 1), draw.values(1, (1, 1, wide), -1, 1), draw.values(2, (1, 1, wide), -1, 1), cache(), cache(),
              np.array([total - 1], np.int32), np.array(total, np.int32), None, None, None, None, None, *scales]
    node = draw.node(inputs, 3, num_heads=heads, kv_num_heads=groups, k_quant_type=kind, v_quant_type=kind, kv_cache_bit_width=bits)
    node.steps = 1 if bits == 8 else 0
    return close(loose(node, 0.02, 0.01))


def _grouped_or_bytes(draw):
    return _grouped_over_bytes(draw) if "int8" in draw.types["T_CACHE"] else _grouped(draw)


def _masked_decoder(draw):
    draw.types["QK"] = "float"
    heads, size, batch, past, capacity = draw.whole(1, 3), 8, draw.whole(1, 2), draw.whole(1, 5), 7
    wide = heads * size
    if draw.often(0.4):
        mask = np.ones((batch, 7), np.int32)
        return loose(draw.node([draw.values(0, (batch, 1, wide), -1, 1), draw.values(1, (batch, heads, 7, size), -1, 1), draw.values(2, (batch, heads, 7, size), -1, 1), mask], num_heads=heads))
    inputs = [draw.values(place, (batch, 1, wide), -1, 1) for place in range(3)] + [None, None]
    inputs += [draw.values(place, (batch, heads, capacity, size), -1, 1) for place in (5, 6)] + [np.array([past], np.int32), None, None, maybe(draw, 10, (3 * wide,), -1, 1)]
    return loose(draw.node(trim(inputs), 3, num_heads=heads, past_present_share_buffer=1))


def _rotary(draw):
    heads, size, batch, length = draw.whole(1, 3), 2 * draw.whole(1, 4), draw.whole(1, 2), draw.whole(1, 4)
    packed = draw.often()
    x = draw.values(0, (batch, length, heads * size) if packed else (batch, heads, length, size), -1, 1)
    places = draw.random.integers(0, 6, (batch, length)) if draw.often() else np.array([draw.whole(0, 2)])
    attributes = {"num_heads": heads} if packed else {}
    return loose(draw.node([x, places, draw.values(2, (8, size // 2), -1, 1), draw.values(3, (8, size // 2), -1, 1)], interleaved=draw.one(0, 1), **attributes))


def _rotary_in_three_dims(draw):
    heads, size, batch, length = draw.whole(1, 3), 16, draw.whole(1, 2), draw.whole(1, 4)
    layout, sections = draw.one((0, [2, 4, 2]), (1, [4, 2, 2]), (0, [8, 0, 0]))
    inputs = [draw.values(0, (batch, heads, length, size), -1, 1), draw.random.integers(0, 10, (3, batch, length)), draw.values(2, (10, 8), -1, 1), draw.values(3, (10, 8), -1, 1)]
    return loose(draw.node(inputs, mrope_section=sections, mrope_layout=layout, interleaved=draw.one(0, 1)))


def _linear(draw):
    draw.types["S"] = "float"
    rule, batch, steps, groups = draw.one("linear", "gated", "delta", "gated_delta"), draw.whole(1, 2), draw.whole(1, 5), draw.whole(1, 2)
    heads, keys, width = groups * draw.whole(1, 2), draw.whole(1, 4) * 2, draw.whole(1, 4) * 2
    inputs = [draw.values(0, (batch, steps, heads * keys), -1, 1), draw.values(1, (batch, steps, groups * keys), -0.5, 0.5), draw.values(2, (batch, steps, groups * width), -1, 1),
              maybe(draw, 3, (batch, groups, keys, width), -1, 1), draw.values(4, (batch, steps, groups * draw.one(1, keys)), -1, 0) if "gated" in rule else None,
              draw.values(5, (batch, steps, groups), 0, 1) if "delta" in rule else None]
    return loose(draw.node(trim(inputs), 2, q_num_heads=heads, kv_num_heads=groups, update_rule=rule))


def _delta_net(draw):
    draw.types["TG"] = draw.types["T"]
    rule, batch, steps, groups = draw.one("linear", "gated", "delta", "gated_delta"), draw.whole(1, 2), draw.whole(1, 5), draw.one(2, 4)
    inputs = [draw.values(0, (batch, steps, 2, 8), -1, 1), draw.values(1, (batch, steps, 2, 8), -0.4, 0.4), draw.values(2, (batch, steps, groups, 6), -1, 1), None,
              draw.values(4, (batch, steps, groups), -1, 0) if "gated" in rule else None, draw.values(5, (batch, steps, groups), 0, 1) if "delta" in rule else None,
              draw.values(6, (batch, groups, 6, 8), -1, 1)]
    return loose(draw.node(inputs, 2, update_rule=rule), 0.02, 0.01)


def _causal_convolution(draw):
    dilation, last, channels, size = draw.one(1, 2), draw.one(0, 1), 6, draw.whole(2, 4)
    batch, length, behind = draw.whole(1, 2), draw.whole(1, 7), (size - 1) * dilation
    place = lambda extent: (batch, extent, channels) if last else (batch, channels, extent)
    inputs = [draw.values(0, place(length), -1, 1), draw.fixed(1, (channels, 1, size), -1, 1), draw.fixed(2, (channels,), -1, 1), maybe(draw, 3, place(behind), -1, 1)]
    return loose(draw.node(trim(inputs), 2, dilation=dilation, channels_last=last, activation=draw.one("none", "silu")))


def _attention_lstm(draw):
    size, inner, batch, steps, depth, attention, width = 4, 3, 2, 5, 6, 5, 7
    direction = draw.one("forward", "reverse", "bidirectional")
    count, layer = 2 if direction == "bidirectional" else 1, draw.often()
    normal = lambda place, *shape: draw.values(place, shape, -1, 1)
    fixed = lambda place, *shape: draw.fixed(place, shape, -1, 1)
    inputs = [normal(0, 4, batch, inner), fixed(1, count, 4 * size, inner + (width if layer else depth)), fixed(2, count, 4 * size, size), fixed(3, count, 8 * size),
              None, None, None, None, fixed(8, count, size, attention), fixed(9, count, depth, attention), fixed(10, count, attention), normal(11, batch, steps, depth),
              np.array([5, 3], np.int32)] + ([fixed(13, count, depth + size, width)] if layer else [])
    return loose(draw.node(inputs, 3, hidden_size=size, direction=direction))


def _quantised_lstm(draw):
    size, inner, batch, steps = draw.whole(2, 5), draw.whole(1, 4), draw.whole(1, 2), draw.whole(1, 4)
    direction = draw.one("forward", "reverse", "bidirectional")
    count, kind = 2 if direction == "bidirectional" else 1, draw.kind(1)
    weights = [draw.fixed(1, (count, inner, 4 * size), -100, 200), draw.fixed(2, (count, size, 4 * size), -100, 200)]
    scales = [Fixed(draw.random.uniform(0.002, 0.006, count).astype(np.float32)) for _ in range(2)]
    zeros = [Fixed(np.full(count, 3 if kind == np.int8 else 127, kind)) for _ in range(2)]
    inputs = [draw.values(0, (steps, batch, inner), -1, 1), *weights, draw.fixed(3, (count, 8 * size), -1, 1), None, None, None, None, scales[0], zeros[0], scales[1], zeros[1]]
    # A state whose last bit differs may round to the next of its 256 steps, and so on with each step of the sequence.
    return loose(draw.node(inputs, 3, hidden_size=size, direction=direction), 0.02, 0.04)


def _experts(draw):
    count, hidden, inner, rows = 4, 32, 64, draw.whole(1, 6)
    gated = draw.often()
    wide = 2 * inner if gated else inner
    inputs = [draw.values(0, (rows, hidden), -1, 1), draw.values(1, (rows, count), 0, 1), draw.fixed(2, (count, wide, hidden), -0.5, 0.5), draw.fixed(3, (count, wide), -0.5, 0.5),
              draw.fixed(4, (count, hidden, inner), -0.5, 0.5), draw.fixed(5, (count, hidden), -0.5, 0.5)]
    attributes = {"activation_type": "swiglu", "swiglu_fusion": 1, "normalize_routing_weights": 1} if gated else \
        {"activation_type": draw.one("relu", "gelu", "silu", "identity"), "normalize_routing_weights": draw.one(0, 1)}
    return loose(draw.node(inputs, k=2 if gated else draw.one(1, 2), **attributes))


def _quantised_experts(draw):
    draw.types["T"] = draw.types["T2"] = "float"
    count, hidden, inner, rows, bits, block = 4, 32, 64, draw.whole(1, 6), draw.one(4, 8), draw.one(0, 16)
    block = 0 if bits == 8 else block  # over blocks of 8 bits ONNX Runtime rounds activations to 8 bits, too
    layer = lambda place, outputs, inputs: [draw.fixed(place, (count, outputs, inputs * bits // 8), 0, 255),
                                            draw.fixed(place + 1, (count, outputs, inputs // block) if block else (count, outputs), 0, 0.01), draw.fixed(place + 2, (count, outputs), -0.5, 0.5)]
    inputs = [draw.values(0, (rows, hidden), -1, 1), draw.values(1, (rows, count), 0, 1), *layer(2, 2 * inner, hidden), *layer(5, hidden, inner)]
    return loose(draw.node(inputs, k=2, activation_type="swiglu", swiglu_fusion=1, expert_weight_bits=bits, weights_prepacked=0, normalize_routing_weights=1,
                           **({"block_size": block} if block else {})))


def _router(draw):
    attributes = draw.one({"top_k": 2}, {"top_k": 3, "n_group": 4, "topk_group": 2}, {"top_k": 3, "n_group": 2, "topk_group": 1, "group_topk": 1, "router_sentinel": -5.0})
    return close(loose(draw.node([draw.values(0, (draw.whole(1, 6), 16)), draw.values(1, (16,))], **attributes)))


GENERATORS = {"Attention": _attention, "AttnLSTM": _attention_lstm, "CausalConvWithState": _causal_convolution, "DecoderMaskedMultiHeadAttention": _masked_decoder,
              "DynamicQuantizeLSTM": _quantised_lstm, "GatedDeltaNet": _delta_net, "GroupQueryAttention": _grouped_or_bytes, "LinearAttention": _linear, "MRotaryEmbedding": _rotary_in_three_dims,
              "MoE": _experts, "MoEGroupRouter": _router, "MultiHeadAttention": _heads, "QAttention": _quantised_attention, "QMoE": _quantised_experts, "RotaryEmbedding": _rotary}
