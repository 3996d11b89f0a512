#!/usr/bin/env python3
"""Compares random graphs with ONNX Runtime and with -O0 until told to stop, shrinks what differs and keeps it in build/fuzz.

Usage: test/fuzz/run.py [--seed N] [--count N] [--minutes M] [--no-shrink]

Graph N of a run has the seed N of the start plus its number, so that one graph is repeated by --seed S --count 1. Run it by the Python of build/venv.
"""
import argparse
import collections
import pathlib
import pickle
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fuzz.compare import compare  # noqa: E402  (the folder above is on the path now)
from fuzz.graphs import make_graph  # noqa: E402
from support.places import BUILD  # noqa: E402
from support.workers import run_tasks  # noqa: E402

BATCH = 40


def try_seed(seed: int) -> tuple[str, str]:
    """Makes, runs and compares the graph of a seed."""
    model, feeds = make_graph(seed)
    return compare(model.SerializeToString(), feeds)


def explain(seed: int, result: tuple[str, str], shrinks: bool) -> str:
    """Shrinks the graph of a seed, keeps it, and says what is left."""
    from fuzz.reduce import describe, shrink

    text = f"seed {seed}: {result[0]}: {result[1]}"
    if not shrinks:
        return text
    model, feeds = make_graph(seed)
    data, feeds, reason = shrink(model.SerializeToString(), feeds)
    folder = BUILD / "fuzz"
    folder.mkdir(exist_ok=True)
    (folder / f"{seed}.onnx").write_bytes(data)
    (folder / f"{seed}.inputs.pickle").write_bytes(pickle.dumps(feeds))
    return f"{text}\n reduced to {folder / f'{seed}.onnx'}: {reason}\n{describe(data, feeds)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=time.time_ns() % (1 << 32))
    parser.add_argument("--count", type=int, default=0, help="graphs to try; without it, as many as the minutes allow")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--no-shrink", action="store_true")
    options = parser.parse_args()
    counts, seed, end = collections.Counter(), options.seed, time.monotonic() + 60 * options.minutes
    print(f"seed {seed}", flush=True)
    while (seed < options.seed + options.count) if options.count else time.monotonic() < end:
        batch = range(seed, min(seed + BATCH, options.seed + options.count) if options.count else seed + BATCH)
        for tried, result in run_tasks(try_seed, list(batch)).items():
            counts[result[0]] += 1
            if result[0] not in ("same", "refused"):
                print(explain(tried, result, not options.no_shrink), flush=True)
        seed = batch.stop
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return 1 if set(counts) - {"same", "refused"} else 0


if __name__ == "__main__":
    sys.exit(main())
