"""Compiles the iris classifier and runs it: one flower, several with the same session, then with inputs that do not fit.

Usage: classify.py IRIS    (as .onnx or as ONNX text)
"""
import pathlib
import sys
import tempfile

import numpy as np

import onager

NAMES = ["setosa", "versicolor", "virginica"]
FLOWERS = np.array([[5.1, 3.5, 1.4, 0.2], [5.0, 2.0, 3.5, 1.0], [6.9, 3.2, 5.7, 2.3]], np.float32)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        artifact = onager.compile(sys.argv[1], pathlib.Path(folder) / "iris.so")
        session = onager.InferenceSession(artifact)
    print("inputs", session.get_inputs())

    for count in (1, 3):
        (probabilities,) = session.run(["probabilities"], {"measurements": FLOWERS[:count]})
        print(f"{count} of {len(FLOWERS)}:", [f"{NAMES[row.argmax()]} ({row.max():.3f})" for row in probabilities])

    for feeds in ({"measurements": FLOWERS[:, :3]}, {"measurements": FLOWERS.astype(np.float64)}, {"petals": FLOWERS}):
        try:
            session.run(None, feeds)
        except ValueError as error:
            print("refused:", error)
    try:
        onager.compile(b'<ir_version: 8, opset_import: ["" : 17]>\ng (float[1] x) => (float[1] y) { y = Frobnicate(x) }')
    except onager.CompileError as error:
        print(f"not compiled, status {error.status}: {error}")


if __name__ == "__main__":
    main()
