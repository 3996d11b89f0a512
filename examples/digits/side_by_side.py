"""Measures calls side by side, so that what else the machine does hits both alike."""
import time

import onnxruntime


def open_peer(path, threads: int) -> onnxruntime.InferenceSession:
    """Opens a model in ONNX Runtime with as many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def measure_medians(calls: list, rounds: int = 15, seconds: float = 0.05) -> list[float]:
    """Returns the median seconds of one call of each: `rounds` rounds, in each of which every call runs for about `seconds`."""
    repeats = []
    for call in calls:
        call()
        start = time.perf_counter()
        call()
        repeats.append(max(1, int(seconds / max(time.perf_counter() - start, 1e-7))))
    samples = [[] for _ in calls]
    for _ in range(rounds):
        for call, repeat, times in zip(calls, repeats, samples):
            start = time.perf_counter()
            for _ in range(repeat):
                call()
            times.append((time.perf_counter() - start) / repeat)
    return [sorted(times)[len(times) // 2] for times in samples]
