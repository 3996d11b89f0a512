"""A short run of each coverage-guided target, linked with what is released: seeds and seeded mutations of them. scripts/fuzz.sh is the long one.

There is no coverage of the libraries here and no sanitizer: what is found are crashes, failed expectations of the target, hangs and memory beyond the limit.
"""
import pytest

from fuzz.run_targets import TARGETS, main, run_slice
from support.places import BUILD
from support.seeds import get_seed

RUNS = {"model": 2000, "artifact": 20000, "cache": 50000, "calls": 5000, "formats": 50000, "images": 5000, "regex": 1000}


@pytest.mark.parametrize("target", TARGETS)
def test_short_run(target, tmp_path):
    if not (BUILD / "bin" / f"onager-fuzz-{target}").exists():
        pytest.skip("libFuzzer is Clang's")
    isFine, count = run_slice(BUILD / "bin", target, tmp_path, get_seed(), RUNS[target], 0)
    assert isFine and count >= RUNS[target]


def _write_program(folder, lines: str) -> None:
    path = folder / "onager-fuzz-regex"
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


def test_counts_add_up_and_bad_inputs_are_told(tmp_path, monkeypatch, capsys):
    """With a program in the target's place that executes 7 inputs, one that is slow once, and then one that finds a bad input."""
    folder = tmp_path / "fuzz"
    monkeypatch.setenv("ONAGER_FUZZ_DIR", str(folder))
    arguments = ["run_targets.py", "regex", "--runs", "14", "--seed", "5", "--programs", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    _write_program(tmp_path, "echo stat::number_of_executed_units: 7 >&2")
    assert main() == 0 and main() == 0
    said = capsys.readouterr().out
    assert "seed 5, 7 executions, 7 in all runs" in said and "seed 6, 7 executions, 28 in all runs" in said
    _write_program(tmp_path, f"echo stat::number_of_executed_units: 3 >&2; case $2 in *timeout-1) exit 0; esac; echo x > {folder}/crashes/regex/timeout-1; exit 70")
    monkeypatch.setattr("sys.argv", ["run_targets.py", "regex", "--runs", "3", "--seed", "5", "--programs", str(tmp_path)])
    assert main() == 0 and "3 executions, 31 in all runs" in capsys.readouterr().out and not list((folder / "crashes" / "regex").iterdir())
    monkeypatch.setattr("sys.argv", arguments)
    _write_program(tmp_path, f"echo stat::number_of_executed_units: 3 >&2; echo x > {folder}/crashes/regex/crash-1; exit 77")
    assert main() == 1
    said = capsys.readouterr().out
    assert "3 executions, 34 in all runs" in said and "repeat:" in said and "crashes/regex/crash-1" in said
