"""Times single kernels on one thread: of the machine's measured peak or bandwidth, and beside oneDNN's.

Usage: kernels.py [WORD ...] [--rounds 3] [--seconds 0.2] [--output RESULT.json] [--table RESULT.json]

WORDs choose cases of kernel_cases.py. `onager bench` and oneDNN's benchmark (built where libdnnl-dev is installed) take turns; the numbers are medians over the
rounds of each round's median time. The peak of products and the bandwidth are those that `onager bench` measures in the same rounds: the largest of each, since
what slows the machine down for a moment lowers them.
"""
import json
import pathlib
import statistics
import subprocess
import tempfile

import onager

from answers import run_cases
from kernel_cases import KernelCase, list_kernel_cases
from places import BUILD
from table import geomean

BENCHMARK = BUILD / "bin" / "onager-onednn-benchmark"


def time_ours(artifact: pathlib.Path, seconds: float, *options: str) -> dict:
    command = [str(BUILD / "bin" / "onager"), "bench", str(artifact), "--threads", "1", "--seconds", str(seconds), "--json", *options]
    return json.loads(subprocess.run(["taskset", "-c", "0", *command], check=True, capture_output=True).stdout)


def time_onednn(case: KernelCase, seconds: float) -> float | None:
    """Returns seconds of a run, or None where oneDNN is not there or has no such kernel."""
    if not BENCHMARK.exists() or case.name.startswith("int4"):
        return None
    command = ["taskset", "-c", "0", str(BENCHMARK), case.name, "--benchmark_format=json", "--benchmark_time_unit=ns", f"--benchmark_min_time={seconds}"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, env={"OMP_NUM_THREADS": "1"}).stdout)
    return found["benchmarks"][0]["real_time"] / 1e9


def run_case(case: KernelCase, rounds: int, seconds: float) -> dict:
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        artifact = pathlib.Path(onager.compile(case.model, pathlib.Path(folder) / "kernel.so"))
        for _ in range(rounds):
            ours.append(time_ours(artifact, seconds))
            theirs.append(time_onednn(case, seconds))
    found = {"name": case.name, "onager_s": statistics.median(run["median_ms"] for run in ours) / 1e3, "operations": case.operations, "speedup": case.speedup, "moved": case.moved,
             "peak_flops": max(run["peak_gflops"] for run in ours) * 1e9, "peak_bytes": max(run["peak_gbytes_per_second"] for run in ours) * 1e9}
    return found | ({"onednn_s": statistics.median(theirs)} if theirs[0] else {})


def get_share(result: dict, peak_flops: float, peak_bytes: float) -> float | None:
    """Of the bandwidth for what is read once, else of the peak of products."""
    if result["moved"]:
        return result["moved"] / result["onager_s"] / peak_bytes
    return result["operations"] / result["onager_s"] / (peak_flops * result["speedup"]) if result["operations"] else None


def make_table(results: list[dict]) -> str:
    """Returns the Markdown of results, and what each kind comes to."""
    flops, read = (max(result[key] for result in results) for key in ("peak_flops", "peak_bytes"))
    text = f"Peak of f32 products {flops / 1e9:.0f} GFLOP/s, of reading {read / 1e9:.1f} GB/s.\n\n| kernel | Onager us | oneDNN us | ratio | GFLOP/s | share | of |\n|---|--:|--:|--:|--:|--:|---|\n"
    shares, ratios = {}, {}
    for result in results:
        kind, share, ours, theirs = result["name"].split(":")[0], get_share(result, flops, read), result["onager_s"], result.get("onednn_s")
        limit = "reading" if result["moved"] else "products" if share else "–"
        if share:
            shares.setdefault((kind, limit), []).append(share)
        if theirs:
            ratios.setdefault(kind, []).append(theirs / ours)
        text += (f"| {result['name']} | {ours * 1e6:.1f} | {f'{theirs * 1e6:.1f}' if theirs else '–'} | {f'{theirs / ours:.2f}x' if theirs else '–'} | "
                 f"{result['operations'] / ours / 1e9:.1f} | {f'{share:.0%}' if share else '–'} | {limit} |\n")
    text += "\n"
    for (kind, limit), values in shares.items():
        text += f"- {kind}, of {limit}: median {statistics.median(values):.0%}, lowest {min(values):.0%}\n"
    return text + "".join(f"- {kind}, beside oneDNN: geometric mean {geomean(values):.2f}x, lowest {min(values):.2f}x\n" for kind, values in ratios.items())


if __name__ == "__main__":
    run_cases(__doc__, "kernels", 3, 0.2, list_kernel_cases, run_case, make_table)
