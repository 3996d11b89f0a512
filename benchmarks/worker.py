"""One engine in a process of its own. compare.py starts it; it answers each line on standard input by a line of JSON.

Usage: worker.py ENGINE MODEL FEEDS.npz OUTPUTS.npz THREADS CORES    (ENGINE: onager, onnxruntime, openvino; CORES: 0,1)

It opens the model and runs it once, writes the outputs, and says what that took. `round SECONDS` then measures one round: at least three runs, about
that long in total; the answer holds the median of a run.
"""
import json
import os
import re
import sys
import time

import numpy as np


def open_onager(model: str, threads: int):
    import onager

    session = onager.InferenceSession(model, threads=threads)
    return [node.name for node in session.get_outputs()], lambda feeds: session.run(None, feeds)


def open_onnxruntime(model: str, threads: int):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return [node.name for node in session.get_outputs()], lambda feeds: session.run(None, feeds)


def open_openvino(model: str, threads: int):
    import openvino

    # f32 as the others: OpenVINO would otherwise take bf16 where the processor has it.
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False}
    compiled = openvino.Core().compile_model(model, "CPU", options)
    request = compiled.create_infer_request()
    names = [port.get_any_name() for port in compiled.outputs]

    def run(feeds):
        results = request.infer(feeds, share_inputs=True, share_outputs=True)
        return [results[port] for port in compiled.outputs]

    return names, run


OPENERS = {"onager": open_onager, "onnxruntime": open_onnxruntime, "openvino": open_openvino}


def read_memory(key: str) -> int:
    """Returns a number of /proc/self/status, in bytes."""
    with open("/proc/self/status", encoding="ascii") as status:
        return int(re.search(rf"^{key}:\s+(\d+) kB", status.read(), re.M).group(1)) << 10


def measure(run, feeds: dict, seconds: float) -> float:
    """Returns the median time of a run over a round."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        run(feeds)
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def main() -> None:
    engine, model, feeds_path, outputs_path, threads, cores = sys.argv[1:]
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    with np.load(feeds_path) as stored:
        feeds = {name: stored[name] for name in stored.files}
    __import__(engine)
    before, start = read_memory("VmRSS"), time.perf_counter()
    names, run = OPENERS[engine](model, int(threads))
    loaded = time.perf_counter()
    outputs = run(feeds)
    first = time.perf_counter()
    np.savez(outputs_path, **{name: np.asarray(value) for name, value in zip(names, outputs, strict=True)})
    print(json.dumps({"load_s": loaded - start, "first_run_s": first - loaded}), file=answers, flush=True)
    for line in sys.stdin:
        seconds = float(line.split()[1])
        print(json.dumps({"run_s": measure(run, feeds, seconds), "memory_bytes": read_memory("VmHWM") - before}), file=answers, flush=True)


if __name__ == "__main__":
    main()
