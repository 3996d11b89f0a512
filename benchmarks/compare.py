"""Runs the same models in Onager, ONNX Runtime and OpenVINO, side by side.

Usage: compare.py [--only WORD ...] [--threads 1 2] [--rounds 5] [--seconds 0.4] [--output RESULT.json] [--write-readme]

Each engine runs in a process of its own, all on the same cores; they take turns, in an order that rotates, for several rounds; a number is the median
over the rounds of each round's median. Numbers of one invocation may be compared with each other, not with those of another. --write-readme puts
the tables into README.md. --output also takes the place of a former result that --table RESULT.json prints again without measuring.
"""
import argparse
import functools
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import numpy as np

from cases import Case, list_cases
from places import BUILD, ROOT, WORK
from table import make_tables, write_readme

ENGINES = ("onager", "onnxruntime", "openvino")


class Engine:
    """A worker process. After an error it is left out of the rest of its case."""

    def __init__(self, name: str, model: pathlib.Path, case: Case, feeds: pathlib.Path, threads: int, cores: list[int]):
        self.name, self.outputs = name, WORK / "outputs" / f"{name}.npz"
        self.outputs.parent.mkdir(parents=True, exist_ok=True)
        self.log = open(self.outputs.with_suffix(".log"), "w+", encoding="utf-8")
        command = [sys.executable, str(ROOT / "benchmarks" / "worker.py"), name, str(model), str(feeds), str(self.outputs), str(threads), ",".join(map(str, cores))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.error = None
        self.facts = self.read() or {}
        self.times: list[float] = []

    def read(self) -> dict | None:
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.log.seek(0)
            lines = self.log.read().strip().splitlines()
            self.error = lines[-1][:300] if lines else f"ended with status {self.process.returncode}"
            return None
        return json.loads(line)

    def measure(self, seconds: float) -> None:
        if self.error is None:
            self.process.stdin.write(f"round {seconds}\n")
            self.process.stdin.flush()
            if answer := self.read():
                self.times.append(answer["run_s"])
                self.facts["memory_bytes"] = answer["memory_bytes"]

    def close(self) -> dict:
        """Ends the process and returns what was found."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()
        return {"error": self.error} if self.error else {**self.facts, "run_s": statistics.median(self.times), "rounds_s": self.times}


@functools.cache
def compile_model(model: pathlib.Path) -> tuple[pathlib.Path, dict]:
    """Compiles with the command line; returns the artifact, and seconds, peak memory and size, or an error."""
    artifact = WORK / "artifacts" / f"{model.parent.name if model.stem == 'model' else model.stem}.so"
    artifact.parent.mkdir(parents=True, exist_ok=True)
    artifact.unlink(missing_ok=True)
    command = [sys.executable, str(ROOT / "benchmarks" / "compiler.py"), str(BUILD / "bin" / "onager"), str(model), str(artifact)]
    facts = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return artifact, facts if "error" in facts else {**facts, "file_bytes": artifact.stat().st_size}


def find_error(found: pathlib.Path, expected: pathlib.Path) -> float | None:
    """Returns the largest difference over all outputs, relative to the largest magnitude of the output; None where they cannot be compared."""
    worst = 0.0
    with np.load(found) as ours, np.load(expected) as theirs:
        for name in theirs.files:
            if name not in ours.files or ours[name].shape != theirs[name].shape:
                return None
            a, b = ours[name].astype(np.float64), theirs[name].astype(np.float64)
            if not np.array_equal(np.isfinite(a), np.isfinite(b)):
                return None
            gap = np.abs(a - b)[np.isfinite(b)].max(initial=0)
            worst = max(worst, float(gap / (np.abs(b[np.isfinite(b)]).max(initial=0) or 1)))
    return worst


def run_case(case: Case, artifact: pathlib.Path, threads: int, arguments) -> dict:
    """Measures one case at one number of threads."""
    feeds, cores = case.save_feeds(), sorted(os.sched_getaffinity(0))[:threads]
    engines = [Engine(name, artifact if name == "onager" else case.model, case, feeds, threads, cores) for name in ENGINES]
    for turn in range(arguments.rounds):
        for place in range(len(engines)):
            engines[(turn + place) % len(engines)].measure(arguments.seconds)
            time.sleep(0.02)  # the threads of the last engine go to sleep
    results = {engine.name: engine.close() for engine in engines}
    reference = engines[ENGINES.index("onnxruntime")]
    for engine in engines:
        if engine.error is None and reference.error is None and engine is not reference:
            results[engine.name]["error_to_onnxruntime"] = find_error(engine.outputs, reference.outputs)
    return {"threads": threads, "engines": results}


def measure_peaks(threads: list[int]) -> dict[int, float]:
    """Returns floating-point operations per second that the cores sustain, by number of threads."""
    binary = WORK / "peak"
    subprocess.run(["clang-22", "-O2", "-march=native", "-ffp-contract=fast", "-pthread", str(ROOT / "benchmarks" / "peak.c"), "-o", str(binary)], check=True)
    cores = sorted(os.sched_getaffinity(0))
    run = lambda count: subprocess.run(["taskset", "-c", ",".join(map(str, cores[:count])), str(binary), str(count)], check=True, capture_output=True, text=True)
    return {count: float(run(count).stdout) for count in threads}


def describe_machine() -> dict:
    """Names the processor, its cores, memory and system, and the engines' versions."""
    import onnxruntime
    import openvino

    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "memory_bytes": memory, "system": f"{platform.system()} {platform.release()}",
            "onager": commit, "onnxruntime": onnxruntime.__version__, "openvino": openvino.__version__.split("-")[0], "date": time.strftime("%Y-%m-%d")}


def measure_all(arguments) -> dict:
    cores = len(os.sched_getaffinity(0))
    threads = [count for count in arguments.threads if count <= cores]
    if not threads:
        sys.exit(f"the process may use {cores} cores only")
    WORK.mkdir(parents=True, exist_ok=True)
    results = {"machine": describe_machine(), "peak_flops": measure_peaks(threads), "rounds": arguments.rounds, "seconds": arguments.seconds, "cases": []}
    for case in list_cases(arguments.only):
        artifact, compiled = compile_model(case.model)
        entry = {"name": case.name, "model_bytes": case.model.stat().st_size, "flops": case.flops, "compile": compiled, "runs": []}
        for count in threads:
            run = run_case(case, artifact, count, arguments)
            entry["runs"].append(run)
            shown = "  ".join(f"{name} {run['engines'][name]['run_s'] * 1e3:.3f} ms" if "run_s" in run["engines"][name] else
                              f"{name}: {run['engines'][name]['error']}" for name in ENGINES)
            print(f"{case.name}, threads {count}: {shown}", flush=True)
        results["cases"].append(entry)
        if arguments.output:
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="cases whose names contain a word")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4, help="length of one round of one engine")
    parser.add_argument("--output", type=pathlib.Path, help="where the numbers go, as JSON")
    parser.add_argument("--table", type=pathlib.Path, help="print the tables of a former result instead of measuring")
    parser.add_argument("--write-readme", action="store_true")
    arguments = parser.parse_args()
    results = json.loads(arguments.table.read_text(encoding="utf-8")) if arguments.table else measure_all(arguments)
    text = make_tables(results)
    print("\n" + text)
    if arguments.write_readme:
        write_readme(text)


if __name__ == "__main__":
    main()
