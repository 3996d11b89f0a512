"""The networks of benchmarks/topologies.py for tests: written once per build, compiled, and run beside ONNX Runtime."""
import functools
import importlib.util
import pathlib

import numpy as np
import onnx
import onnxruntime

import onager
from support.places import BUILD, ROOT

SCRIPT = ROOT / "benchmarks" / "topologies.py"


@functools.cache
def load_script():
    """Imports the script, which is no package."""
    spec = importlib.util.spec_from_file_location("topologies_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_model(name: str, is_small: bool) -> pathlib.Path:
    """Returns the path of a network, written where it is absent or older than the script."""
    path = BUILD / "test-topologies" / ("small" if is_small else "full") / f"{name}.onnx"
    if not path.exists() or path.stat().st_mtime < SCRIPT.stat().st_mtime:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(load_script().TOPOLOGIES[name].model(name, is_small).SerializeToString())
        temporary.replace(path)
    return path


class Network:
    """One network: a single artifact, and ONNX Runtime's session as the reference."""

    def __init__(self, name: str, is_small: bool, folder: pathlib.Path, **options):
        self.path = write_model(name, is_small)
        self.proto = onnx.load(self.path)
        self.artifact = onager.compile(self.path, folder / f"{name}.so", **options)
        self.session = onager.InferenceSession(self.artifact, threads=2)
        quiet = onnxruntime.SessionOptions()
        quiet.log_severity_level = 3
        self.reference = onnxruntime.InferenceSession(self.path, quiet, providers=["CPUExecutionProvider"])

    def make_feeds(self, sizes: dict, seed: int = 0) -> dict:
        return load_script().make_feeds(self.proto, sizes, seed)

    def run(self, feeds: dict) -> dict:
        """Returns the outputs by name."""
        return dict(zip((node.name for node in self.session.get_outputs()), self.session.run(None, feeds), strict=True))

    def check(self, sizes: dict) -> None:
        """Fails where an output differs from ONNX Runtime's by more than 1e-4 of its largest magnitude."""
        feeds = self.make_feeds(sizes)
        found = self.run(feeds)
        for node, expected in zip(self.reference.get_outputs(), self.reference.run(None, feeds), strict=True):
            value = found[node.name]
            assert value.shape == expected.shape, f"{node.name} at {sizes}"
            error = np.abs(value - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-9)
            assert error < 1e-4, f"{node.name} at {sizes}: {error:.1e} of the largest magnitude"
