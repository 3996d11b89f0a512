"""What is made small, and what is told of a student."""
from __future__ import annotations

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F

from .._errors import CompileError
from .module import GraphModule
from .node import BAD_OPTION
from .samples import Batch


# Leads that a choice keeps where the teacher's are larger, over the root of the logits' mean square: where both models choose with such a lead, other rounding seldom turns it.
KEPT_LEAD = 0.01


def measure_lost_leads(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Returns the mean over positions of what a student's lead of the teacher's first choice over the other classes, which lie along the last axis, lacks, over the root of the mean
    square of the teacher's logits. A lead is enough where it is the teacher's, or KEPT_LEAD."""
    size = wanted.square().mean().sqrt().clamp_min(1e-6)
    chosen = wanted.argmax(-1, keepdim=True)
    enough = (wanted.gather(-1, chosen) - wanted).clamp_max(KEPT_LEAD * size)
    return F.relu(enough - (found.gather(-1, chosen) - found)).sum(-1).mean() / size


@dataclasses.dataclass
class Objective:
    """How outputs are compared with the teacher's and with labels.

    `kind` is "kl", the divergence of softmax at a temperature, times its square (Hinton et al., 2015), "mse", over the mean square of what is wanted, or "choices", the same and what
    the choices of `target` lack (measure_lost_leads). `share` of the loss is the teacher's, the rest the labels', which are for the output `target`. `axis` is that of the classes.
    """
    kind: str
    temperature: float
    share: float
    target: str
    axis: int
    log_outputs: frozenset[str]  # outputs of softmax: probabilities, not logits

    def measure(self, outputs: dict[str, torch.Tensor], batch: Batch) -> torch.Tensor:
        """Returns the loss of a batch."""
        losses = []
        if batch.teacher is not None:
            losses.append((self.share if batch.label is not None else 1.0, self._compare_outputs(outputs, batch.teacher)))
        if batch.label is not None:
            losses.append((1 - self.share if batch.teacher is not None else 1.0, self._compare_labels(outputs[self.target], batch.label)))
        return sum(weight * loss for weight, loss in losses)

    def _compare_outputs(self, outputs: dict[str, torch.Tensor], teacher: dict[str, np.ndarray]) -> torch.Tensor:
        losses = [self._distil(name, value, torch.from_numpy(teacher[name])) for name, value in outputs.items() if value.is_floating_point() and name in teacher]
        return sum(losses)

    def _distil(self, name: str, found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        if found.shape != wanted.shape:
            raise CompileError(f"output '{name}': the teacher's has shape {list(wanted.shape)}, the student's {list(found.shape)}", BAD_OPTION)
        if self.kind != "kl":
            loss = F.mse_loss(found, wanted) / wanted.square().mean().clamp_min(1e-12)
            is_chosen_from = self.kind == "choices" and name == self.target
            return loss + measure_lost_leads(*(self.get_logits(name, value).movedim(self.axis, -1) for value in (found, wanted))) if is_chosen_from else loss
        logs = [F.log_softmax(self.get_logits(name, value) / self.temperature, self.axis) for value in (found, wanted)]
        return F.kl_div(logs[0].movedim(self.axis, -1).flatten(0, -2), logs[1].movedim(self.axis, -1).flatten(0, -2), reduction="batchmean", log_target=True) * self.temperature**2

    def get_logits(self, name: str, value: torch.Tensor) -> torch.Tensor:
        return value.clamp_min(1e-12).log() if name in self.log_outputs else value

    def _compare_labels(self, found: torch.Tensor, label: np.ndarray) -> torch.Tensor:
        wanted = torch.from_numpy(np.asarray(label))
        if wanted.is_floating_point():
            self._check_shape(found.shape, wanted.shape)
            return F.mse_loss(found, wanted) / wanted.square().mean().clamp_min(1e-12)
        logits = self.get_logits(self.target, found).movedim(self.axis, -1)
        self._check_shape(logits.shape[:-1], wanted.shape)
        return F.cross_entropy(logits.flatten(0, -2), wanted.long().flatten())

    def _check_shape(self, expected: torch.Size, found: torch.Size) -> None:
        if expected != found:
            raise CompileError(f"labels: expected shape {list(expected)} for output '{self.target}', found {list(found)}", BAD_OPTION)


class Scores:
    """Sums over batches: the loss, the share of labels and of the teacher's choices that the largest element names, the squared distance to the teacher or to labels."""

    def __init__(self, objective: Objective):
        self.objective, self.batches, self.loss = objective, 0, 0.0
        self.right = self.labelled = self.agreeing = self.compared = 0
        self.noise = self.signal = 0.0

    def add(self, outputs: dict[str, torch.Tensor], batch: Batch) -> None:
        objective = self.objective
        self.batches += 1
        self.loss += float(objective.measure(outputs, batch))
        found = outputs[objective.target]
        if batch.label is not None and not np.issubdtype(np.asarray(batch.label).dtype, np.floating):
            self.right += int((found.argmax(objective.axis).numpy() == batch.label).sum())
            self.labelled += int(np.size(batch.label))
        wanted = batch.label if batch.teacher is None else batch.teacher.get(objective.target)
        if batch.teacher is not None and objective.kind != "mse":
            self.agreeing += int((found.argmax(objective.axis).numpy() == wanted.argmax(objective.axis)).sum())
            self.compared += wanted.size // wanted.shape[objective.axis]
        if wanted is not None and np.shape(wanted) == tuple(found.shape):
            self.noise += float(np.square(found.double().numpy() - wanted).sum())
            self.signal += float(np.square(wanted.astype(np.float64)).sum())

    def summarise(self) -> dict[str, float]:
        """Returns what could be measured: loss, accuracy, agreement (with the teacher's largest element), relative_error (a root of mean squares)."""
        result = {"loss": self.loss / max(self.batches, 1)}
        if self.labelled:
            result["accuracy"] = self.right / self.labelled
        if self.compared:
            result["agreement"] = self.agreeing / self.compared
        if self.signal:
            result["relative_error"] = (self.noise / self.signal) ** 0.5
        return result


def make_objective(module: GraphModule, label: np.ndarray | None, loss: str | None, temperature: float | None, share: float, target: str | None, axis: int | None) -> Objective:
    """Works out what is left open: "kl" where labels are integers, a temperature is given or an output is that of a softmax, else "mse"; the classes' axis is that which labels lack."""
    if loss not in (None, "kl", "mse", "choices"):
        raise CompileError(f"loss: expected 'kl', 'mse' or 'choices', found {loss!r}", BAD_OPTION)
    if temperature is not None and not temperature > 0 or not 0 <= share <= 1:
        raise CompileError(f"expected a temperature above 0 and a distillation from 0 to 1, found {temperature} and {share}", BAD_OPTION)
    if target is not None and target not in module.outputs:
        raise CompileError(f"target: the model has no output '{target}', found {', '.join(module.outputs)}", BAD_OPTION)
    softmax = {name: node for node in module.nodes if node.op == "Softmax" for name in node.outputs if name in module.outputs}
    is_classified = label is not None and not np.issubdtype(np.asarray(label).dtype, np.floating)
    kind = loss or ("kl" if is_classified or temperature is not None or softmax else "mse")
    chosen = target or module.outputs[0]
    if axis is None and chosen in softmax:
        axis = softmax[chosen].get("axis", -1 if softmax[chosen].opset >= 13 else 1)
    if axis is None:
        # Labels of one dim or more behind the batch are those of positions: classes lie behind them, or, for images, behind the batch.
        axis = 1 if is_classified and np.ndim(label) >= 3 else -1
    return Objective(kind, temperature or 2.0, share, chosen, axis, frozenset(softmax))
