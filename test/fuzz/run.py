#!/usr/bin/env python3
"""Compares random graphs with ONNX Runtime until told to stop, shrinks what differs and keeps it in build/fuzz.

Usage: test/fuzz/run.py [--seed N] [--count N] [--minutes M] [--no-shrink]

Each graph is compiled once, at -O1 for a level of processors that its seed draws; every sixteenth at -O0 and at -O3. Three of eight are run by a variant for their
shapes, two that come with the artifact and one that the session has made.
Graph N of a run has the seed N of the start plus its number, so that one graph is repeated by --seed S --count 1. Counts of each verdict and the
next seed are kept in graphs.json in the folder ONAGER_FUZZ_DIR (build/fuzz), and a run without a seed goes on there. Run it by the Python of build/venv.
"""
import argparse
import collections
import json
import os
import pathlib
import pickle
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fuzz.compare import compare, draw_forms  # noqa: E402  (the folder above is on the path now)
from fuzz.graphs import make_graph  # noqa: E402
from support.places import BUILD  # noqa: E402
from support.workers import run_tasks  # noqa: E402

BATCH = 40
FOLDER = pathlib.Path(os.environ.get("ONAGER_FUZZ_DIR", BUILD / "fuzz"))


def try_seed(seed: int) -> tuple[str, str]:
    """Makes, runs and compares the graph of a seed."""
    model, feeds = make_graph(seed)
    return compare(model.SerializeToString(), feeds, draw_forms(seed))


def explain(seed: int, result: tuple[str, str], shrinks: bool) -> str:
    """Shrinks the graph of a seed, keeps it, and says what is left."""
    from fuzz.reduce import describe, shrink

    text = f"seed {seed}: {result[0]}: {result[1]}"
    if not shrinks:
        return text
    model, feeds = make_graph(seed)
    data, feeds, reason = shrink(model.SerializeToString(), feeds, draw_forms(seed))
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{seed}.onnx").write_bytes(data)
    (FOLDER / f"{seed}.inputs.pickle").write_bytes(pickle.dumps(feeds))
    return f"{text}\n reduced to {FOLDER / f'{seed}.onnx'}: {reason}\n{describe(data, feeds)}"


class Counts:
    """How many graphs had each verdict in all runs, and the seed of the next graph."""

    def __init__(self, folder: pathlib.Path):
        self.path = folder / "graphs.json"
        self.state = json.loads(self.path.read_text()) if self.path.exists() else {"next": 1, "verdicts": {}}

    def add(self, results: dict) -> None:
        verdicts = collections.Counter(self.state["verdicts"])
        verdicts.update(verdict for verdict, _ in results.values())
        self.state = {"next": max(self.state["next"], *(seed + 1 for seed in results)), "verdicts": dict(verdicts)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.state, indent=1, sort_keys=True) + "\n")
        part.replace(self.path)

    def get_total(self) -> int:
        return sum(self.state["verdicts"].values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=None, help="the first graph's; without it, where the last run ended")
    parser.add_argument("--count", type=int, default=0, help="graphs to try; without it, as many as the minutes allow")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--no-shrink", action="store_true")
    options = parser.parse_args()
    kept, counts, start = Counts(FOLDER), collections.Counter(), time.monotonic()
    first = seed = kept.state["next"] if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    while (seed < first + options.count) if options.count else time.monotonic() < start + 60 * options.minutes:
        batch = range(seed, min(seed + BATCH, first + options.count) if options.count else seed + BATCH)
        results = run_tasks(try_seed, list(batch), keep=True)
        for tried, result in results.items():
            counts[result[0]] += 1
            if result[0] == "refused":
                print(f"seed {tried}: refused: {result[1]}", flush=True)
            elif result[0] != "same":
                print(explain(tried, result, not options.no_shrink), flush=True)
        # A graph that is repeated by its seed is none of the next.
        if options.seed is None:
            kept.add(results)
        seed = batch.stop
    spent = time.monotonic() - start
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) + f"; {sum(counts.values()) / max(spent, 1e-9):.1f} graphs a second; "
          f"{kept.get_total()} graphs in all runs")
    return 1 if set(counts) - {"same", "refused"} else 0


if __name__ == "__main__":
    sys.exit(main())
