"""Quantised values while training: rounding passes gradients straight through, within the range of the integers.

Integers are held as floats that have gradients ("levels"), from QuantizeLinear, or from an integer constant, over the movements between, to DequantizeLinear. An integer constant
is trained through a float for each element, which is rounded anew by the constant's scale in every step. Scales have gradients of the rounding error, as in learned step size
quantisation (Esser et al., 2020), and are trained as logarithms, which keeps them positive; zero points stay.
"""
from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import torch

from .node import Node, operator

TYPES = onnx.TensorProto
RANGES = {TYPES.INT8: (-128, 127), TYPES.UINT8: (0, 255), TYPES.INT16: (-32768, 32767), TYPES.UINT16: (0, 65535), TYPES.INT4: (-8, 7), TYPES.UINT4: (0, 15),
          TYPES.INT32: (-2**31, 2**31 - 1)}
# Since operator set 25, and not known to older onnx packages.
RANGES |= {getattr(TYPES, name): ends for name, ends in (("INT2", (-2, 1)), ("UINT2", (0, 3))) if hasattr(TYPES, name)}


def round_through(x: torch.Tensor) -> torch.Tensor:
    """Rounds half to even; the gradient is that of the identity."""
    return x + (x.round() - x).detach()


def spread(values: torch.Tensor, shape: torch.Size, axis: int, block: int) -> torch.Tensor:
    """Brings scales or zero points (one, one for each index of an axis, or one for each block along it) to where they broadcast over a tensor."""
    if values.numel() == 1:
        return values.reshape(())
    axis %= len(shape)
    if block:
        return values.repeat_interleave(block, axis).narrow(axis, 0, shape[axis])
    return values.reshape([-1] + [1] * (len(shape) - 1 - axis))


def find_range(node: Node, zero_point_name: str) -> tuple[int, int]:
    kind = node.owner.kinds.get(zero_point_name) or node.get("output_dtype", 0) or TYPES.UINT8
    if kind not in RANGES:
        raise node.refuse(f"rounding to {TYPES.DataType.Name(kind)} cannot be trained")
    return RANGES[kind]


@operator("QuantizeLinear")
@operator("QuantizeLinear", domain="com.microsoft")
def quantize_linear(node: Node, x, scale, zero=None):
    least, most = find_range(node, node.inputs[2] if len(node.inputs) > 2 else "")
    place = (x.shape, node.get("axis", 1), node.get("block_size", 0))
    zero = torch.zeros(()) if zero is None else spread(zero.float(), *place)
    return round_through(torch.clamp(x / spread(scale, *place), least - zero, most - zero)) + zero


@operator("DequantizeLinear")
@operator("DequantizeLinear", domain="com.microsoft")
def dequantize_linear(node: Node, x, scale, zero=None):
    place = (x.shape, node.get("axis", 1), node.get("block_size", 0))
    levels = x.float() if zero is None else x.float() - spread(zero.float(), *place)
    return levels * spread(scale, *place)


@dataclasses.dataclass
class IntegerWeights:
    """An integer constant that one DequantizeLinear reads, or several by the same scale: its elements as what they stand for, and how they are rounded."""
    weights: torch.nn.Parameter
    kind: int
    scale: str
    zero: torch.Tensor
    axis: int
    block: int

    def place(self) -> tuple[torch.Size, int, int]:
        return self.weights.shape, self.axis, self.block

    def get_levels(self, scale: torch.Tensor) -> torch.Tensor:
        zero = spread(self.zero, *self.place())
        least, most = RANGES[self.kind]
        return round_through(torch.clamp(self.weights / spread(scale, *self.place()), least - zero, most - zero)) + zero

    def export(self, scale: torch.Tensor) -> np.ndarray:
        """Returns the integers."""
        return self.get_levels(scale).detach().numpy().astype(np.int64)


def make_integer_weights(node: Node, levels: np.ndarray, kind: int, scale: torch.Tensor, zero: torch.Tensor) -> IntegerWeights:
    place = (torch.Size(levels.shape), node.get("axis", 1), node.get("block_size", 0))
    weights = (torch.from_numpy(levels.astype(np.float32)) - spread(zero, *place)) * spread(scale, *place)
    return IntegerWeights(torch.nn.Parameter(weights), kind, node.inputs[1], zero, *place[1:])


@dataclasses.dataclass
class BlockWeights:
    """The weights of MatMulNBits or GatherBlockQuantized as what they stand for, [outputs, terms]; bytes hold `bits` bits each, the first in the lowest."""
    weights: torch.nn.Parameter
    bits: int
    block: int
    zeros: torch.Tensor
    filler: np.ndarray  # what the constant has behind the terms, [outputs, integers]

    def get_blocks(self) -> torch.Tensor:
        """Returns the weights as [outputs, blocks, block], the last block filled up with zeros."""
        outputs, terms = self.weights.shape
        return torch.nn.functional.pad(self.weights, [0, -terms % self.block]).reshape(outputs, -1, self.block)

    def get_levels(self, scales: torch.Tensor) -> torch.Tensor:
        most, zeros = 2**self.bits - 1, self.zeros.unsqueeze(-1)
        return round_through(torch.clamp(self.get_blocks() / scales.unsqueeze(-1) + zeros, 0, most))

    def get_rounded(self, scales: torch.Tensor) -> torch.Tensor:
        outputs, terms = self.weights.shape
        return ((self.get_levels(scales) - self.zeros.unsqueeze(-1)) * scales.unsqueeze(-1)).reshape(outputs, -1)[:, :terms]

    def export(self, scales: torch.Tensor) -> np.ndarray:
        """Returns the bytes, [outputs, blocks one behind the other]; what fills up the last block stays as it was."""
        levels = self.get_levels(scales).detach().numpy().astype(np.uint8).reshape(len(self.weights), -1)[:, :self.weights.shape[1]]
        levels = np.concatenate([levels, self.filler], 1)
        return levels if self.bits == 8 else levels[..., 0::2] | levels[..., 1::2] << 4


def unpack(values: np.ndarray, bits: int) -> np.ndarray:
    """Turns bytes into one integer each, along the last dim."""
    return values if bits == 8 else np.stack([values & 15, values >> 4], -1).reshape(*values.shape[:-1], -1)


def make_block_weights(node: Node, values: np.ndarray, scales: np.ndarray, zeros: np.ndarray | None) -> BlockWeights:
    bits, block = node.get("bits", 4), node.get("block_size")
    outputs, terms = (node.get("N"), node.get("K")) if node.op == "MatMulNBits" else (values.shape[0], values.shape[-1] * 8 // bits)
    if bits not in (4, 8) or len(node.inputs) > 4 and node.inputs[4] or node.get("gather_axis", 0) or node.get("quantize_axis", 1) not in (1, -1) or values.ndim < 2:
        raise node.refuse("expected weights of 4 or 8 bits, in groups along the last dim, without an order of groups")
    integers = unpack(values.reshape(outputs, -1), bits)
    levels = integers.astype(np.float32)
    levels = np.pad(levels, [(0, 0), (0, -levels.shape[1] % block)]).reshape(outputs, -1, block)
    if zeros is None:
        zeros = np.full(levels.shape[:2], 2**(bits - 1), np.float32)
    elif zeros.dtype == np.uint8:
        zeros = unpack(zeros.reshape(outputs, -1), bits)[:, :levels.shape[1]]
    zeros = zeros.reshape(levels.shape[:2]).astype(np.float32)
    weights = (levels - zeros[..., None]) * scales.reshape(zeros.shape)[..., None]
    return BlockWeights(torch.nn.Parameter(torch.from_numpy(weights.reshape(outputs, -1)[:, :terms].copy())), bits, block, torch.from_numpy(zeros), integers[:, terms:])


@operator("MatMulNBits", domain="com.microsoft")
def matmul_nbits(node: Node, x, values, scales, zeros=None, order=None, bias=None):
    blocks = node.owner.blocks.get(node.inputs[1])
    if blocks is None:
        raise node.refuse("expected constant weights, scales and zero points")
    y = x @ blocks.get_rounded(scales.reshape(blocks.zeros.shape)).t()
    return y if bias is None else y + bias


@operator("GatherBlockQuantized", domain="com.microsoft")
def gather_block_quantized(node: Node, values, indices, scales, zeros=None):
    blocks = node.owner.blocks.get(node.inputs[0])
    if blocks is None:
        raise node.refuse("expected constant weights, scales and zero points")
    return torch.nn.functional.embedding(indices % len(blocks.weights), blocks.get_rounded(scales.reshape(blocks.zeros.shape)))
