"""Compiles the trained digits classifier to one file, runs the held-out digits and compares with ONNX Runtime.

Usage: evaluate.py FOLDER    (as train.py left it)

Fails where the two disagree, or where the accuracy is below 95 %.
"""
import pathlib
import sys
import time

import numpy as np
import onnxruntime

import onager
from side_by_side import measure_medians, open_peer


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    held_out = np.load(folder / "digits.npz")
    images, labels = held_out["images"], held_out["labels"]

    start = time.perf_counter()
    artifact = pathlib.Path(onager.compile(folder / "digits.onnx", folder / "digits.so"))
    print(f"Compiled in {time.perf_counter() - start:.2f} s to {artifact}: one file of {artifact.stat().st_size:,} bytes, code and weights")

    session = onager.InferenceSession(artifact, threads=1)
    peer = open_peer(folder / "digits.onnx", threads=1)
    found = session.run(None, {"image": images})[0]
    expected = peer.run(None, {"image": images})[0]
    accuracy = float(np.mean(found.argmax(1) == labels))
    print(f"Accuracy on {len(images)} held-out digits: {accuracy:.1%} (ONNX Runtime {np.mean(expected.argmax(1) == labels):.1%}, "
          f"largest difference {np.abs(found - expected).max():.1e})")

    print(f"\nLatency per sample, 1 thread, medians of alternating rounds{'':8}Onager   ONNX Runtime {onnxruntime.__version__}")
    for name, batch in (("one digit at a time", 1), (f"all {len(images)} in one run", len(images))):
        feeds = {"image": np.ascontiguousarray(images[:batch])}
        ours, theirs = measure_medians([lambda: session.run(None, feeds), lambda: peer.run(None, feeds)])
        print(f"  {name:58}{ours / batch * 1e6:7.2f} us {theirs / batch * 1e6:9.2f} us   {theirs / ours:.2f}x")
    if accuracy < 0.95 or not np.allclose(found, expected, atol=1e-4):
        sys.exit("the compiled classifier is wrong")


if __name__ == "__main__":
    main()
