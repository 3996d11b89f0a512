"""An ONNX graph as a PyTorch module: nodes are computed one by one, weights are parameters, and the graph with the module's weights is a model again."""
from __future__ import annotations

import collections
import copy

import numpy as np
import onnx
import onnx.inliner
import torch

from .._errors import CompileError
from . import elementwise, layers, movement  # noqa: F401  (their rules)
from .node import REFUSED, RULES, Node, make_node
from .quantization import RANGES, BlockWeights, IntegerWeights, make_block_weights, make_integer_weights

FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
BLOCK_INPUTS = {"MatMulNBits": 1, "GatherBlockQuantized": 0}
QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
# Inputs that are settings of a node rather than weights.
SETTINGS = {"BatchNormalization": (3, 4), "Clip": (1, 2), "Pad": (2,), "Resize": (1, 2, 3), "Upsample": (1,), "Range": (0, 1, 2), "Pow": (1,), "OneHot": (2,)}
WEIGHT_INPUTS = {"Conv": (1, 2), "ConvTranspose": (1, 2), "Gemm": (1, 2), "PRelu": (1,), "BatchNormalization": (1, 2), "LayerNormalization": (1, 2), "InstanceNormalization": (1, 2)}


class GraphModule(torch.nn.Module):
    """A model's main graph. `weights` are its trained initialisers of floats by name, in f32, `integers` and `blocks` the integer ones, `scales` the logarithms of scales.

    Trained are initialisers of f32, f16 and bf16 with more than one element, or which are a layer's weights or bias; not those that are a node's settings or named in `frozen`. With `scales` "fixed"
    scales stay. `batch_norm` is "frozen" or "update". Raises CompileError, which names the nodes, where the graph has operators without a rule.
    """

    def __init__(self, model: onnx.ModelProto, *, frozen: tuple[str, ...] = (), scales: str = "learned", batch_norm: str = "frozen"):
        super().__init__()
        self.model, self.batch_norm = model, batch_norm
        graph = onnx.inliner.inline_local_functions(model).graph if model.functions else model.graph
        opsets = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}
        self.nodes = [make_node(proto, opsets, self) for proto in graph.node]
        self._check_operators()
        self.readers: dict[str, list[tuple[Node, int]]] = collections.defaultdict(list)
        for node in self.nodes:
            for k, name in enumerate(node.inputs):
                self.readers[name].append((node, k))
        self.inputs = [value.name for value in graph.input if value.name not in {tensor.name for tensor in graph.initializer}]
        self.outputs = [value.name for value in graph.output]
        self.tensors = {tensor.name: tensor for tensor in graph.initializer} | find_constants(model.graph)
        self.kinds = {value.name: value.type.tensor_type.elem_type for value in graph.input} | {name: tensor.data_type for name, tensor in self.tensors.items()}
        self.constants: dict[str, torch.Tensor] = {}
        self.weights: dict[str, torch.nn.Parameter] = {}
        self.integers: dict[str, IntegerWeights] = {}
        self.blocks: dict[str, BlockWeights] = {}
        self.scales: dict[str, torch.nn.Parameter] = {}
        self.bias_scales: dict[str, tuple[str, str]] = {}
        self.nodes = [node for node in self.nodes if node.op != "Constant" or node.outputs[0] not in self.tensors]
        self._place_initialisers(frozen, scales)

    def _check_operators(self) -> None:
        missing = [node for node in self.nodes if (node.domain, node.op) not in RULES]
        if missing:
            shown = "; ".join(f"node '{node.name}' ({node.domain + '.' if node.domain else ''}{node.op}, operator set {node.opset})" for node in missing[:8])
            raise CompileError(f"training has no rule for {shown}" + (f"; and {len(missing) - 8} more" if len(missing) > 8 else ""), REFUSED)

    def to_tensor(self, proto: onnx.TensorProto) -> torch.Tensor:
        """Returns a constant; types that PyTorch lacks become wider ones."""
        array = onnx.numpy_helper.to_array(proto)
        if proto.data_type in RANGES and proto.data_type not in elementwise.TYPES:
            array = array.astype(np.int32)
        elif proto.data_type == onnx.TensorProto.BFLOAT16:
            return torch.from_numpy(array.astype(np.float32)).bfloat16()
        elif proto.data_type not in elementwise.TYPES:
            raise CompileError(f"initialiser '{proto.name}' of type {onnx.TensorProto.DataType.Name(proto.data_type)} cannot be trained with", REFUSED)
        return torch.from_numpy(np.array(array))

    def _place_initialisers(self, frozen: tuple[str, ...], scales: str) -> None:
        self.constants = {name: self.to_tensor(tensor) for name, tensor in self.tensors.items()}
        unknown = sorted(set(frozen) - set(self.tensors))
        if unknown:
            raise CompileError(f"the model has no initialiser '{unknown[0]}' to freeze", REFUSED)
        for name, tensor in self.tensors.items():
            readers = self.readers[name]
            if name in frozen or not readers:
                continue
            if tensor.data_type == onnx.TensorProto.FLOAT and self._is_scale(name):
                if scales == "learned" and (self.constants[name] > 0).all() and not self._is_bias_scale(name):
                    self.scales[name] = torch.nn.Parameter(self.constants[name].log())
            elif tensor.data_type in FLOATS and self._is_weight(name):
                self.weights[name] = torch.nn.Parameter(self.constants[name].float().clone())
            elif tensor.data_type in RANGES and self._is_dequantized(readers):
                self._place_integers(name, tensor)
            elif tensor.data_type == onnx.TensorProto.UINT8 and all(BLOCK_INPUTS.get(node.op) == k for node, k in readers):
                self._place_blocks(name)
        for k, parameter in enumerate(self.list_trained().values()):
            self.register_parameter(f"parameter{k}", parameter)

    def _is_scale(self, name: str) -> bool:
        return all((node.op in QUANTIZERS and k == 1) or (node.op in BLOCK_INPUTS and k == 2) for node, k in self.readers[name])

    def _is_weight(self, name: str) -> bool:
        places = self.readers[name]
        is_setting = any(k in SETTINGS.get(node.op, ()) or node.op in QUANTIZERS and k > 0 or node.op in BLOCK_INPUTS and k in (BLOCK_INPUTS[node.op], 2, 3) for node, k in places)
        return not is_setting and (self.constants[name].numel() > 1 or any(k in WEIGHT_INPUTS.get(node.op, ()) for node, k in places))

    def _is_dequantized(self, readers: list[tuple[Node, int]]) -> bool:
        """True for an integer constant that is read by one scale and zero point, both constants."""
        ways = {(node.inputs[1:], node.get("axis", 1), node.get("block_size", 0)) for node, k in readers if node.op == "DequantizeLinear" and k == 0}
        return len(ways) == 1 and all(node.op == "DequantizeLinear" and k == 0 for node, k in readers) and all(name in self.constants for name in next(iter(ways))[0] if name)

    def _place_integers(self, name: str, tensor: onnx.TensorProto) -> None:
        node, _ = self.readers[name][0]
        zero = self.constants[node.inputs[2]].float() if len(node.inputs) > 2 and node.inputs[2] else torch.zeros(())
        integers = onnx.numpy_helper.to_array(tensor).astype(np.int64)
        self.integers[name] = make_integer_weights(node, integers, tensor.data_type, self.constants[node.inputs[1]], zero)
        if tensor.data_type == onnx.TensorProto.INT32:
            factors = self._find_bias_factors(node)
            if factors:
                self.bias_scales[node.inputs[1]] = factors

    def _is_bias_scale(self, name: str) -> bool:
        return all(self.kinds.get(node.inputs[0]) == onnx.TensorProto.INT32 for node, _ in self.readers[name])

    def _find_bias_factors(self, node: Node) -> tuple[str, str] | None:
        """A bias of integers has the scale of the products that it is added to: returns the names of the two scales where it does here."""
        producers = {output: other for other in self.nodes for output in other.outputs}
        for reader, k in self.readers[node.outputs[0]]:
            sources = [producers.get(name) for name in reader.inputs[:2]]
            if reader.op not in ("Conv", "Gemm", "ConvTranspose") or k != 2 or not all(source and source.op == "DequantizeLinear" for source in sources):
                continue
            names = (sources[0].inputs[1], sources[1].inputs[1])
            if all(name in self.constants for name in names) and torch.allclose(self.constants[names[0]] * self.constants[names[1]], self.constants[node.inputs[1]], rtol=1e-4, atol=0):
                return names
        return None

    def _place_blocks(self, name: str) -> None:
        node, _ = self.readers[name][0]
        scales, zeros = ([self.constants.get(part) for part in node.inputs[2:4]] + [None])[:2]
        if len(self.readers[name]) == 1 and scales is not None:
            self.blocks[name] = make_block_weights(node, self.constants[name].numpy(), scales.numpy(), None if zeros is None else zeros.numpy())

    def list_trained(self) -> dict[str, torch.nn.Parameter]:
        """Returns all parameters by the names of their initialisers: weights, then integers and blocks as what they stand for, then logarithms of scales."""
        return self.weights | {name: entry.weights for name, entry in (self.integers | self.blocks).items()} | self.scales

    def get_scale(self, name: str) -> torch.Tensor:
        if name in self.bias_scales:
            first, second = self.bias_scales[name]
            return (self.get_scale(first) * self.get_scale(second)).detach()
        return self.scales[name].exp() if name in self.scales else self.constants[name]

    def get_values(self) -> dict[str, torch.Tensor]:
        """Returns the initialisers as the graph reads them: integer ones as levels."""
        values = self.constants | {name: parameter.to(self.constants[name].dtype) for name, parameter in self.weights.items()}
        values |= {name: self.get_scale(name) for name in (*self.scales, *self.bias_scales)}
        return values | {name: entry.get_levels(self.get_scale(entry.scale)) for name, entry in self.integers.items()}

    def forward(self, feeds: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Returns the outputs by name. Raises CompileError, which names the node, where one cannot be computed."""
        values = self.get_values() | feeds
        for name in self.inputs:
            if name not in values:
                raise CompileError(f"input '{name}': no value is given", REFUSED)
        for node in self.nodes:
            try:
                results = RULES[node.domain, node.op](node, *(values[name] if name else None for name in node.inputs))
            except (RuntimeError, TypeError, IndexError, ValueError, KeyError) as error:
                raise error if isinstance(error, CompileError) else node.refuse(str(error)) from error
            values.update(zip(node.outputs, results if isinstance(results, (tuple, list)) else (results,), strict=False))
        return {name: values[name] for name in self.outputs}

    def export(self) -> onnx.ModelProto:
        """Returns the model with the trained values; all else is as it was."""
        model = copy.deepcopy(self.model)
        with torch.no_grad():
            fresh = {name: parameter.numpy() for name, parameter in self.weights.items()}
            fresh |= {name: self.get_scale(name).numpy() for name in (*self.scales, *self.bias_scales)}
            fresh |= {name: entry.export(self.get_scale(entry.scale)) for name, entry in self.integers.items()}
            for name, entry in self.blocks.items():
                scale = self.readers[name][0][0].inputs[2]
                fresh[name] = entry.export(self.get_scale(scale).reshape(entry.zeros.shape))
            for node in self.nodes:
                if node.op == "BatchNormalization" and self.batch_norm == "update":
                    fresh |= {name: self.constants[name].numpy() for name in node.inputs[3:5] if name in self.constants}
        for name, tensor in ({tensor.name: tensor for tensor in model.graph.initializer} | find_constants(model.graph)).items():
            if name in fresh:
                replace_values(tensor, fresh[name])
        return model


def find_constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Returns the tensors of Constant nodes by the names of their outputs: some exporters write weights so."""
    return {node.output[0]: attribute.t for node in graph.node if node.op_type == "Constant" for attribute in node.attribute
            if attribute.name == "value" and attribute.t.data_type in (*RANGES, *elementwise.TYPES)}


def replace_values(tensor: onnx.TensorProto, values: np.ndarray) -> None:
    """Gives an initialiser other values; name, type, dims and texts stay."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    made = onnx.numpy_helper.from_array(values.reshape(tuple(tensor.dims)).astype(dtype))
    for field in ("float_data", "int32_data", "int64_data", "raw_data", "external_data", "data_location"):
        tensor.ClearField(field)
    tensor.raw_data = made.raw_data
