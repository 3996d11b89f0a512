"""Turns the numbers of compare.py into Markdown."""
import math

from answers import put_between
from places import ROOT

PEERS = ("onnxruntime", "openvino")


def geomean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def megabytes(size: float | None) -> str:
    return "–" if size is None else f"{size / 1e6:.1f}" if size < 100e6 else f"{size / 1e6:.0f}"


def ratios(engines: dict) -> tuple[float | None, float | None]:
    """Returns how many times as fast Onager is as ONNX Runtime, and as the faster of the peers; None where one did not run."""
    ours = engines["onager"].get("run_s")
    theirs = [engines[peer].get("run_s") for peer in PEERS]
    known = [time for time in theirs if time]
    return (theirs[0] / ours if ours and theirs[0] else None), (min(known) / ours if ours and known else None)


def speed_row(case: dict, run: dict, peak: float | None) -> str:
    engines = run["engines"]
    ours = engines["onager"].get("run_s")
    to_first, to_best = ratios(engines)
    share = f"{case['flops'] / ours / peak:.0%}" if ours and peak and case["flops"] else "–"
    error = engines["onager"].get("error_to_onnxruntime")
    cells = [case["name"], str(run["threads"]), *(milliseconds(engines[name].get("run_s")) for name in ("onager", *PEERS)),
             f"{to_first:.2f}x" if to_first else "–", f"{to_best:.2f}x" if to_best else "–", share, "–" if error is None else f"{error:.0e}"]
    return "| " + " | ".join(cells) + " |\n"


def make_speed(results: dict) -> str:
    """One row for each case and number of threads, then the geometric means."""
    text = "| model | threads | Onager ms | ONNX Runtime ms | OpenVINO ms | to ONNX Runtime | to the best peer | of peak | error |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    peaks = {int(threads): rate for threads, rate in results["peak_flops"].items()}
    by_threads: dict[int, list[tuple]] = {}
    for case in results["cases"]:
        for run in case["runs"]:
            text += speed_row(case, run, peaks.get(run["threads"]))
            by_threads.setdefault(run["threads"], []).append(ratios(run["engines"]))
    for threads, pairs in sorted(by_threads.items()):
        first, best = ([pair[k] for pair in pairs if pair[k]] for k in (0, 1))
        if first and best:
            text += f"| **geometric mean** of {len(first)} | {threads} | | | | **{geomean(first):.2f}x** | **{geomean(best):.2f}x** | | |\n"
    return text


def make_costs(results: dict) -> str:
    """Compiling, loading and memory; of the last number of threads measured."""
    text = ("| model | compile s | compile peak MB | file MB | load ms: Onager, ONNX Runtime, OpenVINO | first run ms | memory MB |\n"
            "|---|--:|--:|--:|--:|--:|--:|\n")
    for case in results["cases"]:
        compiled, engines = case["compile"], case["runs"][-1]["engines"]
        three = lambda show, key: ", ".join(show(engines[name].get(key)) for name in ("onager", *PEERS))
        seconds = compiled.get("seconds")
        text += (f"| {case['name']} | {'–' if seconds is None else f'{seconds:.1f}'} | {megabytes(compiled.get('memory_bytes'))} | "
                 f"{megabytes(compiled.get('file_bytes'))} | {three(milliseconds, 'load_s')} | {three(milliseconds, 'first_run_s')} | "
                 f"{three(megabytes, 'memory_bytes')} |\n")
    return text


def list_failures(results: dict) -> str:
    """What did not run, and why."""
    lines = [f"- {case['name']}: not compiled: {case['compile']['error']}\n" for case in results["cases"] if "error" in case["compile"]]
    for case in results["cases"]:
        if "error" not in case["compile"]:
            lines += [f"- {case['name']}, threads {run['threads']}, {name}: {engine['error']}\n" for run in case["runs"]
                      for name, engine in run["engines"].items() if "error" in engine]
    return "Did not run:\n\n" + "".join(lines) + "\n" if lines else ""


def make_tables(results: dict) -> str:
    machine = results["machine"]
    peaks = ", ".join(f"{rate / 1e9:.0f} GFLOP/s at {threads}" for threads, rate in results["peak_flops"].items())
    return (f"Measured {machine['date']} on {machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, {machine['system']}; "
            f"Onager {machine['onager']}, ONNX Runtime {machine['onnxruntime']}, OpenVINO {machine['openvino']}, all in f32; medians of {results['rounds']} "
            f"alternating rounds. Ratios above 1 mean that Onager is faster. The peak is that of f32 multiply-adds in registers, measured in the same run by "
            f"threads: {peaks}. Error: largest difference to ONNX Runtime over all outputs, relative to the output's largest magnitude.\n\n"
            f"{make_speed(results)}\n{list_failures(results)}Compiling, loading and memory (peak of the process beyond what it had before loading; the first run includes the "
            f"first touch of weights):\n\n{make_costs(results)}")


def write_readme(text: str) -> None:
    """Puts the tables between the markers of README.md."""
    put_between(ROOT / "README.md", "speed", text)
