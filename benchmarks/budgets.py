"""Whether a budget holds on data that did not choose: ten random splits of the samples of real models.

Usage: budgets.py [--splits N] [--only NAME ...]. Needs scikit-image for its photographs, and the collected models.
"""
import argparse
import dataclasses
import pathlib
import sys

import numpy as np

import onager
from places import SHARED, WORK
from quantizer_cases import list_cases
from quantizers import name_input
from texts import Writer, make_feeds

SAMPLES, TOKENS = 60, 100


@dataclasses.dataclass
class Subject:
    """A model, its samples, what it may become, and what that may cost."""

    name: str
    path: pathlib.Path
    samples: list[dict[str, np.ndarray]]
    schemes: str
    budget: str


def write_stories(path: pathlib.Path) -> list[dict[str, np.ndarray]]:
    """Texts that a language model writes itself, from a seed."""
    writer, random = Writer(path), np.random.default_rng(7)
    return make_feeds([writer.write(random, TOKENS, TOKENS) for _ in range(SAMPLES)])


def list_subjects(only: list[str]) -> list[Subject]:
    subjects = []
    for name, budget in (("mnist-8", "sqnr>=40"), ("ultraface-rfb-320", "sqnr>=50")):
        for case in list_cases([name]) if not only or name in only else []:
            key = name_input(case.path)
            samples = [{key: value} for part in ("calibration", "test") for value in case.draw(part, SAMPLES // 2)]
            subjects.append(Subject(name, case.path, samples, "int8", budget))
    stories = SHARED / "llm" / "stories260K" / "stories260K-derived.onnx"
    if stories.exists() and (not only or "stories260K" in only):
        subjects.append(Subject("stories260K", stories, write_stories(stories), "int4,int8-weights", "kl<=0.03"))
    return subjects


def judge(subject: Subject, splits: int) -> str:
    """A row: in how many splits the budget held, and what the held-out samples lost."""
    random, held, values, shares = np.random.default_rng(1), 0, [], []
    folder = WORK / "budgets"
    folder.mkdir(parents=True, exist_ok=True)
    for split in range(splits):
        order = random.permutation(len(subject.samples))
        report = onager.compress(subject.path, [subject.samples[k] for k in order], folder / f"{subject.name}.onnx", quantize=subject.schemes, budget=subject.budget, minimize="bytes", threads=1)
        outcome, first = report["budgets"][0], subject.schemes.split(",")[0]
        held += outcome["holds"]
        values.append(outcome["held_out"])
        shares.append(np.mean([layer["scheme"] == first for layer in report["layers"]]))
        print(f"{subject.name}, split {split}: {outcome['held_out']:.5g}, {shares[-1]:.0%} of layers {first}", flush=True)
    return f"| {subject.name} | {subject.schemes} | {subject.budget} | {held} of {splits} | {min(values):.4g} to {max(values):.4g} | {min(shares):.0%} to {max(shares):.0%} |\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    arguments = parser.parse_args()
    rows = [judge(subject, arguments.splits) for subject in list_subjects(arguments.only)]
    print("| model | schemes | budget | held | held-out samples have | layers in the first scheme |\n|---|---|---|--:|--:|--:|\n" + "".join(rows), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
