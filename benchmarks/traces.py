"""Requests of mixed sizes: the same trace in Onager, ONNX Runtime and OpenVINO, side by side.

Usage: traces.py [--only WORD ...] [--threads 1] [--requests N] [--seed N] [--output RESULT.json]

Sizes follow Zipf's law over the sizes that a case allows, in an order drawn from the seed. Each engine runs in a process of its own, all on the same
cores; they take turns, some hundred requests at a time, and keep what they learned, so that what an engine compiles on its way counts as its time. Onager
runs twice: with recompilation off and as it is by default, lazy. At the end the first and the last result of every size are compared with ONNX Runtime's.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import onnx

from places import WORK, find_models, provide_topology
from topologies import Graph, bert_base, make_feeds
from worker import OPENERS

ENGINES = ("onager-off", "onager", "onnxruntime", "openvino")
TURN = 250


@dataclasses.dataclass
class Trace:
    """A model and what its requests look like."""

    name: str
    model: pathlib.Path
    requests: int
    sizes: list[int]
    symbols: dict[str, int]  # extents of all symbols; the one that varies has 0

    def draw(self, seed: int, count: int) -> list[int]:
        random = np.random.default_rng(seed)
        order = random.permutation(self.sizes)
        weights = 1 / np.arange(1, len(order) + 1) ** 1.1
        return random.choice(order, count, p=weights / weights.sum()).tolist()

    def feeds(self, size: int) -> dict[str, np.ndarray]:
        return make_feeds(onnx.load(self.model, load_external_data=False), {name: extent or size for name, extent in self.symbols.items()}, seed=size)


def provide_small_bert() -> pathlib.Path:
    """Writes a BERT of 2 layers, 256 wide."""
    path = WORK / "topologies" / "bert-small.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = Graph("bert-small")
    bert_base(graph, layers=2, heads=4, size=64, words=30522)
    onnx.save(graph.model(), path)
    return path


def list_traces(only: list[str]) -> list[Trace]:
    traces = [("bert-small", provide_small_bert, 10_000, range(1, 513), {"batch": 1, "sequence": 0}),
              ("bert-base", lambda: provide_topology("bert-base"), 500, range(1, 513), {"batch": 1, "sequence": 0})]
    if models := find_models():
        path = models / "ppocr-en-number-rec" / "model.onnx"
        names = [dim.dim_param for dim in onnx.load(path).graph.input[0].type.tensor_type.shape.dim if dim.dim_param]
        traces.insert(0, ("ppocr-en-number-rec", lambda: path, 10_000, range(32, 641), {name: 0 if name == names[-1] else 1 for name in names}))
    return [Trace(name, provide(), count, list(sizes), symbols) for name, provide, count, sizes, symbols in traces if not only or any(word in name for word in only)]


def work(engine: str, model: str, threads: int, cores: list[int], feeds: pathlib.Path, results: pathlib.Path) -> None:
    """Runs in a process of its own: answers each line of sizes by the seconds that they took, together and each size's last."""
    os.sched_setaffinity(0, cores)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    if engine == "onager-off":
        os.environ["ONAGER_RECOMPILE"] = "off"
    _, run = OPENERS[engine.removesuffix("-off")](model, threads)
    print("ready", file=answers, flush=True)
    first, last = {}, {}
    for line in sys.stdin:
        sizes, spent = json.loads(line), 0.0
        loaded = {size: dict(np.load(feeds / f"{size}.npz")) for size in set(sizes)}
        for size in sizes:
            start = time.perf_counter()
            outputs = run(loaded[size])
            spent += time.perf_counter() - start
            last[size] = [np.array(value) for value in outputs]
            first.setdefault(size, last[size])
        print(spent, file=answers, flush=True)
    np.savez(results, **{f"{which} {size} {k}": value for which, group in (("first", first), ("last", last)) for size, values in group.items() for k, value in enumerate(values)})


class Engine:
    def __init__(self, name: str, trace: Trace, model: pathlib.Path, threads: int, cores: list[int], feeds: pathlib.Path):
        self.name, self.seconds, self.results = name, 0.0, WORK / "traces" / f"{trace.name}-{name}.npz"
        command = [sys.executable, __file__, "--worker", name, str(model), str(threads), json.dumps(cores), str(feeds), str(self.results)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", name

    def run(self, sizes: list[int]) -> None:
        self.process.stdin.write(json.dumps(sizes) + "\n")
        self.process.stdin.flush()
        self.seconds += float(self.process.stdout.readline())

    def close(self) -> dict[str, np.ndarray]:
        self.process.stdin.close()
        self.process.wait()
        return dict(np.load(self.results))


def find_difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """Returns the largest difference to the reference's results, relative to the largest magnitude of each."""
    worst = 0.0
    for key, value in expected.items():
        assert found[key].shape == value.shape, key
        worst = max(worst, float(np.abs(found[key].astype(np.float64) - value).max(initial=0) / (np.abs(value).max(initial=0) or 1)))
    return worst


def run_trace(trace: Trace, arguments: argparse.Namespace) -> dict:
    import onager

    sizes = trace.draw(arguments.seed, min(trace.requests, arguments.requests or trace.requests))
    feeds = WORK / "traces" / trace.name
    feeds.mkdir(parents=True, exist_ok=True)
    for size in set(sizes):
        np.savez(feeds / f"{size}.npz", **trace.feeds(size))
    artifact = onager.compile(trace.model, WORK / "traces" / f"{trace.name}.so")
    cores = sorted(os.sched_getaffinity(0))[: arguments.threads]
    engines = [Engine(name, trace, artifact if name.startswith("onager") else trace.model, arguments.threads, cores, feeds) for name in ENGINES]
    for turn, begin in enumerate(range(0, len(sizes), arguments.turn)):
        for place in range(len(engines)):
            engines[(turn + place) % len(engines)].run(sizes[begin : begin + arguments.turn])
    results = {engine.name: engine.close() for engine in engines}
    seconds = {engine.name: engine.seconds for engine in engines}
    return {"name": trace.name, "threads": arguments.threads, "requests": len(sizes), "distinct": len(set(sizes)), "seconds": seconds,
            "to_best_peer": min(seconds["onnxruntime"], seconds["openvino"]) / seconds["onager"],
            "error": {name: find_difference(results[name], results["onnxruntime"]) for name in ENGINES if name != "onnxruntime"}}


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        engine, model, threads, cores, feeds, results = sys.argv[2:]
        return work(engine, model, int(threads), json.loads(cores), pathlib.Path(feeds), pathlib.Path(results))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--requests", type=int, help="at most so many of each trace")
    parser.add_argument("--turn", type=int, default=TURN, help="requests between which the engines change")
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--output", type=pathlib.Path)
    arguments = parser.parse_args()
    os.environ["ONAGER_CACHE_DIR"] = str(WORK / "traces" / f"cache-{os.getpid()}")
    results = []
    for trace in list_traces(arguments.only):
        results.append(run_trace(trace, arguments))
        print(json.dumps(results[-1]), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
