"""Nodes of a graph, and the table of what computes them in PyTorch."""
from __future__ import annotations

import dataclasses
from collections.abc import Callable

import onnx
import torch

from .._errors import CompileError

BAD_OPTION, REFUSED, BAD_FILE = 2, 3, 4
Rule = Callable[..., "torch.Tensor | tuple[torch.Tensor, ...]"]
RULES: dict[tuple[str, str], Rule] = {}
"""(domain, operator) -> rule: called with the node and its inputs, None for those left out; returns the output, or a tuple of outputs."""


def operator(*names: str, domain: str = "") -> Callable[[Rule], Rule]:
    """Registers a rule for operators of a domain."""
    def register(rule: Rule) -> Rule:
        for name in names:
            RULES[domain, name] = rule
        return rule
    return register


@dataclasses.dataclass
class Node:
    """A node: attributes as Python values, the operator set of its domain, and the graph module that it is part of."""
    name: str
    op: str
    domain: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, object]
    owner: object = None

    def get(self, name: str, default: object = None) -> object:
        """Returns an attribute; texts are decoded."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def refuse(self, reason: str) -> CompileError:
        """Returns the error that names this node."""
        return CompileError(f"node '{self.name}' ({self.op}): {reason}", REFUSED)


def make_node(proto: onnx.NodeProto, opsets: dict[str, int], owner: object) -> Node:
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in proto.attribute}
    return Node(proto.name or proto.output[0], proto.op_type, domain, opsets.get(domain, 1), tuple(proto.input), tuple(proto.output), attributes, owner)


def to_list(values: torch.Tensor | None) -> list | None:
    """Returns a tensor's elements in order; None stays None."""
    return None if values is None else values.reshape(-1).tolist()


def get_list(node: Node, name: str, values: torch.Tensor | None) -> list | None:
    """Returns what was an attribute in earlier operator sets and an input since."""
    return to_list(values) if values is not None else node.get(name)
