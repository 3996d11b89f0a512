"""Times one-node models in Onager and ONNX Runtime, by turns in this process, on one thread.

Usage: operators.py [WORD ...] [--rounds 5] [--seconds 0.03] [--output RESULT.json] [--table RESULT.json]

WORDs choose cases of operator_cases.py. Prints a Markdown table, slowest against ONNX Runtime first: medians over the rounds of each round's
fastest run, and the ratio (above 1: Onager is faster). A case that ONNX Runtime has no kernel for is listed below it.
"""
import os
import statistics
import time

import onager
import onnxruntime

from answers import run_cases
from operator_cases import OperatorCase, list_operator_cases
from table import geomean


def make_runners(case: OperatorCase) -> dict:
    """Returns a function for each engine that runs the case once, or the text of what failed."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    makers = {"onager": lambda: onager.InferenceSession(case.model, threads=1), "onnxruntime": lambda: onnxruntime.InferenceSession(case.model, options)}
    runners = {}
    for name, make in makers.items():
        try:
            session = make()
            session.run(None, case.feeds)
            runners[name] = lambda session=session: session.run(None, case.feeds)
        except Exception as error:  # what an engine refuses is part of the result
            runners[name] = str(error).strip().splitlines()[-1][:200]
    return runners


def measure(run, seconds: float) -> float:
    """Returns the fastest of the runs that fit into the time, of three at least."""
    best, runs, end = float("inf"), 0, time.perf_counter() + seconds
    while runs < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best, runs = min(best, time.perf_counter() - start), runs + 1
    return best


def run_case(case: OperatorCase, rounds: int, seconds: float) -> dict:
    runners = make_runners(case)
    result = {"name": case.name, **{f"{name}_error": run for name, run in runners.items() if isinstance(run, str)}}
    if len(result) == 1:
        times = {name: [] for name in runners}
        for _ in range(rounds):
            for name, run in runners.items():
                times[name].append(measure(run, seconds))
        result |= {f"{name}_s": statistics.median(values) for name, values in times.items()}
    return result


def make_table(results: list[dict]) -> str:
    """Returns the Markdown of results."""
    both = [result for result in results if "onager_s" in result]
    ratio = lambda result: result["onnxruntime_s"] / result["onager_s"]
    text = "| operator | Onager us | ONNX Runtime us | ratio |\n|---|--:|--:|--:|\n"
    for result in sorted(both, key=ratio):
        text += f"| {result['name']} | {result['onager_s'] * 1e6:.0f} | {result['onnxruntime_s'] * 1e6:.0f} | {ratio(result):.2f}x |\n"
    if both:
        slow = sum(ratio(result) < 0.5 for result in both)
        text += f"\n{len(both)} cases, geometric mean {geomean([ratio(result) for result in both]):.2f}x, {slow} below 0.5x.\n"
    failed = [result for result in results if "onager_s" not in result]
    text += "".join(f"- {result['name']}: {key.removesuffix('_error')}: {value}\n" for result in failed for key, value in result.items() if key != "name")
    return text


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    run_cases(__doc__, "operators", 5, 0.03, list_operator_cases, run_case, make_table, onnxruntime=onnxruntime.__version__)
