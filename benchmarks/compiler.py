"""Runs the compiler once and says what that took, as a line of JSON.

Usage: compiler.py ONAGER MODEL ARTIFACT

A process of its own, and a small one: Linux counts what a parent held when it started a child as the child's peak.
"""
import json
import resource
import subprocess
import sys
import time


def main() -> None:
    onager, model, artifact = sys.argv[1:]
    start = time.perf_counter()
    result = subprocess.run([onager, "compile", model, "-o", artifact], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    if result.returncode:
        lines = result.stderr.strip().splitlines()
        print(json.dumps({"error": lines[-1][:300] if lines else f"status {result.returncode}"}))
    else:
        print(json.dumps({"seconds": seconds, "memory_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10}))


if __name__ == "__main__":
    main()
