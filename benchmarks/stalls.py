"""Latencies of requests while code for their sizes is compiled beside them, against the same trace without compiling.

Usage: stalls.py [--only WORD ...] [--threads 1 2] [--requests 10000] [--rounds 3] [--seed N] [--output RESULT.json]

Traces are those of traces.py. Each round runs the trace in two processes, one after the other: with recompilation off, and lazy with an empty cache. With one
thread the session has the first core to itself and the compiler the others. What is compared is the tail of all requests' times: a request never waits for the
compiler, but it shares memory with it, and cores where the session uses all.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import numpy as np

from places import WORK
from traces import list_traces

SHARES = (50, 99, 99.9, 100)
MODES = ("off", "lazy")


def work(artifact: str, threads: int, mode: str, sizes: pathlib.Path, feeds: pathlib.Path) -> None:
    """Runs in a process of its own: prints the requests' percentiles in seconds, and what was compiled."""
    import onager

    loaded = {size: dict(np.load(feeds / f"{size}.npz")) for size in set(json.loads(sizes.read_text()))}
    cores = os.sched_getaffinity(0)
    session = onager.InferenceSession(artifact, threads=threads, recompile=mode)
    if threads == 1:
        os.sched_setaffinity(0, {min(cores)})
    session.run(None, next(iter(loaded.values())))
    times = []
    for size in json.loads(sizes.read_text()):
        start = time.perf_counter()
        session.run(None, loaded[size])
        times.append(time.perf_counter() - start)
    print(json.dumps({"seconds": [float(np.percentile(times, share)) for share in SHARES], "stats": session.stats()}))


def run_trace(trace, threads: int, arguments: argparse.Namespace) -> dict:
    import onager

    folder = WORK / "stalls" / trace.name
    folder.mkdir(parents=True, exist_ok=True)
    drawn = trace.draw(arguments.seed, arguments.requests)
    for size in set(drawn):
        np.savez(folder / f"{size}.npz", **trace.feeds(size))
    sizes = folder / "sizes.json"
    sizes.write_text(json.dumps(drawn))
    artifact = onager.compile(trace.model, folder / "model.so")
    found = {mode: [] for mode in MODES}
    for number in range(arguments.rounds):
        for mode in MODES:
            cache = folder / f"cache-{os.getpid()}-{number}"
            command = [sys.executable, __file__, "--worker", artifact, str(threads), mode, str(sizes), str(folder)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | {"ONAGER_CACHE_DIR": str(cache)}).stdout
            found[mode].append(json.loads(answer))
            shutil.rmtree(cache, ignore_errors=True)
    seconds = {mode: [statistics.median(run["seconds"][k] for run in runs) for k in range(len(SHARES))] for mode, runs in found.items()}
    return {"name": trace.name, "threads": threads, "requests": len(drawn), "seconds": {mode: dict(zip(map(str, SHARES), values)) for mode, values in seconds.items()},
            "ratio": {str(share): lazy / off for share, off, lazy in zip(SHARES, *seconds.values())}, "stats": found["lazy"][-1]["stats"]}


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        artifact, threads, mode, sizes, feeds = sys.argv[2:]
        return work(artifact, int(threads), mode, pathlib.Path(sizes), pathlib.Path(feeds))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=["ppocr"], metavar="WORD")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=20261129)
    parser.add_argument("--output", type=pathlib.Path)
    arguments = parser.parse_args()
    results = []
    for trace in list_traces(arguments.only):
        for threads in arguments.threads:
            results.append(run_trace(trace, threads, arguments))
            print(json.dumps(results[-1]), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
