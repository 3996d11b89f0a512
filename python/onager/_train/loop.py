"""Training a student and writing it back."""
from __future__ import annotations

import contextlib
import math
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence

import google.protobuf.message
import numpy as np
import onnx
import torch

from .._compile import compile as compile_model
from .._compress import compress
from .._errors import CompileError
from .._session import InferenceSession
from .losses import Objective, Scores, make_objective
from .masks import Mask, apply_masks, choose_masks, find_layer_weights
from .module import GraphModule
from .node import BAD_FILE, BAD_OPTION, REFUSED
from .samples import Batch, Samples, run_session

# What compressing adds to the names of weights.
SUFFIXES = ("_quantized", "_blocks", "_bf16", "_f16")


def load_model(model: str | os.PathLike[str] | bytes, what: str) -> onnx.ModelProto:
    try:
        return onnx.load_from_string(model) if isinstance(model, (bytes, bytearray)) else onnx.load(os.fspath(model))
    except (OSError, google.protobuf.message.DecodeError, onnx.checker.ValidationError) as error:
        raise CompileError(f"{what}: {error}", BAD_FILE) from error


@contextlib.contextmanager
def use_settings(threads: int | None) -> Iterator[None]:
    """Makes PyTorch deterministic, and puts its settings back."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(threads or before[0])
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1], warn_only=before[2])


class Progress:
    """One line on standard error, written anew; nothing where that is no terminal."""

    def __init__(self):
        self.is_shown, self.last = sys.stderr.isatty(), 0.0

    def show(self, text: str) -> None:
        if self.is_shown and time.monotonic() - self.last > 0.1:
            self.last = time.monotonic()
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self.is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def arrange(values: torch.Tensor, is_turned: bool, like: torch.Tensor) -> torch.Tensor:
    """Returns a plain constant's elements as a compressed one holds them: filters of few bits lie in parts, one behind the other."""
    return (values.t() if is_turned else values).reshape(like.shape)


def quantise(plain: GraphModule, masks: Mapping[str, torch.Tensor], samples: Samples, scheme: str | Sequence[str] | None, recipe: object, settings: Mapping[str, object],
             options: Mapping[str, object]) -> tuple[GraphModule, dict[str, torch.Tensor], dict]:
    """Compresses the model and trains what it was before rounding: returns the compressed graph, its masks by their new names, and the recipe."""
    with tempfile.TemporaryDirectory(prefix="onager-") as folder:
        place = pathlib.Path(folder) / "compressed.onnx"
        report = compress(plain.export().SerializeToString(), samples.take_feeds(128), place, quantize=scheme, recipe=recipe, **options)
        model = onnx.load(place)
    frozen = [name for name in settings["frozen"] if any(tensor.name == name for tensor in model.graph.initializer)]
    module = GraphModule(model, **{**settings, "frozen": tuple(frozen)})
    trained, layers, moved = module.list_trained(), find_layer_weights(plain), {}
    with torch.no_grad():
        for name, values in plain.weights.items():
            places = [found for found in (name, *(name + suffix for suffix in SUFFIXES)) if found in trained]
            for found in places:
                is_turned = found.endswith("_blocks") and not layers.get(name, True)
                if found in masks or name in masks:
                    moved[found] = arrange(masks[name], is_turned, trained[found])
                trained[found].copy_(arrange(values, is_turned, trained[found]))
    return module, moved, report["recipe"]


class Trainer:
    """Adam with a step that falls along a cosine, over batches in an order that the seed decides."""

    def __init__(self, module: GraphModule, masks: Mapping[str, torch.Tensor], samples: Samples, objective: Objective, epochs: int, learning_rate: float, weight_decay: float, seed: int):
        self.module, self.masks, self.samples, self.objective, self.epochs = module, masks, samples, objective, epochs
        self.random, self.progress = np.random.default_rng(seed), Progress()
        scales = list(module.scales.values())
        weights = [parameter for name, parameter in module.list_trained().items() if name not in module.scales]
        if not weights and not scales:
            raise CompileError("the model has no initialiser of float32 to train", REFUSED)
        self.optimizer = torch.optim.AdamW([{"params": weights, "weight_decay": weight_decay}, {"params": scales, "weight_decay": 0.0}], lr=learning_rate)
        steps = max(epochs * math.ceil(len(samples.training) / (samples.batch or 1)), 1)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(step / steps, 1))))

    def run(self) -> list[float]:
        """Trains and returns the mean loss of each epoch."""
        losses = []
        for epoch in range(self.epochs):
            self.module.train()
            losses.append(self._run_epoch(epoch))
        self.module.eval()
        self.progress.clear()
        return losses

    def _run_epoch(self, epoch: int) -> float:
        total, count = 0.0, 0
        for batch in self.samples.iterate(self.random.permutation(self.samples.training)):
            loss = self.objective.measure(self.module(to_tensors(batch)), batch)
            if not torch.isfinite(loss):
                raise CompileError(f"the loss is not finite in epoch {epoch + 1}: try a smaller learning_rate", REFUSED)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            apply_masks(self.module, self.masks)
            total, count = total + float(loss.detach()), count + 1
            self.progress.show(f"epoch {epoch + 1} of {self.epochs}, batch {count}: loss {total / count:.5g}")
        return total / max(count, 1)

    def judge(self) -> dict[str, float]:
        """Returns what held-out samples say."""
        self.module.eval()
        scores = Scores(self.objective)
        with torch.no_grad():
            for batch in self.samples.iterate(self.samples.held_out):
                scores.add(self.module(to_tensors(batch)), batch)
        return scores.summarise() if scores.batches else {}


def to_tensors(batch: Batch) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array.copy()) for name, array in batch.feeds.items()}


def check_teacher(teacher: InferenceSession, module: GraphModule) -> None:
    """A teacher takes the student's inputs and has its outputs."""
    for what, wanted, found in (("input", {node.name for node in teacher.get_inputs()}, set(module.inputs)), ("output", set(module.outputs), {node.name for node in teacher.get_outputs()})):
        if missing := sorted(wanted - found):
            raise CompileError(f"teacher: its {what}s are {', '.join(sorted(found if what == 'output' else wanted))}, the student's are "
                               f"{', '.join(sorted(wanted if what == 'output' else found))}: '{missing[0]}' has no counterpart", BAD_OPTION)


def verify(model: bytes, module: GraphModule, samples: Samples) -> dict[str, float]:
    """Runs the written model by Onager on a batch and returns by how much each output of floats differs from PyTorch's, over its largest magnitude."""
    batch = next(samples.iterate((samples.held_out or samples.training)[:samples.batch or 1]))
    with torch.no_grad():
        expected = module(to_tensors(batch))
    found = run_session(InferenceSession(model), batch.feeds)
    return {name: float(np.abs(found[name] - value.numpy()).max() / max(float(value.abs().max()), 1e-30)) for name, value in expected.items()
            if value.is_floating_point() and value.numel() and value.shape == found[name].shape}


def write_model(model: bytes, output: str | os.PathLike[str]) -> None:
    """Writes ONNX where the name ends in .onnx, else compiles. A file is whole or absent."""
    target = pathlib.Path(output)
    if target.suffix != ".onnx":
        compile_model(model, target)
        return
    try:
        handle, name = tempfile.mkstemp(prefix=target.name + ".", dir=target.parent)
    except OSError as error:
        raise CompileError(f"{target}: {error.strerror}", BAD_FILE) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(model)
            mask = os.umask(0)
            os.umask(mask)
            os.fchmod(file.fileno(), 0o666 & ~mask)
        os.replace(name, target)
    except BaseException as error:
        pathlib.Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CompileError(f"{target}: {error.strerror}", BAD_FILE) from error
        raise


def train_model(student, data, teacher, labels, output, *, epochs: int, learning_rate: float, weight_decay: float, batch: int | None, held_out: int, loss: str | None, temperature: float | None,
                distillation: float, target: str | None, axis: int | None, mask: Mask, quantize: str | Sequence[str] | None, recipe: object, scales: str, batch_norm: str, frozen: tuple[str, ...],
                seed: int, threads: int | None, options: Mapping[str, object]) -> dict:
    """Does what onager.train says, with PyTorch at hand."""
    start, is_quantised = time.monotonic(), quantize is not None or recipe is not None or "precision" in options
    for name, value, known in (("scales", scales, ("learned", "fixed")), ("batch_norm", batch_norm, ("frozen", "update"))):
        if value not in known:
            raise CompileError(f"{name}: expected {' or '.join(map(repr, known))}, found {value!r}", BAD_OPTION)
    if options and not is_quantised:
        raise CompileError(f"option '{next(iter(options))}' is for quantize", BAD_OPTION)
    settings = {"frozen": frozen, "scales": scales, "batch_norm": batch_norm}
    with use_settings(threads):
        module = GraphModule(load_model(student, "student"), **settings)
        plain = module.model.SerializeToString()
        samples = Samples(data, labels, module.inputs, batch, held_out)
        masks = choose_masks(module, mask)
        if teacher is None and labels is None and not is_quantised and mask in (None, "zeros"):
            raise CompileError("there is nothing to learn from: expected a teacher or labels", BAD_OPTION)
        apply_masks(module, masks)
        report: dict = {}
        if is_quantised:
            module, masks, report["recipe"] = quantise(module, masks, samples, quantize, recipe, settings, options)
        if teacher is not None or labels is None:
            samples.teacher = InferenceSession(plain if teacher is None else load_model(teacher, "teacher").SerializeToString())
            check_teacher(samples.teacher, module)
        first = next(samples.iterate(samples.training[:samples.batch or 1]))
        objective = make_objective(module, first.label, loss, temperature, distillation, target, axis)
        trainer = Trainer(module, masks, samples, objective, epochs, learning_rate, weight_decay, seed)
        report["before"] = trainer.judge()
        report["losses"] = trainer.run()
        report["after"] = trainer.judge()
        trained = module.export().SerializeToString()
        report["difference"] = verify(trained, module, samples)
    if output is not None:
        write_model(trained, output)
    return report | {"loss": objective.kind, "trained": {name: list(parameter.shape) for name, parameter in module.list_trained().items()},
                     "masked": {name: 1 - float(kept.float().mean()) for name, kept in masks.items()}, "training_samples": len(samples.training),
                     "held_out_samples": len(samples.held_out), "seed": seed, "seconds": time.monotonic() - start}
