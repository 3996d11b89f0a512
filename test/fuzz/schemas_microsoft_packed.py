"""Generators for com.microsoft's packed texts and weights against ONNX Runtime, and for sparse operands against NumPy."""
import numpy as np

from fuzz.draw import Fixed, Sparse
from fuzz.schemas_microsoft import close, loose, maybe, trim

FORMATS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 6: (32, 22), 8: (32, 34), 13: (256, 176), 14: (256, 210), 20: (32, 18), 23: (256, 136), 30: (1, 2)}


def _rows(draw):
    if draw.types["T2"] == "bfloat16":  # which ONNX Runtime's Python does not give
        draw.types["T2"] = "float"
    kind, wide = draw.one(*FORMATS), draw.one(256, 512)
    count, size = FORMATS[kind]
    # The bytes keep scales and numbers finite.
    table = draw.random.integers(0, 64, (draw.whole(1, 5), wide // count * size)).astype(np.uint8)
    rows = draw.random.integers(-1, 6, draw.shape(draw.whole(0, 3), least=1)).astype(draw.kind(1))
    element = {"float": 1, "float16": 10}[draw.element(0, output=True)]
    return loose(draw.node([table, rows], K=wide, packed_type=kind, output_dtype=element))


def _blocks(draw):
    kind, inner, columns = draw.one(0, 1), draw.whole(1, 100), draw.whole(1, 9)
    blocks = columns * -(-inner // 32)
    scale = draw.random.uniform(0.01, 0.1, (blocks, 1)).astype(np.float32).view(np.uint8)
    rest = draw.random.integers(0, 16, (blocks, kind)).astype(np.uint8), draw.random.integers(0, 256, (blocks, 16)).astype(np.uint8)
    blob = np.concatenate([scale, *rest], 1).reshape(-1)
    shape = (*(draw.whole(1, 3) for _ in range(draw.whole(0, 2))), inner)
    return loose(draw.node([draw.values(0, (*shape[:-1], draw.whole(1, 5), inner), -2, 2), Fixed(blob), Fixed(np.array([inner, columns]))], blk_quant_type=kind))


def _lengths(draw) -> np.ndarray:
    return np.cumsum([0] + [draw.whole(1, 5) for _ in range(draw.whole(1, 4))]).astype(np.int32)


def _convolution(draw):
    ends, channels, taps, dilation, capacity = _lengths(draw), draw.whole(1, 6), draw.whole(1, 4), draw.whole(1, 3), draw.one(0, 3)
    texts = len(ends) - 1
    inputs = [draw.values(0, (ends[-1], channels), -1, 1), draw.fixed(1, (channels, 1, taps), -1, 1), ends, maybe(draw, 3, (channels,), -1, 1),
              draw.values(4, (texts, channels, (taps - 1) * dilation), -1, 1), draw.random.integers(-1, 6, texts).astype(np.int32) if capacity else None]
    attributes = {"dilation": dilation, "activation": draw.one("none", "silu", "swish"), "state_update_capacity": capacity}
    return loose(draw.node(trim(inputs), 3 if capacity else 2, **attributes), 0.02, 0.01)


def _grams(draw):
    kind, ends, most, heads, capacity = draw.kind(0), _lengths(draw), draw.whole(2, 4), draw.whole(1, 3), draw.one(0, 3)
    texts, tables = len(ends) - 1, (most - 1) * heads
    whole = lambda low, high, *shape: draw.random.integers(low, high, shape)
    segments = whole(0, 3, ends[-1]).astype(np.int32) if draw.often() else None
    inputs = [whole(0, 6, ends[-1]), whole(1, 99, most), whole(50, 99, tables), ends, whole(0, 6, texts, most - 1) if draw.often() else None,
              whole(0, 999, tables) if draw.often() else None, np.array(4) if draw.often() else None]
    inputs = [value if value is None or place == 3 else np.asarray(value).astype(kind) for place, value in enumerate(inputs)]
    inputs += [segments, whole(0, 3, texts, most - 1).astype(np.int32) if segments is not None and draw.often() else None, whole(-1, 6, texts).astype(np.int32) if capacity else None]
    attributes = {"max_ngram_size": most, "n_head_per_ngram": heads, "pad_id": 2, "reset_on_eos": draw.whole(0, 1), "state_update_capacity": capacity}
    return draw.node(trim(inputs), [True, True, segments is not None, capacity > 0], **attributes)


def _sparse_product(draw):
    draw.types["T"] = f"sparse_tensor({draw.types['T1']})"
    rows, inner, columns = (draw.whole(1, 6) for _ in range(3))
    flips = [draw.whole(0, 1), draw.whole(0, 1)]
    low = 0 if draw.types["T1"].startswith("u") else -5
    a = draw.random.integers(low, 6, (inner, rows) if flips[0] else (rows, inner)).astype(draw.kind(1)) * (draw.random.random((inner, rows) if flips[0] else (rows, inner)) < 0.4)
    b = draw.values(1, (columns, inner) if flips[1] else (inner, columns), low, 5)
    node = draw.node([Sparse(a.astype(b.dtype)), b], transA=flips[0], transB=flips[1])
    node.wanted = [((a.T if flips[0] else a).astype(b.dtype) @ (b.T if flips[1] else b)).astype(b.dtype)]
    return close(loose(node))


def _softmax(x: np.ndarray) -> np.ndarray:
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def _sparse_attention(draw):
    """A prompt, or one token behind a past; the cache that comes out is a tensor of its own."""
    groups, batch, size, block, layouts = draw.whole(1, 2), draw.whole(1, 2), 8, 16, draw.whole(1, 2)
    heads, capacity = 2 * groups, 48
    length = draw.one(1, 20)
    total = length if length > 1 else draw.whole(1, 40)
    masks = [np.tril(draw.random.random((3, 3)) < 0.5) | np.eye(3, dtype=bool) for _ in range(layouts)]
    columns = [np.nonzero(mask)[1] for mask in masks]
    most = max(len(column) for column in columns)
    csr = [np.array([[0, *np.cumsum(mask.sum(axis=1))] for mask in masks], np.int32), np.array([[*column, *[-1] * (most - len(column))] for column in columns], np.int32)]
    inputs = [draw.values(place, (batch, length, count * size), -1, 1) for place, count in enumerate((heads, groups, groups))]
    caches = [draw.values(place, (batch, groups, capacity, size), -1, 1) for place in (3, 4)]
    node = draw.node([*inputs, *caches, *(Fixed(value) for value in csr), np.array(total, np.int32), np.full(batch, total, np.int32)], 3, num_heads=heads, kv_num_heads=groups, sparse_block_size=block)
    split = lambda x, count: x.astype(np.float32).reshape(batch, length, count, size).transpose(0, 2, 1, 3)
    presents = []
    for cache, new in zip(caches, inputs[1:]):
        present = cache.copy()
        present[:, :, total - length:total] = new.reshape(batch, length, groups, size).transpose(0, 2, 1, 3)
        presents.append(present)
    key, value = (np.repeat(present[:, :, :total].astype(np.float32), heads // groups, axis=1) for present in presents)
    rows, places = np.arange(total - length, total)[:, None], np.arange(total)[None]
    seen = np.stack([masks[head % layouts][rows // block, places // block] & (places <= rows) for head in range(heads)])
    scores = np.where(seen, split(inputs[0], heads) @ key.transpose(0, 1, 3, 2) / np.sqrt(size), -np.inf)
    mixed = (_softmax(scores) @ value).transpose(0, 2, 1, 3).reshape(batch, length, heads * size)
    node.wanted = [mixed.astype(inputs[0].dtype), *presents]
    return loose(node, 0.02, 0.01)


GENERATORS = {"GatherPacked": _rows, "MatMulFpQ4": _blocks, "SparseAttention": _sparse_attention, "SparseToDenseMatMul": _sparse_product,
              "VarlenCausalConvWithState": _convolution, "VarlenNGramHashMapping": _grams}
