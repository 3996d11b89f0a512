"""Profiles say where time goes: what is added up, which peak a kind of kernel is held against, what a floor is."""
import json
import subprocess
import sys

import pytest

from support.places import ROOT


def make_launch(hero: str, milliseconds: float, flops: int, size: int) -> dict:
    return {"hero": hero, "ms": milliseconds, "flops": flops, "bytes": size}


def make_case(**changed) -> dict:
    return {"name": "a", "seconds": 0.01, "flops": 10 ** 9, "peak_flops": 2e11, "peak_bytes": 1e10, "kinds": {}} | changed


def test_kinds_are_added_up_and_the_longest_comes_first(scripts):
    kinds = scripts("profiles").add_up([make_launch("conv", 1, 100, 10), make_launch("gemm", 3, 200, 20), make_launch("conv", 1.5, 300, 30)])
    assert list(kinds) == ["gemm", "conv"]
    assert kinds["conv"] == {"seconds": pytest.approx(0.0025), "flops": 400, "bytes": 40}


def test_a_kind_is_held_against_the_peak_that_is_nearer(scripts):
    show = scripts("profiles").show_kind
    assert show("gemm", {"seconds": 0.005, "flops": 5 * 10 ** 8, "bytes": 10 ** 6}, 0.01, 2e11, 1e10) == "gemm 50% (50% of products)"
    assert show("gemm", {"seconds": 0.005, "flops": 10 ** 6, "bytes": 4 * 10 ** 7}, 0.01, 2e11, 1e10) == "gemm 50% (80% of reading)"
    # What is read faster than memory gives it lies in a cache.
    assert show("map", {"seconds": 0.001, "flops": 10 ** 6, "bytes": 10 ** 8}, 0.01, 2e11, 1e10) == "map 10% (0% of products)"


def test_the_floor_is_that_of_products_where_they_are_counted(scripts):
    make_row = scripts("profiles").make_row
    assert make_row(make_case(), 2e11, 1e10).startswith("| a | 10 | 5 | 50% | ")
    assert make_row(make_case(flops=None), 2e11, 1e10).startswith("| a | 10 | – | – | ")


def test_a_case_is_measured(tmp_path):
    path = tmp_path / "profiles.json"
    command = [sys.executable, ROOT / "benchmarks" / "profiles.py", "MLP 784-512-10, batch 64", "--seconds", "0.05", "--output", path]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    (case,) = json.loads(path.read_text())["cases"]
    assert case["flops"] == 64 * 2 * (784 * 512 + 512 * 10) and case["kinds"]["gemm"]["flops"] >= case["flops"]
    assert "| MLP 784-512-10, batch 64 |" in result.stdout and "gemm" in result.stdout
