"""The benchmark of a run's fixed cost runs to its end, with the variants that it is about."""
import json
import subprocess

from support.places import BUILD


def test_every_case_is_measured():
    program = BUILD / "bin" / "onager-dispatch-benchmark"
    result = subprocess.run([program, "--benchmark_min_time=0.001", "--benchmark_format=json"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    cases = json.loads(result.stdout)["benchmarks"]
    assert len(cases) == 12 and not any(case.get("error_occurred") for case in cases), cases
