"""Compiles a real model, runs it on its recorded inputs and compares outputs and latency with ONNX Runtime.

Usage: real_model.py MODEL.onnx ARTIFACT.so [RECORDED]

RECORDED is a folder of input_K.pb (TensorProtos); without it the inputs are random, with dims that are not fixed at 1.
"""
import pathlib
import sys
import time

import numpy as np
import onnx
import onnxruntime

import onager
from side_by_side import measure_medians, open_peer


def read_feeds(peer, recorded: pathlib.Path | None) -> dict[str, np.ndarray]:
    """Returns an array for each input."""
    if recorded:
        tensors = [onnx.TensorProto.FromString(path.read_bytes()) for path in sorted(recorded.glob("input_*.pb"))]
        return {node.name: onnx.numpy_helper.to_array(tensor) for node, tensor in zip(peer.get_inputs(), tensors, strict=True)}
    generator = np.random.default_rng(0)
    feeds = {}
    for node in peer.get_inputs():
        if node.type != "tensor(float)":
            sys.exit(f"input '{node.name}': random inputs are float, the model expects {node.type}")
        feeds[node.name] = generator.random([dim if isinstance(dim, int) else 1 for dim in node.shape], dtype=np.float32)
    return feeds


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    model, output = sys.argv[1:3]
    start = time.perf_counter()
    artifact = pathlib.Path(onager.compile(model, output))
    print(f"Compiled {model} ({pathlib.Path(model).stat().st_size:,} bytes) in {time.perf_counter() - start:.2f} s to {artifact} ({artifact.stat().st_size:,} bytes)")
    session, peer = onager.InferenceSession(artifact, threads=1), open_peer(model, threads=1)
    feeds = read_feeds(peer, pathlib.Path(sys.argv[3]) if len(sys.argv) == 4 else None)
    worst = 0.0
    for node, found, expected in zip(peer.get_outputs(), session.run(None, feeds), peer.run(None, feeds), strict=True):
        scale = float(np.abs(expected).max()) or 1.0
        error = float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max()) / scale
        worst = max(worst, error)
        print(f"  output {node.name} {list(found.shape)}: largest difference to ONNX Runtime {error:.1e} of the largest magnitude")
    ours, theirs = measure_medians([lambda: session.run(None, feeds), lambda: peer.run(None, feeds)], rounds=9)
    print(f"  latency, 1 thread, medians of alternating rounds: Onager {ours * 1e3:.2f} ms, ONNX Runtime {onnxruntime.__version__} {theirs * 1e3:.2f} ms   {theirs / ours:.2f}x")
    if worst > 1e-3:
        sys.exit("the outputs differ")


if __name__ == "__main__":
    main()
