"""Puts the test folder on the path, keeps compiled models in a folder of the run, and says what was skipped."""
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
_cache = tempfile.TemporaryDirectory(prefix="onager-tests-")
os.environ["ONAGER_CACHE_DIR"] = _cache.name


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.stats.get("skipped", []):
        terminalreporter.write_line(f"SKIP: {report.nodeid}: {report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr}")
