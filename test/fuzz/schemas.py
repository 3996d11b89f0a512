"""Every schema of ai.onnx and ai.onnx.ml with the element types that it allows, and models of one node that a family's generator draws for them.

A case is (domain, operator, version, binding, seed): the binding numbers a choice of types. Tables of generators are in schemas_*.py.
"""
import dataclasses
import functools
import math

import numpy as np
import onnx
from onnx import TensorProto, helper

from fuzz import schemas_arrangement, schemas_elementwise, schemas_reductions

DOMAINS = ("", "ai.onnx.ml")
GENERATORS = schemas_elementwise.GENERATORS | schemas_arrangement.GENERATORS | schemas_reductions.GENERATORS

# Operators without a generator, by what keeps one node of independent random tensors from being a case.
WITHOUT = {
    "holds a graph": "If Loop Scan SequenceMap",
    "takes or gives sequences, maps or optional values": "CastMap ConcatFromSequence DictVectorizer Optional OptionalGetElement OptionalHasElement SequenceAt SequenceConstruct "
                                                         "SequenceEmpty SequenceErase SequenceInsert SequenceLength SplitToSequence ZipMap",
    "gives random numbers": "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike",
    "takes encoded images": "ImageDecoder",
    "held by the conformance suite and by test/ops alone":
        "AffineGrid ArrayFeatureExtractor Attention AveragePool BatchNormalization Binarizer BlackmanWindow CategoryMapper CausalConvWithState Col2Im Constant Conv "
        "ConvInteger ConvTranspose DFT DeformConv DequantizeLinear Det Dropout DynamicQuantizeLinear Einsum FeatureVectorizer GRU GlobalAveragePool GlobalLpPool GlobalMaxPool "
        "GridSample GroupNormalization HammingWindow HannWindow Imputer InstanceNormalization LRN LSTM LabelEncoder LayerNormalization LinearAttention LinearClassifier "
        "LinearRegressor LpPool MatMulInteger MaxPool MaxRoiPool MaxUnpool MeanVarianceNormalization MelWeightMatrix NegativeLogLikelihoodLoss NonMaxSuppression Normalizer "
        "OneHotEncoder QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN RegexFullMatch Resize RoiAlign RotaryEmbedding STFT SVMClassifier SVMRegressor Scaler "
        "SoftmaxCrossEntropyLoss StringConcat StringNormalizer StringSplit SwiGLU TensorScatter TfIdfVectorizer TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor Upsample",
}

# Element types that no tensor of a compiled model may have: their refusal is no difference.
UNSUPPORTED = ("complex64", "complex128", "float6e2m3", "float6e3m2")

# What a schema allows and no text gives a meaning to: by operator and element type, why.
UNDEFINED = {("CenterCropPad", "string"): "zeros pad the data, and no text is zero: the reference writes \"0\"",
             ("Trilu", "string"): "zeros take the place of the data, likewise"}

# Results of the reference implementation that are not what the schema says: by operator, what the schema says.
WRONG_REFERENCE = {"ReduceSumSquare": "the result has the type T of the input; NumPy's sum widens 32-bit integers"}


@dataclasses.dataclass
class Node:
    """What a generator draws: arrays (None: absent), attributes, the number of outputs."""
    inputs: list
    attributes: dict = dataclasses.field(default_factory=dict)
    outputs: int = 1


class Draw:
    """A source of legal inputs for one schema with chosen element types."""

    def __init__(self, schema, types: dict, seed: int):
        self.schema, self.types, self.random = schema, types, np.random.default_rng(seed)
        self.version, self.name = schema.since_version, schema.name

    def node(self, inputs: list, outputs: int = 1, **attributes) -> Node:
        return Node(inputs, attributes, outputs)

    def has(self, attribute: str) -> bool:
        return attribute in self.schema.attributes

    def element(self, place: int, output: bool = False) -> str:
        """The element type of an input or output, e.g. "float16"."""
        values = self.schema.outputs if output else self.schema.inputs
        text = values[min(place, len(values) - 1)].type_str
        return self.types.get(text) or _tensors([text])[0]

    def kind(self, place: int, output: bool = False) -> np.dtype:
        return to_numpy(self.element(place, output))

    def one(self, *choices):
        return choices[self.random.integers(len(choices))]

    def shape(self, rank: int | None = None, least: int = 0, most_rank: int = 4) -> tuple:
        rank = int(self.random.integers(0, most_rank + 1)) if rank is None else rank
        extents = self.random.choice([0, 1, 2, 3, 5, 9], rank, p=[0.04, 0.16, 0.3, 0.3, 0.15, 0.05])
        return tuple(int(max(least, extent)) for extent in extents)

    def broadcast(self, count: int) -> list:
        """Shapes that broadcast to one."""
        whole = self.shape()
        cut = lambda: tuple(1 if self.random.random() < 0.3 else extent for extent in whole[int(self.random.integers(0, len(whole) + 1)):])
        shapes = [whole] + [cut() for _ in range(count - 1)]
        self.random.shuffle(shapes)
        return [tuple(int(extent) for extent in shape) for shape in shapes]

    def axis(self, rank: int) -> int:
        negative = rank and self.version >= 11 and self.random.random() < 0.5
        return int(self.random.integers(0, max(rank, 1))) - (rank if negative else 0)

    def values(self, place: int, shape, low: float = -6, high: float = 6) -> np.ndarray:
        """Numbers between two bounds, of the type that the input at a place has."""
        return fill(self.random, self.element(place), tuple(shape), low, high)


def to_numpy(element: str) -> np.dtype:
    return helper.tensor_dtype_to_np_dtype(to_onnx(element))


def to_onnx(element: str) -> int:
    return TensorProto.DataType.Value(element.upper())


def fill(random, element: str, shape: tuple, low: float, high: float) -> np.ndarray:
    if element == "string":
        return random.choice(np.array(["", "a", "Bc", "déjà", "x y", "0.5"], object), shape)
    if element == "bool":
        return random.integers(0, 2, shape).astype(bool)
    if "complex" in element:
        return np.asarray(random.uniform(low, high, shape) + 1j * random.uniform(low, high, shape)).astype(to_numpy(element))
    if "int" in element:
        bits = int("".join(letter for letter in element if letter.isdigit()))
        least, most = (0, (1 << bits) - 1) if element.startswith("u") else (-(1 << bits - 1), (1 << bits - 1) - 1)
        first = max(least, math.ceil(low))
        return np.asarray(random.integers(first, max(first, min(most, math.floor(high))) + 1, shape)).astype(to_numpy(element))
    if element == "float8e8m0":
        return np.asarray(2.0 ** random.integers(-3, 4, shape)).astype(to_numpy(element))
    return np.asarray(random.uniform(low, high, shape)).astype(to_numpy(element))


def _tensors(texts) -> list:
    names = sorted(text[len("tensor("):-1] for text in texts if text.startswith("tensor("))
    return ["float" if name == "float32" else name for name in names]


@functools.cache
def get_schemas() -> dict:
    """Returns {(domain, operator, version): (schema, the last operator set that has it)} without what is deprecated."""
    found = [schema for schema in onnx.defs.get_all_schemas_with_history() if schema.domain in DOMAINS]
    newest = {domain: max(schema.since_version for schema in found if schema.domain == domain) for domain in DOMAINS}
    result = {}
    for schema in found:
        later = [other.since_version for other in found if (other.domain, other.name) == (schema.domain, schema.name) and other.since_version > schema.since_version]
        if not schema.deprecated:
            result[schema.domain, schema.name, schema.since_version] = schema, min(later, default=newest[schema.domain] + 1) - 1
    return result


@functools.cache
def get_bindings(key: tuple) -> list:
    """Returns the choices of types for a schema: each type of each constraint is in one of them."""
    constraints = {one.type_param_str: _tensors(one.allowed_type_strs) for one in get_schemas()[key][0].type_constraints}
    constraints = {name: allowed for name, allowed in constraints.items() if allowed}
    count = max((len(allowed) for allowed in constraints.values()), default=1)
    return [{name: allowed[number % len(allowed)] for name, allowed in constraints.items()} for number in range(count)]


def get_reason(key: tuple) -> str:
    """Says why a schema has no cases; empty where it has some, or where no reason is known."""
    if key[1] in GENERATORS:
        return ""
    return next((reason for reason, names in WITHOUT.items() if key[1] in names.split()), "")


def make_node(case: tuple, prefix: str = "") -> tuple:
    """Returns (node, input infos, output infos, feeds) of a case; names start with the prefix."""
    domain, name, version, binding, seed = case
    schema = get_schemas()[domain, name, version][0]
    draw = Draw(schema, get_bindings((domain, name, version))[binding], seed)
    drawn = GENERATORS[name](draw)
    open_dims = draw.random.random() < 0.5
    names = ["" if value is None else f"{prefix}i{place}" for place, value in enumerate(drawn.inputs)]
    results = [f"{prefix}o{place}" for place in range(drawn.outputs)]
    infos, feeds = [], {}
    for place, (label, value) in enumerate(zip(names, drawn.inputs)):
        if value is None:
            continue
        feeds[label] = np.asarray(value)
        # The length of a vector of indices may be a rank, which is never open.
        fixed = feeds[label].ndim - 1 if feeds[label].dtype in (np.int32, np.int64) else -1
        dims = [f"{label}_{axis}" if open_dims and axis != fixed else extent for axis, extent in enumerate(feeds[label].shape)]
        infos.append(helper.make_tensor_value_info(label, helper.np_dtype_to_tensor_dtype(feeds[label].dtype), dims))
    node = helper.make_node(name, names, results, name=f"{prefix}node", domain=domain, **drawn.attributes)
    return node, infos, [helper.make_empty_tensor_value_info(result) for result in results], feeds


def make_model(cases: list) -> tuple:
    """Returns (model, feeds, outputs of each case) of one module with a node for each case; all have one operator set."""
    parts = [make_node(case, f"n{number}_") for number, case in enumerate(cases)]
    feeds = {label: value for part in parts for label, value in part[3].items()}
    graph = helper.make_graph([part[0] for part in parts], "cases", sum((part[1] for part in parts), []), sum((part[2] for part in parts), []))
    opset = get_opset(cases[0])
    opsets = [helper.make_opsetid(*opset)] + ([helper.make_opsetid("", 21)] if opset[0] else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=10), feeds, [[info.name for info in part[2]] for part in parts]


def get_opset(case: tuple) -> tuple:
    return case[0], get_schemas()[case[:3]][1]
