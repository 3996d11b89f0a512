"""Weights that are zero and stay so."""
from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import torch

from .._errors import CompileError
from .module import GraphModule
from .node import BAD_OPTION

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
Mask = "str | float | Mapping[str, np.ndarray] | None"


def find_layer_weights(module: GraphModule) -> dict[str, bool]:
    """Returns the names of layers' trained weights, and of each whether its first dim is that of the outputs, so that an output's terms lie one behind the other."""
    found = {name: True for name in module.blocks}
    for name in (*module.weights, *module.integers):
        readers = list(module.readers[name])
        readers += [reader for node, _ in readers if node.op == "DequantizeLinear" for reader in module.readers[node.outputs[0]]]
        for node, k in readers:
            if node.op in LAYERS and k == 1 and module.list_trained()[name].dim() >= 2:
                found[name] = node.op == "Conv" or node.op == "Gemm" and bool(node.get("transB", 0))
    return found


def keep_some_of_each(weights: torch.Tensor, is_transposed: bool, count: int, size: int) -> torch.Tensor:
    """Keeps the `count` largest of each `size` terms of an output's sum, in the order in which they lie in the tensor; what is left of a sum that `size` does not divide is kept."""
    rows = weights.reshape(weights.shape[0], -1)
    rows = rows if is_transposed else rows.t()
    whole = rows.shape[1] // size * size
    groups = rows[:, :whole].abs().reshape(rows.shape[0], -1, size)
    kept = torch.ones(rows.shape, dtype=torch.bool)
    ranks = groups.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1, stable=True)
    kept[:, :whole] = (ranks < count).reshape(rows.shape[0], whole)
    return (kept if is_transposed else kept.t()).reshape(weights.shape)


def keep_largest(weights: torch.Tensor, share: float) -> torch.Tensor:
    """Takes out the share of a tensor's weights that is nearest to zero."""
    kept = torch.ones(weights.numel(), dtype=torch.bool)
    kept[weights.abs().reshape(-1).argsort(dim=0, stable=True)[:int(share * weights.numel())]] = False
    return kept.reshape(weights.shape)


def choose_masks(module: GraphModule, mask: Mask) -> dict[str, torch.Tensor]:
    """Returns which weights are kept, by name. "zeros" finds those that are zero: all of f32; integers, of which some are zero by rounding, where half of a tensor's are."""
    trained = module.list_trained()
    if isinstance(mask, Mapping):
        return {name: read_mask(trained, name, values) for name, values in mask.items()}
    pattern = re.fullmatch(r"(\d+):(\d+)", mask) if isinstance(mask, str) else None
    count, size = map(int, pattern.groups()) if pattern else (0, 0)
    if not (mask in (None, "zeros") or isinstance(mask, float) and 0 < mask < 1 or 0 < count < size):
        raise CompileError(f"mask: expected 'zeros', N:M with N below M, such as '2:4', a share between 0 and 1, arrays by name, or None; found {mask!r}", BAD_OPTION)
    layers, masks = find_layer_weights(module), {}
    for name, is_transposed in layers.items():
        weights = trained[name].detach()
        if pattern:
            masks[name] = keep_some_of_each(weights, is_transposed, count, size)
        elif isinstance(mask, float):
            masks[name] = keep_largest(weights, mask)
        elif mask == "zeros":
            zeros = int((weights == 0).sum())
            if 0 < zeros < weights.numel() and (name in module.weights or 2 * zeros >= weights.numel()):
                masks[name] = weights != 0
    return masks


def read_mask(trained: Mapping[str, torch.Tensor], name: str, values: np.ndarray) -> torch.Tensor:
    if name not in trained:
        raise CompileError(f"mask: the model has no trained initialiser '{name}'", BAD_OPTION)
    array = np.asarray(values)
    if array.shape != tuple(trained[name].shape):
        raise CompileError(f"mask of '{name}': expected shape {list(trained[name].shape)}, found {list(array.shape)}", BAD_OPTION)
    return torch.from_numpy(array != 0)


def apply_masks(module: GraphModule, masks: Mapping[str, torch.Tensor]) -> None:
    """Sets masked weights to zero."""
    trained = module.list_trained()
    with torch.no_grad():
        for name, kept in masks.items():
            trained[name].mul_(kept)
