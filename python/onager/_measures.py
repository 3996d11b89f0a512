"""Metrics that are Python functions: their bounds, and answers to the command line's questions."""
from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import numpy as np

Measure = Callable[[np.ndarray, np.ndarray, int], float]

ORDERS = {">=": lambda value, bound: value >= bound, "<=": lambda value, bound: value <= bound, ">": lambda value, bound: value > bound, "<": lambda value, bound: value < bound}


def split_measure(one: object, threshold: str | None) -> tuple[Measure, str, Callable, float]:
    """Returns a function, its bound as text, the bound's order and its number; `one` is a function, or a pair of it and its bound."""
    measure, bound = one if isinstance(one, tuple) else (one, threshold)
    if not callable(measure):
        raise TypeError(f"expected a bound such as 'sqnr>=30' or a function, found {measure!r}")
    order = next((order for order in (">=", "<=", ">", "<") if bound and bound.startswith(order)), None)
    try:
        return measure, str(bound), ORDERS[order], float(bound[len(order):])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"expected the function's bound, such as '<=0.1', found {bound!r}") from None


class MeasureServer:
    """Answers what `--metric-program` asks by calling a function in this process; an exception that the function raises ends the answers and is kept in `failure`."""

    def __init__(self, measure: Measure):
        self.measure, self.failure = measure, None
        self._questions, asking = os.pipe()
        hearing, self._answers = os.pipe()
        self.inherited = (asking, hearing)

    @property
    def command(self) -> str:
        """The program: passes lines on to this process, and back, over pipes that it inherits; it ends with its input."""
        return f"exec 3<&0; (cat <&3; kill $$) >/dev/fd/{self.inherited[0]} & exec cat </dev/fd/{self.inherited[1]}"

    def serve(self) -> None:
        """Answers until the program has ended. To be called when the program's parent has been started."""
        for descriptor in self.inherited:
            os.close(descriptor)
        with open(self._questions, encoding="utf-8") as questions, contextlib.suppress(BrokenPipeError), open(self._answers, "w", encoding="utf-8") as answers:
            for line in questions:
                expected, found, sample = line.rstrip("\n").split("\t")
                try:
                    answer = float(self.measure(np.load(expected), np.load(found), int(sample)))
                except BaseException as failure:  # noqa: BLE001 - it is raised again by who started the program
                    self.failure = failure
                    return
                answers.write(f"{answer:.17g}\n")
                answers.flush()
