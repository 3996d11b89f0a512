"""Several threads run one session at the same time. The GIL is released while a model runs; each run has memory of its own.

Usage: threads.py IRIS    (as .onnx or as ONNX text)
"""
import concurrent.futures
import sys

import numpy as np

import onager


def classify(session: onager.InferenceSession, seed: int) -> bool:
    """Runs a random batch; true where each flower alone gives the same bits."""
    flowers = np.random.default_rng(seed).random((1 + seed % 7, 4), dtype=np.float32) * 7
    (batch,) = session.run(None, {"measurements": flowers})
    alone = [session.run(None, {"measurements": flower[None]})[0][0] for flower in flowers]
    return np.array_equal(batch, alone)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    session = onager.InferenceSession(sys.argv[1], threads=2)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda seed: classify(session, seed), range(400)))
    print(f"{len(results)} batches on 8 threads: {results.count(False)} with other bits")
    if not all(results):
        sys.exit(1)


if __name__ == "__main__":
    main()
