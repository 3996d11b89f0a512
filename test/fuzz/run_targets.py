#!/usr/bin/env python3
"""Runs the coverage-guided targets, goes on where the last call ended, and adds up what was executed.

Usage: test/fuzz/run_targets.py [TARGET ...] [--runs N] [--seconds N] [--seed N] [--programs DIR]

scripts/fuzz.sh builds the programs and calls this. In ONAGER_FUZZ_DIR (build/fuzz) are corpus/TARGET, crashes/TARGET and targets.json, the counts of all runs.
A target runs in slices of a minute, each with a seed of its own, so that little is lost when one is killed.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fuzz.seeds_targets import WORDS, compile_called, write_seeds  # noqa: E402  (the folder above is on the path now)
from support.places import BUILD  # noqa: E402

TARGETS = ("model", "artifact", "cache", "calls", "formats", "images", "regex")
SLICE = 60
# No input is longer, takes more seconds, or more memory: what reading costs must follow from what is read.
LIMITS = {"model": (16384, 10), "artifact": (49152, 5), "cache": (4096, 5), "calls": (512, 5), "formats": (4096, 5), "images": (4096, 20), "regex": (64, 5)}
MEGABYTES = 2048
# As scripts/sanitize.sh has them; of LLVM's and protobuf's tables that stay, LeakSanitizer knows nothing.
SANITIZERS = {"ASAN_OPTIONS": "detect_container_overflow=0:alloc_dealloc_mismatch=0:detect_odr_violation=0:allocator_may_return_null=1",
              "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


def prepare(target: str, folder: pathlib.Path, isSanitized: bool) -> dict:
    """Writes corpus and models where they are absent; returns the environment of the target."""
    models = folder / ("models-sanitized" if isSanitized else "models")
    compile_called(models, isSanitized)
    if not (folder / "corpus" / target).exists():
        write_seeds(target, folder / "corpus" / target, models)
    (folder / "crashes" / target).mkdir(parents=True, exist_ok=True)
    # LLVM, which is not instrumented, poisons memory that it gives out again; sanitized models poison what lies around their values.
    # Readers of images leave by jumps, behind each of which AddressSanitizer looks through all frames that it keeps.
    options = SANITIZERS["ASAN_OPTIONS"] + f":allow_user_poisoning={int(target == 'calls')}:detect_stack_use_after_return={int(target != 'images')}"
    return os.environ | SANITIZERS | {"ASAN_OPTIONS": options, "ONAGER_FUZZ_MODELS": str(models)}


def make_command(program: pathlib.Path, target: str, folder: pathlib.Path, seed: int, runs: int, seconds: int) -> list[str]:
    length, limit = LIMITS[target]
    command = [str(program), str(folder / "corpus" / target), f"-artifact_prefix={folder / 'crashes' / target}/", f"-seed={seed}", f"-max_len={length}", f"-timeout={limit}",
               f"-rss_limit_mb={MEGABYTES}", f"-malloc_limit_mb={MEGABYTES // 2}", "-print_final_stats=1", f"-max_total_time={seconds}", f"-runs={runs or -1}"]
    return command + ([f"-dict={folder / 'corpus' / target}.dict"] if WORDS[target] else [])


def add_count(folder: pathlib.Path, target: str, output: str) -> tuple[int, int]:
    """Adds the executions that libFuzzer tells to those of all runs; returns both."""
    found = re.findall(r"stat::number_of_executed_units:\s*(\d+)", output) or re.findall(r"^#(\d+)", output, re.M)
    count, path = int(found[-1]) if found else 0, folder / "targets.json"
    counts = json.loads(path.read_text()) if path.exists() else {}
    counts[target] = counts.get(target, 0) + count
    path.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n")
    return count, counts[target]


def is_in_time(program: pathlib.Path, target: str, path: pathlib.Path, environment: dict) -> bool:
    """True where an input that took too long, by the clock of a busy machine, does not when it is tried again."""
    return path.name.startswith("timeout-") and subprocess.run([str(program), f"-timeout={LIMITS[target][1]}", str(path)], env=environment, capture_output=True).returncode == 0


def run_slice(programs: pathlib.Path, target: str, folder: pathlib.Path, seed: int, runs: int, seconds: int) -> tuple[bool, int]:
    """Runs a target once; returns whether it was fine and how many inputs it executed. Says how a bad input is repeated."""
    program = programs / f"onager-fuzz-{target}"
    environment = prepare(target, folder, programs.resolve() != (BUILD / "bin").resolve())
    before = set((folder / "crashes" / target).iterdir())
    process = subprocess.Popen(make_command(program, target, folder, seed, runs, seconds), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    try:
        output, isStopped = process.communicate()[1], False
    except KeyboardInterrupt:  # the key reached the target as well, which tells its counts
        output, isStopped = process.communicate()[1], True
    count, total = add_count(folder, target, output)
    print(f"{target}: seed {seed}, {count} executions, {total} in all runs", flush=True)
    if isStopped:
        raise KeyboardInterrupt
    if process.returncode == 0:
        return True, count
    found = sorted(set((folder / "crashes" / target).iterdir()) - before)
    if found and all(is_in_time(program, target, path, environment) for path in found):
        for path in found:
            path.unlink()
        return True, count
    print("\n".join(line for line in output.splitlines() if not line.startswith(("#", "INFO", "stat::")))[-6000:])
    for path in found:
        print(f"repeat: ONAGER_FUZZ_MODELS={environment['ONAGER_FUZZ_MODELS']} ASAN_OPTIONS={environment['ASAN_OPTIONS']} {program} {path}", flush=True)
    return False, count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--runs", type=int, default=0, help="executions of each target; without it and --seconds, until a key interrupts")
    parser.add_argument("--seconds", type=int, default=0, help="of each target")
    parser.add_argument("--seed", type=int, default=time.time_ns() % (1 << 31) or 1)
    parser.add_argument("--programs", type=pathlib.Path, default=BUILD / "fuzzers" / "bin")
    options = parser.parse_args()
    folder = pathlib.Path(os.environ.get("ONAGER_FUZZ_DIR", BUILD / "fuzz"))
    isFine, seed, left = True, options.seed, {target: [options.runs, options.seconds] for target in options.targets or TARGETS}
    try:
        while left:
            for target, (runs, seconds) in list(left.items()):
                start = time.monotonic()
                fine, count = run_slice(options.programs, target, folder, seed, runs, min(SLICE, seconds or SLICE))
                isFine &= fine
                # A bad input ends the target: it would be found again at once.
                left[target] = [runs - count if runs else 0, seconds - round(time.monotonic() - start) if seconds else 0]
                if not fine or (runs and left[target][0] <= 0) or (seconds and left[target][1] <= 0):
                    del left[target]
            seed += 1
    except KeyboardInterrupt:
        print("interrupted; the next call goes on from here")
    return int(not isFine)


if __name__ == "__main__":
    sys.exit(main())
