"""Fine-tuning ONNX models with PyTorch: quantisation-aware training, training under masks, distillation."""
from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from numpy.typing import ArrayLike

from .._errors import CompileError


def train(student: str | os.PathLike[str] | bytes, data: str | os.PathLike[str] | Iterable[Mapping[str, ArrayLike]], teacher: str | os.PathLike[str] | bytes | None = None, *,
          labels: str | Iterable[ArrayLike] | None = None, output: str | os.PathLike[str] | None = None, epochs: int = 10, learning_rate: float = 1e-3, weight_decay: float = 0.0,
          batch: int | None = None, held_out: int = 5, loss: str | None = None, temperature: float | None = None, distillation: float = 0.5, target: str | None = None, axis: int | None = None,
          mask: str | float | Mapping[str, ArrayLike] | None = "zeros", quantize: str | Sequence[str] | None = None, recipe: Mapping | str | os.PathLike[str] | None = None, scales: str = "learned",
          batch_norm: str = "frozen", frozen: Sequence[str] = (), seed: int = 0, threads: int | None = None, **options: object) -> dict:
    """Fine-tunes an ONNX model and returns a report; needs the packages torch and onnx.

    The student learns from a teacher's outputs, from labels, or from both. The result has the student's graph, names and structure; only values of initialisers differ. Trained are those
    of float32, and integer ones that a DequantizeLinear or MatMulNBits reads, which are rounded in every step while gradients pass straight through.

    student, teacher: ONNX models, paths or bytes. The teacher takes no other inputs and has the student's outputs; by default, without labels, it is the student as it was given.
    data: an iterable of feeds (name -> array), or a folder of .npz. Each is a batch of training, in an order drawn anew in every epoch; with `batch`, rows of all of them are mixed,
        that many at a time. Each `held_out`th sample (or row) is held out; 0 holds out none.
    labels: one array for each sample, or the name of an array in each. Integers are classes (cross entropy); floats are wanted values (mean squares). They are for the output
        `target`, the first by default.
    output: where the result goes: ONNX where it ends in .onnx, else compiled. Whole or absent, whatever happens.
    epochs, learning_rate, weight_decay: of AdamW, whose rate falls along a cosine.
    loss: "kl" (softmax at `temperature`, 2 by default, along `axis`), "mse", or "choices": mean squares and, of `target` along `axis`, how far the teacher's first choice leads, so that
        close ones, such as the next token of a text that is known, do not turn; by default "kl" where labels are integers, a temperature is given or an output is that of a softmax.
    distillation: the teacher's share of the loss where there are labels as well.
    mask: weights that become and stay zero: "zeros", those of layers that are zero already; "N:M", such as "2:4": all but N of each M terms of an output's sum; a share
        of each layer's, the smallest; arrays by name, zero where the weight is; None.
    quantize, recipe, or the option precision: first compress the student as onager.compress does, with its other options, and train the compressed model; masks are of the student.
    scales: "learned" or "fixed", of quantised values. batch_norm: "frozen" or "update", of the statistics. frozen: names of initialisers that stay.
    seed: decides everything random. With as many `threads`, the same call gives the same bytes on one machine.

    The report has, of held-out samples, `before` and `after` training: loss and, as far as they apply, accuracy (of labels), agreement (with the teacher's choice), relative_error;
    `losses` of each epoch; `difference`, how far the written model, compiled, is from PyTorch's results; `trained` and `masked` initialisers; with quantize its `recipe`.

    Raises CompileError for models, operators, data and options that cannot be used, ImportError where torch or onnx is absent.
    """
    try:
        import onnx  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise ImportError(f"onager.train needs PyTorch and onnx ({error}): pip install torch onnx, or the extra 'train' of this package") from error
    from .loop import train_model

    if epochs < 0 or not learning_rate > 0:
        raise CompileError(f"expected epochs of 0 or more and a learning_rate above 0, found {epochs} and {learning_rate}", 2)
    return train_model(student, data, teacher, labels, output, epochs=epochs, learning_rate=learning_rate, weight_decay=weight_decay, batch=batch, held_out=held_out, loss=loss,
                       temperature=temperature, distillation=distillation, target=target, axis=axis, mask=mask, quantize=quantize, recipe=recipe, scales=scales, batch_norm=batch_norm, frozen=tuple(frozen),
                       seed=seed, threads=threads, options=options)
