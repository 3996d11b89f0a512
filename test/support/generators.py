"""Small random networks as com.microsoft's searches hold them: a GPT, an encoder with a decoder as T5's, and one as Whisper's."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

LAYERS, WIDTH, HEADS, WORDS, POSITIONS = 2, 32, 4, 50, 64
SIZE = WIDTH // HEADS
FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64


class Network:
    """A graph under construction; weights are drawn as they are asked for. Networks with one seed and tag have equal weights."""

    def __init__(self, seed: int, tag: int = 0):
        self.random = np.random.default_rng([seed, tag])
        self.nodes, self.weights, self.count = [], [], 0

    def add(self, op: str, *inputs, outputs=1, name: str = "", **attributes):
        self.count += 1
        names = [name] if name else [f"v{self.count}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value, kind=np.int64) -> str:
        self.count += 1
        self.weights.append(numpy_helper.from_array(np.asarray(value, kind), f"c{self.count}"))
        return f"c{self.count}"

    def weight(self, *shape, scale: float = 0.3) -> str:
        return self.constant(self.random.standard_normal(shape) * scale, np.float32)

    def linear(self, x: str, columns: int, scale: float = 0.3) -> str:
        return self.add("Add", self.add("MatMul", x, self.weight(WIDTH, columns, scale=scale)), self.weight(columns))

    def normalize(self, x: str) -> str:
        return self.add("LayerNormalization", x, self.constant(np.ones(WIDTH), np.float32), self.constant(np.zeros(WIDTH), np.float32), axis=-1)

    def split_heads(self, x: str) -> str:
        return self.add("Transpose", self.add("Reshape", x, self.constant([0, 0, HEADS, SIZE])), perm=[0, 2, 1, 3])

    def attend(self, query: str, key: str, value: str, bias: str) -> str:
        scores = self.add("Mul", self.add("MatMul", query, self.add("Transpose", key, perm=[0, 1, 3, 2])), self.constant(SIZE ** -0.5, np.float32))
        mixed = self.add("MatMul", self.add("Softmax", self.add("Add", scores, bias) if bias else scores, axis=-1), value)
        return self.linear(self.add("Reshape", self.add("Transpose", mixed, perm=[0, 2, 1, 3]), self.constant([0, 0, WIDTH])), WIDTH)

    def feed_forward(self, x: str) -> str:
        hidden = self.add("Relu", self.linear(self.normalize(x), 2 * WIDTH))
        return self.add("Add", x, self.add("MatMul", hidden, self.weight(2 * WIDTH, WIDTH)))

    def extent(self, x: str, axis: int) -> str:
        return self.add("Squeeze", self.add("Gather", self.add("Shape", x), self.constant([axis])))

    def hide(self, shown: str, axes) -> str:
        """-10000 where an element of a mask is 0, with dims of 1 at the axes."""
        hidden = self.add("Sub", self.constant(1, np.float32), self.add("Cast", shown, to=FLOAT))
        return self.add("Unsqueeze", self.add("Mul", hidden, self.constant(-10000, np.float32)), self.constant(axes))

    def hide_later(self, length: str, total: str) -> str:
        """-10000 where a column lies behind the row, for rows that are the last ones of `total`."""
        zero, one = self.constant(0), self.constant(1)
        rows = self.add("Unsqueeze", self.add("Range", self.add("Sub", total, length), total, one), self.constant([1]))
        columns = self.add("Unsqueeze", self.add("Range", zero, total, one), self.constant([0]))
        return self.add("Mul", self.add("Cast", self.add("Less", rows, columns), to=FLOAT), self.constant(-10000, np.float32))

    def logits(self, x: str, name: str = "logits", words: int = WORDS) -> str:
        return self.add("MatMul", self.normalize(x), self.weight(WIDTH, words), name=name)

    def graph(self, name: str, inputs: list, outputs: list):
        return helper.make_graph(self.nodes, name, [info(*one) for one in inputs], [info(*one) for one in outputs], self.weights)


def info(name: str, kind: int, *dims):
    return helper.make_tensor_value_info(name, kind, list(dims))


def make_gpt(seed: int, words: int = WORDS, name: str = "decoder"):
    net = Network(seed)
    x = net.add("Add", net.add("Gather", net.weight(words, WIDTH, scale=1), "input_ids"), net.add("Gather", net.weight(POSITIONS, WIDTH, scale=1), "position_ids"))
    later = net.hide_later(net.extent("input_ids", 1), net.extent("attention_mask", 1))
    bias = net.add("Add", net.hide("attention_mask", [1, 2]), later)
    for layer in range(LAYERS):
        query, key, value = (net.split_heads(part) for part in net.add("Split", net.linear(net.normalize(x), 3 * WIDTH), outputs=3, axis=-1, num_outputs=3))
        past = [net.add("Squeeze", part, net.constant([0])) for part in net.add("Split", f"past_{layer}", outputs=2, axis=0, num_outputs=2)]
        key, value = net.add("Concat", past[0], key, axis=2), net.add("Concat", past[1], value, axis=2)
        net.add("Concat", *(net.add("Unsqueeze", part, net.constant([0])) for part in (key, value)), axis=0, name=f"present_{layer}")
        x = net.feed_forward(net.add("Add", x, net.attend(query, key, value, bias)))
    net.logits(x, words=words)
    inputs = [("input_ids", INT32, "batch", "length"), ("position_ids", INT32, "batch", "length"), ("attention_mask", INT32, "batch", "total")]
    inputs += [(f"past_{layer}", FLOAT, 2, "batch", HEADS, "past", SIZE) for layer in range(LAYERS)]
    outputs = [("logits", FLOAT, "batch", "length", words)] + [(f"present_{layer}", FLOAT, 2, "batch", HEADS, "total", SIZE) for layer in range(LAYERS)]
    return net.graph(name, inputs, outputs)


def _decode(net: Network, ids: str, positions: str, pasts: list, crosses: list, bias: str, later: str, prefix: str = "present"):
    """The layers of a decoder from ids to logits; pasts and crosses are (key, value) of each layer."""
    x = net.add("Add", net.add("Gather", net.weight(WORDS, WIDTH, scale=1), ids), net.add("Gather", net.weight(POSITIONS, WIDTH, scale=1), positions))
    for layer in range(LAYERS):
        query, key, value = (net.split_heads(part) for part in net.add("Split", net.linear(net.normalize(x), 3 * WIDTH), outputs=3, axis=-1, num_outputs=3))
        own = [(f"{prefix}_key_self_{layer}", key), (f"{prefix}_value_self_{layer}", value)]
        own = [net.add("Concat", past, part, axis=2, name=name) if pasts else net.add("Identity", part, name=name)
               for (name, part), past in zip(own, pasts[layer] if pasts else (None, None))]
        x = net.add("Add", x, net.attend(query, *own, later))
        x = net.add("Add", x, net.attend(net.split_heads(net.linear(net.normalize(x), WIDTH)), *crosses[layer], bias))
        x = net.feed_forward(x)
    return net.logits(x)


def _encode(net: Network, x: str, bias: str) -> str:
    query, key, value = (net.split_heads(net.linear(net.normalize(x), WIDTH)) for _ in range(3))
    return net.feed_forward(net.add("Add", x, net.attend(query, key, value, bias)))


def _cross(net: Network, hidden: str) -> list:
    found = []
    for layer in range(LAYERS):
        found.append([net.add("Identity", net.split_heads(net.linear(hidden, WIDTH)), name=f"present_{part}_cross_{layer}") for part in ("key", "value")])
    return found


def _cache_infos(prefix: str, where: str, length: str) -> list:
    return [(f"{prefix}_{part}_{where}_{layer}", FLOAT, "batch", HEADS, length, SIZE) for layer in range(LAYERS) for part in ("key", "value")]


def make_decoder(seed: int, masked: bool = True, hidden: bool = False, whole: bool = False):
    """A decoder of one token, or of the whole sequence (`whole`), behind its past."""
    net = Network(seed, 1)
    past = net.extent("past_key_self_0", 2)
    ids = net.add("Gather", "input_ids", net.constant([-1]), axis=1) if whole else "input_ids"
    positions = net.add("Unsqueeze", past, net.constant([0]))
    names = [[[f"past_{part}_{where}_{layer}" for part in ("key", "value")] for layer in range(LAYERS)] for where in ("self", "cross")]
    _decode(net, ids, positions, *names, net.hide("encoder_attention_mask", [1, 2]) if masked else "", "")
    inputs = [("input_ids", INT32, "batch", "whole" if whole else 1)] + ([("encoder_attention_mask", INT32, "batch", "source")] if masked else [])
    inputs += [("encoder_hidden_states", FLOAT, "batch", "source", WIDTH)] if hidden else []
    inputs += _cache_infos("past", "self", "past") + _cache_infos("past", "cross", "source")
    return net.graph("decoder", inputs, [("logits", FLOAT, "batch", 1, WORDS)] + _cache_infos("present", "self", "total"))


def make_encoder(seed: int, starts: bool = True):
    """T5's encoder, with the decoder's first step (`starts`), which has the decoder's weights."""
    net, first = Network(seed, 2), Network(seed, 1)
    x = net.add("Gather", net.weight(WORDS, WIDTH, scale=1), "encoder_input_ids")
    bias = net.hide("encoder_attention_mask", [1, 2])
    hidden = net.add("Identity", _encode(net, x, bias), name="encoder_hidden_states")
    crosses = _cross(net, hidden)
    inputs = [("encoder_input_ids", INT32, "batch", "source"), ("encoder_attention_mask", INT32, "batch", "source")]
    if not starts:
        return net.graph("encoder", inputs, _cache_infos("present", "cross", "source"))
    _start(net, first, crosses, bias)
    return net.graph("encoder", inputs + [("decoder_input_ids", INT32, "batch", 1)], _list_started("source"))


def make_listener(seed: int, features: int = 6):
    """Whisper's encoder with the decoder's first step."""
    net, first = Network(seed, 3), Network(seed, 1)
    x = net.add("MatMul", net.add("Transpose", "encoder_input_ids", perm=[0, 2, 1]), net.weight(features, WIDTH))
    hidden = net.add("Identity", _encode(net, x, ""), name="encoder_hidden_states")
    _start(net, first, _cross(net, hidden), "")
    inputs = [("encoder_input_ids", FLOAT, "batch", features, "source"), ("decoder_input_ids", INT32, "batch", "prompt")]
    return net.graph("encoder", inputs, _list_started("source"))


def _start(net: Network, first: Network, crosses: list, bias: str) -> None:
    first.count = 1000
    length = first.extent("decoder_input_ids", 1)
    first.random = np.random.default_rng(first.random.bit_generator.seed_seq)
    positions = first.add("Unsqueeze", first.add("Range", first.constant(0), length, first.constant(1)), first.constant([0]))
    _decode(first, "decoder_input_ids", positions, [], crosses, bias, first.hide_later(length, length))
    net.nodes += first.nodes
    net.weights += first.weights


def _list_started(source: str) -> list:
    return [("logits", FLOAT, "batch", "prompt", WORDS), ("encoder_hidden_states", FLOAT, "batch", source, WIDTH),
            *_cache_infos("present", "self", "prompt"), *_cache_infos("present", "cross", source)]


def make_search(op: str, inputs: list, outputs, graphs: dict, fixed=(), **attributes) -> bytes:
    """A model of one search node; inputs are arrays or None, those of `fixed` initialisers. Dims of inputs are open."""
    names = ["" if value is None else f"i{place}" for place, value in enumerate(inputs)]
    results = [f"o{place}" if wanted else "" for place, wanted in enumerate(outputs)]
    weights = [numpy_helper.from_array(inputs[place], f"i{place}") for place in fixed if inputs[place] is not None]
    infos = [info(name, helper.np_dtype_to_tensor_dtype(value.dtype), *([f"{name}_{axis}" for axis in range(value.ndim)] if value.ndim > 1 else value.shape))
             for place, (name, value) in enumerate(zip(names, inputs)) if value is not None and place not in fixed]
    node = helper.make_node(op, names, results, domain="com.microsoft", name="search", **graphs, **attributes)
    kinds = [INT32] + [FLOAT] * len(results)
    outs = [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(results, kinds) if name]
    graph = helper.make_graph([node], "search", infos, outs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)], ir_version=9).SerializeToString()
