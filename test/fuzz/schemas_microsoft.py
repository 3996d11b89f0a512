"""Generators for com.microsoft's operators on floats: activations, normalisations, movement, convolutions and parts of networks, against ONNX Runtime."""
import numpy as np

from fuzz import schemas_arrangement
from fuzz.schemas_strings import draw_words
from fuzz.schemas_convolutions import draw_filter, draw_sizes, draw_window


def loose(node, rtol: float = 0.01, atol: float = 2e-3):
    node.loose = (rtol, atol)
    return node


def close(node):
    node.is_open = False
    return node


def trim(inputs: list) -> list:
    while inputs[-1] is None:
        inputs.pop()
    return inputs


def sizes(draw, count: int, most: int = 5) -> list:
    return [draw.whole(1, most) for _ in range(count)]


def maybe(draw, place: int, shape, low: float = -2, high: float = 2):
    return draw.values(place, shape, low, high) if draw.often() else None


def _activation(draw):
    shape = (*sizes(draw, draw.whole(1, 3)), draw.whole(1, 9))
    x = draw.values(0, shape, -4, 4)
    if draw.name in ("BiasGelu", "FastGelu"):
        return loose(draw.node([x, draw.values(1, shape[-1:])] if draw.name == "BiasGelu" or draw.often() else [x]))
    if draw.name == "QuickGelu":
        return loose(draw.node([x], alpha=draw.one(1.702, 1.1)))
    if draw.name == "ScaledSiLU":
        draw.types["M"] = draw.one(draw.types["T"], "float")
        return loose(draw.node([x] + ([draw.values(1, (), 0.5, 2)] if draw.often() else []), alpha=1.3))
    return loose(draw.node([x]))


def _skip(draw):
    simple = draw.name == "SkipSimplifiedLayerNormalization"
    shape = (*sizes(draw, 2, 3), 4 * draw.whole(1, 4))
    gamma = draw.values(2, shape[-1:], 0.5, 2)
    inputs = [draw.values(0, shape), draw.values(1, shape), gamma] + ([maybe(draw, 3, shape[-1:])] if simple else [maybe(draw, 3, shape[-1:]), maybe(draw, 4, shape[-1:])])
    return loose(draw.node(trim(inputs), draw.one(1, [True, False, False, True]), epsilon=1e-4), 0.02, 0.01)


def _expand_dims(draw):
    shape = draw.shape(draw.whole(1, 3), least=1)
    return draw.node([draw.values(0, shape), np.array(draw.whole(-len(shape) - 1, len(shape)), np.int32)])


def _unfold(draw):
    shape = draw.shape(draw.whole(1, 3), least=1)
    dim = draw.whole(0, len(shape) - 1)
    return draw.node([draw.values(0, shape)], dim=draw.one(dim, dim - len(shape)), size=draw.whole(1, shape[dim]), step=draw.whole(1, 3))


def _distance(draw):
    width = draw.whole(1, 6)
    return loose(draw.node([draw.values(0, (draw.whole(1, 5), width)), draw.values(1, (draw.whole(1, 5), width))], metric=draw.one("euclidean", "sqeuclidean")))


def _inverse(draw):
    size, batch = draw.whole(1, 5), draw.one((), (2,), (2, 2))
    x = draw.values(0, (*batch, size, size), -1, 1)
    return loose(draw.node([(x + 4 * np.eye(size)).astype(x.dtype)]))


def _hash(draw):
    draw.types["T2"] = draw.one("int32", "uint32")
    return draw.node([draw.values(0, draw.shape(draw.whole(1, 3), least=1), -1000, 1000)], positive=int(draw.types["T2"] == "uint32"), seed=draw.whole(0, 99))


def _repeats(draw):
    batch, length = draw.whole(1, 4), draw.whole(1, 9)
    return draw.node([draw.random.integers(0, 3, (batch, length)), draw.values(1, (batch, 3))], ngram_size=draw.whole(1, 3))


def _warping(draw):
    return draw.node([draw.values(0, draw.one(tuple(sizes(draw, 2)), (1, *sizes(draw, 2))), 0, 1)])


def _bifurcation(draw):
    source, current = draw.random.integers(0, 4, draw.whole(3, 8)), draw.random.integers(0, 4, draw.whole(1, 4))
    matched = np.array([draw.whole(0, len(source))])
    guess = draw.random.integers(0, 4, len(source) + 1 - int(matched[0])) if draw.often() else None
    return draw.node(trim([source, current, matched, guess]), 2, min_ngram_size=1, max_ngram_size=3)


def _crop(draw):
    batch, count = draw.whole(1, 2), draw.whole(1, 3)
    x = draw.values(0, (batch, *sizes(draw, 1, 3), draw.whole(3, 7), draw.whole(3, 7)))
    regions = np.sort(draw.random.uniform(-0.2, 1.2, (count, 2, 2)), axis=1).reshape(count, 4).astype(np.float32)
    inputs = [x, regions, draw.random.integers(0, batch, count).astype(np.int32), np.array(sizes(draw, 2), np.int32)]
    return loose(draw.node(inputs, mode=draw.one("bilinear", "nearest"), extrapolation_value=0.5), 0.01, 5e-3)


def _grid(draw):
    x = draw.values(0, (draw.whole(1, 2), draw.whole(1, 3), draw.whole(2, 6), draw.whole(2, 6)))
    grid = draw.values(1, (x.shape[0], *sizes(draw, 2), 2), -1.3, 1.3)
    return loose(draw.node([x, grid], mode=draw.one("bilinear", "nearest", "bicubic"), padding_mode=draw.one("zeros", "border", "reflection"), align_corners=draw.one(0, 1)), 0.02, 0.01)


def _pad(draw):
    shape = draw.shape(draw.whole(1, 4), least=1)
    return draw.node([draw.values(0, shape), draw.random.integers(0, 3, 2 * len(shape)), draw.values(2, (1,))], mode="constant")


def _range(draw):
    start, step = draw.whole(0, 4), draw.whole(1, 3)
    return draw.node([np.array(value).astype(draw.kind(0)) for value in (start, start + draw.whole(0, 9), step)])


def _unique(draw):
    return draw.node([draw.values(0, (draw.whole(1, 9),), -2, 2).round()], 3)


def _sample(draw):
    return draw.node([draw.values(0, draw.shape())])


ACTIVATIONS = {"Relu": {}, "Sigmoid": {}, "Tanh": {}, "LeakyRelu": {"activation_alpha": 0.2}, "HardSigmoid": {"activation_alpha": 0.3, "activation_beta": 0.4}}


def _fused_gemm(draw):
    rows, depth, columns = sizes(draw, 3)
    flips = [draw.one(0, 1), draw.one(0, 1)]
    name = draw.one(*ACTIVATIONS)
    inputs = [draw.values(0, (depth, rows) if flips[0] else (rows, depth), -2, 2), draw.values(1, (columns, depth) if flips[1] else (depth, columns), -2, 2), maybe(draw, 2, (columns,))]
    return loose(draw.node(trim(inputs), activation=name, transA=flips[0], transB=flips[1], alpha=0.7, beta=1.3, **ACTIVATIONS[name]))


def _product(draw):
    rows, depth, columns = sizes(draw, 3)
    flips, lead = [draw.one(0, 1), draw.one(0, 1)], draw.one((), (2,), (2, 3))
    a, b = (*lead, *((depth, rows) if flips[0] else (rows, depth))), (*lead, *((columns, depth) if flips[1] else (depth, columns)))
    return loose(draw.node([draw.values(0, a, -2, 2), draw.values(1, b, -2, 2)], alpha=0.5, transA=flips[0], transB=flips[1]))


def _fused_convolution(draw):
    image, kernel, group = draw_filter(draw)
    image, kernel = (*image[:2], *(image[2:] + (3,))[:2]), (*kernel[:2], *(kernel[2:] + (2,))[:2])
    attributes, *_ = draw_window(draw, image[2:], kernel[2:], False)
    name = draw.one("Relu", "Tanh", "Sigmoid", "LeakyRelu", "Clip", "HardSigmoid")
    params = {"LeakyRelu": [0.1], "Clip": [-0.5, 0.7], "HardSigmoid": [0.3, 0.4]}.get(name)
    inputs = [draw.values(0, image, -2, 2), draw.fixed(1, kernel, -2, 2), draw.fixed(2, kernel[:1]) if draw.often() else None]
    return loose(draw.node(trim(inputs), activation=name, group=group, **attributes, **({"activation_params": params} if params else {})))


def _masked_pool(draw):
    spatial, kernel = draw_sizes(draw)
    attributes, *_ = draw_window(draw, spatial, kernel, False)
    shape = (draw.whole(1, 2), draw.whole(1, 3), *spatial)
    return draw.node([draw.values(0, shape), (draw.random.random((1, 1, *spatial)) < 0.7).astype(np.int32)], kernel_shape=kernel, **attributes)


def _dynamic_pads(draw):
    x, w = draw.values(0, (1, 2, *sizes(draw, 2)), -2, 2), draw.fixed(1, (2, draw.whole(1, 3), 3, 3), -2, 2)
    return loose(draw.node(trim([x, w, draw.random.integers(0, 2, 4), maybe(draw, 3, w.value.shape[1:2])]), strides=[draw.one(1, 2), draw.one(1, 2)]))


def _trilu(draw):
    return draw.node([draw.values(0, draw.shape(draw.whole(2, 4))), np.array(draw.whole(-3, 3))], upper=draw.one(0, 1))


def _words(draw):
    words = draw.random.integers(1, 5, (draw.whole(1, 4), 6)).astype(np.int32)
    return loose(draw.node([words, draw.fixed(1, (5, 1, 3, 4)), draw.fixed(2, (5,)), draw.fixed(3, (5, 4))]))


def _branch_norm(draw):
    draw.types["M"] = draw.one(draw.types["T"], "float")
    shape = (*sizes(draw, 2, 3), 3, 4)
    return loose(draw.node(trim([draw.values(0, shape), maybe(draw, 1, draw.one((4,), (12,), (3, 4)), 0.5, 2)])), 0.02, 0.01)


def _gated_norm(draw):
    shape, width = (*sizes(draw, 2, 3), 24), draw.one(8, 24)
    return loose(draw.node([draw.values(0, shape), draw.values(1, (width,), 0.5, 2), draw.values(2, shape)], activation=draw.one("silu", "sigmoid")), 0.02, 0.01)


def _gated_add(draw):
    shape = (*sizes(draw, 2, 3), 8)
    return loose(draw.node([draw.values(0, shape), draw.values(1, shape), draw.values(2, (*shape[:-1], 1))]))


def _gate(draw):
    shape, heads = tuple(sizes(draw, 2, 3)), draw.whole(1, 4)
    return loose(draw.node([draw.values(0, (*shape, heads)), draw.values(1, (heads,)), draw.values(2, (heads,)), draw.values(3, (*shape, heads))], 2))


def _pre_mix(draw):
    draw.types["M"] = draw.one(draw.types["T"], "float")
    shape = (*sizes(draw, 2, 3), 3, 4)
    return loose(draw.node([draw.values(0, shape), draw.values(1, (*shape[:2], 3))], reduction_scale=0.5), 0.02, 0.01)


def _post_mix(draw):
    draw.types["M"] = draw.one(draw.types["T"], "float")
    shape = (*sizes(draw, 2, 3), 3, 4)
    inputs = [draw.values(0, shape), draw.values(1, (*shape[:2], 4)), draw.values(2, (*shape[:2], 3)), maybe(draw, 3, (*shape[:2], 3, 3))]
    return loose(draw.node(trim(inputs)), 0.02, 0.01)


def _engram(draw):
    shape, width = tuple(sizes(draw, 2, 3)), 8
    scales = [draw.values(place, (3, width), 0.5, 2) for place in (3, 4, 5)]
    return loose(draw.node([draw.values(0, (*shape, 3, width)), draw.values(1, (*shape, 3, width)), draw.values(2, (*shape, width)), *scales], 2), 0.02, 0.01)


def _ngram_hashes(draw):
    kind, batch = draw.kind(0), draw.whole(1, 2)
    tables = 2 * 3
    inputs = [draw.random.integers(0, 9, (batch, draw.whole(1, 7))), draw.random.integers(1, 99, 3), draw.random.integers(50, 99, tables),
              draw.random.integers(0, 9, (batch, 2)) if draw.often() else None, np.arange(tables) * 100, np.array(4) if draw.often() else None]
    end = inputs[-1] is not None
    return draw.node(trim([None if value is None else np.asarray(value).astype(kind) for value in inputs]), 2, max_ngram_size=3, n_head_per_ngram=3, pad_id=2, reset_on_eos=int(end))


def _tokenize(draw):
    """No empty data, of which ONNX Runtime leaves the last dim out."""
    x = draw_words(draw, draw.one((draw.whole(1, 5),), (draw.whole(1, 3), draw.whole(1, 3))))
    patterns = [" ", "-", "the|th", "b*", r"\s+", r"\b", "[a-c]", "^.", "e$", "日", "--?", r"\w+"]
    attributes = {"mark": draw.one(0, 1), "pad_value": draw.one("#", "", "pad"), "mincharnum": draw.one(1, 2)}
    if draw.often():
        return draw.node([x], separators=[draw.one(*patterns) for _ in range(draw.whole(1, 3))], **attributes)
    if draw.often():
        return draw.node([x], tokenexp=draw.one(*patterns), **attributes)
    return draw.node([x], **attributes | {"mincharnum": 1}, **draw.one({"separators": [""]}, {"tokenexp": "."}))


GENERATORS = {name: _activation for name in ("BiasGelu", "FastGelu", "Gelu", "QuickGelu", "ScaledSiLU")}
GENERATORS |= {"BifurcationDetector": _bifurcation, "BranchwiseRMSNorm": _branch_norm, "CDist": _distance, "ConvTransposeWithDynamicPads": _dynamic_pads, "CropAndResize": _crop,
               "DynamicTimeWarping": _warping, "EngramGate": _engram, "ExpandDims": _expand_dims, "FusedConv": _fused_convolution, "FusedGemm": _fused_gemm, "FusedMatMul": _product,
               "GatedAdd": _gated_add, "GatedRMSNorm": _gated_norm, "GatherND": schemas_arrangement.GENERATORS["GatherND"], "GridSample": _grid,
               "HyperConnectionPostMix": _post_mix, "HyperConnectionPreMix": _pre_mix, "Inverse": _inverse, "LinearAttentionGate": _gate, "MaxpoolWithMask": _masked_pool,
               "MurmurHash3": _hash, "NGramHashMapping": _ngram_hashes, "NGramRepeatBlock": _repeats, "Pad": _pad, "Range": _range, "SampleOp": _sample,
               "SkipLayerNormalization": _skip, "SkipSimplifiedLayerNormalization": _skip, "Tokenizer": _tokenize, "TransposeMatMul": _product, "Trilu": _trilu, "UnfoldTensor": _unfold, "Unique": _unique,
               "WordConvEmbedding": _words}
