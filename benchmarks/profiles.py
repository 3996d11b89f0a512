"""Where a run's time goes, on one thread: the floor of each of compare.py's cases, and its time by kind of kernel, each beside what the machine could do.

Usage: profiles.py [WORD ...] [--seconds 1] [--output RESULT.json] [--table RESULT.json] [--write-docs]

Models are compiled as compare.py has them, symbols for symbolic dims. The floor is the multiply-adds of products and convolutions at the measured peak of f32. It holds for direct f32 alone: Winograd's form
has fewer, bytes are faster. --write-docs puts the table into docs/performance.md.
"""
import argparse

import onager

from answers import add_options, answer, put_between, read_processor
from cases import Case, list_cases
from kernels import time_ours
from places import ROOT, WORK

# Kinds of kernels that a row names, at most, and the share of the time from which on one is named.
MOST_KINDS, LEAST_SHARE = 4, 0.04


def add_up(launches: list[dict]) -> dict[str, dict]:
    """Returns time, operations and bytes by kind of kernel, the longest first."""
    kinds: dict[str, dict] = {}
    for launch in launches:
        kind = kinds.setdefault(launch["hero"], {"seconds": 0.0, "flops": 0, "bytes": 0})
        kind["seconds"] += launch["ms"] / 1e3
        kind["flops"] += launch["flops"]
        kind["bytes"] += launch["bytes"]
    return dict(sorted(kinds.items(), key=lambda item: -item[1]["seconds"]))


def measure_case(case: Case, seconds: float) -> dict:
    artifact = WORK / "profiles" / "model.so"
    artifact.parent.mkdir(parents=True, exist_ok=True)
    onager.compile(case.model, artifact)
    found = time_ours(artifact, seconds, "--input", str(case.save_feeds()), "--recompile", "off", "--per-kernel")
    return {"name": case.name, "seconds": found["median_ms"] / 1e3, "flops": case.flops, "kinds": add_up(found["launches"]),
            "peak_flops": found["peak_gflops"] * 1e9, "peak_bytes": found["peak_gbytes_per_second"] * 1e9}


def measure(words: list[str], seconds: float) -> dict:
    return {"processor": read_processor(), "cases": [measure_case(case, seconds) for case in list_cases(words)]}


def show_kind(name: str, kind: dict, total: float, peak_flops: float, peak_bytes: float) -> str:
    """A kind's share of the time and, in brackets, what it reaches of the nearer peak: reading where it reads no faster than memory, else that of products."""
    operations, read = kind["flops"] / kind["seconds"] / peak_flops, kind["bytes"] / kind["seconds"] / peak_bytes
    reached = f"{read:.0%} of reading" if operations < read <= 1.3 else f"{operations:.0%} of products"
    return f"{name} {kind['seconds'] / total:.0%} ({reached})"


def make_row(case: dict, peak_flops: float, peak_bytes: float) -> str:
    floor = (case["flops"] or 0) / peak_flops
    total = sum(kind["seconds"] for kind in case["kinds"].values())
    named = [show_kind(name, kind, total, peak_flops, peak_bytes) for name, kind in case["kinds"].items() if kind["seconds"] >= LEAST_SHARE * total][:MOST_KINDS]
    shown, share = (f"{floor * 1e3:.3g}", f"{floor / case['seconds']:.0%}") if floor else ("–", "–")
    return f"| {case['name']} | {case['seconds'] * 1e3:.3g} | {shown} | {share} | {', '.join(named)} |\n"


def make_table(results: dict) -> str:
    flops, read = (max(case[key] for case in results["cases"]) for key in ("peak_flops", "peak_bytes"))
    text = f"{results['processor']}, one thread: {flops / 1e9:.0f} GFLOP/s of f32 products, {read / 1e9:.1f} GB/s read from memory.\n\n"
    return text + "| case | ms | floor ms | floor of time | kinds of kernels: share of the time (of the peak) |\n|---|--:|--:|--:|---|\n" + "".join(
        make_row(case, flops, read) for case in results["cases"])


def write_docs(results: dict) -> None:
    put_between(ROOT / "docs" / "performance.md", "profiles", make_table(results))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--seconds", type=float, default=1)
    add_options(parser, "docs/performance.md")
    arguments = parser.parse_args()
    answer(arguments, lambda: measure(arguments.words, arguments.seconds), make_table, write_docs)


if __name__ == "__main__":
    main()
