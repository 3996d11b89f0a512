"""Runs the command line the way a user does."""
import subprocess

from support.places import ONAGER


def run_onager(*arguments, input: bytes = b"", seconds: float = 60, **options) -> subprocess.CompletedProcess:
    """Runs onager and returns status, output and errors (as text)."""
    found = subprocess.run([str(ONAGER), *map(str, arguments)], input=input, capture_output=True, timeout=seconds, **options)
    found.stdout, found.stderr = found.stdout.decode(errors="replace"), found.stderr.decode(errors="replace")
    return found


def run_command(*command, **options) -> str:
    """Returns what a command printed; fails with it where the command fails."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert result.returncode == 0, f"{command[0]}: {result.stdout}\n{result.stderr}"
    return result.stdout


def expect_error(found: subprocess.CompletedProcess, status: int, *parts: str) -> None:
    """Asserts a clean failure: the status, an error on every line, each of the parts."""
    assert found.returncode == status, (found.returncode, found.stderr, found.stdout)
    lines = found.stderr.rstrip("\n").split("\n")
    assert lines and all(line.startswith("onager: error: ") for line in lines), found.stderr
    for part in parts:
        assert part in found.stderr, found.stderr
