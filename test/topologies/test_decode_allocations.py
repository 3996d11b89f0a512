"""Decoding allocates at a few steps only: when its past leaves a bucket. Over lengths that it has seen, never."""
import re
import subprocess

import pytest

import onager
from support.places import BUILD
from support.networks import write_model

STEPS = 512
# 16 single steps, eight buckets for each power of two up to 512, the first run and the start of the threads.
MOST_ALLOCATING_RUNS = 16 + 8 * 5 + 4


def test_512_steps_of_gpt2(tmp_path):
    artifact = onager.compile(write_model("gpt2", True), tmp_path / "gpt2.so")
    result = subprocess.run([str(BUILD / "bin" / "onager-decode-allocations"), artifact, str(STEPS)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    if "sanitiser" in result.stdout:
        pytest.skip("the sanitiser owns the allocator")
    passes = [tuple(map(int, found)) for found in re.findall(r"runs (\d+) allocating (\d+) allocations (\d+)", result.stdout)]
    assert len(passes) == 2 and passes[0][0] == passes[1][0] == STEPS, result.stdout
    assert 0 < passes[0][1] <= MOST_ALLOCATING_RUNS, result.stdout
    assert passes[1][1:] == (0, 0), result.stdout
